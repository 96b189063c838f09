CREATE TABLE profiles (id uuid PRIMARY KEY REFERENCES auth.users (id), mail extensions.citext);
CREATE POLICY own ON profiles USING (id = auth.uid());
ALTER TABLE profiles ADD COLUMN owner uuid DEFAULT auth.uid();
INSERT INTO profiles (id) SELECT id FROM auth.users;
GRANT SELECT ON profiles TO authenticated;
CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA extensions;
CREATE TABLE author (id int);
COMMENT ON TABLE profiles IS 'beside auth.users';

CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE RETURN NULL::uuid;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE RETURN '{}'::jsonb;
CREATE TABLE note (id int PRIMARY KEY, owner uuid);
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON note USING (owner = auth.uid()) WITH CHECK (owner = auth.uid() AND current_setting('a.b') = 'c');

CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE RETURN NULL::uuid;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE RETURN '{}'::jsonb;
CREATE TABLE note (id int PRIMARY KEY);
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
CREATE POLICY admins ON note USING (auth.jwt() -> 'user_metadata' ->> 'role' = 'admin');

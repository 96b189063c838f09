CREATE SCHEMA api;
CREATE TABLE account (id int PRIMARY KEY, name text, password_hash text);
GRANT SELECT (id, name) ON account TO anon;
CREATE TABLE guarded (id int PRIMARY KEY, token text);
GRANT SELECT ON guarded TO anon;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;

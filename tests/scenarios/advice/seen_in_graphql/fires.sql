-- pg_graphql is in no package of PostgreSQL's: its entry in the catalogue, which is all that is asked for, is made by hand
SET allow_system_table_mods = on;
INSERT INTO pg_extension SELECT 1, 'pg_graphql', extowner, extnamespace, true, '1.5', NULL, NULL FROM pg_extension WHERE extname = 'plpgsql';
CREATE SCHEMA api;
CREATE TABLE note (id int PRIMARY KEY, body text);
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
GRANT SELECT (id) ON note TO anon;
CREATE VIEW api.notes WITH (security_invoker = true) AS SELECT id FROM note;
GRANT SELECT ON api.notes TO authenticated;
CREATE TABLE nobodys (id int PRIMARY KEY);

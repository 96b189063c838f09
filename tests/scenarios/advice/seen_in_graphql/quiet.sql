-- without pg_graphql
CREATE SCHEMA api;
CREATE TABLE note (id int PRIMARY KEY, body text);
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON note TO anon;

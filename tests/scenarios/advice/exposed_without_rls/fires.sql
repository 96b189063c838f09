CREATE SCHEMA api;
CREATE TABLE note (id int PRIMARY KEY);
GRANT SELECT ON note TO anon;
CREATE TABLE api.post (id int PRIMARY KEY);
GRANT ALL ON api.post TO authenticated;

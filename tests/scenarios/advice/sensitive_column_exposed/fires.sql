CREATE SCHEMA api;
CREATE TABLE account (id int PRIMARY KEY, name text, password_hash text, "API_key" text);
GRANT SELECT ON account TO anon;

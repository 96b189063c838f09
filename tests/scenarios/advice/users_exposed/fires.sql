CREATE SCHEMA api;
CREATE SCHEMA auth;
CREATE TABLE auth.users (id int PRIMARY KEY, email text);
CREATE MATERIALIZED VIEW people AS SELECT email FROM auth.users;
GRANT SELECT ON people TO anon;
CREATE VIEW persons WITH (security_invoker = true) AS SELECT id FROM auth.users;
GRANT SELECT ON persons TO authenticated;

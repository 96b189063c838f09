CREATE SCHEMA api;
CREATE SCHEMA auth;
CREATE TABLE auth.users (id int PRIMARY KEY, email text);
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
CREATE VIEW persons WITH (security_invoker = true) AS SELECT id FROM auth.users;
GRANT SELECT ON persons TO authenticated;
CREATE VIEW nobodys AS SELECT id FROM auth.users;

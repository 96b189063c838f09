CREATE SCHEMA api;
CREATE TABLE note (id int PRIMARY KEY);
CREATE VIEW notes WITH (security_invoker = on) AS SELECT * FROM note;
GRANT SELECT ON notes TO anon;
CREATE VIEW nobodys AS SELECT * FROM note;

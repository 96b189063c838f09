-- Somebody's table refers to the text key.
\ir ../at_001/postgresql.sql
CREATE TABLE mine (id VARCHAR NOT NULL PRIMARY KEY REFERENCES audit_logs (id));

-- A table of another application has the name of a new one.
\ir ../at_001/postgresql.sql
CREATE TABLE projects (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR NOT NULL);

-- Somebody added a column of 002 by hand, without its default.
\ir ../at_001/postgresql.sql
ALTER TABLE blueprints ADD COLUMN definition JSON;

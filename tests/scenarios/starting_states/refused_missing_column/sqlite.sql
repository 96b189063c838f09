-- A column that cannot be empty is gone.
\ir ../at_001/sqlite.sql
ALTER TABLE agents DROP COLUMN instructions;

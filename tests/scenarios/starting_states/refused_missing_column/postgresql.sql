-- A column that cannot be empty is gone.
\ir ../at_001/postgresql.sql
ALTER TABLE agents DROP COLUMN instructions;

-- A view has the name of a new table.
\ir ../at_001/postgresql.sql
CREATE VIEW plans AS SELECT id, name FROM tenants;

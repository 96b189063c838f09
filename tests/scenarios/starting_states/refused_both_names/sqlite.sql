-- Somebody added the new column beside the old one.
\ir ../at_001/sqlite.sql
ALTER TABLE agents ADD COLUMN created_by VARCHAR;

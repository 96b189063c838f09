-- The older, faulty 002 always died here on SQLite, since it could not add the foreign key of publisher_id.
\ir ../at_001/sqlite.sql
-- then
ALTER TABLE agents RENAME COLUMN user_id TO created_by;
-- then
ALTER TABLE blueprints ADD COLUMN pricing_model VARCHAR DEFAULT 'free';
-- then
ALTER TABLE blueprints ADD COLUMN price FLOAT DEFAULT '0.0';
-- then
ALTER TABLE blueprints ADD COLUMN publisher_id VARCHAR;

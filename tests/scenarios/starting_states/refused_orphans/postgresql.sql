-- The older 002 died before it added the foreign key, and rows came that it would have refused.
\ir ../at_001/postgresql.sql
ALTER TABLE blueprints ADD COLUMN publisher_id VARCHAR;
UPDATE blueprints SET publisher_id = 'nobody';

-- An index of another table has the name of a new one.
\ir ../at_001/postgresql.sql
CREATE INDEX ix_api_keys_key_hash ON agents (name);

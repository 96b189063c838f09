-- Written by hand: a default, a missing index, other names of keys, an index left invalid, columns in another order.
\ir ../unstamped_001/postgresql.sql
DROP INDEX ix_tenants_slug;
ALTER TABLE tenants ALTER name SET DEFAULT 'x', ALTER name DROP NOT NULL;
ALTER TABLE users DROP COLUMN is_superuser, ADD COLUMN is_superuser BOOLEAN, DROP COLUMN created_at, ADD COLUMN created_at TIMESTAMP;
ALTER TABLE agents RENAME CONSTRAINT agents_pkey TO pk_agents;
ALTER TABLE agents RENAME CONSTRAINT agents_user_id_fkey TO fk_user;
CREATE INDEX ix_audit_logs_created_at ON audit_logs (created_at);
UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'ix_audit_logs_created_at'::regclass;
ALTER TABLE blueprints ADD COLUMN rating FLOAT DEFAULT 0.0, ADD COLUMN price FLOAT DEFAULT 0, ADD COLUMN downloads INTEGER DEFAULT '0',
    ADD COLUMN is_public BOOLEAN DEFAULT 'f', ADD COLUMN pricing_model VARCHAR DEFAULT 'dear';

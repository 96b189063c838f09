-- audit_logs is partitioned.
\ir ../at_001/postgresql.sql
ALTER TABLE audit_logs RENAME TO audit_logs_all;
CREATE TABLE audit_logs (id VARCHAR NOT NULL, event_type VARCHAR NOT NULL, user_id VARCHAR, tenant_id VARCHAR, resource_type VARCHAR,
    resource_id VARCHAR, action VARCHAR, success BOOLEAN, metadata JSON, created_at TIMESTAMP) PARTITION BY RANGE (created_at);

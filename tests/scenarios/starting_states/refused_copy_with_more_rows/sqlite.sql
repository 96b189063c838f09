-- A left-over copy that is no copy: dropping it would lose a row.
\ir ../at_001/sqlite.sql
CREATE TABLE audit_logs_new (id INTEGER NOT NULL PRIMARY KEY, event_type VARCHAR NOT NULL, user_id VARCHAR,
    resource_type VARCHAR, resource_id VARCHAR, action VARCHAR, success BOOLEAN, details JSON, created_at TIMESTAMP);
INSERT INTO audit_logs_new (id, event_type) VALUES (1, 'only here');

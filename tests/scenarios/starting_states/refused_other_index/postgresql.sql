-- An index of the right name is on another column.
\ir ../at_001/postgresql.sql
CREATE INDEX ix_audit_logs_created_at ON audit_logs (event_type);

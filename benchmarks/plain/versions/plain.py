"""A new table, the rows copied, the old one dropped, the new one renamed: one transaction."""

from alembic import op

revision = "002"
down_revision = "001"

COPY = """
ALTER TABLE agents RENAME user_id TO created_by;
ALTER TABLE workflows RENAME user_id TO created_by;
ALTER TABLE blueprints RENAME user_id TO created_by;
ALTER TABLE executions RENAME type TO execution_type;
ALTER TABLE executions RENAME entity_id TO resource_id;
ALTER TABLE executions RENAME result TO output_data;
ALTER TABLE executions RENAME user_id TO created_by;
CREATE UNIQUE INDEX ix_api_keys_key_hash ON api_keys (key_hash);
CREATE TABLE audit_logs_new (id serial PRIMARY KEY, legacy_id varchar, event_type varchar NOT NULL,
  user_id varchar REFERENCES users, tenant_id varchar REFERENCES tenants, resource_type varchar, resource_id varchar,
  action varchar, success boolean, details json, created_at timestamp, ip_address varchar);
INSERT INTO audit_logs_new (legacy_id, event_type, user_id, tenant_id, resource_type, resource_id, action, success,
  details, created_at)
  SELECT id, event_type, user_id, tenant_id, resource_type, resource_id, action, success, metadata, created_at
  FROM audit_logs ORDER BY created_at, id COLLATE "C";
DROP TABLE audit_logs;
ALTER TABLE audit_logs_new RENAME TO audit_logs;
CREATE INDEX ix_audit_logs_created_at ON audit_logs (created_at);
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(COPY)

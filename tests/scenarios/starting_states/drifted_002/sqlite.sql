-- Stamped 002, and short of it in the same way as on PostgreSQL, where the older 002 ran to its end.
\ir ../at_001/sqlite.sql
ALTER TABLE agents RENAME COLUMN user_id TO created_by;
ALTER TABLE blueprints ADD COLUMN pricing_model VARCHAR DEFAULT 'free';
ALTER TABLE blueprints ADD COLUMN price FLOAT DEFAULT '0.0';
ALTER TABLE blueprints ADD COLUMN publisher_id VARCHAR REFERENCES users (id);
ALTER TABLE blueprints ADD COLUMN is_public BOOLEAN DEFAULT 0;
ALTER TABLE blueprints ADD COLUMN downloads INTEGER DEFAULT '0';
ALTER TABLE blueprints ADD COLUMN rating FLOAT DEFAULT '0.0';
ALTER TABLE blueprints ADD COLUMN reviews_count INTEGER DEFAULT '0';
ALTER TABLE executions RENAME COLUMN type TO execution_type;
ALTER TABLE executions RENAME COLUMN entity_id TO resource_id;
ALTER TABLE executions RENAME COLUMN result TO output_data;
ALTER TABLE executions ADD COLUMN input_data JSON;
ALTER TABLE executions ADD COLUMN execution_time FLOAT;
ALTER TABLE executions RENAME COLUMN user_id TO created_by;
CREATE TABLE audit_logs_new (
    id INTEGER NOT NULL PRIMARY KEY,
    event_type VARCHAR NOT NULL,
    user_id VARCHAR REFERENCES users (id),
    resource_type VARCHAR,
    resource_id VARCHAR,
    action VARCHAR,
    success BOOLEAN DEFAULT 1,
    details JSON,
    ip_address VARCHAR,
    created_at DATETIME
);
CREATE INDEX ix_audit_logs_created_at ON audit_logs_new (created_at);
INSERT INTO audit_logs_new (event_type, user_id, resource_type, resource_id, action, success, details, created_at)
SELECT event_type, user_id, resource_type, resource_id, action, coalesce(success, true), coalesce(metadata, '{}'), created_at
FROM audit_logs;
DROP TABLE audit_logs;
ALTER TABLE audit_logs_new RENAME TO audit_logs;
CREATE TABLE projects (
    id VARCHAR NOT NULL PRIMARY KEY,
    name VARCHAR NOT NULL,
    project_type VARCHAR DEFAULT 'saas_app',
    tenant_id VARCHAR NOT NULL REFERENCES tenants (id),
    created_by VARCHAR NOT NULL REFERENCES users (id),
    config JSON DEFAULT '{}',
    is_active BOOLEAN DEFAULT 1,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE plans (
    id VARCHAR NOT NULL PRIMARY KEY,
    name VARCHAR NOT NULL,
    plan_type VARCHAR NOT NULL,
    price_monthly FLOAT DEFAULT '0.0',
    price_yearly FLOAT DEFAULT '0.0',
    currency VARCHAR DEFAULT 'USD',
    features JSON DEFAULT '{}',
    limits JSON DEFAULT '{}',
    is_active BOOLEAN DEFAULT 1,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE subscriptions (
    id VARCHAR NOT NULL PRIMARY KEY,
    tenant_id VARCHAR NOT NULL REFERENCES tenants (id),
    plan_id VARCHAR NOT NULL REFERENCES plans (id),
    status VARCHAR DEFAULT 'active',
    billing_cycle VARCHAR DEFAULT 'monthly',
    current_period_start DATETIME NOT NULL,
    current_period_end DATETIME NOT NULL,
    stripe_subscription_id VARCHAR,
    stripe_customer_id VARCHAR,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE usage_records (
    id VARCHAR NOT NULL PRIMARY KEY,
    tenant_id VARCHAR NOT NULL REFERENCES tenants (id),
    subscription_id VARCHAR REFERENCES subscriptions (id),
    billing_unit VARCHAR NOT NULL,
    quantity FLOAT NOT NULL,
    unit_price FLOAT DEFAULT '0.0',
    total_cost FLOAT DEFAULT '0.0',
    currency VARCHAR DEFAULT 'USD',
    period_start DATETIME NOT NULL,
    period_end DATETIME NOT NULL,
    created_at DATETIME
);
\ir rows.sql

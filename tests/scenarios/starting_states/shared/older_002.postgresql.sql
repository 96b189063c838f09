-- What an older, faulty 002 did, statement by statement. `-- then` stands between two of them.
ALTER TABLE agents RENAME user_id TO created_by;
-- then
ALTER TABLE blueprints ADD COLUMN pricing_model VARCHAR DEFAULT 'free';
-- then
ALTER TABLE blueprints ADD COLUMN price FLOAT DEFAULT '0.0';
-- then
ALTER TABLE blueprints ADD COLUMN publisher_id VARCHAR;
-- then
ALTER TABLE blueprints ADD FOREIGN KEY (publisher_id) REFERENCES users (id);
-- then
ALTER TABLE blueprints ADD COLUMN is_public BOOLEAN DEFAULT 'false';
-- then
ALTER TABLE blueprints ADD COLUMN downloads INTEGER DEFAULT '0';
-- then
ALTER TABLE blueprints ADD COLUMN rating FLOAT DEFAULT '0.0';
-- then
ALTER TABLE blueprints ADD COLUMN reviews_count INTEGER DEFAULT '0';
-- then
ALTER TABLE executions RENAME type TO execution_type;
-- then
ALTER TABLE executions RENAME entity_id TO resource_id;
-- then
ALTER TABLE executions RENAME result TO output_data;
-- then
ALTER TABLE executions ADD COLUMN input_data JSON;
-- then
ALTER TABLE executions ADD COLUMN execution_time FLOAT;
-- then
ALTER TABLE executions RENAME user_id TO created_by;
-- then
CREATE TABLE audit_logs_new (
    id SERIAL NOT NULL PRIMARY KEY,
    event_type VARCHAR NOT NULL,
    user_id VARCHAR REFERENCES users (id),
    resource_type VARCHAR,
    resource_id VARCHAR,
    action VARCHAR,
    success BOOLEAN DEFAULT 'true',
    details JSON,
    ip_address VARCHAR,
    created_at TIMESTAMP WITHOUT TIME ZONE
);
-- then
CREATE INDEX ix_audit_logs_created_at ON audit_logs_new (created_at);
-- then
INSERT INTO audit_logs_new (event_type, user_id, resource_type, resource_id, action, success, details, created_at)
SELECT event_type, user_id, resource_type, resource_id, action, coalesce(success, true), coalesce(metadata, '{}'), created_at
FROM audit_logs;
-- then
DROP TABLE audit_logs;
-- then
ALTER TABLE audit_logs_new RENAME TO audit_logs;
-- then
CREATE TABLE projects (
    id VARCHAR NOT NULL PRIMARY KEY,
    name VARCHAR NOT NULL,
    project_type VARCHAR DEFAULT 'saas_app',
    tenant_id VARCHAR NOT NULL REFERENCES tenants (id),
    created_by VARCHAR NOT NULL REFERENCES users (id),
    config JSON DEFAULT '{}',
    is_active BOOLEAN DEFAULT 'true',
    created_at TIMESTAMP WITHOUT TIME ZONE,
    updated_at TIMESTAMP WITHOUT TIME ZONE
);
-- then
CREATE TABLE plans (
    id VARCHAR NOT NULL PRIMARY KEY,
    name VARCHAR NOT NULL,
    plan_type VARCHAR NOT NULL,
    price_monthly FLOAT DEFAULT '0.0',
    price_yearly FLOAT DEFAULT '0.0',
    currency VARCHAR DEFAULT 'USD',
    features JSON DEFAULT '{}',
    limits JSON DEFAULT '{}',
    is_active BOOLEAN DEFAULT 'true',
    created_at TIMESTAMP WITHOUT TIME ZONE,
    updated_at TIMESTAMP WITHOUT TIME ZONE
);
-- then
CREATE TABLE subscriptions (
    id VARCHAR NOT NULL PRIMARY KEY,
    tenant_id VARCHAR NOT NULL REFERENCES tenants (id),
    plan_id VARCHAR NOT NULL REFERENCES plans (id),
    status VARCHAR DEFAULT 'active',
    billing_cycle VARCHAR DEFAULT 'monthly',
    current_period_start TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    current_period_end TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    stripe_subscription_id VARCHAR,
    stripe_customer_id VARCHAR,
    created_at TIMESTAMP WITHOUT TIME ZONE,
    updated_at TIMESTAMP WITHOUT TIME ZONE
);
-- then
CREATE TABLE usage_records (
    id VARCHAR NOT NULL PRIMARY KEY,
    tenant_id VARCHAR NOT NULL REFERENCES tenants (id),
    subscription_id VARCHAR REFERENCES subscriptions (id),
    billing_unit VARCHAR NOT NULL,
    quantity FLOAT NOT NULL,
    unit_price FLOAT DEFAULT '0.0',
    total_cost FLOAT DEFAULT '0.0',
    currency VARCHAR DEFAULT 'USD',
    period_start TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    period_end TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    created_at TIMESTAMP WITHOUT TIME ZONE
);

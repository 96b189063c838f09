-- What the platform's own create_all makes: twelve tables, no alembic_version.

CREATE TABLE plans (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    plan_type VARCHAR NOT NULL,
    price_monthly FLOAT,
    price_yearly FLOAT,
    currency VARCHAR,
    features JSON,
    limits JSON,
    is_active BOOLEAN,
    created_at DATETIME,
    updated_at DATETIME,
    PRIMARY KEY (id)
);

CREATE TABLE tenants (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    slug VARCHAR NOT NULL,
    is_active BOOLEAN,
    "plan" VARCHAR,
    resource_quota JSON,
    usage JSON,
    created_at DATETIME,
    updated_at DATETIME,
    PRIMARY KEY (id)
);

CREATE UNIQUE INDEX ix_tenants_slug ON tenants (slug);

CREATE TABLE subscriptions (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    plan_id VARCHAR NOT NULL,
    status VARCHAR,
    billing_cycle VARCHAR,
    current_period_start DATETIME NOT NULL,
    current_period_end DATETIME NOT NULL,
    stripe_subscription_id VARCHAR,
    stripe_customer_id VARCHAR,
    created_at DATETIME,
    updated_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(plan_id) REFERENCES plans (id)
);

CREATE TABLE users (
    id VARCHAR NOT NULL,
    email VARCHAR NOT NULL,
    hashed_password VARCHAR NOT NULL,
    is_active BOOLEAN,
    is_superuser BOOLEAN,
    tenant_id VARCHAR,
    roles JSON,
    permissions JSON,
    created_at DATETIME,
    updated_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);

CREATE UNIQUE INDEX ix_users_email ON users (email);

CREATE TABLE agents (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    instructions TEXT NOT NULL,
    model VARCHAR,
    tenant_id VARCHAR,
    created_by VARCHAR,
    created_at DATETIME,
    updated_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(created_by) REFERENCES users (id)
);

CREATE TABLE api_keys (
    id VARCHAR NOT NULL,
    key_hash VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    is_active BOOLEAN,
    last_used_at DATETIME,
    expires_at DATETIME,
    created_at DATETIME,
    permissions JSON,
    updated_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(user_id) REFERENCES users (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);

CREATE UNIQUE INDEX ix_api_keys_key_hash ON api_keys (key_hash);

CREATE TABLE audit_logs (
    id INTEGER NOT NULL,
    event_type VARCHAR NOT NULL,
    user_id VARCHAR,
    resource_type VARCHAR,
    resource_id VARCHAR,
    action VARCHAR,
    success BOOLEAN,
    details JSON,
    created_at DATETIME,
    ip_address VARCHAR,
    PRIMARY KEY (id),
    FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE INDEX ix_audit_logs_created_at ON audit_logs (created_at);

CREATE TABLE blueprints (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    description TEXT,
    version VARCHAR NOT NULL,
    created_at DATETIME,
    updated_at DATETIME,
    definition JSON NOT NULL,
    pricing_model VARCHAR,
    price FLOAT,
    publisher_id VARCHAR,
    is_public BOOLEAN,
    downloads INTEGER,
    rating FLOAT,
    reviews_count INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY(publisher_id) REFERENCES users (id)
);

CREATE TABLE executions (
    id VARCHAR NOT NULL,
    execution_type VARCHAR NOT NULL,
    resource_id VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    output_data JSON,
    error TEXT,
    tenant_id VARCHAR,
    created_by VARCHAR,
    created_at DATETIME,
    completed_at DATETIME,
    input_data JSON,
    execution_time FLOAT,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(created_by) REFERENCES users (id)
);

CREATE TABLE projects (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    project_type VARCHAR,
    tenant_id VARCHAR NOT NULL,
    created_by VARCHAR NOT NULL,
    config JSON,
    is_active BOOLEAN,
    created_at DATETIME,
    updated_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(created_by) REFERENCES users (id)
);

CREATE TABLE usage_records (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    subscription_id VARCHAR,
    billing_unit VARCHAR NOT NULL,
    quantity FLOAT NOT NULL,
    unit_price FLOAT,
    total_cost FLOAT,
    currency VARCHAR,
    period_start DATETIME NOT NULL,
    period_end DATETIME NOT NULL,
    created_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(subscription_id) REFERENCES subscriptions (id)
);

CREATE TABLE workflows (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    definition JSON NOT NULL,
    tenant_id VARCHAR,
    created_by VARCHAR,
    created_at DATETIME,
    updated_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(created_by) REFERENCES users (id)
);

\ir rows.sql

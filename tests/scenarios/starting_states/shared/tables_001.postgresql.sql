-- The eight tables of 001.

CREATE TABLE tenants (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    slug VARCHAR NOT NULL,
    is_active BOOLEAN,
    plan VARCHAR,
    resource_quota JSON,
    usage JSON,
    created_at TIMESTAMP WITHOUT TIME ZONE,
    updated_at TIMESTAMP WITHOUT TIME ZONE,
    PRIMARY KEY (id)
);

CREATE UNIQUE INDEX ix_tenants_slug ON tenants (slug);

CREATE TABLE users (
    id VARCHAR NOT NULL,
    email VARCHAR NOT NULL,
    hashed_password VARCHAR NOT NULL,
    is_active BOOLEAN,
    is_superuser BOOLEAN,
    tenant_id VARCHAR,
    roles JSON,
    permissions JSON,
    created_at TIMESTAMP WITHOUT TIME ZONE,
    updated_at TIMESTAMP WITHOUT TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);

CREATE UNIQUE INDEX ix_users_email ON users (email);

CREATE TABLE agents (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    instructions TEXT NOT NULL,
    model VARCHAR,
    config JSON,
    tenant_id VARCHAR,
    user_id VARCHAR,
    created_at TIMESTAMP WITHOUT TIME ZONE,
    updated_at TIMESTAMP WITHOUT TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE TABLE api_keys (
    id VARCHAR NOT NULL,
    key_hash VARCHAR NOT NULL,
    name VARCHAR,
    user_id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    is_active BOOLEAN,
    last_used_at TIMESTAMP WITHOUT TIME ZONE,
    expires_at TIMESTAMP WITHOUT TIME ZONE,
    created_at TIMESTAMP WITHOUT TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(user_id) REFERENCES users (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);

CREATE TABLE audit_logs (
    id VARCHAR NOT NULL,
    event_type VARCHAR NOT NULL,
    user_id VARCHAR,
    tenant_id VARCHAR,
    resource_type VARCHAR,
    resource_id VARCHAR,
    action VARCHAR,
    success BOOLEAN,
    metadata JSON,
    created_at TIMESTAMP WITHOUT TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(user_id) REFERENCES users (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);

CREATE TABLE blueprints (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    description TEXT,
    version VARCHAR,
    author VARCHAR,
    category VARCHAR,
    tags JSON,
    config JSON,
    tenant_id VARCHAR,
    user_id VARCHAR,
    created_at TIMESTAMP WITHOUT TIME ZONE,
    updated_at TIMESTAMP WITHOUT TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE TABLE executions (
    id VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    entity_id VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    result JSON,
    error TEXT,
    tenant_id VARCHAR,
    user_id VARCHAR,
    created_at TIMESTAMP WITHOUT TIME ZONE,
    completed_at TIMESTAMP WITHOUT TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE TABLE workflows (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    description TEXT,
    definition JSON,
    tenant_id VARCHAR,
    user_id VARCHAR,
    created_at TIMESTAMP WITHOUT TIME ZONE,
    updated_at TIMESTAMP WITHOUT TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(user_id) REFERENCES users (id)
);

-- Written by hand: keys that SQLite lets be NULL, a default, a missing index, another one more, columns in another order.
\ir ../unstamped_001/sqlite.sql
DROP INDEX ix_tenants_slug;
CREATE TABLE by_hand (slug VARCHAR NOT NULL, id VARCHAR PRIMARY KEY, name VARCHAR DEFAULT 'x' NOT NULL, is_active BOOLEAN,
    plan VARCHAR, resource_quota JSON, "usage" JSON, created_at DATETIME, updated_at DATETIME);
INSERT INTO by_hand SELECT slug, id, name, is_active, plan, resource_quota, "usage", created_at, updated_at FROM tenants;
DROP TABLE tenants;
ALTER TABLE by_hand RENAME TO tenants;
ALTER TABLE blueprints ADD COLUMN rating FLOAT DEFAULT 0.0;
ALTER TABLE blueprints ADD COLUMN is_public BOOLEAN DEFAULT false;
ALTER TABLE blueprints ADD COLUMN pricing_model VARCHAR DEFAULT 'dear';

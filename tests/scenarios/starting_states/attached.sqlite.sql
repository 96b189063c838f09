-- What people attach to a table that is going to be rebuilt.
DROP TABLE usage_records; DROP TABLE subscriptions;
ALTER TABLE plans RENAME TO plans_before;
CREATE TABLE plans (id VARCHAR NOT NULL, name VARCHAR NOT NULL, plan_type VARCHAR NOT NULL, price_monthly FLOAT, price_yearly FLOAT,
    currency VARCHAR, features JSON, limits JSON, is_active BOOLEAN, created_at DATETIME, updated_at DATETIME, PRIMARY KEY (id),
    CONSTRAINT not_negative CHECK (price_monthly >= 0), CHECK (name <> '12:00'));
INSERT INTO plans SELECT * FROM plans_before;
DROP TABLE plans_before;
CREATE INDEX dear ON plans (price_yearly) WHERE price_yearly > 100;
CREATE VIEW plan_names AS SELECT name, currency FROM plans;
CREATE TABLE heard (id INTEGER PRIMARY KEY, said VARCHAR);
CREATE TRIGGER hear AFTER INSERT ON plans BEGIN INSERT INTO heard (said) VALUES ('new plan ' || new.name); END;

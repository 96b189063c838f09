-- Numbers in audit_logs stay, gaps too; the marketplace and the billing tables hold rows.
INSERT INTO tenants (id, name, slug, is_active) VALUES ('t1', 'Ärger', 'aerger', TRUE), ('t2', '', 't2', NULL);
INSERT INTO users (id, email, hashed_password, tenant_id, roles) VALUES ('u1', 'a@example.com', 'x', 't1', '{"a":1,"a":2}'), ('u2', 'b', '', NULL, NULL);
INSERT INTO agents (id, name, instructions, created_by, tenant_id) VALUES ('a1', 'a', 'do', 'u1', 't1'), ('a2', 'a', '', NULL, NULL);
INSERT INTO workflows (id, name, definition, created_by) VALUES ('w1', 'w', '{"s":[ ]}', 'u2');
INSERT INTO blueprints (id, name, version, definition, pricing_model, price, publisher_id, is_public, downloads, rating) VALUES
    ('b1', 'b', '1', '{"d":1, "d":2}', NULL, NULL, NULL, NULL, NULL, NULL),
    ('b2', 'b', '2', '{}', 'one-time', 9.99, 'u2', TRUE, 7, 4.5);
INSERT INTO executions (id, execution_type, resource_id, status, input_data, output_data, execution_time, created_by) VALUES
    ('e1', 'agent', 'a1', 'completed', '{"q": "?"}', '[ ]', 1.25, 'u1');
INSERT INTO audit_logs (id, event_type, user_id, success, details, ip_address, created_at) VALUES
    (1, 'login', 'u1', NULL, '{"x": "y"}', '::1', '2024-05-01 00:00:00.000000'),
    (2, 'login', NULL, FALSE, NULL, NULL, NULL),
    (7, 'earlier than 1', NULL, TRUE, '[]', NULL, '2024-04-01 00:00:00.000000');
INSERT INTO api_keys (id, key_hash, name, user_id, tenant_id, permissions) VALUES ('k1', 'h1', 'n', 'u1', 't1', '["*"]');
INSERT INTO projects (id, name, project_type, tenant_id, created_by, config) VALUES ('p1', 'p', NULL, 't1', 'u1', NULL);
INSERT INTO plans (id, name, plan_type, currency, features) VALUES ('pl1', 'Pro', 'pro', 'EUR', '{"f":true}');
INSERT INTO subscriptions (id, tenant_id, plan_id, current_period_start, current_period_end) VALUES
    ('s1', 't1', 'pl1', '2024-01-01 00:00:00.000000', '2024-02-01 00:00:00.000000');
INSERT INTO usage_records (id, tenant_id, subscription_id, billing_unit, quantity, period_start, period_end) VALUES
    ('r1', 't1', 's1', 'token', 0.1, '2024-01-01 00:00:00.000000', '2024-02-01 00:00:00.000000');

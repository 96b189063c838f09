-- Rows written since the older 002, by an application that knew it.
INSERT INTO audit_logs (event_type, user_id, details, ip_address, created_at) VALUES ('since', 'u1', '{"k":1,"k":2}', '10.0.0.1', '2024-06-01 00:00:00.000000');
UPDATE blueprints SET price = 3.5, is_public = TRUE, publisher_id = 'u2' WHERE id = 'b1';
INSERT INTO projects (id, name, tenant_id, created_by) VALUES ('p1', 'p', 't1', 'u1');
INSERT INTO plans (id, name, plan_type) VALUES ('pl1', 'Free', 'free');
UPDATE alembic_version SET version_num = '002';

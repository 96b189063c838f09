-- Rows of 001 that are hard to keep: both dialects read this file.
INSERT INTO tenants (id, name, slug, is_active, plan, resource_quota, usage, created_at, updated_at) VALUES
    ('t1', 'Ärger & Söhne', 'aerger', TRUE, 'free', '{"agents": 3, "agents": 4}', '{ "b": 1,  "a": 2 }', '2024-01-01 00:00:00.000001', NULL),
    ('T1', 'O''Brien "quoted" \ back', '', FALSE, 'null', 'null', '[]', NULL, '9999-12-31 23:59:59.999999'),
    ('t2', '名前 🦊', 't-2', NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO users (id, email, hashed_password, is_active, is_superuser, tenant_id, roles, permissions, created_at, updated_at) VALUES
    ('u1', 'a@example.com', 'x', TRUE, FALSE, 't1', '["admin"]', '{"z":{"deep":[[[[[1]]]]]}}', '2024-01-01 00:00:00.000000', NULL),
    ('u2', 'A@example.com', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO agents (id, name, instructions, model, config, tenant_id, user_id, created_at, updated_at) VALUES
    ('a1', 'user_id', 'line one
line two', 'gpt', '{"user_id": "created_by", "user_id": null}', 't1', 'u1', '2024-02-01 00:00:00.000000', NULL),
    ('a2', '', '', NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO workflows (id, name, description, definition, tenant_id, user_id, created_at, updated_at) VALUES
    ('w1', 'w', NULL, '{"steps": [], "steps": [1.50, 1e2]}', 'T1', 'u2', NULL, NULL),
    ('w2', 'w', 'NULL', NULL, NULL, NULL, NULL, NULL);

INSERT INTO blueprints (id, name, description, version, author, category, tags, config, tenant_id, user_id, created_at, updated_at) VALUES
    ('b1', 'b', 'd', '1.0', 'me', 'cat', '["x", "x"]', '{"price": 5}', 't1', 'u1', NULL, NULL),
    ('b2', 'b', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO executions (id, type, entity_id, status, result, error, tenant_id, user_id, created_at, completed_at) VALUES
    ('e1', 'agent', 'a1', 'completed', '{"type": "result", "n": 12345678901234567890.10}', NULL, 't1', 'u1', '2024-03-01 00:00:00.000000', '2024-03-01 00:00:01.500000'),
    ('e2', 'workflow', 'none', 'failed', NULL, 'boom; DROP TABLE agents; --', NULL, NULL, NULL, NULL);

-- created_at equal, NULL, out of order; ids that differ in case alone, are empty, or look like numbers.
INSERT INTO audit_logs (id, event_type, user_id, tenant_id, resource_type, resource_id, action, success, metadata, created_at) VALUES
    ('zz-null', 'login', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('b', 'same time', 'u1', 't1', 'agent', 'a1', 'run', TRUE, '{"ip": "::1", "ip": "::2"}', '2024-01-02 00:00:00.000000'),
    ('B', 'same time', 'u1', 'T1', 'agent', 'a1', 'run', FALSE, '{}', '2024-01-02 00:00:00.000000'),
    ('ä', 'same time', NULL, NULL, NULL, NULL, NULL, NULL, '{ "a" : 1 }', '2024-01-02 00:00:00.000000'),
    ('a', 'same time', NULL, NULL, NULL, NULL, NULL, NULL, '"text"', '2024-01-02 00:00:00.000000'),
    ('10', 'earlier', 'u2', 't2', NULL, NULL, NULL, TRUE, '[1, 2,  3]', '2024-01-01 12:00:00.000001'),
    ('9', 'earliest', 'u2', 't2', NULL, NULL, NULL, TRUE, 'null', '2024-01-01 12:00:00.000000'),
    ('', 'latest', NULL, NULL, NULL, NULL, NULL, FALSE, NULL, '9999-12-31 23:59:59.999999'),
    ('AA-null', 'login', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO api_keys (id, key_hash, name, user_id, tenant_id, is_active, last_used_at, expires_at, created_at) VALUES
    ('k1', 'hash-1', NULL, 'u1', 't1', TRUE, NULL, NULL, '2024-01-01 00:00:00.000000'),
    ('k2', 'HASH-1', '', 'u2', 'T1', NULL, NULL, NULL, NULL);

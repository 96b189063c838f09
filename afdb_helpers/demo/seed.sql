-- The demo's rows, at revision 001: the same in every run. Sizes of a small platform, with what real data has in it:
-- NULLs, equal timestamps, Unicode, JSON whose text must survive byte for byte.
INSERT INTO tenants (id, name, slug, is_active, plan, resource_quota, usage, created_at, updated_at)
SELECT 'ten-' || n, 'Tenant ' || n || CASE WHEN n % 7 = 0 THEN ' Zürich ✓' ELSE '' END, 'tenant-' || n, n % 9 <> 0,
       (ARRAY['free', 'pro', 'enterprise'])[1 + n % 3], json_build_object('agents', n * 5, 'storage_gb', n),
       CASE WHEN n % 4 = 0 THEN NULL ELSE '{"agents": 1,  "agents": 2}'::json END,
       timestamp '2024-01-01' + n * interval '6 hours', NULL
FROM generate_series(1, 24) n;

INSERT INTO users (id, email, hashed_password, is_active, is_superuser, tenant_id, roles, permissions, created_at)
SELECT 'usr-' || n, 'user' || n || '@example.org', 'scrypt$' || md5(n::text), true, n = 1,
       CASE WHEN n % 50 = 0 THEN NULL ELSE 'ten-' || (1 + n % 24) END, '["member"]', NULL,
       timestamp '2024-01-02' + n * interval '37 minutes'
FROM generate_series(1, 480) n;

INSERT INTO agents (id, name, instructions, model, config, tenant_id, user_id, created_at)
SELECT 'agt-' || n, 'Agent ' || n, 'Answer briefly. – №' || n, 'model-' || n % 4, json_build_object('temperature', n % 10 / 10.0),
       'ten-' || (1 + n % 24), 'usr-' || (1 + n % 480), timestamp '2024-02-01' + n * interval '11 minutes'
FROM generate_series(1, 1200) n;

INSERT INTO workflows (id, name, description, definition, tenant_id, user_id, created_at)
SELECT 'wfl-' || n, 'Workflow ' || n, NULLIF(repeat('step ', n % 5), ''), '{"steps": []}', 'ten-' || (1 + n % 24),
       'usr-' || (1 + n % 480), timestamp '2024-02-15' + n * interval '29 minutes'
FROM generate_series(1, 600) n;

INSERT INTO blueprints (id, name, description, version, author, category, tags, config, tenant_id, user_id, created_at)
SELECT 'blp-' || n, 'Blueprint ' || n, 'A template', '1.' || n % 10, 'Author ' || n % 40, 'support', '["chat"]', NULL,
       'ten-' || (1 + n % 24), 'usr-' || (1 + n % 480), timestamp '2024-03-01' + n * interval '1 hour'
FROM generate_series(1, 180) n;

INSERT INTO executions (id, type, entity_id, status, result, error, tenant_id, user_id, created_at, completed_at)
SELECT 'exe-' || n, CASE WHEN n % 3 = 0 THEN 'workflow' ELSE 'agent' END, 'agt-' || (1 + n % 1200),
       (ARRAY['completed', 'completed', 'failed', 'running'])[1 + n % 4], json_build_object('tokens', n * 7),
       CASE WHEN n % 4 = 2 THEN 'timeout' END, 'ten-' || (1 + n % 24), 'usr-' || (1 + n % 480),
       timestamp '2024-03-05' + n * interval '90 seconds', timestamp '2024-03-05' + n * interval '95 seconds'
FROM generate_series(1, 6000) n;

INSERT INTO audit_logs (id, event_type, user_id, tenant_id, resource_type, resource_id, action, success, metadata, created_at)
SELECT md5('audit' || n)::uuid::text, (ARRAY['login', 'agent.run', 'key.created'])[1 + n % 3],
       CASE WHEN n % 20 = 0 THEN NULL ELSE 'usr-' || (1 + n % 480) END, 'ten-' || (1 + n % 24), 'agent', 'agt-' || (1 + n % 1200),
       'run', CASE WHEN n % 100 = 0 THEN NULL ELSE n % 13 <> 0 END, CASE WHEN n % 5 <> 0 THEN json_build_object('ip', '10.0.0.' || n % 250) END,
       CASE WHEN n % 500 = 0 THEN NULL ELSE timestamp '2024-03-05' + (n / 2) * interval '40 seconds' END
FROM generate_series(1, 20000) n;

INSERT INTO api_keys (id, key_hash, name, user_id, tenant_id, is_active, last_used_at, expires_at, created_at)
SELECT 'key-' || n, md5('key' || n), CASE WHEN n % 6 <> 0 THEN 'Key ' || n END, 'usr-' || (1 + n % 480), 'ten-' || (1 + n % 24),
       n % 11 <> 0, NULL, NULL, timestamp '2024-03-10' + n * interval '2 hours'
FROM generate_series(1, 640) n;

ANALYZE;

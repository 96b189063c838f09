-- Two keys with one hash: the unique index of 002 would fail.
\ir ../at_001/postgresql.sql
INSERT INTO api_keys (id, key_hash, user_id, tenant_id) VALUES
    ('k3', 'secret-hash', 'u1', 't1'), ('k4', 'secret-hash', 'u1', 't1'), ('k5', 'secret-hash', 'u1', 't1'), ('k6', 'hash-1', 'u1', 't1');

-- The server's settings that decide how a migration goes, each with why; the value is this session's.
SELECT s.name AS setting, current_setting(s.name) AS value, s.source, w.why
FROM (VALUES
    ('autovacuum', 'off: dead rows of a backfill stay, and plans age'),
    ('default_transaction_isolation', 'other than read committed: batches can fail to serialize'),
    ('hot_standby_feedback', 'on: a long query on a replica holds vacuum back here'),
    ('idle_in_transaction_session_timeout', '0: a forgotten transaction holds its locks for ever'),
    ('lock_timeout', '0: a statement that waits for its lock makes all later ones wait behind it'),
    ('maintenance_work_mem', 'small: indexes are built slowly, through temporary files'),
    ('max_connections', 'how many clients there can be, a migration''s few among them'),
    ('max_locks_per_transaction', 'times connections: how many tables one transaction can lock'),
    ('max_parallel_maintenance_workers', '0: indexes are built by one process'),
    ('max_prepared_transactions', 'above 0: two phase commits may be left undecided and hold locks'),
    ('max_slot_wal_keep_size', '-1: an abandoned slot can fill the disk'),
    ('max_wal_size', 'small: a backfill causes checkpoints one after the other'),
    ('statement_timeout', 'above 0: a long statement of a migration is cancelled'),
    ('synchronous_standby_names', 'not empty: each commit waits for a replica'),
    ('TimeZone', 'what a timestamp without zone is taken to mean when it becomes one with'),
    ('wal_level', 'logical: every change is also decoded for subscribers')) AS w (name, why)
JOIN pg_settings s ON s.name = w.name
ORDER BY 1

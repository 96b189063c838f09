-- What makes this a bad moment to begin: transactions that are old, prepared ones, replication slots far behind?
-- A concurrent index waits for every transaction, and a slot keeps what the migration writes to the log.
SELECT format('process %s of role %s (%s, %s) has had a transaction open for %s s',
              pid, usename, coalesce(nullif(application_name, ''), 'no name'), state,
              round(extract(epoch FROM clock_timestamp() - xact_start)))
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND extract(epoch FROM clock_timestamp() - xact_start) > :seconds
UNION ALL
SELECT format('transaction %s of role %s was prepared %s s ago and holds its locks until somebody ends it',
              gid, owner, round(extract(epoch FROM clock_timestamp() - prepared)))
FROM pg_prepared_xacts
WHERE database = current_database()
UNION ALL
SELECT format('replication slot %s (%s) is %s MB behind', slot_name,
              CASE WHEN active THEN 'active' ELSE 'nobody reads it' END,
              round(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) / 1048576))
FROM pg_replication_slots
WHERE NOT pg_is_in_recovery() AND pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) / 1048576 > :megabytes

-- What stands in the way of a migration: transactions that have been open for long, prepared transactions, replication slots
-- that keep much log, indexes left half built. One row each: what it is, and how it is cleared.
SELECT 'open transaction' AS hazard,
       format('process %s of role %s (%s, %s), open for %s s: %s', pid, usename, nullif(application_name, ''), state,
              round(extract(epoch FROM clock_timestamp() - xact_start)),
              left(regexp_replace(query, '\s+', ' ', 'g'), 80)) AS what,
       format('wait for it to end, or end it: SELECT pg_terminate_backend(%s)', pid) AS remedy
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND xact_start < clock_timestamp() - make_interval(secs => :seconds)
UNION ALL
SELECT 'prepared transaction',
       format('%s of role %s, prepared %s s ago', gid, owner, round(extract(epoch FROM clock_timestamp() - prepared))),
       format('decide it: COMMIT PREPARED %L or ROLLBACK PREPARED %L', gid, gid)
FROM pg_prepared_xacts
WHERE database = current_database()
UNION ALL
SELECT 'replication slot',
       format('%s (%s) keeps %s of log', slot_name, CASE WHEN active THEN 'active' ELSE 'inactive' END, pg_size_pretty(kept)),
       format('mend its replica, or: SELECT pg_drop_replication_slot(%L)', slot_name)
FROM (SELECT slot_name, active, pg_wal_lsn_diff(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn) AS kept
      FROM pg_replication_slots) AS slot
WHERE kept > :bytes
UNION ALL
SELECT 'invalid index', format('%s on %s', x.indexrelid::regclass, x.indrelid::regclass),
       format('REINDEX INDEX CONCURRENTLY %s', x.indexrelid::regclass)
FROM pg_index x
JOIN pg_class c ON c.oid = x.indrelid
WHERE NOT (x.indisvalid AND x.indisready) AND c.relnamespace <> 'pg_toast'::regnamespace
ORDER BY 1, 2

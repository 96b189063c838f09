-- The moment that a dump speaks of: a snapshot that pg_dump's sessions can join, its time, the log position just after
-- it, and the schemas in which unqualified names were looked up.
SELECT pg_export_snapshot() AS snapshot,
       to_char(transaction_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS taken,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn,
       current_schemas(false)::text[] AS search_path

-- Which database is this? system_identifier tells a server from others, the timeline from a physical copy of it that was
-- promoted or recovered to a moment, the oid a database from its namesake.
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       CASE WHEN pg_is_in_recovery() THEN (SELECT lpad(to_hex(timeline_id), 8, '0') FROM pg_control_checkpoint())
            WHEN to_regproc('aurora_version') IS NULL -- Aurora refuses pg_current_wal_lsn()
            THEN left(pg_walfile_name(pg_current_wal_lsn()), 8)
       END AS timeline,
       d.datname AS database,
       d.oid::bigint AS oid,
       current_setting('server_version') AS version,
       current_user::text AS role,
       pg_is_in_recovery() AS replica,
       to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS clock
FROM pg_database d
WHERE d.datname = current_database()

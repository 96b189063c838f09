-- Which database is this? system_identifier tells a server from its clones' originals, the oid a database from its namesake.
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       d.datname AS database,
       d.oid::bigint AS oid,
       current_setting('server_version') AS version,
       current_user::text AS role,
       pg_is_in_recovery() AS replica,
       to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS clock
FROM pg_database d
WHERE d.datname = current_database()

-- The other clients of this server, but not the session that only measures (the rehearsal's).
SELECT pid, datname AS database, application_name AS application, state
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> 'afdb watch'

-- The other clients of this server.
SELECT pid, datname AS database, application_name AS application, state
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()

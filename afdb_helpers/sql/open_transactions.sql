-- Which other sessions of this database have a transaction open, and how long? Each may hold a lock that a migration needs.
SELECT pid, usename AS role, application_name AS application, state,
       round(extract(epoch FROM now() - xact_start))::int AS seconds,
       left(regexp_replace(query, '\s+', ' ', 'g'), 80) AS last_statement
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'
ORDER BY xact_start
LIMIT 20

-- Who holds a lock on one of these tables, or, for a concurrent index, has any transaction open? The oldest first.
SELECT a.pid, a.usename AS role, a.application_name AS application, a.state,
       round(extract(epoch FROM clock_timestamp() - a.xact_start))::int AS seconds,
       left(regexp_replace(a.query, '\s+', ' ', 'g'), 80) AS query
FROM pg_stat_activity a
WHERE a.pid <> pg_backend_pid() AND a.datname = current_database() AND a.xact_start IS NOT NULL
  AND (:anyone OR EXISTS (
    SELECT FROM pg_locks l
    WHERE l.pid = a.pid AND l.granted AND l.relation IN (SELECT to_regclass(quote_ident(n)) FROM unnest(CAST(:names AS text[])) n)))
UNION ALL
SELECT NULL, p.owner, 'prepared transaction ' || p.gid, 'prepared',
       round(extract(epoch FROM clock_timestamp() - p.prepared))::int, ''
FROM pg_prepared_xacts p
WHERE p.database = current_database()
ORDER BY 5 DESC NULLS LAST
LIMIT 3

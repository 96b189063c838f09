-- Who holds the migration lock of this database? (One advisory lock; the number is "AFDB" in ASCII.)
SELECT a.pid, a.usename AS role, a.application_name AS application, host(a.client_addr) AS host,
       date_trunc('second', now() - a.backend_start)::text AS since
FROM pg_locks l
JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = 1095124034

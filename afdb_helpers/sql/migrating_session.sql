-- Who holds the second lock, that of the session which changes the tables? (The number is "AFD2" in ASCII.)
SELECT a.pid, a.application_name AS application, left(a.query, 80) AS query, pg_terminate_backend(a.pid, 5000) AS ended
FROM pg_locks l
JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = 1095124018

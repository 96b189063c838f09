-- The relation locks that the other clients hold in this database now; the session that only measures is left out.
SELECT l.pid, l.relation::bigint AS oid, l.mode
FROM pg_locks l
WHERE l.locktype = 'relation'
  AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid IN (SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())

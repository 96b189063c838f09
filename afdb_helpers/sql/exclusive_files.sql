-- The files of the relations that this transaction holds ACCESS EXCLUSIVE: another number than before is a rewrite.
SELECT DISTINCT c.oid::bigint, c.relfilenode::bigint
FROM pg_locks l
JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.granted AND l.mode = 'AccessExclusiveLock' AND c.relfilenode <> 0

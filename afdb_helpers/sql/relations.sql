-- Every relation of the user's with storage or a lock to wait for: its number, its name as in table_sizes.sql, its kind,
-- the table that it is an index of, its file, and its bytes with indexes and TOAST.
SELECT c.oid::bigint AS oid,
       CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END AS name,
       c.relkind::text AS kind,
       i.indrelid::bigint AS index_of,
       c.relfilenode::bigint AS file,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_total_relation_size(c.oid)::bigint ELSE 0 END AS bytes
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i')
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'

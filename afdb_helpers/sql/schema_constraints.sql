-- Every constraint of a table, as the server writes it: keys, uniques, checks, exclusions. What a partition has from its parent is
-- the parent's; NOT NULL is a fact of the column.
SELECT CASE WHEN n.nspname = current_schema() THEN c.relname ELSE n.nspname || '.' || c.relname END AS table,
       k.conname::text AS name,
       regexp_replace(pg_get_constraintdef(k.oid, true), ' NOT VALID$', '') AS definition,
       CASE WHEN NOT k.convalidated THEN false END AS valid,
       d.description AS comment
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_description d ON d.objoid = k.oid AND d.classoid = 'pg_constraint'::regclass
WHERE k.contype IN ('p', 'u', 'c', 'f', 'x') AND k.conparentid = 0 AND k.conislocal
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY k.conrelid, k.conname

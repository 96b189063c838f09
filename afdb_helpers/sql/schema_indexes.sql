-- Every index that no constraint stands on, as the server writes it, and whether it counts on it. What a partition has from its
-- parent's index is the parent's.
SELECT CASE WHEN n.nspname = current_schema() THEN c.relname ELSE n.nspname || '.' || c.relname END AS table,
       i.relname::text AS index, i.oid::regclass::text AS name,
       pg_get_indexdef(i.oid, 0, true) AS definition,
       CASE WHEN NOT (x.indisvalid AND x.indisready) THEN false END AS valid,
       d.description AS comment
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_description d ON d.objoid = i.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.oid)
  AND NOT EXISTS (SELECT FROM pg_depend k WHERE k.classid = 'pg_class'::regclass AND k.objid = i.oid
                  AND k.refclassid = 'pg_constraint'::regclass AND k.deptype = 'i')
ORDER BY i.relname

-- Every table whose rows a dump holds, partitions included, and whether a policy would hide rows of it from this role.
-- Tables that belong to an extension are the extension's.
SELECT n.nspname AS schema, c.relname AS name, row_security_active(c.oid) AS filtered
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2

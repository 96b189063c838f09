-- What stands in this database that a restore could meet: relations, functions, types, schemas, large objects. What
-- belongs to the server, to an extension or to a provider (`theirs`) does not count; neither does an empty schema public.
SELECT kind, name FROM (
  SELECT 'schema' AS kind, n.nspname::text AS name, 'pg_namespace'::regclass AS class, n.oid, n.oid AS ns
  FROM pg_namespace n WHERE n.nspname <> 'public'
  UNION ALL
  SELECT 'relation', c.oid::regclass::text, 'pg_class'::regclass, c.oid, c.relnamespace
  FROM pg_class c WHERE c.relnamespace <> 'pg_toast'::regnamespace AND c.relpersistence <> 't'
  UNION ALL
  SELECT 'function', p.oid::regprocedure::text, 'pg_proc'::regclass, p.oid, p.pronamespace FROM pg_proc p
  UNION ALL
  SELECT 'type', format_type(t.oid, NULL), 'pg_type'::regclass, t.oid, t.typnamespace
  FROM pg_type t WHERE t.typtype IN ('e', 'd', 'r')
  UNION ALL
  SELECT 'large object', l.oid::text, 'pg_largeobject'::regclass, l.oid, 0 FROM pg_largeobject_metadata l
) AS found
WHERE (oid >= 16384 OR kind = 'large object') AND name !~ '^pg_(toast_)?temp_'
  AND ns NOT IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (CAST(:theirs AS text[])))
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = found.class AND d.objid = found.oid AND d.deptype = 'e')
ORDER BY array_position(ARRAY['relation', 'schema', 'function', 'type', 'large object'], kind), name
LIMIT 5

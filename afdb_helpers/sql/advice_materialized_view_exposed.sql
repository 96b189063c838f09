-- Exposed materialized view
-- severity: medium
-- asks: exposed
-- linter: 0016
-- why: Row level security does not exist for materialized views: whoever may read one reads all of it.
-- remedy: Take the rights away, or move it to a schema that the API does not serve.
SELECT c.oid::regclass::text AS object, format('in schema %s, which the API serves', n.nspname) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('REVOKE ALL ON %s FROM PUBLIC, anon, authenticated', c.oid::regclass) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND n.nspname = ANY (:exposed)
  AND (has_table_privilege('anon', c.oid, 'SELECT') OR has_table_privilege('authenticated', c.oid, 'SELECT'))
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')

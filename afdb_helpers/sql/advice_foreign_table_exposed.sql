-- Exposed foreign table
-- severity: medium
-- asks: exposed
-- linter: 0017
-- why: Row level security does not exist for foreign tables: whoever may read one reads what the other server shows to its owner.
-- remedy: Take the rights away, or move it to a schema that the API does not serve.
SELECT c.oid::regclass::text AS object, format('in schema %s, which the API serves', n.nspname) AS detail, NULL::bigint AS bytes,
       format('REVOKE ALL ON %s FROM PUBLIC, anon, authenticated', c.oid::regclass) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'f' AND n.nspname = ANY (:exposed)
  AND (has_table_privilege('anon', c.oid, 'SELECT') OR has_table_privilege('authenticated', c.oid, 'SELECT'))

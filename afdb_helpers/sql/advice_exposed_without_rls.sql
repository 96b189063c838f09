-- Exposed table without row level security
-- severity: high
-- asks: exposed
-- linter: 0013
-- why: Whoever has the API's public key reads or writes every row of every tenant: anon or authenticated may, and nothing restrains them.
-- remedy: Enable row level security; then nobody but the owner sees a row until a policy says who may. Write the policies in the same migration.
SELECT c.oid::regclass::text AS object,
       format('in schema %s, which the API serves; %s may %s', n.nspname,
              concat_ws(' and ', CASE WHEN has_table_privilege('anon', c.oid, 'SELECT, INSERT, UPDATE, DELETE') THEN 'anon' END,
                        CASE WHEN has_table_privilege('authenticated', c.oid, 'SELECT, INSERT, UPDATE, DELETE') THEN 'authenticated' END),
              CASE WHEN has_table_privilege('anon', c.oid, 'INSERT, UPDATE, DELETE')
                     OR has_table_privilege('authenticated', c.oid, 'INSERT, UPDATE, DELETE') THEN 'write' ELSE 'read' END) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relrowsecurity AND n.nspname = ANY (:exposed)
  AND (has_table_privilege('anon', c.oid, 'SELECT, INSERT, UPDATE, DELETE')
       OR has_table_privilege('authenticated', c.oid, 'SELECT, INSERT, UPDATE, DELETE'))
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')

-- Queue that the API serves without row level security
-- severity: high
-- asks: exposed
-- linter: 0019
-- why: The API serves pgmq_public, and so every queue of pgmq; whoever has the public key reads this one's messages, since anon or authenticated may and nothing restrains them.
-- remedy: Enable row level security and write policies; or take pgmq_public off the schemas that the API serves.
SELECT c.oid::regclass::text AS object,
       format('a queue of pgmq; %s may read it', concat_ws(' and ', CASE WHEN r.anon THEN 'anon' END,
                                                           CASE WHEN r.authenticated THEN 'authenticated' END)) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT has_table_privilege('anon', c.oid, 'SELECT') AS anon,
                           has_table_privilege('authenticated', c.oid, 'SELECT') AS authenticated) r
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT c.relrowsecurity
  AND n.nspname = 'pgmq' AND c.relname LIKE 'q\_%' AND 'pgmq_public' = ANY (:exposed)
  AND (r.anon OR r.authenticated)

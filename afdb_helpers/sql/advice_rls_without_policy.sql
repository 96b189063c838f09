-- Row level security without a policy
-- severity: low
-- linter: 0008
-- why: Nobody but the table's owner and roles that bypass row level security sees or writes a row: an empty answer, not an error.
-- remedy: Write a policy that says who may; this one lets nobody in that is not let in now, and has to be made yours.
SELECT c.oid::regclass::text AS object, 'row level security is on, and no policy lets anybody in' AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('CREATE POLICY %I ON %s FOR SELECT USING (false)', c.relname || '_select', c.oid::regclass) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')

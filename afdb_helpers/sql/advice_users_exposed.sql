-- View that shows the accounts
-- severity: high
-- asks: exposed
-- linter: 0002
-- why: A view or materialized view over auth.users in a schema that the API serves hands out the addresses, and more, of every account.
-- remedy: Take the rights away; show what is needed through a table of your own under row level security.
SELECT DISTINCT c.oid::regclass::text AS object,
       format('%s over auth.users, in schema %s, which the API serves', CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, n.nspname) AS detail,
       NULL::bigint AS bytes,
       format('REVOKE ALL ON %s FROM PUBLIC, anon, authenticated', c.oid::regclass) AS remedy
FROM pg_depend d
JOIN pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class c ON c.oid = w.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass('auth.users') AND n.nspname = ANY (:exposed)
  AND (has_table_privilege('anon', c.oid, 'SELECT') OR has_table_privilege('authenticated', c.oid, 'SELECT'))
  AND (c.relkind = 'm'
       OR NOT coalesce(lower(c.reloptions::text)::text[], '{}') && '{security_invoker=on,security_invoker=true,security_invoker=1,security_invoker=yes}'
       OR NOT (SELECT u.relrowsecurity FROM pg_class u WHERE u.oid = d.refobjid))

-- View that sees as its owner, not as who asks
-- severity: high
-- asks: exposed
-- linter: 0010
-- why: Without security_invoker a view reads with its owner's rights, and row level security of the tables below does not hold for whoever asks through the API.
-- remedy: Let it see as who asks (PostgreSQL 15 or later).
SELECT c.oid::regclass::text AS object, format('owner %s, in schema %s, which the API serves', c.relowner::regrole, n.nspname) AS detail,
       NULL::bigint AS bytes,
       format('ALTER VIEW %s SET (security_invoker = on)', c.oid::regclass) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND n.nspname = ANY (:exposed)
  AND (has_table_privilege('anon', c.oid, 'SELECT') OR has_table_privilege('authenticated', c.oid, 'SELECT'))
  AND NOT coalesce(lower(c.reloptions::text)::text[], '{}') && '{security_invoker=on,security_invoker=true,security_invoker=1,security_invoker=yes}'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')

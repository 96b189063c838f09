-- Extension in schema public
-- severity: low
-- linter: 0014
-- why: Its functions lie beside your own tables, are served by an API that serves public, and stand in the way of names that you may want.
-- remedy: Move it to a schema of its own that is in the search_path of whoever uses it.
SELECT e.extname::text AS object, 'version ' || e.extversion AS detail, NULL::bigint AS bytes,
       format('CREATE SCHEMA IF NOT EXISTS extensions; ALTER EXTENSION %I SET SCHEMA extensions', e.extname) AS remedy
FROM pg_extension e
JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE n.nspname = 'public' AND e.extrelocatable

-- What of the provider's stands here, and what of the user's hangs on it: the schemas named (only where the provider's roles are
-- too, since a schema called auth may be anybody's), extensions in them, foreign keys into them, and what the user put on
-- tables in them. `entry`: what an archive's table of contents calls it, where it would be restored on its own.
WITH theirs AS (
    SELECT n.oid, n.nspname::text AS name
    FROM pg_namespace n
    WHERE n.nspname = ANY (CAST(:names AS text[]))
      AND 3 = (SELECT count(*) FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'))
), tables AS (
    SELECT c.oid, theirs.name AS schema FROM pg_class c JOIN theirs ON theirs.oid = c.relnamespace
)
SELECT 'schema' AS kind, name, name AS schema, NULL::text AS entry FROM theirs
UNION ALL
SELECT 'extension', e.extname::text, theirs.name, '3079 ' || e.oid
FROM pg_extension e JOIN theirs ON theirs.oid = e.extnamespace
UNION ALL
SELECT 'foreign key', k.conname || ' of ' || k.conrelid::regclass, tables.schema, '2606 ' || k.oid
FROM pg_constraint k JOIN tables ON tables.oid = k.confrelid
WHERE k.contype = 'f' AND k.conrelid NOT IN (SELECT oid FROM tables)
UNION ALL
SELECT 'trigger', t.tgname || ' on ' || t.tgrelid::regclass, tables.schema, NULL
FROM pg_trigger t JOIN tables ON tables.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND p.pronamespace NOT IN (SELECT oid FROM theirs)
UNION ALL
SELECT 'policy', p.polname || ' on ' || p.polrelid::regclass, tables.schema, NULL
FROM pg_policy p JOIN tables ON tables.oid = p.polrelid
ORDER BY 1, 2

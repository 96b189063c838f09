-- Policy on a table whose row level security is off
-- severity: high
-- linter: 0007
-- why: The policies look as if they protected the table, and are not applied to anybody.
-- remedy: Enable row level security.
SELECT c.oid::regclass::text AS object,
       'not applied: ' || string_agg(quote_ident(p.polname), ', ' ORDER BY p.polname) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass) AS remedy
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT c.relrowsecurity AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
GROUP BY c.oid, c.relname

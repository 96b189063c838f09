-- Policy that believes what users say of themselves
-- severity: high
-- linter: 0015
-- why: user_metadata in a Supabase token is what the user wrote into it; a policy that goes by it lets everybody choose their own rights.
-- remedy: Go by app_metadata, or by a table of your own; this takes the policy away until there is a better one.
SELECT format('%s, policy %I', c.oid::regclass, p.polname) AS object, concat_ws('; ', e."using", e.checked) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('DROP POLICY %I ON %s', p.polname, c.oid::regclass) AS remedy
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT pg_get_expr(p.polqual, c.oid) AS using, pg_get_expr(p.polwithcheck, c.oid) AS checked) e
WHERE n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND concat_ws(' ', e."using", e.checked) ~ '(auth\.jwt\(\)|request\.jwt\.claims).*user_metadata'

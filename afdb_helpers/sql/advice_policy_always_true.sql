-- Policy that lets everybody write
-- severity: high
-- asks: exposed
-- linter: 0024
-- why: A permissive policy of anon, authenticated or everybody whose condition is always true restrains nobody: row level security is on and does nothing. (Reading by all may be meant, and is not reported.)
-- remedy: Give the policy a condition, or drop it.
SELECT format('%s, policy %I', c.oid::regclass, p.polname) AS object,
       format('%s is allowed to %s', CASE p.polcmd WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                                     ELSE 'everything' END,
              CASE WHEN p.polroles = '{0}' THEN 'everybody'
                   ELSE (SELECT string_agg(r.rolname, ', ' ORDER BY 1) FROM pg_roles r WHERE r.oid = ANY (p.polroles)) END) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('DROP POLICY %I ON %s', p.polname, c.oid::regclass) AS remedy
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT pg_get_expr(p.polqual, c.oid) AS using, pg_get_expr(p.polwithcheck, c.oid) AS checked) e
WHERE p.polpermissive AND p.polcmd <> 'r' AND c.relrowsecurity AND n.nspname = ANY (:exposed)
  AND (p.polroles = '{0}' OR EXISTS (SELECT FROM pg_roles r WHERE r.oid = ANY (p.polroles) AND r.rolname IN ('anon', 'authenticated')))
  AND (regexp_replace(e."using", '[\s()]', '', 'g') IN ('true', '1=1')
       OR regexp_replace(e.checked, '[\s()]', '', 'g') IN ('true', '1=1')
       OR (p.polcmd IN ('w', 'd', '*') AND e."using" IS NULL) OR (p.polcmd = 'a' AND e.checked IS NULL))

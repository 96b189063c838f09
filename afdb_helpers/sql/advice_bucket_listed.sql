-- Policy that lets everybody list a bucket's files
-- severity: medium
-- asks: api roles
-- linter: 0025
-- why: A permissive policy on storage.objects that names no more than a bucket lets anon or authenticated list every file in it. A public bucket needs none to be read by URL; in a private one it gives the files away too.
-- remedy: Drop the policy; or let it ask for an owner or a folder as well.
SELECT format('%s, policy %I', p.polrelid::regclass, p.polname) AS object,
       format('%s may list %s', CASE WHEN p.polroles = '{0}' THEN 'everybody'
                                     ELSE (SELECT string_agg(r.rolname, ', ' ORDER BY 1) FROM pg_roles r WHERE r.oid = ANY (p.polroles)) END,
              coalesce('bucket ' || e.bucket[1], 'every bucket')) AS detail,
       NULL::bigint AS bytes,
       format('DROP POLICY %I ON %s', p.polname, p.polrelid::regclass) AS remedy
FROM pg_policy p
CROSS JOIN LATERAL (
    SELECT pg_get_expr(p.polqual, p.polrelid) AS condition,
           regexp_match(pg_get_expr(p.polqual, p.polrelid), '^[\s(]*bucket_id\s*=\s*(''(?:[^'']|'''')*'')(?:\s*::\s*\w+)?[\s)]*$') AS bucket) e
WHERE p.polrelid = to_regclass('storage.objects') AND p.polpermissive AND p.polcmd IN ('r', '*')
  AND (p.polroles = '{0}' OR EXISTS (SELECT FROM pg_roles r WHERE r.oid = ANY (p.polroles) AND r.rolname IN ('anon', 'authenticated')))
  AND (e.condition IS NULL OR regexp_replace(e.condition, '[\s()]', '', 'g') IN ('true', '1=1') OR e.bucket IS NOT NULL)

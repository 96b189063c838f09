-- Grant to anon or authenticated that nothing restrains
-- severity: medium
-- asks: api roles
-- why: anon is whoever has the public key. Row level security restrains SELECT, INSERT, UPDATE and DELETE, where it is on; it never restrains TRUNCATE, TRIGGER and REFERENCES, and it does not stand before what the API does not serve today.
-- remedy: Revoke what is not needed.
SELECT format('%s to %s', c.oid::regclass, r.rolname) AS object,
       string_agg(DISTINCT x.privilege_type, ', ' ORDER BY x.privilege_type)
           || CASE WHEN c.relrowsecurity THEN ', row level security is on' ELSE ', without row level security' END AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       CASE WHEN r.rolname <> 'authenticated' AND bool_or(x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')) THEN 'high' END AS severity,
       format('REVOKE %s ON %s FROM %s', string_agg(DISTINCT x.privilege_type, ', ' ORDER BY x.privilege_type), c.oid::regclass,
              CASE WHEN r.rolname = 'everybody' THEN 'PUBLIC' ELSE quote_ident(r.rolname) END) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(c.relacl) x
JOIN (SELECT oid, rolname::text FROM pg_roles WHERE rolname IN ('anon', 'authenticated') UNION ALL SELECT 0, 'everybody') r ON r.oid = x.grantee
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND (x.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES')
       OR (x.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
           AND n.nspname <> ALL (:exposed)))
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
GROUP BY c.oid, c.relrowsecurity, r.rolname

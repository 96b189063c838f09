-- Exposed function that acts as its owner
-- severity: medium
-- asks: exposed
-- linter: 0028, 0029
-- why: A SECURITY DEFINER function in a schema that the API serves can be called by whoever has the public key, and does what its owner may: row level security does not hold within.
-- remedy: Take the right to execute away, or make it SECURITY INVOKER.
SELECT p.oid::regprocedure::text AS object,
       format('owner %s; %s may execute it', p.proowner::regrole,
              CASE WHEN has_function_privilege('anon', p.oid, 'EXECUTE') THEN 'anon' ELSE 'authenticated' END) AS detail,
       NULL::bigint AS bytes,
       CASE WHEN has_function_privilege('anon', p.oid, 'EXECUTE') THEN 'high' END AS severity,
       format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC, anon, authenticated', p.oid::regprocedure) AS remedy
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prosecdef AND p.prokind = 'f' AND n.nspname = ANY (:exposed) AND p.prorettype <> 'trigger'::regtype
  AND (has_function_privilege('anon', p.oid, 'EXECUTE') OR has_function_privilege('authenticated', p.oid, 'EXECUTE'))
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')

-- Function whose search_path its caller decides
-- severity: low
-- linter: 0011
-- why: Names without a schema within it mean whatever the caller's search_path says. In a SECURITY DEFINER function that lets a caller put an object of their own in the way and act with the owner's rights.
-- remedy: Fix the path; names within it then have to say their schema, or lie in the schemas that the path names.
SELECT p.oid::regprocedure::text AS object,
       CASE WHEN p.prosecdef THEN 'SECURITY DEFINER, owner ' || p.proowner::regrole ELSE 'runs as its caller' END AS detail,
       NULL::bigint AS bytes,
       CASE WHEN p.prosecdef THEN 'high' END AS severity,
       format('ALTER %s %s SET search_path = %I, pg_temp', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
              p.oid::regprocedure, n.nspname) AS remedy
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
WHERE p.prokind IN ('f', 'p') AND l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s ~ '^search_path=')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')

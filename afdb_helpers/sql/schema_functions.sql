-- Every function, procedure and aggregate that somebody made, by its arguments, as the server writes it.
SELECT CASE f.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
       CASE WHEN n.nspname = current_schema() THEN '' ELSE n.nspname || '.' END || f.proname
           || '(' || pg_get_function_identity_arguments(f.oid) || ')' AS object,
       f.oid::regprocedure::text AS name,
       CASE WHEN f.prokind = 'a' THEN (SELECT format('(SFUNC = %s, STYPE = %s)', g.aggtransfn::regproc, format_type(g.aggtranstype, NULL))
                                       FROM pg_aggregate g WHERE g.aggfnoid = f.oid)
            WHEN n.nspname = current_schema()
            THEN replace(pg_get_functiondef(f.oid), format(' %I.%I(', n.nspname, f.proname), format(' %I(', f.proname))
            ELSE pg_get_functiondef(f.oid) END AS definition,
       pg_get_userbyid(f.proowner)::text AS owner,
       coalesce(f.proacl, acldefault('f', f.proowner))::text[] AS acl,
       d.description AS comment
FROM pg_proc f
JOIN pg_namespace n ON n.oid = f.pronamespace
LEFT JOIN pg_description d ON d.objoid = f.oid AND d.classoid = 'pg_proc'::regclass
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = f.oid AND e.deptype = 'e')
  AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = f.oid AND i.deptype = 'i')
ORDER BY 2

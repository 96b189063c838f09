-- Every schema that somebody made, and the usual one.
SELECT n.nspname::text AS name, pg_get_userbyid(n.nspowner)::text AS owner,
       coalesce(n.nspacl, acldefault('n', n.nspowner))::text[] AS acl, d.description AS comment
FROM pg_namespace n
LEFT JOIN pg_description d ON d.objoid = n.oid AND d.classoid = 'pg_namespace'::regclass
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid AND e.deptype = 'e')
ORDER BY 1

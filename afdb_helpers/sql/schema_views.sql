-- Every view and materialised view, as the server writes its query.
SELECT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END AS kind,
       CASE WHEN n.nspname = current_schema() THEN c.relname ELSE n.nspname || '.' || c.relname END AS view,
       c.oid::regclass::text AS name,
       rtrim(pg_get_viewdef(c.oid, true), ';') AS definition,
       c.reloptions::text[] AS options,
       pg_get_userbyid(c.relowner)::text AS owner,
       coalesce(c.relacl, acldefault('r', c.relowner))::text[] AS acl,
       d.description AS comment
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY 2

-- Every table of the user's own schemas (partitioned, partition and foreign ones too): what is true of it as a whole. What belongs
-- to an extension is the extension's. The usual schema, the first of search_path, goes unsaid in names.
SELECT CASE WHEN n.nspname = current_schema() THEN c.relname ELSE n.nspname || '.' || c.relname END AS table,
       c.oid::regclass::text AS name,
       CASE c.relkind WHEN 'p' THEN 'partitioned table' WHEN 'f' THEN 'foreign table' END AS kind,
       pg_get_userbyid(c.relowner)::text AS owner,
       coalesce(c.relacl, acldefault('r', c.relowner))::text[] AS acl,
       CASE WHEN c.relpersistence = 'u' THEN true END AS unlogged,
       c.reloptions::text[] AS options,
       nullif(concat_ws(', ', CASE WHEN c.relrowsecurity THEN 'enabled' END,
                        CASE WHEN c.relforcerowsecurity THEN 'forced' END), '') AS row_security,
       CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' END AS replica_identity,
       pg_get_partkeydef(c.oid) AS partitioned_by,
       CASE WHEN c.relispartition THEN parents.names[1] || ' ' || pg_get_expr(c.relpartbound, c.oid) END AS partition_of,
       CASE WHEN NOT c.relispartition THEN parents.names END AS inherits,
       d.description AS comment
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
LEFT JOIN (
    SELECT inhrelid, array_agg(inhparent::regclass::text ORDER BY inhseqno) AS names FROM pg_inherits GROUP BY inhrelid
) parents ON parents.inhrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')

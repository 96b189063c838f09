-- Every column of every table of the user's own schemas, in order: its type, and what the type is made of once domains are
-- opened. Partitions are left out, they are read with their parent; so are the tables of other sessions. A table
-- without columns is one row without a column. `known`: the type, or what it consists of, is the server's own.
WITH RECURSIVE opened AS (
    SELECT t.oid AS type, t.oid AS base, -1 AS modifier FROM pg_type t
    UNION ALL
    SELECT o.type, t.typbasetype, t.typtypmod FROM opened o JOIN pg_type t ON t.oid = o.base WHERE t.typtype = 'd'
)
SELECT n.nspname::text AS schema,
       c.relname::text AS name,
       n.nspname = coalesce(current_schema(), 'public') AS usual,
       c.relkind::text AS relkind,
       pg_relation_filenode(c.oid)::bigint AS file,
       CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) ELSE 0 END::bigint AS bytes,
       a.attname::text AS column,
       format_type(a.atttypid, a.atttypmod) AS type,
       b.typname::text AS base,
       greatest(a.atttypmod, o.modifier) AS modifier,
       coalesce(s.nspname = 'pg_catalog' OR b.typtype IN ('e', 'c', 'r', 'm') OR e.typtype = 'e'
                OR e.typnamespace = 'pg_catalog'::regnamespace
                OR x.extname IN ('citext', 'hstore', 'ltree', 'postgis', 'vector', 'isn', 'cube'), b.oid IS NULL) AS known,
       coalesce(k.key, false) AS key
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN opened o ON o.type = a.atttypid AND o.base NOT IN (SELECT d.oid FROM pg_type d WHERE d.typtype = 'd')
LEFT JOIN pg_type b ON b.oid = o.base
LEFT JOIN pg_namespace s ON s.oid = b.typnamespace
LEFT JOIN pg_type e ON e.oid = b.typelem
LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = coalesce(e.oid, b.oid) AND d.deptype = 'e'
LEFT JOIN pg_extension x ON x.oid = d.refobjid
LEFT JOIN LATERAL (
    SELECT true AS key FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)
) k ON true
WHERE c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname, a.attname COLLATE "C"

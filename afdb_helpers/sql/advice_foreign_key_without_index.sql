-- Foreign key without an index
-- severity: medium, by size
-- why: Each DELETE or key UPDATE of a row referred to reads the whole referring table while it holds a lock; joins along the key do so too.
-- remedy: Index the referring columns, concurrently.
SELECT format('%s (%s)', k.conrelid::regclass, columns.names) AS object,
       format('%s refers to %s', k.conname, k.confrelid::regclass) AS detail,
       greatest(pg_total_relation_size(c.oid), p.bytes)::bigint AS bytes,
       format('CREATE INDEX %sON %s (%s)', CASE WHEN c.relkind = 'r' THEN 'CONCURRENTLY ' ELSE '' END,
              k.conrelid::regclass, columns.names) AS remedy
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY x.place) AS names
    FROM unnest(k.conkey) WITH ORDINALITY AS x (number, place)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.number) columns
CROSS JOIN LATERAL (SELECT sum(pg_total_relation_size(t.relid)) AS bytes FROM pg_partition_tree(c.oid) t) p
WHERE k.contype = 'f' AND k.conparentid = 0
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  AND NOT EXISTS (
    SELECT FROM pg_index i
    WHERE i.indrelid = k.conrelid AND i.indisvalid
      AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = format('(%s IS NOT NULL)', columns.names))
      AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)

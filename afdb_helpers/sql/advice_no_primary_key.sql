-- Table without a primary key
-- severity: medium, by size
-- why: Rows cannot be told apart: logical replication and PostgREST cannot update them, a restored or verified copy cannot name the row that differs, and duplicates stay unseen.
-- remedy: Make a unique NOT NULL index the primary key; else add a numbered column, which rewrites the table.
SELECT c.oid::regclass::text AS object,
       coalesce('its index ' || u.indexrelid::regclass || ' could be one', 'no column is unique and NOT NULL') AS detail,
       greatest(pg_total_relation_size(c.oid), p.bytes)::bigint AS bytes,
       CASE WHEN keys.names IS NOT NULL
            THEN format('ALTER TABLE %s ADD COLUMN row_id uuid NOT NULL DEFAULT gen_random_uuid(), ADD PRIMARY KEY (row_id, %s)',
                        c.oid::regclass, keys.names)
            WHEN u.indexrelid IS NULL
            THEN format('ALTER TABLE %s ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY', c.oid::regclass)
            ELSE format('ALTER TABLE %s ADD PRIMARY KEY USING INDEX %I', c.oid::regclass, ui.relname) END AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT i.indexrelid FROM pg_index i
    WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
      AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype <> 'f')
      AND NOT EXISTS (SELECT FROM pg_attribute a
                      WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[]) AND NOT a.attnotnull)
    ORDER BY i.indnatts, i.indexrelid LIMIT 1) u ON true
LEFT JOIN pg_class ui ON ui.oid = u.indexrelid
CROSS JOIN LATERAL (SELECT sum(pg_total_relation_size(t.relid)) AS bytes FROM pg_partition_tree(c.oid) t) p
LEFT JOIN LATERAL (
    SELECT string_agg(quote_ident(a.attname), ', ') AS names
    FROM pg_partitioned_table pt JOIN pg_attribute a ON a.attrelid = pt.partrelid AND a.attnum = ANY (pt.partattrs::int2[])
    WHERE pt.partrelid = c.oid) keys ON true
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)

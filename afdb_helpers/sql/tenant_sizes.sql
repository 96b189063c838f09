-- The largest tenants, estimated from the statistics of the key's column without reading a row: the part of each table's rows
-- that has this value, of its rows and of its bytes. What is not among a column's most common values is in the row without a
-- tenant, and so is what has none. `unknown` counts the tables that are not analysed, or whose statistics the role is not shown.
WITH keyed AS (
    SELECT c.oid, greatest(c.reltuples, 0) AS rows, pg_total_relation_size(c.oid) AS bytes,
           s.most_common_vals::text::text[] AS common, s.most_common_freqs AS parts, s.attname IS NULL AND c.reltuples <> 0 AS unknown
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = :key AND NOT a.attisdropped
    LEFT JOIN pg_stats s ON (s.schemaname, s.tablename, s.attname) = (n.nspname, c.relname, a.attname) AND NOT s.inherited
    WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
), parts AS (
    SELECT k.oid, m.tenant, k.rows * m.part AS rows, k.bytes * m.part AS bytes, false AS unknown
    FROM keyed k CROSS JOIN LATERAL unnest(k.common, k.parts) AS m (tenant, part)
    UNION ALL
    SELECT k.oid, NULL, k.rows * rest.part, k.bytes * rest.part, k.unknown
    FROM keyed k CROSS JOIN LATERAL (SELECT 1 - coalesce((SELECT sum(p) FROM unnest(k.parts) p), 0) AS part) rest
)
SELECT tenant, count(DISTINCT oid) FILTER (WHERE tenant IS NOT NULL OR rows >= 1 OR unknown) AS tables, round(sum(rows))::bigint AS rows,
       round(sum(bytes))::bigint AS bytes, count(*) FILTER (WHERE unknown) AS unknown
FROM parts
GROUP BY tenant
ORDER BY tenant IS NULL, 4 DESC, 1
LIMIT 101

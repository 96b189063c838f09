-- Table that is mostly air
-- severity: low, by size
-- linter: 0020
-- why: At least half of its pages hold nothing (estimated from the statistics of its columns): every scan reads them, every backup of files copies them. Long transactions or slots that hold vacuum back are the usual cause.
-- remedy: Find what held vacuum back, then write the table anew; VACUUM FULL takes ACCESS EXCLUSIVE meanwhile, pg_repack only for a moment.
SELECT b.oid::regclass::text AS object,
       format('about %s of %s is empty', pg_size_pretty(b.pages * b.page - b.needed * b.page), pg_size_pretty(b.pages * b.page)) AS detail,
       pg_total_relation_size(b.oid)::bigint AS bytes,
       format('VACUUM (FULL, ANALYZE) %s', b.oid::regclass) AS remedy
FROM (
    SELECT c.oid, c.relpages::bigint AS pages, current_setting('block_size')::bigint AS page,
           ceil(c.reltuples * (28 + sum(s.avg_width * (1 - s.null_frac)) + 4)
                / ((current_setting('block_size')::int - 24)
                   * coalesce(substring(c.reloptions::text FROM 'fillfactor=(\d+)')::int, 100) / 100.0))::bigint AS needed
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_stats s ON (s.schemaname, s.tablename) = (n.nspname, c.relname) AND NOT s.inherited
    WHERE c.relkind IN ('r', 'm') AND c.relpages >= 128 AND c.reltuples >= 0
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
    GROUP BY c.oid, c.relpages, c.reltuples, c.reloptions) b
WHERE b.needed < b.pages * 0.5

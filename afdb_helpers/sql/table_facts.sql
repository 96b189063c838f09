-- Every ordinary table of the user's own schemas, the largest first: rows as last counted, bytes of all, of indexes and of
-- TOAST, bytes that hold nothing (estimated from the statistics of its columns; NULL where they are not there or not shown
-- to the role), writes and reads a second since the statistics began (NULL where that is less than ten minutes ago).
SELECT CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END AS table,
       CASE WHEN c.reltuples < 0 THEN NULL ELSE c.reltuples::bigint END AS rows,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       pg_indexes_size(c.oid)::bigint AS indexes,
       CASE WHEN c.reltoastrelid = 0 THEN 0 ELSE pg_total_relation_size(c.reltoastrelid) END::bigint AS toast,
       CASE WHEN c.relkind = 'r' AND c.reltuples >= 0 AND w.width IS NOT NULL
            THEN (greatest(0, c.relpages - ceil(c.reltuples * (28 + w.width + 4)
                 / ((current_setting('block_size')::int - 24)
                    * coalesce(substring(c.reloptions::text FROM 'fillfactor=(\d+)')::int, 100) / 100.0)))
                 * current_setting('block_size')::int)::bigint END AS empty,
       ((s.n_tup_ins + s.n_tup_upd + s.n_tup_del) / since.seconds)::float AS writes,
       ((coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0)) / since.seconds)::float AS reads,
       to_char(greatest(s.last_analyze, s.last_autoanalyze) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS analysed
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
LEFT JOIN (SELECT schemaname, tablename, sum(avg_width * (1 - null_frac)) AS width
           FROM pg_stats WHERE NOT inherited GROUP BY 1, 2) w ON (w.schemaname, w.tablename) = (n.nspname, c.relname)
CROSS JOIN (
    SELECT CASE WHEN began < now() - interval '10 minutes' THEN extract(epoch FROM now() - began) END AS seconds
    FROM (SELECT coalesce(stats_reset, pg_postmaster_start_time()) AS began
          FROM pg_stat_database WHERE datname = current_database()) d) since
WHERE c.relkind IN ('r', 'p')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 3 DESC, 1

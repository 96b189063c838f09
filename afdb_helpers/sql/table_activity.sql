-- Every ordinary table with its rows as last counted by the server, its bytes, and what is written and read of it in a
-- second, since the statistics began; both NULL where they began less than ten minutes ago.
SELECT CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END AS table,
       CASE WHEN c.reltuples < 0 THEN NULL ELSE c.reltuples::bigint END AS rows,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       ((s.n_tup_ins + s.n_tup_upd + s.n_tup_del) / since.seconds)::float AS writes,
       ((coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0)) / since.seconds)::float AS reads
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
CROSS JOIN (
    SELECT CASE WHEN began < now() - interval '10 minutes' THEN extract(epoch FROM now() - began) END AS seconds
    FROM (SELECT coalesce(stats_reset, pg_postmaster_start_time()) AS began
          FROM pg_stat_database WHERE datname = current_database()) d
) since
WHERE c.relkind IN ('r', 'p')
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'

-- Index that no query used
-- severity: low, by size
-- why: It is written by every INSERT and most UPDATEs, and read by none: the server has counted at least a hundred reads of its table since its statistics began, and none of this index. A replica counts its own; look there too.
-- remedy: Drop it, concurrently, after a full business cycle (a month's end) has been counted.
SELECT s.indexrelid::regclass::text AS object,
       format('on %s, which was read %s times since %s', s.relid::regclass, read.times, coalesce(to_char(read.since, 'YYYY-MM-DD'), 'the server began to count')) AS detail,
       pg_relation_size(s.indexrelid)::bigint AS bytes,
       format('DROP INDEX CONCURRENTLY %s', s.indexrelid::regclass) AS remedy
FROM pg_stat_user_indexes s
JOIN pg_index i ON i.indexrelid = s.indexrelid
JOIN pg_class c ON c.oid = s.indexrelid
CROSS JOIN LATERAL (
    SELECT coalesce(t.seq_scan, 0) + coalesce(t.idx_scan, 0) AS times, d.stats_reset AS since
    FROM pg_stat_user_tables t, pg_stat_database d
    WHERE t.relid = s.relid AND d.datname = current_database()) read
WHERE s.idx_scan = 0 AND read.times >= 100
  AND i.indisvalid AND NOT i.indisunique AND NOT i.indisreplident AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = s.indexrelid)
  AND s.schemaname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = s.relid AND d.deptype = 'e')

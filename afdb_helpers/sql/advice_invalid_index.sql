-- Index left half built
-- severity: high
-- why: A CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY that failed leaves an index that no query may use and every write may have to keep up; a unique one does not hold what it promises.
-- remedy: Build it anew, concurrently; drop what a failed REINDEX left (_ccnew, _ccold).
SELECT i.indexrelid::regclass::text AS object,
       format('on %s', i.indrelid::regclass) AS detail,
       pg_relation_size(i.indexrelid)::bigint AS bytes,
       format(CASE WHEN x.relname ~ '_cc(new|old)\d*$' THEN 'DROP INDEX CONCURRENTLY %s'
                   ELSE 'REINDEX INDEX CONCURRENTLY %s' END, i.indexrelid::regclass) AS remedy
FROM pg_index i
JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = x.relnamespace
WHERE NOT (i.indisvalid AND i.indisready) AND x.relkind = 'i'
  AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)

-- Table that was never vacuumed or analysed
-- severity: medium, by size
-- why: The planner guesses how many rows there are and what they hold, so plans are wrong by orders of magnitude; without vacuum nothing that was deleted is used again. Usual after a restore or a bulk load, or where autovacuum is off.
-- remedy: Do both now; then see why autovacuum does not.
SELECT c.oid::regclass::text AS object,
       CASE WHEN 'autovacuum_enabled=false' = ANY (c.reloptions) OR 'autovacuum_enabled=off' = ANY (c.reloptions)
            THEN 'never, and autovacuum is switched off for it'
            WHEN current_setting('autovacuum') = 'off' THEN 'never, and autovacuum is switched off on this server'
            ELSE 'never, neither by hand nor by autovacuum' END AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('VACUUM (ANALYZE) %s', c.oid::regclass) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND c.reltuples < 0 AND pg_relation_size(c.oid) >= 65536
  AND coalesce(s.last_analyze, s.last_autoanalyze, s.last_vacuum, s.last_autovacuum) IS NULL
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')

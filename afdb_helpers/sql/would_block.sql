-- Who would hold up a migration that began now, beside what hazards.sql finds: sessions idle in a transaction, whatever its
-- age, with the tables they have locked, and autovacuum that prevents wraparound, which does not give way to a lock. The
-- last row, if there is one, says how many sessions the role is not shown.
SELECT 'idle in transaction' AS hazard,
       format('process %s of role %s (%s), idle for %s s, has locked %s', a.pid, a.usename, nullif(a.application_name, ''),
              round(extract(epoch FROM clock_timestamp() - a.state_change)), coalesce(l.tables, 'no table')) AS what,
       format('let it commit, or end it: SELECT pg_terminate_backend(%s)', a.pid) AS remedy
FROM pg_stat_activity a
LEFT JOIN LATERAL (
    SELECT string_agg(DISTINCT l.relation::regclass::text, ', ') AS tables
    FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    WHERE l.pid = a.pid AND l.granted AND c.relkind IN ('r', 'p') AND c.relnamespace <> 'pg_catalog'::regnamespace
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) l ON true
WHERE a.datname = current_database() AND a.state ~ '^idle in transaction' AND a.pid <> pg_backend_pid()
UNION ALL
SELECT 'autovacuum against wraparound', format('process %s: %s', a.pid, left(a.query, 120)),
       'let it end: it comes back when it is cancelled'
FROM pg_stat_activity a
WHERE a.backend_type = 'autovacuum worker' AND a.datname = current_database() AND a.query ~ 'to prevent wraparound'
UNION ALL
SELECT 'wraparound is near', format('%s: %s transactions old, autovacuum is forced at %s', c.oid::regclass, age(c.relfrozenxid),
              current_setting('autovacuum_freeze_max_age')),
       format('VACUUM (FREEZE) %s', c.oid::regclass)
FROM pg_class c
WHERE c.relkind IN ('r', 'm', 't') AND age(c.relfrozenxid) > 0.9 * current_setting('autovacuum_freeze_max_age')::bigint
UNION ALL
SELECT 'not seen', format('%s sessions of other roles: what they do is not shown to role %s', count(*), current_user),
       format('GRANT pg_read_all_stats TO %I', current_user)
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query = '<insufficient privilege>'
HAVING count(*) > 0

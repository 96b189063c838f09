-- What a migration of this database has to know of its server, of the way there and of the role that asks. One row; what
-- the role may not see is NULL.
SELECT current_setting('server_version_num')::int / 10000 AS major,
       CASE WHEN pg_is_in_recovery() THEN 'replica' ELSE 'primary' END AS kind,
       CASE WHEN pg_is_in_recovery() THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float END AS replay_lag,
       (SELECT concat_ws(', ', s.version, s.cipher) FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid() AND s.ssl) AS tls,
       concat_ws(', ', CASE WHEN r.rolsuper THEN 'superuser' END, CASE WHEN r.rolcreaterole THEN 'creates roles' END,
                 CASE WHEN r.rolcreatedb THEN 'creates databases' END, CASE WHEN r.rolreplication THEN 'replicates' END,
                 CASE WHEN r.rolbypassrls THEN 'bypasses row level security' END) AS attributes,
       (SELECT string_agg(g.rolname, ', ' ORDER BY g.rolname) FROM pg_roles g
        WHERE g.oid <> r.oid AND NOT r.rolsuper AND pg_has_role(r.oid, g.oid, 'USAGE')) AS member_of,
       has_database_privilege(current_database(), 'CREATE') AS may_create_schemas,
       (SELECT has_schema_privilege(n.oid, 'CREATE') FROM pg_namespace n WHERE n.nspname = 'public') AS may_create_in_public,
       own.tables, own.readable, own.owned,
       pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collation,
       CASE WHEN has_database_privilege(current_database(), 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
            THEN pg_database_size(d.oid)::bigint END AS bytes,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.backend_type = 'client backend') AS connections,
       r.rolsuper OR pg_has_role('pg_read_all_stats', 'USAGE') AS sees_other_sessions,
       format('GRANT pg_read_all_data TO %I', current_user) AS to_read,
       format('GRANT pg_read_all_stats TO %I', current_user) AS to_see_sessions
FROM pg_roles r
JOIN pg_database d ON d.datname = current_database()
CROSS JOIN LATERAL (
    SELECT count(*) AS tables, count(*) FILTER (WHERE has_table_privilege(c.oid, 'SELECT')) AS readable,
           count(*) FILTER (WHERE pg_has_role(c.relowner, 'USAGE')) AS owned
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')) own
WHERE r.rolname = current_user

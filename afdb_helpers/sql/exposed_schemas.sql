-- Which schemas does PostgREST (Supabase's API) serve, and are its roles there? As its own settings say, those of the role
-- authenticator for this database first; NULL where nothing says so.
SELECT (SELECT array_agg(rolname::text ORDER BY rolname) FROM pg_roles
        WHERE rolname IN ('anon', 'authenticated', 'authenticator', 'service_role')) AS roles,
       coalesce((
           SELECT substring(s FROM '=(.*)')
           FROM pg_db_role_setting d
           LEFT JOIN pg_roles r ON r.oid = d.setrole
           CROSS JOIN unnest(d.setconfig) AS s
           WHERE s ~ '^pgrst\.db_schemas?=' AND (d.setrole = 0 OR r.rolname = 'authenticator')
             AND d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
           ORDER BY d.setrole = 0, d.setdatabase = 0
           LIMIT 1), nullif(current_setting('pgrst.db_schemas', true), '')) AS schemas,
       (SELECT array_agg(nspname::text) FROM pg_namespace) AS present

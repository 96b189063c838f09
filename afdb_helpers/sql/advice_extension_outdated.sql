-- Extension behind what the server has installed
-- severity: low
-- linter: 0022
-- why: The server's files hold a newer version than this database uses: fixes, security fixes among them, are there and not in force.
-- remedy: Update it after reading its release notes; some rewrite indexes.
SELECT e.extname::text AS object, format('version %s, the server has %s', e.extversion, a.default_version) AS detail, NULL::bigint AS bytes,
       format('ALTER EXTENSION %I UPDATE', e.extname) AS remedy
FROM pg_extension e
JOIN pg_available_extensions a ON a.name = e.extname
WHERE a.default_version <> e.extversion
  AND EXISTS (SELECT FROM pg_extension_update_paths(e.extname) p
              WHERE p.source = e.extversion AND p.target = a.default_version AND p.path IS NOT NULL)

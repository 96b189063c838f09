-- Shape that GraphQL shows
-- severity: low
-- asks: api roles
-- linter: 0026, 0027
-- why: pg_graphql shows the name, the columns and the relations of all that anon or authenticated may SELECT a column of, whatever row level security says of its rows: anon is whoever has the public key.
-- remedy: Take the right to read away from whom the shape is not meant for; or DROP EXTENSION pg_graphql where nobody uses it.
SELECT c.oid::regclass::text AS object,
       format('its columns and relations are shown to %s', concat_ws(' and ', CASE WHEN r.anon THEN 'anon' END,
                                                                     CASE WHEN r.authenticated THEN 'authenticated' END)) AS detail,
       NULL::bigint AS bytes,
       CASE WHEN r.anon THEN 'medium' END AS severity,
       format('REVOKE SELECT ON %s FROM PUBLIC%s%s', c.oid::regclass, CASE WHEN r.anon THEN ', anon' END,
              CASE WHEN r.authenticated THEN ', authenticated' END) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT has_any_column_privilege('anon', c.oid, 'SELECT') AS anon,
                           has_any_column_privilege('authenticated', c.oid, 'SELECT') AS authenticated) r
WHERE c.relkind IN ('r', 'v', 'm', 'f') AND (r.anon OR r.authenticated)
  AND EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_graphql')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')

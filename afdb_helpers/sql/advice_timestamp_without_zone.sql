-- Timestamp without time zone
-- severity: low
-- why: The moment it stands for depends on what each writer took for granted: a session in another time zone writes and compares other moments, without an error.
-- remedy: Store timestamptz. Under a session with TimeZone UTC the change rewrites nothing and takes ACCESS EXCLUSIVE for a moment; values that were not UTC need USING.
SELECT c.oid::regclass::text AS object,
       string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       'SET TimeZone = ''UTC''; ALTER TABLE ' || c.oid::regclass || ' '
           || string_agg(format('ALTER COLUMN %I TYPE timestamptz', a.attname), ', ' ORDER BY a.attnum) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.atttypid = 'timestamp'::regtype
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
GROUP BY c.oid

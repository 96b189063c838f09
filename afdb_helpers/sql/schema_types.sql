-- Every type that somebody made: enums with their values in order, domains, composites, ranges.
SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite type' END AS kind,
       CASE WHEN n.nspname = current_schema() THEN t.typname ELSE n.nspname || '.' || t.typname END AS object,
       t.oid::regtype::text AS name,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS values,
       CASE t.typtype
           WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
               CASE WHEN t.typcollation <> b.typcollation THEN 'COLLATE ' || t.typcollation::regcollation END,
               'DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN 'NOT NULL' END,
               (SELECT string_agg(pg_get_constraintdef(k.oid, true), ' ' ORDER BY pg_get_constraintdef(k.oid, true) COLLATE "C")
                FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
           WHEN 'c' THEN (SELECT '(' || string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', '
                                                   ORDER BY a.attnum) || ')'
                          FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
           WHEN 'r' THEN (SELECT '(SUBTYPE = ' || format_type(r.rngsubtype, NULL) || ')'
                          FROM pg_range r WHERE r.rngtypid = t.oid) END AS definition,
       pg_get_userbyid(t.typowner)::text AS owner,
       coalesce(t.typacl, acldefault('T', t.typowner))::text[] AS acl,
       d.description AS comment
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type b ON b.oid = t.typbasetype
LEFT JOIN pg_class c ON c.oid = t.typrelid
LEFT JOIN pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_type'::regclass
WHERE (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
ORDER BY 2

-- json that is searched
-- severity: low, by size
-- why: json is text that is parsed anew for each row that is looked at, and no index can hold it; jsonb is parsed once. Found where a view, an index or a function of this database reaches into the column with -> or #>.
-- remedy: Change the type; that rewrites the table under ACCESS EXCLUSIVE, drops duplicate keys, and keeps neither white space nor the order of keys. Views on it have to be made anew.
SELECT format('%s.%I', c.oid::regclass, a.attname) AS object, 'reached into by ' || used.by AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('ALTER TABLE %s ALTER COLUMN %I TYPE jsonb', c.oid::regclass, a.attname) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN LATERAL (
    SELECT min(u.by) AS by FROM (
        SELECT 'index ' || i.indexrelid::regclass AS by FROM pg_index i
        WHERE i.indrelid = c.oid AND pg_get_expr(i.indexprs, i.indrelid) ~ ('\m' || a.attname || '"?\)? *(->|#>)')
        UNION ALL
        SELECT 'view ' || w.ev_class::regclass FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
          AND d.refobjsubid = a.attnum AND w.ev_class <> c.oid
          AND pg_get_viewdef(w.ev_class) ~ ('\m' || a.attname || '"?\)? *(->|#>)')
        UNION ALL
        SELECT 'function ' || p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
        WHERE l.lanname IN ('sql', 'plpgsql') AND p.pronamespace <> 'pg_catalog'::regnamespace
          AND p.prosrc ~* ('\m' || c.relname || '\M') AND p.prosrc ~* ('\m' || a.attname || '"?\)? *(->|#>)')) u) used
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.atttypid = 'json'::regtype AND used.by IS NOT NULL
  AND a.attname ~ '^\w+$' AND c.relname ~ '^\w+$'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')

-- Every trigger and rule that somebody made, of tables and of views, and whether it fires. What a partition has from its parent is
-- the parent's.
SELECT CASE WHEN n.nspname = current_schema() THEN c.relname ELSE n.nspname || '.' || c.relname END AS table,
       'triggers' AS kind, g.tgname::text AS name, pg_get_triggerdef(g.oid, true) AS definition,
       CASE g.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replicas alone' WHEN 'A' THEN 'always' END AS fires,
       d.description AS comment
FROM pg_trigger g
JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_description d ON d.objoid = g.oid AND d.classoid = 'pg_trigger'::regclass
WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
UNION ALL
SELECT CASE WHEN n.nspname = current_schema() THEN c.relname ELSE n.nspname || '.' || c.relname END,
       'rules', r.rulename::text, pg_get_ruledef(r.oid, true),
       CASE r.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replicas alone' WHEN 'A' THEN 'always' END,
       d.description
FROM pg_rewrite r
JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_description d ON d.objoid = r.oid AND d.classoid = 'pg_rewrite'::regclass
WHERE r.rulename <> '_RETURN' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 3

-- Who has this name? The kind of relation, and for a sequence the column that owns it (table.column).
SELECT c.relkind::text AS kind, o.attrelid::regclass::text || '.' || o.attname AS owner
FROM pg_class c
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'a' AND d.refobjsubid > 0
LEFT JOIN pg_attribute o ON o.attrelid = d.refobjid AND o.attnum = d.refobjsubid
WHERE c.oid = to_regclass(quote_ident(:name))

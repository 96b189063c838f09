-- What else depends on these columns of a table, on its primary key, or, without columns, on the whole table, so that
-- it cannot be dropped alone? What goes with the table, or belongs to a table that goes too, is left out.
WITH own AS (SELECT to_regclass(quote_ident(:table)) AS id, CAST(:columns AS text[]) AS columns),
found AS (
  SELECT d.classid, d.objid FROM pg_depend d JOIN own ON d.refobjid = own.id
  WHERE d.refclassid = 'pg_class'::regclass AND d.deptype = 'n' AND CASE WHEN cardinality(own.columns) = 0
    THEN NOT EXISTS (SELECT FROM pg_depend a WHERE (a.classid, a.objid) = (d.classid, d.objid)
                     AND a.refobjid = own.id AND a.deptype IN ('a', 'i'))
    ELSE d.refobjsubid IN (SELECT attnum FROM pg_attribute WHERE attrelid = own.id AND attname = ANY(own.columns)) END
  UNION
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_constraint p ON d.refobjid = p.oid JOIN own ON p.conrelid = own.id
  WHERE d.refclassid = 'pg_constraint'::regclass AND d.deptype = 'n' AND p.contype = 'p' AND :key)
SELECT DISTINCT CASE
    WHEN r.rulename = '_RETURN' AND c.relkind = 'm' THEN 'materialized view ' || c.oid::regclass
    WHEN r.rulename = '_RETURN' THEN 'view ' || c.oid::regclass
    ELSE pg_describe_object(f.classid, f.objid, 0) END
FROM found f
CROSS JOIN own
LEFT JOIN pg_rewrite r ON f.classid = 'pg_rewrite'::regclass AND r.oid = f.objid
LEFT JOIN pg_class c ON c.oid = r.ev_class
LEFT JOIN pg_constraint k ON f.classid = 'pg_constraint'::regclass AND k.oid = f.objid
WHERE k.oid IS NULL OR k.contype = 'f' AND k.conrelid <> own.id
  AND k.conrelid NOT IN (SELECT to_regclass(quote_ident(n)) FROM unnest(CAST(:gone AS text[])) n
                         WHERE to_regclass(quote_ident(n)) IS NOT NULL)
ORDER BY 1

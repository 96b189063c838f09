-- Which sequence gives which column its numbers: `serial`, an identity, owned by it, or drawn from by its default? Those that
-- turn over at their end are left out, and columns that are no numbers.
SELECT c.relnamespace::regnamespace::text || '.' || quote_ident(c.relname) AS table,
       n.nspname::text AS schema, c.relname::text AS relation, a.attname::text AS column,
       sn.nspname::text AS sequence_schema, s.relname::text AS sequence, q.seqincrement AS step
FROM (
    SELECT objid AS sequence, refobjid AS relation, refobjsubid AS number FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
    UNION
    SELECT d.refobjid, v.adrelid, v.adnum FROM pg_depend d JOIN pg_attrdef v ON v.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
) gives
JOIN pg_sequence q ON q.seqrelid = gives.sequence AND NOT q.seqcycle
JOIN pg_class s ON s.oid = q.seqrelid
JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_class c ON c.oid = gives.relation AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = gives.number
JOIN pg_type t ON t.oid = a.atttypid AND t.typcategory = 'N'
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY 1, a.attnum, s.relname

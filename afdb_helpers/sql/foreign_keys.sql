-- Every foreign key by its columns, validated or not, with the columns of the table's own primary key. What a partition has from
-- its parent is the parent's; a key over periods asks for more than equality and is left out.
SELECT n.nspname::text AS schema, c.relname::text AS table, k.conname::text AS name,
       (SELECT array_agg(a.attname::text ORDER BY u.at) FROM unnest(k.conkey) WITH ORDINALITY u(number, at)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number) AS columns,
       rn.nspname::text AS refers_schema, r.relname::text AS refers_table,
       (SELECT array_agg(a.attname::text ORDER BY u.at) FROM unnest(k.confkey) WITH ORDINALITY u(number, at)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number) AS refers,
       (SELECT array_agg(a.attname::text ORDER BY u.at) FROM pg_index i
        CROSS JOIN unnest(i.indkey) WITH ORDINALITY u(number, at)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number
        WHERE i.indrelid = k.conrelid AND i.indisprimary) AS key
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class r ON r.oid = k.confrelid
JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND pg_get_constraintdef(k.oid) !~ '\mPERIOD '
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY 1, 2, 3

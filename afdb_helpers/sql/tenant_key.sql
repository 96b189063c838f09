-- Which column, if any, says whose a row is? One that is named as such and is in a third of the tables and in three at least;
-- with the table that most of them refer to.
SELECT a.attname AS key, count(*) AS tables, (SELECT count(*) FROM pg_class t JOIN pg_namespace m ON m.oid = t.relnamespace
        WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND m.nspname <> 'information_schema' AND m.nspname !~ '^pg_') AS of,
       mode() WITHIN GROUP (ORDER BY k.confrelid::regclass::text) AS refers_to
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum]
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND a.attname ~* '^(tenant|org|organi[sz]ation|account|company|workspace|team|customer|site)(_?(id|uuid|key|slug))$'
GROUP BY a.attname
HAVING count(*) >= 3 AND 3 * count(*) >= (SELECT count(*) FROM pg_class t JOIN pg_namespace m ON m.oid = t.relnamespace
        WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND m.nspname <> 'information_schema' AND m.nspname !~ '^pg_')
ORDER BY (a.attname ~* '^tenant') DESC, count(k.oid) DESC, count(*) DESC
LIMIT 1

-- Which table does each of these indexes belong to?
SELECT c.relname, t.relname
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
WHERE c.relname = ANY(:names) AND pg_table_is_visible(c.oid)

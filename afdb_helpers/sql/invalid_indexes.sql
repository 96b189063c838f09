-- Which indexes of visible tables were left half built (CREATE INDEX CONCURRENTLY that failed)?
SELECT t.relname AS table, c.relname AS index
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
WHERE NOT (i.indisvalid AND i.indisready) AND pg_table_is_visible(t.oid)

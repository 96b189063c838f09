-- Which index with this column is the replica identity of the table?
SELECT i.indexrelid::regclass::text
FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
WHERE i.indrelid = to_regclass(quote_ident(:table)) AND i.indisreplident AND a.attname = :column

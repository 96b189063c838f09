-- What of these names stands on a table, or beside it, for the time of a migration only? Kind and name.
WITH own AS (SELECT to_regclass(quote_ident(:table)) AS id)
SELECT 'trigger' AS kind, tgname::text AS name FROM pg_trigger, own WHERE tgrelid = own.id AND tgname LIKE ANY(CAST(:names AS text[]))
UNION ALL
SELECT 'function', proname FROM pg_proc, own
WHERE own.id IS NOT NULL AND pg_function_is_visible(pg_proc.oid) AND proname LIKE ANY(CAST(:names AS text[])) AND proname LIKE '%\_' || :table
UNION ALL
SELECT 'table', relname FROM pg_class, own
WHERE own.id IS NOT NULL AND relkind = 'r' AND pg_table_is_visible(pg_class.oid) AND relname LIKE ANY(CAST(:names AS text[]))
  AND relname LIKE '%\_' || :table
UNION ALL
SELECT 'column', attname FROM pg_attribute, own WHERE attrelid = own.id AND NOT attisdropped AND attname LIKE ANY(CAST(:names AS text[]))
UNION ALL
SELECT 'index', c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid, own
WHERE i.indrelid = own.id AND c.relname LIKE ANY(CAST(:names AS text[]))
UNION ALL
SELECT 'check', conname FROM pg_constraint, own WHERE conrelid = own.id AND contype = 'c' AND conname LIKE ANY(CAST(:names AS text[]))

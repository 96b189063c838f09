-- On which of these tables does row level security hide rows from the current role?
SELECT c.relname
FROM pg_class c
WHERE c.relname = ANY(:names) AND pg_table_is_visible(c.oid) AND row_security_active(c.oid)
ORDER BY 1

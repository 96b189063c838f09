-- Which of these tables may the current role not change, and whose are they?
SELECT c.relname, pg_get_userbyid(c.relowner)
FROM pg_class c
WHERE c.relname = ANY(:names) AND pg_table_is_visible(c.oid) AND c.relkind = 'r'
  AND NOT pg_has_role(c.relowner, 'USAGE')
ORDER BY 1

-- Which triggers of a table that an UPDATE fires are enabled, and how (O origin, R replica, A always)?
SELECT tgname, tgenabled::text
FROM pg_trigger
WHERE tgrelid = to_regclass(quote_ident(:table)) AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype::int & 16 <> 0
ORDER BY 1

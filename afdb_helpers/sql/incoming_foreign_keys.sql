-- Which foreign keys of other tables refer to this table? Name and table.
SELECT conname, conrelid::regclass::text
FROM pg_constraint
WHERE contype = 'f' AND confrelid = to_regclass(quote_ident(:table)) AND conrelid <> confrelid
ORDER BY 1

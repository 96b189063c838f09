-- Which constraints of this table have not been validated?
SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(quote_ident(:table)) AND NOT convalidated ORDER BY 1

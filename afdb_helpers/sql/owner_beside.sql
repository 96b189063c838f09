-- Who owns this table, where somebody else owns the other relation?
SELECT pg_get_userbyid(t.relowner)::text AS owner FROM pg_class t, pg_class o
WHERE t.oid = to_regclass(quote_ident(:table)) AND o.oid = to_regclass(quote_ident(:other)) AND t.relowner <> o.relowner

-- Which functions name one of these columns in their text, and the table too or are its triggers?
-- Only where the body is text (sql, plpgsql): the server does not follow a rename there. Dynamic SQL is not seen.
SELECT p.oid::regprocedure::text, string_agg(DISTINCT n.name, ', ')
FROM pg_proc p
JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')
JOIN unnest(CAST(:columns AS text[])) n (name) ON p.prosrc ~* ('\m' || n.name || '\M')
WHERE p.prosqlbody IS NULL AND p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  AND p.proname NOT LIKE 'afdb\_%'
  AND (p.prosrc ~* ('\m' || CAST(:table AS text) || '\M')
       OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = p.oid AND t.tgrelid = to_regclass(quote_ident(:table))))
GROUP BY 1
ORDER BY 1

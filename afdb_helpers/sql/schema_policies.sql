-- Every policy of row-level security: for whom, for which command, and what it asks.
SELECT CASE WHEN n.nspname = current_schema() THEN c.relname ELSE n.nspname || '.' || c.relname END AS table,
       p.polname::text AS name,
       concat_ws(' ',
           CASE WHEN p.polpermissive THEN 'AS PERMISSIVE' ELSE 'AS RESTRICTIVE' END,
           'FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                                   ELSE 'ALL' END,
           'TO ' || (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', '
                                       ORDER BY pg_get_userbyid(r) COLLATE "C") FROM unnest(p.polroles) r),
           'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
           'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS definition,
       d.description AS comment
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_policy'::regclass
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY p.polname

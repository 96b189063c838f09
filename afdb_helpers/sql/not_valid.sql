-- Which indexes and constraints does the server itself not vouch for? (A failed concurrent build; NOT VALID never validated.)
SELECT n.nspname || '.' || c.relname AS table, 'index ' || i.relname AS object, 'not valid' AS state,
       format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, i.relname) AS mend
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (x.indisvalid AND x.indisready) AND n.nspname !~ '^pg_'
UNION ALL
SELECT n.nspname || '.' || c.relname, 'constraint ' || k.conname, 'not validated',
       format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I', n.nspname, c.relname, k.conname)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT k.convalidated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2

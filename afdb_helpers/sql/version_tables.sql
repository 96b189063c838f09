-- Tables in which migration frameworks keep what they have applied, where they are.
SELECT c.relname::text AS table, c.oid::regclass::text AS quoted
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND c.relname = ANY (:names)
ORDER BY 1, 2

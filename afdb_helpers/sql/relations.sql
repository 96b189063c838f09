-- Every relation of the user's that a lock can be waited for on, named as the server names it in this session.
SELECT c.oid::regclass::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'

-- Column of a type that pg_upgrade refuses
-- severity: low
-- linter: 0018
-- why: Columns of regproc, regoper, regconfig and their like hold numbers that mean another object on another server; pg_upgrade refuses the database, and a dump may restore to something else.
-- remedy: Store the name as text.
SELECT format('%s.%I', c.oid::regclass, a.attname) AS object, 'type ' || format_type(a.atttypid, a.atttypmod) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('ALTER TABLE %s ALTER COLUMN %I TYPE text', c.oid::regclass, a.attname) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND a.atttypid IN ('regcollation'::regtype, 'regconfig'::regtype, 'regdictionary'::regtype, 'regnamespace'::regtype,
                     'regoper'::regtype, 'regoperator'::regtype, 'regproc'::regtype, 'regprocedure'::regtype)

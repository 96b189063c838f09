-- Foreign key to what Supabase may take away
-- severity: high
-- asks: api roles
-- linter: 0021
-- why: A foreign key to a column of the schema auth that is unique and not the primary key (an address, a phone number): Supabase drops such constraints when it upgrades Auth, and this key stops the upgrade.
-- remedy: Drop the foreign key; refer to the table's primary key instead.
SELECT format('%s, %I', k.conrelid::regclass, k.conname) AS object,
       format('refers to %s by %s, which is not its primary key', k.confrelid::regclass, k.conindid::regclass) AS detail,
       pg_total_relation_size(k.conrelid)::bigint AS bytes,
       format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname) AS remedy
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = k.confrelid
JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_index i ON i.indexrelid = k.conindid
WHERE k.contype = 'f' AND k.conparentid = 0 AND tn.nspname = 'auth' AND i.indisunique AND NOT i.indisprimary
  AND n.nspname <> ALL (:theirs)

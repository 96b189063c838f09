-- Exposed column that looks secret
-- severity: high
-- asks: exposed
-- linter: 0023
-- why: A column whose name says password, token, key or card number, in a table that the API serves without row level security, can be read with the public key.
-- remedy: Take the right to read the table away from the API's roles, or enable row level security.
SELECT format('%s.%I', c.oid::regclass, a.attname) AS object, 'readable through the API, without row level security' AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('REVOKE SELECT ON %s FROM PUBLIC, anon, authenticated', c.oid::regclass) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND NOT c.relrowsecurity AND n.nspname = ANY (:exposed)
  AND a.attname ~* '(^|_)(password|passwd|passphrase|secret|token|api_?key|key_hash|private_key|ssn|iban|cvv|card_number|salt|otp|pin)(_hash|_digest)?$'
  AND (has_column_privilege('anon', c.oid, a.attnum, 'SELECT') OR has_column_privilege('authenticated', c.oid, a.attnum, 'SELECT'))

-- Money in floating point
-- severity: medium, by size
-- why: A float holds no exact cent: sums drift with the order of their parts, and 0.1 + 0.2 is not 0.3. The type money depends on the server's lc_monetary. Found by name (price, amount, cost, total, balance, fee, tax, …) and type.
-- remedy: Use numeric with the scale you need; changing the type rewrites the table under ACCESS EXCLUSIVE.
SELECT c.oid::regclass::text AS object,
       string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('ALTER TABLE %s ', c.oid::regclass)
           || string_agg(format('ALTER COLUMN %I TYPE numeric(20, 6)', a.attname), ', ' ORDER BY a.attnum) AS remedy
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND (a.atttypid = 'money'::regtype
       OR (a.atttypid IN ('float4'::regtype, 'float8'::regtype)
           AND a.attname ~* '(^|_)(price|amount|cost|total|subtotal|balance|fee|fees|tax|vat|salary|wage|revenue|discount|refund|payment|deposit|credit|debit|budget|money)(_|$)'
           AND a.attname !~* '(^|_)(count|seconds|minutes|hours|ms|time|duration|rate|ratio|percent|pct)$'))
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
GROUP BY c.oid

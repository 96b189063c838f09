-- Policy that asks the same for each row
-- severity: low, by size
-- linter: 0003
-- why: auth.uid() and its like, or current_setting(), stand bare in the policy and are called for every row that a query looks at; wrapped in a SELECT they are called once.
-- remedy: Wrap the call.
SELECT format('%s, policy %I', c.oid::regclass, p.polname) AS object,
       coalesce(e."using", e.checked) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('ALTER POLICY %I ON %s', p.polname, c.oid::regclass)
           || coalesce(' USING (' || regexp_replace(e."using", e.calls, '(SELECT \1)', 'g') || ')', '')
           || coalesce(' WITH CHECK (' || regexp_replace(e.checked, e.calls, '(SELECT \1)', 'g') || ')', '') AS remedy
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT pg_get_expr(p.polqual, c.oid) AS using, pg_get_expr(p.polwithcheck, c.oid) AS checked,
           '(auth\.(uid|jwt|role|email)\(\)|current_setting\([^()]*\))' AS calls) e
WHERE c.relrowsecurity AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND regexp_replace(concat_ws(' ', e."using", e.checked), 'SELECT ' || e.calls, '', 'gi') ~ e.calls

-- Several permissive policies for the same
-- severity: low, by size
-- linter: 0006
-- why: Of permissive policies one that says yes is enough, so for each row all of them are asked; and whoever reads one of them does not see what the others allow.
-- remedy: Make one policy of them, its condition all of theirs joined by OR, then drop the others.
SELECT format('%s, %s to %s', c.oid::regclass, act.cmd, r.name) AS object,
       string_agg(quote_ident(p.polname), ', ' ORDER BY p.polname) AS detail,
       pg_total_relation_size(c.oid)::bigint AS bytes,
       format('ALTER POLICY %I ON %s USING (%s); DROP POLICY %I ON %s', min(p.polname), c.oid::regclass,
              string_agg(pg_get_expr(p.polqual, c.oid), ' OR ' ORDER BY p.polname), max(p.polname), c.oid::regclass) AS remedy
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT unnest(p.polroles) AS oid) role
CROSS JOIN LATERAL (SELECT CASE WHEN role.oid = 0 THEN 'everybody' ELSE role.oid::regrole::text END AS name) r
CROSS JOIN LATERAL unnest(CASE p.polcmd WHEN 'r' THEN '{SELECT}' WHEN 'a' THEN '{INSERT}' WHEN 'w' THEN '{UPDATE}'
                          WHEN 'd' THEN '{DELETE}' ELSE '{SELECT,INSERT,UPDATE,DELETE}' END::text[]) AS act (cmd)
WHERE p.polpermissive AND c.relrowsecurity AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
GROUP BY c.oid, act.cmd, r.name
HAVING count(*) > 1

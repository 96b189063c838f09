-- Which roles may insert into this table, its owner aside? The empty name is everybody.
SELECT DISTINCT CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.oid = to_regclass(quote_ident(:table)) AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner
ORDER BY 1

-- Index that another one makes superfluous
-- severity: low, by size
-- why: Both are written by every INSERT and most UPDATEs and both take memory; only one of them is ever needed.
-- remedy: Drop the one that no constraint stands on, concurrently.
SELECT i.indexrelid::regclass::text AS object,
       format('on %s; %s has the same columns', i.indrelid::regclass, other.indexrelid::regclass) AS detail,
       pg_relation_size(i.indexrelid)::bigint AS bytes,
       format('DROP INDEX %s%s', CASE WHEN c.relkind = 'i' THEN 'CONCURRENTLY ' ELSE '' END, i.indexrelid::regclass) AS remedy
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT o.indexrelid FROM pg_index o JOIN pg_class oc ON oc.oid = o.indexrelid
    WHERE o.indrelid = i.indrelid AND o.indexrelid <> i.indexrelid AND o.indisvalid AND oc.relam = c.relam
      AND (o.indkey, o.indclass, o.indcollation, o.indoption) = (i.indkey, i.indclass, i.indcollation, i.indoption)
      AND o.indnkeyatts = i.indnkeyatts
      AND (pg_get_expr(o.indexprs, o.indrelid), pg_get_expr(o.indpred, o.indrelid))
          IS NOT DISTINCT FROM (pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid))
      AND (o.indisunique, o.indimmediate) >= (i.indisunique, i.indimmediate)
      -- of two that could both go, the younger one does
      AND (EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = o.indexrelid AND k.contype <> 'f')
           OR o.indisunique > i.indisunique OR (o.indisunique = i.indisunique AND o.indexrelid < i.indexrelid))
    ORDER BY o.indexrelid LIMIT 1) other
WHERE NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
  AND NOT i.indisreplident
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> ALL (:theirs)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indrelid AND d.deptype = 'e')

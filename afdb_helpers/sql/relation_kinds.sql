-- What is each of these names: r table, p partitioned table, v view, m materialized view, f foreign table, S sequence?
SELECT relname, relkind::text FROM pg_class WHERE relname = ANY(:names) AND pg_table_is_visible(oid)

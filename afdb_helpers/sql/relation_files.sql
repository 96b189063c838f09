-- Every relation with its file: another number than before is a rewrite.
SELECT oid::bigint, relfilenode::bigint FROM pg_class WHERE relfilenode <> 0

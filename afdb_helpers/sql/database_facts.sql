-- What this database was created with, which a dump of its content does not say.
SELECT pg_get_userbyid(d.datdba)::text AS owner, pg_encoding_to_char(d.encoding)::text AS encoding,
       pg_database_size(d.oid)::bigint AS bytes, d.datcollate::text AS collate, d.datctype::text AS ctype
FROM pg_database d
WHERE d.datname = current_database()

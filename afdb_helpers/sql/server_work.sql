-- WAL written by this server so far, the bytes of this database, and the length of the server's log.
SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS wal,
       pg_database_size(current_database())::bigint AS bytes,
       (pg_stat_file('log')).size AS log

-- The eight tables with data; somebody ran the DDL by hand.
\ir ../shared/tables_001.postgresql.sql
\ir ../shared/rows_001.sql

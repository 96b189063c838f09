-- The eight tables with data; somebody ran the DDL by hand.
\ir ../shared/tables_001.sqlite.sql
\ir ../shared/rows_001.sql

-- An older, faulty 002 that died: once after each of its statements.
\ir ../at_001/postgresql.sql
-- then
\ir ../shared/older_002.postgresql.sql

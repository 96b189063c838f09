-- Stamped 002 by the older, faulty 002, which ran to its end.
\ir ../at_001/postgresql.sql
\ir ../shared/older_002.postgresql.sql
\ir rows.sql

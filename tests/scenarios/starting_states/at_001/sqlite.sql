-- Stamped 001, with data.
\ir ../unstamped_001/sqlite.sql
\ir ../shared/stamp.sql
INSERT INTO alembic_version VALUES ('001');

-- Stamped by a newer repository.
\ir ../unstamped_001/sqlite.sql
\ir ../shared/stamp.sql
INSERT INTO alembic_version VALUES ('003');

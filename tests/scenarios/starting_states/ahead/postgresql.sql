-- Stamped by a newer repository.
\ir ../unstamped_001/postgresql.sql
\ir ../shared/stamp.sql
INSERT INTO alembic_version VALUES ('003');

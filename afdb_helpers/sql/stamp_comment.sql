-- What the last run of afdb left as the comment of the version table; nothing where there is no such table.
SELECT obj_description(to_regclass('alembic_version'), 'pg_class')

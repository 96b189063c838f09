"""Migration frameworks, known by the files of a project and by the tables in which they keep what was applied."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers.discovery.asking import ask

if TYPE_CHECKING:
    from sqlalchemy import Connection

FILES = {  # framework → patterns of paths, any of which gives it away
    "Alembic": ("alembic.ini", "*/alembic.ini"),
    "Django": ("manage.py", "*/manage.py", "*/migrations/0001_initial.py"),
    "Flyway": ("flyway.toml", "flyway.conf", "*/flyway.conf", "*db/migration/V*__*.sql"),
    "Liquibase": ("liquibase.properties", "*/liquibase.properties", "*changelog*.xml", "*changelog*.y*ml"),
    "dbmate": ("db/migrations/*.sql", "*/db/migrations/*.sql"),
    "Prisma": ("prisma/schema.prisma", "*/prisma/schema.prisma", "schema.prisma"),
    "Rails": ("db/migrate/*.rb", "*/db/migrate/*.rb", "db/schema.rb", "db/structure.sql"),
    "Supabase CLI": ("supabase/config.toml", "supabase/migrations/*.sql", "*/supabase/migrations/*.sql"),
    "Knex": ("knexfile.*", "*/knexfile.*"),
    "Sequelize": (".sequelizerc", "*/.sequelizerc"),
    "TypeORM": ("ormconfig.*", "*/ormconfig.*"),
    "Drizzle": ("drizzle.config.*", "*/drizzle.config.*"),
    "golang-migrate": ("*.up.sql",),
    "Laravel": ("database/migrations/*.php", "*/database/migrations/*.php"),
    "Ecto": ("priv/repo/migrations/*.exs", "*/priv/repo/migrations/*.exs"),
    "Entity Framework": ("*ModelSnapshot.cs",),
    "Sqitch": ("sqitch.plan", "*/sqitch.plan"),
    "Atlas": ("atlas.hcl", "*/atlas.hcl"),
    "yoyo": ("yoyo.ini", "*/yoyo.ini"),
}
TABLES = {  # table → framework, and the expression of what was applied last
    "django_migrations": ("Django", "SELECT app || '.' || name FROM {} ORDER BY id DESC LIMIT 1"),
    "flyway_schema_history": ("Flyway", "SELECT version FROM {} ORDER BY installed_rank DESC LIMIT 1"),
    "databasechangelog": ("Liquibase", "SELECT id FROM {} ORDER BY orderexecuted DESC LIMIT 1"),
    "schema_migrations": ("Rails, dbmate, Ecto or golang-migrate", "SELECT max(version::text) FROM {}"),
    "_prisma_migrations": ("Prisma", "SELECT migration_name FROM {} ORDER BY started_at DESC LIMIT 1"),
    "knex_migrations": ("Knex", "SELECT name FROM {} ORDER BY id DESC LIMIT 1"),
    "SequelizeMeta": ("Sequelize", "SELECT max(name) FROM {}"),
    "__drizzle_migrations": ("Drizzle", "SELECT max(created_at)::text FROM {}"),
    "__EFMigrationsHistory": ("Entity Framework", 'SELECT max("MigrationId") FROM {}'),
    "goose_db_version": ("goose", "SELECT max(version_id)::text FROM {}"),
    "_sqlx_migrations": ("sqlx", "SELECT max(version)::text FROM {}"),
    "_yoyo_migration": ("yoyo", "SELECT max(migration_id) FROM {}"),
    "pgmigrations": ("node-pg-migrate", "SELECT name FROM {} ORDER BY id DESC LIMIT 1"),
    "aerich": ("Aerich", "SELECT version FROM {} ORDER BY id DESC LIMIT 1"),
}
PASSED = {"node_modules", "site-packages", "__pycache__", "venv", "build", "dist", "vendor", "target"}  # folders
MOST = 50_000  # files that are looked at


def files(folder: Path) -> tuple[str, ...]:
    """The paths of a project's own files, without what is installed or built, the shallow ones first."""
    found: list[str] = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in PASSED and not f.startswith("."))
        base = Path(where).relative_to(folder).as_posix()
        found += [name if base == "." else f"{base}/{name}" for name in sorted(names)]
        if len(found) > MOST:
            break
    return tuple(sorted(found, key=lambda path: (path.count("/"), path)))


def of_files(paths: Sequence[str]) -> list[dict[str, Any]]:
    """The frameworks whose files are there, each with the first of them."""
    found = []
    for name, patterns in FILES.items():
        fitting = [path for path in paths if any(fnmatch(path, pattern) for pattern in patterns)]
        if fitting:
            found.append({"framework": name, "by": fitting[0], "files": len(fitting)})
    return found


def of_database(connection: Connection) -> list[dict[str, Any]]:
    """The frameworks that have migrated a database, with what each applied last, None where that cannot be read."""
    from sqlalchemy.exc import DBAPIError

    if connection.dialect.name == "sqlite":
        return []
    found = []
    for row in ask(connection, "version_tables", names=list(TABLES)):
        name, last = TABLES[row["table"]]
        try:
            applied = connection.exec_driver_sql(last.format(row["quoted"])).scalar()
        except DBAPIError as error:  # another's table of that name, or no right to read it
            if error.connection_invalidated:
                raise
            applied = None
        found.append({"framework": name, "table": row["quoted"], "last": applied})
    return found

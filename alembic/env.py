"""What Alembic runs for each command: the connection, its transaction, and what is checked around the revisions.

All revisions of one command are one transaction, on SQLite too. On PostgreSQL a revision may prepare what takes long in
short transactions of its own, which commits what came before it; one command at a time changes a database.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import fileConfig
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.operations import Operations
from alembic.script.revision import RevisionError
from alembic.util import CommandError

from afdb_helpers import models, targets
from afdb_helpers.errors import AfdbError, Incomplete, Refused
from afdb_helpers.migrate import lock
from afdb_helpers.online import sessions, sqlite
from afdb_helpers.online.catalogue import counts_itself, declared_default, plain_default
from afdb_helpers.online.change import GONE

log = logging.getLogger("alembic.runtime.migration")
config = context.config


def target() -> targets.Target:
    """The caller's `sqlalchemy.url` where it set one, else the target `default`."""
    url = config.get_main_option("sqlalchemy.url") or config.attributes.get("sqlalchemy.url")
    return targets.parse("default", str(url)) if url else targets.get("default")


def command() -> str:
    """The command by the function that Alembic made for it: upgrade, downgrade, do_stamp, display_version, …"""
    return getattr(context.get_context().opts.get("fn"), "__name__", "")


def writing() -> bool:
    """Whether the command changes the database: upgrade, downgrade and stamp have a revision to go to."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def offline() -> None:
    """Print the SQL. It holds what the assumed starting revision needs, and says so."""
    dialect = target().dialect
    context.configure(dialect_name=dialect, literal_binds=True, transactional_ddl=True, **options())
    if dialect == "sqlite":
        context.get_context().impl.static_output("PRAGMA foreign_keys = OFF;")
    with context.begin_transaction():
        context.run_migrations()


def online() -> None:
    """Run the command on a connection of its own, in one transaction."""
    where, writes = target(), writing()
    if where.dialect == "sqlite" and not writes and not where.file().exists():
        with where.connect():  # raises: a command that looks must not make the file
            pass
    engine = sa.create_engine(where.secret_url(), poolclass=sa.NullPool, hide_parameters=True)
    if where.dialect == "sqlite":
        sqlite.transactional(engine, lambda: "BEGIN IMMEDIATE" if writes else "BEGIN")
    else:
        sessions.mark(engine)
    with alone(where, writes), connected(engine, where) as connection:
        context.configure(connection=connection, transactional_ddl=True, **options())
        try:
            with context.begin_transaction():
                run(connection)
        except sa.exc.PendingRollbackError as error:  # what Alembic's clean-up says of a connection that is gone
            raise cut_off(error.__context__ or error) from None
        except sa.exc.DBAPIError as error:
            if "database is locked" in str(error.orig):
                raise sqlite.busy_reader(error) or targets.cannot_look(where, error) from None
            if error.connection_invalidated:
                raise cut_off(error) from None
            raise


def cut_off(error: BaseException) -> Incomplete:
    """The connection was lost. Whether a COMMIT on its way arrived is not known here; the next run sees it."""
    return Incomplete(
        "the connection to the server was lost; what was committed stands, the rest is rolled back",
        why=str(getattr(error, "orig", error)).strip().split("\n")[0],
        do="run the same command again: it looks at what stands and does what is left",
    )


def failed(error: sa.exc.DBAPIError) -> Incomplete:
    """A statement of a revision failed. The server's first line says why; its details may hold values."""
    code = getattr(error.orig, "pgcode", None)
    return Incomplete(
        "a statement failed; what was committed stands, the rest is rolled back",
        why=str(error.orig).strip().split("\n")[0] + (f" (SQLSTATE {code})" if code else ""),
        do="mend what is named, then run the same command again: it looks at what stands and does what is left",
    )


@contextmanager
def alone(where: targets.Target, writes: bool) -> Iterator[None]:
    """The migration lock, on a connection of its own; not where `afdb` holds it for us, or nothing is changed."""
    if not writes or where.dialect == "sqlite" or config.attributes.get(lock.HELD):
        yield
        return
    wrong = None
    with lock.held(where, run_id="alembic"):
        try:
            yield
        except sa.exc.DBAPIError as error:  # the migration's, not the lock's connection
            wrong = failed(error)
    if wrong:
        raise wrong


def run(connection: sa.Connection) -> None:
    """The command between its checks. Nothing may be executed on the connection before `context.configure`: Alembic
    would take the transaction for the caller's and never commit it."""
    doing = command()
    if doing == "do_stamp":
        context.run_migrations()
        refuse_untrue_stamp(connection)
        return
    refuse_unknown()
    if doing == "upgrade":
        reopen_unfinished(connection)
    if doing == "downgrade":
        take_back_prepared(connection)
    if connection.dialect.name == "sqlite" and doing in ("upgrade", "downgrade"):
        run_checked(connection)
    else:
        context.run_migrations()


def run_checked(connection: sa.Connection) -> None:
    """SQLite: clear what a dead run left; before the COMMIT the file is sound and no table has fewer rows."""
    sqlite.refuse_damaged(connection, "the file is damaged")
    for name in sqlite.sweep(connection):
        log.info("cleared %s, left by a run that died", name)
    before = sqlite.counts(connection)
    context.run_migrations()
    meant = config.attributes.get(GONE, set()) | {"alembic_version"}
    sqlite.refuse_loss(before, sqlite.counts(connection), meant)
    sqlite.refuse_damaged(connection, "the file would be damaged afterwards")


def refuse_unknown() -> None:
    """Refuse a database that is stamped with a revision this repository does not have: it is ahead of it."""
    for stamped in context.get_context().get_current_heads():
        try:
            context.script.get_revision(stamped)
        except CommandError:
            raise Refused(
                f"the database is stamped {stamped}, which this repository does not have; nothing was changed",
                why="it was upgraded by a newer version of the repository, or by another one",
                do=f"check out the version that has alembic/versions/{stamped}_….py, then run again",
            ) from None


def refuse_untrue_stamp(connection: sa.Connection) -> None:
    """Refuse a stamp on a database that lacks what the revision brings; it would be believed from then on."""
    for stamped in context.get_context().get_current_heads():
        if lacks := lacking(connection, stamped):
            raise Refused(
                f"the database is not at {stamped}, so it is not stamped {stamped}; nothing was changed",
                why=f"it lacks {', '.join(lacks)}",
                do="run `alembic upgrade head`: it takes over tables that are there",
            )


def lacking(connection: sa.Connection, revision: str) -> list[str]:
    """What a revision brings and the database lacks, where the revision can tell: it has `missing(connection)`."""
    asks = getattr(context.script.get_revision(revision).module, "missing", None)
    return list(asks(connection)) if asks else []


def reopen_unfinished(connection: sa.Connection) -> None:
    """Take back a stamp that is not true, so that the revision's steps run again.

    A stamp says that a revision was run, not that it did what it does now: an older, faulty 002 stamped databases that
    lack part of it, and a plain upgrade would leave them so for ever. Stamp and steps are one transaction: either the
    database ends finished, or nothing changed.
    """
    script, migration = context.script, context.get_context()
    try:
        wanted = {r.revision for r in script.iterate_revisions(str(migration.opts["destination_rev"]), "base")}
    except RevisionError:  # unknown or relative: Alembic has its own word on it
        return
    for stamped in migration.get_current_heads():
        if stamped in wanted and (lacks := lacking(connection, stamped)):
            log.warning("stamped %s but unfinished, lacking %s: running it again", stamped, ", ".join(lacks))
            migration.stamp(script, script.get_revision(stamped).down_revision)


def take_back_prepared(connection: sa.Connection) -> None:
    """A downgrade to where the database is stamped: what an upgrade beyond it prepared, and left, is taken back."""
    script, migration = context.script, context.get_context()
    for stamped in migration.get_current_heads():
        if str(migration.opts["destination_rev"]) == stamped:
            for above in sorted(script.get_revision(stamped).nextrev):
                module = script.get_revision(above).module
                if hasattr(module, "prepared") and (left := module.prepared(connection)):
                    log.warning("taking back what an upgrade to %s left: %s", above, ", ".join(left))
                    with Operations.context(migration):
                        module.abandon()


@contextmanager
def connected(engine: sa.Engine, where: targets.Target) -> Iterator[sa.Connection]:
    """A connection; where there is none to be had, the reason and not the URL."""
    try:
        connection = engine.connect()
    except sa.exc.DBAPIError as error:
        raise targets.cannot_look(where, error) from None
    with connection:
        yield connection


def options() -> dict[str, Any]:
    """What autogenerate compares, and how."""
    return {
        "target_metadata": models.metadata,
        "include_object": ours,
        "compare_server_default": other_default,
        "process_revision_directives": accept_stricter,
        "render_as_batch": True,
    }


def ours(thing: Any, name: str | None, kind: str, reflected: bool, counterpart: Any) -> bool:
    """Other people's tables are not the models' business: autogenerate must not propose to drop them."""
    return not (kind == "table" and reflected and counterpart is None)


def other_default(_context: Any, _there: Any, column: sa.Column[Any], there: str | None, *_: Any) -> bool:
    """Whether a default differs. Alembic would ask PostgreSQL to compare, which it cannot for json."""
    if counts_itself(column):
        return False
    return plain_default(there) != plain_default(declared_default(column, context.get_context().dialect))


def accept_stricter(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Leave a NOT NULL alone that databases made by create_all have and the models mark as theirs."""
    for script in directives:
        for changes in script.upgrade_ops_list:
            for table in changes.ops:
                if hasattr(table, "ops"):
                    table.ops = [op for op in table.ops if not stricter(op)]
            changes.ops = [table for table in changes.ops if getattr(table, "ops", True)]


def stricter(op: Any) -> bool:
    """Whether the operation does nothing but take such a NOT NULL away."""
    if not (
        getattr(op, "modify_nullable", None) is True and op.modify_type is None and op.modify_server_default is False
    ):
        return False
    return bool(models.metadata.tables[op.table_name].c[op.column_name].info.get("stricter"))


def main() -> None:
    if config.config_file_name and not logging.getLogger().handlers:
        fileConfig(config.config_file_name, disable_existing_loggers=False)
    try:
        offline() if context.is_offline_mode() else online()
    except AfdbError as error:
        said = CommandError(f"{type(error).__name__}: {error}")
        said.parts = {"what": error.what, "why": error.why, "do": error.do}  # for `afdb`, which lays them out itself
        raise said from None


main()

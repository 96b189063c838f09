"""A proven backup restored into a target: an empty one only, a protected one only with an approval, compared after.

What stands when this process dies (kill -9, power) at each step:

    gates, emptiness, hashes   the target as it was
    change.intent              the same; the journal says that a restore was about to begin
    roles, pg_restore          a part of the backup: a rerun is refused, the database is dropped and created first
    comparing                  the whole backup, not compared yet: the same
    SQLite                     the target as it was until the last rename, which nothing can interrupt
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, hazards, targets
from afdb_helpers.backup import client, proving, reserved, restoring, room
from afdb_helpers.backup import store as stores
from afdb_helpers.backup.dumping import DATABASE
from afdb_helpers.backup.restoring import growing, not_restorable
from afdb_helpers.backup.states import Backup
from afdb_helpers.errors import AfdbError, Incomplete, Refused
from afdb_helpers.report import Report, count
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

Note = Callable[..., object]
_NAMES = "docs/restore.md, step 5: change names where it stands beside another database, start the application"


def restore(
    backup: Backup,
    target: Target,
    *,
    approve: str = "",
    change_ref: str = "",
    reason: str = "",
    create_roles: bool = False,
    jobs: int = 2,
    note: Note = lambda event, **facts: None,
) -> Report:
    """Restore the backup into the empty target, then compare schema, revision and every value with the manifest.

    `create_roles` makes the roles that the backup's server had and the target's lacks, without login and password.
    Raises `Refused` before anything is changed; `Incomplete` when the target holds a part of the backup, or another
    content than the backup's.
    """
    started = time.monotonic()
    _insist_on_proof(backup)
    _same_dialect(backup, target)
    if target.dialect == "sqlite":
        _empty_file(target)
    else:
        _empty_database(target, reserved.schemas(backup.manifest["excluded"]))
    _approved(backup, target, approve, change_ref, reason)
    note("evidence", kind="backup", id=backup.id, sha256=backup.seal.removeprefix("sha256:"))
    hazards.fit(target, note)
    stores.fetch(backup)
    if wrong := stores.differences(backup):
        raise not_restorable(backup, wrong)
    room.for_target(backup, target, note)
    if target.dialect == "sqlite":
        _file(backup, target, note)
    else:
        _database(backup, target, create_roles, jobs, note)
    head = f"backup {backup.id} is restored into target {target.name} ({target.label}): schema and every value equal"
    rest = "" if target.dialect == "sqlite" else f"psql on {target.database}: ANALYZE; then {_NAMES}"
    return Report(headline=f"{head} ({time.monotonic() - started:.1f} s)", rows=backup.rows, remedy=rest)


# --- gates


def _insist_on_proof(backup: Backup) -> None:
    if backup.state != "proven":
        raise Refused(
            f"backup {backup.id} is not restored into a target",
            why=f"it is {backup.state}: nobody knows what would stand there afterwards",
            do=f"afdb backups prove {backup.id}",
        )


def _same_dialect(backup: Backup, target: Target) -> None:
    made = backup.manifest["dialect"]
    if made != target.dialect:
        raise Refused(
            f"backup {backup.id} does not fit target {target.name}",
            why=f"it is of {made}, the target is {target.dialect}",
            do="name a target of the same kind",
        )


def _approved(backup: Backup, target: Target, approve: str, change_ref: str, reason: str) -> None:
    if not target.protected:
        return
    command = f"afdb backups restore {backup.id} --target {target.name} --approve {backup.seal}"
    if approve != backup.seal:
        raise Refused(
            f"the restore into protected target {target.name} is not approved",
            why=f"approved was {approve}" if approve else "no seal was given",
            do=f"read `afdb backups list`; then: {command} --change-ref TICKET --reason WHY",
        )
    missing = [name for name, value in (("--change-ref", change_ref), ("--reason", reason)) if not value.strip()]
    if missing:
        raise Refused(
            f"{' and '.join(missing)} not given",
            why="whoever reads of it in a year has to learn why this was done",
            do=f"run again with {' and '.join(missing)}",
        )


def _empty_database(target: Target, theirs: list[str] | None = None) -> None:
    """But for the schemas that the provider keeps and the backup left out."""
    from sqlalchemy import text

    with target.connect() as connection:
        found = connection.execute(text(catalog.question("occupants")), {"theirs": theirs or []}).mappings().all()
    if found:
        raise _occupied(target, ", ".join(f"{one['kind']} {one['name']}" for one in found))


def _empty_file(target: Target) -> None:
    file = target.file()
    beside = [f"{file}{end}" for end in ("-wal", "-journal", "-shm") if Path(f"{file}{end}").exists()]
    if beside:
        raise Refused(
            f"target {target.name} is in use, or was left in the middle of something",
            why=f"there is {beside[0]}, which would be applied to the restored file",
            do=f"stop the application and move {', '.join(beside)} away",
        )
    if file.exists() and file.stat().st_size:
        with target.connect() as connection:
            found = connection.exec_driver_sql("SELECT type || ' ' || name FROM sqlite_master LIMIT 5").scalars().all()
        if found:
            raise _occupied(target, ", ".join(found))


def _occupied(target: Target, found: str) -> Refused:
    do = "restore into an empty database beside it, by a target of its own (docs/restore.md, step 2)"
    again = f"mv {target.file()} {target.file()}.old" if target.dialect == "sqlite" else _anew(target)
    if not target.protected:
        do = f"name an empty target, or, when nobody needs what is there: {again}; then run again"
    return Refused(
        f"target {target.name} ({target.label}) is not empty",
        why=f"there are: {found}; nothing is ever restored over what is there (it may be a restore that died)",
        do=do,
    )


def _anew(target: Target) -> str:
    """The two statements, for psql on another database of that server; the name quoted as psql reads it."""
    name = '"' + target.database.replace('"', '""') + '"'
    return f"in psql on another database of that server: DROP DATABASE {name} WITH (FORCE); CREATE DATABASE {name}"


def _file(backup: Backup, target: Target, note: Note) -> None:
    """Into a file beside the target's, compared there, then renamed: there is never a part of it."""
    file = target.file()
    beside = file.with_name(f".{file.name}.{backup.id}")
    note("change.intent", command="restore", backup=backup.id)
    try:
        shutil.copyfile(backup.path / DATABASE, beside)
        _compared(backup, targets.parse("restored", f"sqlite:///{beside}", {}), target)
        with beside.open("rb+") as copied:
            os.fsync(copied.fileno())
        beside.replace(file)
    except (OSError, AfdbError) as error:
        note("change.result", changed=False)
        if isinstance(error, AfdbError):
            raise
        do = "make the folder writable, free space there, then run again"
        what = f"nothing is restored into target {target.name}"
        raise Refused(what, why=f"{file.parent}: {error.strerror}", do=do) from None
    finally:
        beside.unlink(missing_ok=True)
    note("change.result", changed=True)


def _database(backup: Backup, target: Target, create_roles: bool, jobs: int, note: Note) -> None:
    facts = backup.manifest
    with target.connect() as connection:
        version = int(catalog.identity(connection).version.split(".")[0])
    _refuse_older(backup, target, version)
    tools = client.find(max(version, facts["client"]["major"]))
    with _writing(target) as cursor:
        missing = _prepared(cursor, backup, target, create_roles)
        note("change.intent", command="restore", backup=backup.id, roles=missing)
        _create(cursor, missing)
        _set_path(cursor, target, facts["snapshot"]["search_path"])
    program = tools.program("pg_restore")
    try:
        with (
            restoring.arguments(backup, program, jobs) as words,
            growing(backup, target),
            client.running(program, words, target) as run,
        ):
            run.finish()
    except AfdbError as error:
        raise _half(backup, target, error.why) from None
    _compared(backup, target, target)
    note("change.result", changed=True, roles=missing)


def _compared(backup: Backup, restored: Target, target: Target) -> None:
    wrong = list(proving.compare(backup, restored))
    if wrong:
        first = f"{wrong[0]['object']} {wrong[0]['differs']}"
        raise _half(backup, target, f"{count(len(wrong), 'difference')} between it and the backup, first: {first}")


def _half(backup: Backup, target: Target, why: str) -> Incomplete:
    if target.dialect == "sqlite":
        return Incomplete(f"backup {backup.id} was not restored; target {target.name} is as it was", why=why,
                          do=f"afdb backups prove {backup.id}, or use another backup")  # fmt: skip
    return Incomplete(
        f"the restore of {backup.id} did not end well: target {target.name} ({target.label}) holds a part of it",
        why=why,
        do=f"mend the cause; {_anew(target)}; then run the same command again",
    )


def _refuse_older(backup: Backup, target: Target, version: int) -> None:
    made = int(re.split(r"\D", backup.manifest["server"]["version"])[0])
    if version < made:
        raise Refused(
            f"target {target.name} is older than backup {backup.id}",
            why=f"its server is PostgreSQL {version}, the backup is of {made}",
            do=f"restore into a server of version {made} or newer",
        )


def _prepared(cursor: Cursor, backup: Backup, target: Target, create_roles: bool) -> list[str]:
    """The roles to be made. Raises `Refused` where extensions lack, or roles that are not to be made."""
    cursor.execute("SELECT name FROM pg_available_extensions")
    have = {row[0] for row in cursor.fetchall()}
    left_out = {row["name"] for row in backup.manifest["excluded"] if row["kind"] == "extension"}
    if lacking := sorted({one["name"] for one in backup.manifest["extensions"]} - have - left_out):
        raise Refused(
            f"backup {backup.id} cannot be restored into target {target.name}",
            why=f"its server does not have the extension {', '.join(lacking)}",
            do="install it on that server, then run again",
        )
    cursor.execute("SELECT nspname FROM pg_namespace")
    if alien := sorted(set(reserved.schemas(backup.manifest["excluded"])) - {row[0] for row in cursor.fetchall()}):
        raise Refused(
            f"backup {backup.id} cannot be restored into target {target.name}",
            why=f"the backup leaves out schemas that its provider keeps, and the target lacks them: {', '.join(alien)}",
            do="name a new project of the same provider as the target",
        )
    cursor.execute("SELECT rolname FROM pg_roles")
    there = {row[0] for row in cursor.fetchall()}
    missing = [role["name"] for role in backup.manifest["roles"] if role["name"] not in there]
    if missing and not create_roles:
        raise Refused(
            f"the server of target {target.name} lacks roles of the backup's server",
            why=f"owners and grants may name them: {', '.join(missing)}",
            do="create them, or run again with --create-roles, which makes them without login and password",
        )
    return missing


def _create(cursor: Cursor, roles: list[str]) -> None:
    from psycopg2 import sql

    for name in roles:
        cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))


def _set_path(cursor: Cursor, target: Target, path: list[str]) -> None:
    """Where unqualified names were looked up; a dump of a database's content does not say it."""
    from psycopg2 import sql

    if path and path != ["public"]:
        names = sql.SQL(", ").join(map(sql.Identifier, path))
        cursor.execute(sql.SQL("ALTER DATABASE {} SET search_path = {}").format(sql.Identifier(target.database), names))


@contextlib.contextmanager
def _writing(target: Target) -> Iterator[Cursor]:
    """A cursor that commits by itself; the server's words become an error without the password."""
    import psycopg2

    parts: dict[str, Any] = {"connect_timeout": targets.CONNECT_TIMEOUT, **target.secret_parts()}
    try:
        with contextlib.closing(psycopg2.connect(**parts, application_name="afdb restore")) as session:
            session.autocommit = True
            yield session.cursor()
    except psycopg2.Error as error:
        raise client.unavailable(target, f"target {target.name} cannot be prepared for a restore", str(error)) from None

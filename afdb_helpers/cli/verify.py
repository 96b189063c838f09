"""`afdb verify`: a target, a backup, or a record's "before", against another; looks, and changes nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from afdb_helpers import revisions, targets
from afdb_helpers.cli.show import say
from afdb_helpers.errors import AfdbError, ConfigError, Refused
from afdb_helpers.report import Report

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from afdb_helpers.fingerprint import Fingerprint


@dataclass
class Side:
    """What is compared: a fingerprint that was taken, or a connection to take one on."""

    name: str
    revisions: tuple[str, ...]
    taken: Fingerprint | None = None
    connection: Connection | None = None
    identity: Any = None
    rights: Any = None
    dated: bool = False  # whether it is of a time, so that rights can be as they were then

    def before(self) -> dict[str, Any]:
        """What invariants ask of a record's before.json."""
        return {"revisions": self.revisions} | ({} if self.rights is None else {"rights": self.rights})


@click.command()
@click.option("--target", default="default", show_default=True, help="The target to verify.")
@click.option("--before", default="", metavar="ID", help="A backup, a record with a before.json, or a target.")
@click.option("--now", default="", metavar="ID", help="What to compare it with, in place of the target: as --before.")
@click.option("--jobs", default=1, show_default=True, help="Sessions that read side by side, at one moment.")
@click.option("--sample", default=1.0, show_default=True, help="The part of the rows to compare, of two targets.")
@click.option(
    "--timeout", default=0.0, show_default=True, help="Seconds a statement may take; 0: as the server has it."
)
@click.option("--resume", metavar="FILE", help="Keep finished ranges there; go on with what an earlier run kept.")
@click.option(
    "--models", is_flag=True, help="The models against the chain in place of a target: needs no database, made for CI."
)
@click.option("--alembic-ini", "ini", metavar="PATH", help="Another project's alembic.ini.")
@click.option("--python", metavar="PATH", help="That project's own interpreter.")
def verify(
    target: str,
    before: str,
    now: str,
    models: bool,
    ini: str | None,
    python: str | None,
    resume: str | None,
    **how: Any,
) -> None:
    """Is the schema what the chain makes, is every value of --before still there, do the invariants hold?

    Exits with 0, or with 3 and what differs.
    """
    from afdb_helpers import verification

    project = revisions.find(ini, python=python)
    if models:
        compared = verification.models(project)
        say(compared)
        compared.raise_unless_ok()
        return
    reading = {"jobs": how["jobs"], "timeout": how["timeout"], "note": _progress()}
    with contextlib.ExitStack() as open_:
        present = open_.enter_context(_side(now or target, snapshot=how["jobs"] > 1))
        parts: list[Report] = []
        then = None
        if present.connection is not None:
            parts.append(verification.schema(present.connection, project))
        if before:
            past = open_.enter_context(_side(before, snapshot=True))
            then = past.before() if past.dated else None
            taking = {**reading, "sample": how["sample"], "resume": Path(resume) if resume else None}
            parts.append(_data(past, present, project, reading, taking))
        if present.connection is not None:
            parts.append(verification.invariants(present.connection, project, then))
        if not parts:
            raise ConfigError("nothing is to be compared", why="--now is no target", do="name the other with --before")
        verdict = verification.verdict(*parts)
    say(verdict)
    verdict.raise_unless_ok()


def _data(past: Side, present: Side, project: revisions.Project, reading: Any, taking: Any) -> Report:
    """Stored against stored, or against what stands now; of two that are reachable, the rows that differ too."""
    from afdb_helpers import fingerprint, verification

    mapping = verification.mapping(project.graph(), past.revisions, present.revisions)
    taken = past.taken
    if taken is None:
        assert past.connection is not None
        taken = fingerprint.take(past.connection, **taking)
    if present.connection is None:
        assert present.taken is not None
        return fingerprint.compare_prints(taken, present.taken, mapping=mapping)
    live = past.identity is not None and past.identity == present.identity
    found = fingerprint.compare(taken, present.connection, mapping=mapping, live=live, **reading)
    wrong = [row["table"] for row in found.rows if row["differs"]]
    if past.connection is None or not wrong:
        return found
    rows = fingerprint.differing(past.connection, present.connection, wrong, mapping=mapping)
    return Report(headline=found.headline, ok=False, rows=found.rows, remedy=found.remedy, parts=(rows,))


@contextlib.contextmanager
def _side(reference: str, *, snapshot: bool = False) -> Iterator[Side]:
    """A target by its name, else a backup by its id, else a record by its id."""
    from afdb_helpers import catalog

    if reference in targets.names():
        with targets.get(reference).connect(snapshot=snapshot) as connection:
            key = catalog.identity(connection).key()
            yield Side(reference, catalog.heads(connection), connection=connection, identity=key)
        return
    yield _stored(reference)


def _stored(reference: str) -> Side:
    from afdb_helpers import backup, verification
    from afdb_helpers.fingerprint import Fingerprint
    from afdb_helpers.runbook import record, records

    found = None
    with contextlib.suppress(ConfigError, Refused):
        found = backup.find(reference)
    if found is not None:
        facts, schema = found.manifest, backup.schema(found)
        rights = verification.rights(schema) if schema else None
        taken, stamped = Fingerprint.from_dict(facts["fingerprint"]), tuple(facts["revision"])
        return Side(reference, stamped, taken, identity=dict(facts["identity"]), rights=rights, dated=True)
    try:
        folder = records.find(record.root(targets.environment()), reference)
        data, _ = records.evidence(folder, "before.json")
    except AfdbError as error:
        raise ConfigError(
            f"there is nothing called {reference} to compare with",
            why=f"it is no target, no backup, and no record with a before.json ({error.what})",
            do="afdb records list, afdb run backup, or name a target of .env",
        ) from None
    taken = Fingerprint.from_dict(data["data"])
    return Side(reference, tuple(data["revisions"]), taken, rights=data.get("rights"), dated=True)


def _progress() -> Any:
    """A line on standard error for each part that was read, in a terminal."""

    def note(event: str, *, table: str, done: int, of: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"  {done} of {of}: {table}", err=True)

    return note

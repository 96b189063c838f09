"""The migration done on a restored backup: what it executes, how long, which locks, and whether every value survives.

Changes a private copy and nothing else: nothing is committed anywhere unless a session stands on the copy's server.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from afdb_helpers import backup as backups
from afdb_helpers import catalog, drift, fingerprint, migration_plan, revisions, verification
from afdb_helpers.backup import Backup, Copy
from afdb_helpers.errors import Refused
from afdb_helpers.fingerprint import Fingerprint
from afdb_helpers.lint import Findings
from afdb_helpers.migrate import endings
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.rehearsal import linting, result, watch, way_back
from afdb_helpers.rehearsal.prediction import forecast
from afdb_helpers.rehearsal.result import BLOCKS, Rehearsal
from afdb_helpers.rehearsal.watch import Hold, Watch
from afdb_helpers.rehearsal.way_back import WayBack
from afdb_helpers.report import Report
from afdb_helpers.revisions import Graph, Outcome, Project, Revision, Session

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["BLOCKS", "Hold", "Rehearsal", "WayBack", "choose", "forecast", "lint", "plan", "rehearse", "verdict"]

Note = Callable[..., object]
MEND = "mend the revision, then rehearse again"


def choose(reference: str, connection: Connection) -> Backup:
    """The backup to rehearse on, by its id or `latest`: proven, and of the database behind `connection` as it is now.

    Only looks. Raises `Refused` where there is none.
    """
    found = backups.find(reference, identity=catalog.identity(connection))
    _insist_on_proof(found)
    stands = list(catalog.heads(connection)), catalog.snapshot(connection).digest
    if stands != (found.manifest["revision"], found.manifest["catalogue"]):
        raise _moved_on(found.id)
    return found


def rehearse(
    backup: Backup,
    project: Project,
    *,
    revision: str = "head",
    direction: str = "upgrade",
    drop_data: bool = False,
    downgrade: WayBack = "tried",
    note: Note = lambda event, **facts: None,
    jobs: int = 2,
) -> Rehearsal:
    """Restore the backup into a private server, migrate there by the project's own chain, look at the result, go back.

    A migration that fails, loses a value or does not arrive is a Rehearsal that is not ok; so is one without a clean
    way back where that is `required`. On the way down rows are counted instead, and there is no way back to try.
    Raises `Refused` when the backup is not proven or an env.py goes to another database than the one it is given.
    """
    _insist_on_proof(backup)
    graph = project.graph()
    move = _Move(project, graph, graph.wanted(revision), direction, drop_data)
    with backups.open_copy(backup, jobs=jobs) as copy:
        note("evidence", kind="backup", id=backup.id, sha256=backup.seal.removeprefix("sha256:"))
        note("rehearsal.begin", revision=move.wanted, server=copy.version)
        made = _rehearsed(copy, backup, move, downgrade)
    note("rehearsal.end", ok=made.ok, seconds=made.seconds)
    return made


def plan(rehearsed: Rehearsal, connection: Connection, project: Project) -> MigrationPlan:
    """The migration plan with the rehearsed SQL, for the database behind `connection`. Only looks.

    Raises `Refused` when the rehearsal did not go well, or the database is not as it was in the backup: its SQL would
    then be that of another migration.
    """
    sql = rehearsed.raise_unless_ok().sql
    made = migration_plan.make(
        connection, project.graph(), rehearsed.revision, direction=rehearsed.direction,
        drop_data=rehearsed.drop_data, sql=sql,
    )  # fmt: skip
    if (made.content["from"], made.content["schema"]) != (list(rehearsed.before), rehearsed.schema):
        raise _moved_on(rehearsed.backup)
    return made.losing(rehearsed.lost)


def lint(rehearsed: Rehearsal, connection: Connection, project: Project) -> Findings:
    """What lint finds in the rehearsed statements, for the database behind `connection`. Only looks.

    Raises `ConfigError` where the project's waivers cannot be read, `Unavailable` where squawk cannot run.
    """
    return linting.findings(rehearsed.as_dict(), connection, project)


def verdict(rehearsed: Rehearsal, planned: MigrationPlan, found: Findings) -> Report:
    """What a rehearsal ends with: how it went, what lint found, and the digest that an approval is to name.

    Not ok where the rehearsal did not go well, or something of the provider's would be changed and nobody waived it;
    other findings are for those who approve.
    """
    barred = found.worst("blocking")
    remedy = f"{barred[0].rule}: {barred[0].why}" if barred else ""
    headline = f"{rehearsed.headline}; {found.headline}; digest {planned.digest}"
    return Report(headline=headline, ok=rehearsed.ok and not barred, remedy=remedy)


def _moved_on(backup: str) -> Refused:
    return Refused(
        f"the database is not as it was in backup {backup}",
        why="its revision or its schema changed since, so a rehearsal on it is one of another migration",
        do="afdb run backup --target NAME, then rehearse again",
    )


def _insist_on_proof(backup: Backup) -> None:
    if backup.state != "proven":
        raise Refused(
            f"backup {backup.id} is not proven",
            why=f"it is {backup.state}; a rehearsal on it would say nothing of the target",
            do="afdb run backup --target NAME: it makes one and proves it",
        )


@dataclasses.dataclass(frozen=True)
class _Move:
    """Where to, and how."""

    project: Project
    graph: Graph
    wanted: str
    direction: str
    drop_data: bool

    @property
    def up(self) -> bool:
        return self.direction != "downgrade"

    def steps(self, before: tuple[str, ...]) -> tuple[Revision, ...]:
        return migration_plan.route(self.graph, before, self.wanted, self.direction)[1]


def _rehearsed(copy: Copy, backup: Backup, move: _Move, back: WayBack) -> Rehearsal:
    with copy.connect() as connection:
        before = catalog.heads(connection)
        sizes = {row["table"]: row["bytes"] or 0 for row in catalog.sizes(connection).rows}
    steps = move.steps(before)
    with watch.watching(copy) as seen:
        outcome = _migrate(copy, move, seen) if steps else Outcome([], "")
        seconds, disk = round(seen.seconds(), 3) if steps else 0.0, seen.disk()
        after, data, lost = _result(copy, backup, move, steps)
        done = result.statements(outcome, seen)
        wrong = result.wrong(outcome, done, after or ("base",), move.wanted)
        tried = bool(done) and not wrong and move.direction == "upgrade"
        schema = _converged(copy, move) if move.direction == "repair" and not wrong else Report(headline="")
        back_again = _way_back(copy, backup, move.project, before, seen, back, tried=tried)
    locks, ok = result.locks(seen.holds, result.numbers(done)), not wrong and data.ok and back_again.ok and schema.ok
    said = wrong or result.said(before, after, seconds, done, data, back_again)
    parts = [locks, data, result.disk(disk), back_again, *([schema] if schema.headline else [])] if done else []
    refused = result.refusal(endings.as_asked(outcome.error, before, _lossy(move, backup)))
    return Rehearsal(
        headline=f"rehearsal on {backup.id}: {said}",
        ok=ok,
        rows=result.rows(done),
        brief=result.brief(done),
        remedy=refused[0].remedy if refused else MEND if wrong else data.remedy or back_again.remedy or schema.remedy,
        parts=(*refused, *parts),
        backup=backup.id,
        schema=backup.manifest["catalogue"],
        direction=move.direction, drop_data=move.drop_data, lost=lost, revision=move.wanted,
        before=before, after=after, seconds=seconds, statements=done,
        holds=tuple(sorted((h for h in seen.holds if h.lock in BLOCKS), key=lambda hold: hold.begin)),
        disk=disk, sizes=sizes, locks=locks, way_back=back_again,
    )  # fmt: skip


def _migrate(copy: Copy, move: _Move, seen: Watch) -> Outcome:
    request = {
        "command": "upgrade" if move.up else "downgrade",
        "arguments": [move.wanted],
        "url": copy.url,
        **seen.request(),
    }
    request["x"] = ["allow_data_loss=true"] if move.drop_data else []
    session = Session(application_name="afdb rehearsal")
    with seen.sampling():
        return revisions.run(move.project.ini, request, python=move.project.python, session=session, on_event=seen)


def _converged(copy: Copy, move: _Move) -> Report:
    """Whether the revision that ran again has made the schema its own."""
    with copy.connect() as connection:
        live = catalog.snapshot(connection)
    return drift.against(live, move.project, move.graph, move.wanted)


def _lossy(move: _Move, backup: Backup) -> str:
    """The command that throws away what the older schema cannot hold."""
    return f"afdb prepare {move.wanted} --down --drop-data --target {backup.manifest['target']}"


def _result(
    copy: Copy, backup: Backup, move: _Move, steps: tuple[Revision, ...]
) -> tuple[tuple[str, ...], Report, dict[str, int]]:
    """What stands there now, on a fresh connection: an upgrade that returns normally may have committed nothing."""
    taken = Fingerprint.from_dict(backup.manifest["fingerprint"])
    with copy.connect() as connection:
        stands = catalog.heads(connection)
        if move.up:
            mapping = dataclasses.replace(move.graph, revisions=steps).mapping()
            return stands, fingerprint.compare(taken, connection, mapping=mapping), {}
        now = fingerprint.take(connection)
    mapping = verification.mapping(move.graph, tuple(backup.manifest["revision"]), stands)
    return stands, result.kept(taken.counts(), now.counts(), lossy=move.drop_data), result.lost(taken, now, mapping)


def _way_back(
    copy: Copy, backup: Backup, project: Project, before: tuple[str, ...], seen: Watch, back: WayBack, *, tried: bool
) -> Report:
    required = back == "required"
    if back == "left out" or not tried:
        return way_back.none("not tried")
    return way_back.tried(copy, backup, project, before, seen.guard, required=required)

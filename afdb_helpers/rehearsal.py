"""The migration done on a restored backup: what it executes, how long, which locks, and whether every value survives.

Changes a private copy and nothing else: nothing is committed anywhere unless a session stands on the copy's server.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afdb_helpers import backup as backups
from afdb_helpers import catalog, fingerprint, migration_plan, revisions
from afdb_helpers.backup import Backup, Copy
from afdb_helpers.errors import Refused
from afdb_helpers.fingerprint import Fingerprint
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Event, Graph, Outcome, Project, Session

if TYPE_CHECKING:
    from sqlalchemy import Connection

BLOCKS = {
    "AccessExclusiveLock": "reads and writes",
    "ExclusiveLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ShareLock": "writes",
    "ShareUpdateExclusiveLock": "schema changes and vacuum",
}  # the strongest first; weaker ones stand in no application's way
SHOWN = 90  # characters of a statement in a table

Statement = dict[str, Any]
Note = Callable[..., object]


@dataclass(frozen=True, kw_only=True, repr=False)
class Rehearsal(Report):
    """What came of it. Rows: the statements that change something. `statements` has those that only look as well.

    A statement: n, sql, seconds (None where it failed), rows, locks newly taken, changes.
    """

    backup: str
    schema: str
    revision: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    seconds: float
    statements: tuple[Statement, ...]
    locks: Report

    @property
    def sql(self) -> list[str]:
        """The statements that change something, each once, in order: what a migration plan is made of.

        How often one is repeated, for so many rows at a time, depends on the machine.
        """
        return list(dict.fromkeys(statement["sql"] for statement in self.statements if statement["changes"]))

    def as_dict(self) -> dict[str, Any]:
        names = ("backup", "schema", "revision", "before", "after", "seconds", "statements")
        return {**super().as_dict(), **{name: getattr(self, name) for name in names}}


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
    note: Note = lambda event, **facts: None,
    jobs: int = 2,
) -> Rehearsal:
    """Restore the backup into a private server, upgrade there by the project's own chain, look at the result.

    A migration that fails, loses a value or does not arrive is a Rehearsal that is not ok. Raises `Refused` when the
    backup is not proven or an env.py goes to another database than the one it is given.
    """
    _insist_on_proof(backup)
    graph = project.graph()
    wanted = graph.head() if revision in ("head", "heads") else graph.get(revision).id
    with backups.open_copy(backup, jobs=jobs) as copy:
        note("evidence", kind="backup", id=backup.id, sha256=backup.seal.removeprefix("sha256:"))
        note("rehearsal.begin", revision=wanted, server=copy.version)
        before, watch = _start(copy)
        steps = graph.between(before, wanted)
        outcome, seconds = _upgrade(copy, project, wanted, watch) if steps else (Outcome([], ""), 0.0)
        after, data = _result(copy, backup, dataclasses.replace(graph, revisions=steps))
    statements = tuple(map(_statement, outcome.statements))
    wrong = _wrong(outcome, statements, after, wanted)
    note("rehearsal.end", ok=not wrong and data.ok, seconds=seconds)
    locks = watch.report()
    return Rehearsal(
        headline=f"rehearsal on {backup.id}: {wrong or _said(before, after, seconds, statements, data)}",
        ok=not wrong and data.ok,
        rows=tuple(_row(statement) for statement in statements if statement["changes"]),
        remedy="mend the revision, then rehearse again" if wrong else data.remedy,
        parts=(locks, data) if statements else (),
        backup=backup.id,
        schema=backup.manifest["catalogue"],
        revision=wanted,
        before=before,
        after=after,
        seconds=seconds,
        statements=statements,
        locks=locks,
    )


def plan(rehearsed: Rehearsal, connection: Connection, project: Project) -> MigrationPlan:
    """The migration plan with the rehearsed SQL, for the database behind `connection`. Only looks.

    Raises `Refused` when the rehearsal did not go well, or the database is not as it was in the backup: its SQL would
    then be that of another migration.
    """
    sql = rehearsed.raise_unless_ok().sql
    made = migration_plan.make(connection, project.graph(), rehearsed.revision, sql=sql)
    if (made.content["from"], made.content["schema"]) != (list(rehearsed.before), rehearsed.schema):
        raise _moved_on(rehearsed.backup)
    return made


def verdict(rehearsed: Rehearsal, planned: MigrationPlan) -> Report:
    """What a rehearsal ends with: how it went, and the digest that an approval is to name."""
    return Report(headline=f"{rehearsed.headline}; digest {planned.digest}", ok=rehearsed.ok)


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


def _start(copy: Copy) -> tuple[tuple[str, ...], _Watch]:
    """The stamped revisions; and a watch that knows the relations there are."""
    with copy.connect() as connection:
        known: set[str] = set()
        if connection.dialect.name == "postgresql":
            known = set(connection.exec_driver_sql(catalog.question("relations")).scalars())
        return catalog.heads(connection), _Watch(copy, known)


def _upgrade(copy: Copy, project: Project, wanted: str, watch: _Watch) -> tuple[Outcome, float]:
    request = {"command": "upgrade", "arguments": [wanted], "url": copy.url, "observe": True, "locks": True}
    started = time.monotonic()
    session = Session(application_name="afdb rehearsal")
    outcome = revisions.run(project.ini, request, python=project.python, session=session, on_event=watch)
    return outcome, round(time.monotonic() - started, 3)


def _result(copy: Copy, backup: Backup, applied: Graph) -> tuple[tuple[str, ...], Report]:
    """What stands there now, on a fresh connection: an upgrade that returns normally may have committed nothing."""
    with copy.connect() as connection:
        taken = Fingerprint.from_dict(backup.manifest["fingerprint"])
        return catalog.heads(connection), fingerprint.compare(taken, connection, mapping=applied.mapping())


class _Watch:
    """Sees each event of the child: times the locks, and lets nothing be committed where nobody stands on the copy.

    `known`: the relations before; a lock on one that the migration makes is in nobody's way.
    """

    def __init__(self, copy: Copy, known: set[str]) -> None:
        self.copy, self.known = copy, known
        self.began: dict[int, float] = {}
        self.held: dict[tuple[str, str], tuple[int, float]] = {}  # (relation, mode) → (statement, since)
        self.longest: dict[tuple[str, str], tuple[int, float]] = {}  # … → (statement, seconds)

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if event.get("confirm") and not self.copy.visited():
            raise Refused(
                "the project's env.py goes to another database than the one it is given",
                why="it is about to commit, and no session of it stands on the private copy; nothing was committed",
                do="let env.py take the URL from DATABASE_URL or from sqlalchemy.url of its configuration",
            )
        if event["event"] == "statement":
            self.began[event["n"]] = now
        elif event["event"] == "done":
            for relation, mode in event["locks"]:
                self.held[relation, mode] = (event["n"], self.began[event["n"]])
        else:
            self.release(now)

    def release(self, now: float) -> None:
        """The transaction ended: so do its locks."""
        for lock, (number, since) in self.held.items():
            if lock not in self.longest or self.longest[lock][1] < now - since:
                self.longest[lock] = number, now - since
        self.held.clear()

    def report(self) -> Report:
        """For each relation that was there before, the longest hold of each lock that something waits for."""
        rows: list[dict[str, Any]] = [
            {"relation": relation, "lock": mode, "blocks": BLOCKS[mode], "seconds": round(seconds, 3), "from": number}
            for (relation, mode), (number, seconds) in self.longest.items()
            if mode in BLOCKS and relation in self.known
        ]
        rows.sort(key=lambda row: (list(BLOCKS).index(row["lock"]), -row["seconds"]))
        worst = max((row for row in rows if "writes" in row["blocks"]), key=lambda row: row["seconds"], default=None)
        said = "none that an application waits for"
        if worst:
            said = f"the longest blocks {worst['blocks']} of {worst['relation']} for {worst['seconds']:.3f} s"
        return Report(headline=f"locks: {said}", rows=tuple(rows))


def _statement(seen: Statement) -> Statement:
    """A SELECT changes something too where a function in it took a lock that reading does not take."""
    locks = seen.get("locks") or []
    changes = revisions.changes(seen["sql"]) or any(mode != "AccessShareLock" for _, mode in locks)
    return {"n": seen["n"], "sql": seen["sql"], "seconds": seen.get("seconds"), "rows": seen.get("rows"),
            "locks": locks, "changes": changes}  # fmt: skip


def _wrong(outcome: Outcome, statements: tuple[Statement, ...], after: tuple[str, ...], wanted: str) -> str:
    """Why the migration did not go well, or nothing. A database's message is cut where it may go on to quote values."""
    if outcome.error:
        said = f"{outcome.error['kind']}: {outcome.error['message'].strip().splitlines()[0]}"
        open_ = [statement for statement in statements if statement["seconds"] is None]
        where = f"at statement {open_[-1]['n']}, {_short(open_[-1]['sql'])!r}: " if open_ else ""
        return f"failed {where}{said}"
    if wanted not in after:
        return f"ended without an error, and the copy is at {', '.join(after) or 'no revision'}, not at {wanted}"
    return ""


def _said(
    before: tuple[str, ...], after: tuple[str, ...], seconds: float, statements: tuple[Statement, ...], data: Report
) -> str:
    start, end = (", ".join(heads) or "nothing stamped" for heads in (before, after))
    if not statements:
        return f"at {end} already, nothing to do"
    changing = count(sum(statement["changes"] for statement in statements), "statement")
    return f"{start} → {end} in {seconds:.1f} s, {changing}; {data.headline}"


def _row(statement: Statement) -> dict[str, Any]:
    taken: Iterator[Any] = (f"{relation} {mode.removesuffix('Lock')}" for relation, mode in statement["locks"])
    return {
        "n": statement["n"],
        "statement": _short(statement["sql"]),
        "seconds": statement["seconds"],
        "rows": statement["rows"],
        "locks": ", ".join(taken),
    }


def _short(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"

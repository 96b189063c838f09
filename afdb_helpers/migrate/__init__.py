"""Upgrade and downgrade a target under guard. This package changes targets.

What is true when the process dies at each step of `upgrade` and `downgrade`:

    lock            nothing changed; the server frees the lock with its connection
    look (before)   nothing changed
    change.intent   nothing changed; the journal says that a change was about to begin
    child runs      what it committed stands, the rest is rolled back by the server within two seconds; on SQLite by the
                    next reader, from its rollback journal
    look (after)    changed, and the journal lacks `change.result`: the next run looks and goes on from there
    change.result   changed, and said so
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, fingerprint, revisions
from afdb_helpers.errors import AfdbError, Incomplete, Interrupted, Refused, Unavailable
from afdb_helpers.fingerprint import Fingerprint
from afdb_helpers.migrate import lock
from afdb_helpers.migrate.gates import approval
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Event, Outcome, Project, Session
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Migration", "State", "approval", "carry_out", "downgrade", "standing", "state", "upgrade"]

Note = Callable[..., Any]
LOCK_TIMEOUT = 1000  # ms a statement waits for its lock, and every later statement of the application behind it
ATTEMPTS = 5
NO_LOCK = "55P03"


@dataclass(frozen=True, kw_only=True, repr=False)
class State(Report):
    """What is compared before and after: stamped revisions, the schema's digest, the data's fingerprint."""

    revisions: tuple[str, ...]
    schema: str
    data: Fingerprint

    def as_dict(self) -> dict[str, Any]:
        return {"revisions": list(self.revisions), "schema": self.schema, "data": self.data.as_dict()}


@dataclass(frozen=True, kw_only=True, repr=False)
class Migration(Report):
    """What was done: `before` and `after` are stamped revisions and schema digest; rows are the statements."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    changed: bool
    seconds: float


def upgrade(
    target: Target,
    project: Project,
    *,
    revision: str = "head",
    note: Note = lambda *_, **__: None,
    run_id: str = "local",
) -> Migration:
    """Take the target up to `revision`, under the migration lock; where nothing is left to do, nothing changes.

    Locks are those of the revisions' statements, each waited for at most a second and retried a few times; before the
    first change the intent is noted, afterwards what stands is read on a fresh connection.
    """
    return _carry_out(target, project, "upgrade", revision, note=note, run_id=run_id)


def downgrade(
    target: Target,
    project: Project,
    *,
    revision: str,
    drop_data: bool = False,
    note: Note = lambda *_, **__: None,
    run_id: str = "local",
) -> Migration:
    """Take the target down to `revision`. What the older schema cannot hold is refused, unless `drop_data` says so."""
    x = ["allow_data_loss=true"] if drop_data else []
    return _carry_out(target, project, "downgrade", revision, note=note, run_id=run_id, x=x)


def carry_out(
    target: Target,
    project: Project,
    plan: MigrationPlan,
    *,
    drop_data: bool = False,
    note: Note = lambda *_, **__: None,
    run_id: str = "local",
) -> Migration:
    """Do what the plan says, if the target still is what the plan was made for; else `Refused`, nothing changed."""
    going = plan.content
    x = ["allow_data_loss=true"] if drop_data else []
    expected = {"revisions": list(going["from"]), "schema": going["schema"]}
    return _carry_out(
        target, project, going["direction"], going["to"], note=note, run_id=run_id, x=x, expected=expected
    )


def state(connection: Connection) -> State:
    """Revisions, schema and data as they are now; reads each table once (ACCESS SHARE)."""
    taken = fingerprint.take(connection)
    stamped, digest = catalog.heads(connection), catalog.snapshot(connection).digest
    rows = [{"table": name, "rows": p.rows, "columns": len(p.columns)} for name, p in taken.tables.items()]
    headline = f"at {', '.join(stamped) or 'no revision'}, {count(sum(p.rows for p in taken.tables.values()), 'row')}"
    return State(headline=headline, rows=tuple(rows), revisions=stamped, schema=digest, data=taken)


def standing(target: Target) -> dict[str, Any]:
    """Where the target stands, on a fresh connection: stamped revisions and the schema's digest."""
    if target.dialect == "sqlite" and not target.file().exists():
        return {"revisions": [], "schema": None}
    with target.connect() as connection:
        return {"revisions": list(catalog.heads(connection)), "schema": catalog.snapshot(connection).digest}


def _carry_out(
    target: Target,
    project: Project,
    command: str,
    revision: str,
    *,
    note: Note,
    run_id: str,
    x: list[str] | None = None,
) -> Migration:
    started = time.monotonic()
    application = f"afdb {run_id}"[:63]
    session = Session(application_name=application, lock_timeout=LOCK_TIMEOUT)
    request = {"command": command, "arguments": [revision], "url": target.secret_url(), "observe": True, "x": x}
    with lock.held(target, run_id=run_id) as guard:
        before = standing(target)
        if expected is not None and before != expected:
            raise _moved_on(target)
        note("change.intent", command=command, revision=revision, **before)

        def cancel() -> None:
            if guard is not None:
                _end_backends(guard, application)

        try:
            outcome = _with_retries(project, request, session, note, cancel)
        except KeyboardInterrupt:
            after = _result(target, before, note)
            raise _interrupted(target, before, after) from None
        cancel()  # a child that died may have left its server process at work
        after = _result(target, before, note)
    if outcome.error:
        raise _failed(target, outcome.error, before, after)
    return _migration(command, outcome, before, after, time.monotonic() - started)


def _with_retries(
    project: Project, request: Mapping[str, Any], session: Session, note: Note, cancel: Callable[[], None]
) -> Outcome:
    """Run the child; again, after a pause that grows, when a lock was not to be had, and only then."""
    import random

    journal = _Journal(note)
    for attempt in range(1, ATTEMPTS + 1):
        outcome = revisions.run(
            project.ini, request, python=project.python, session=session, on_event=journal, on_interrupt=cancel
        )
        journal.flush()
        if not outcome.error or outcome.error.get("sqlstate") != NO_LOCK or attempt == ATTEMPTS:
            return outcome
        note("retry", attempt=attempt, why="a lock was not to be had within the lock timeout")
        time.sleep(0.5 * attempt + random.random() / 2)  # noqa: S311 — jitter, not a secret
    raise AssertionError("unreachable")


class _Journal:
    """Notes the child's statements: stored before a commit and before a statement outside a transaction goes ahead."""

    def __init__(self, note: Note) -> None:
        self.note, self.waiting = note, []  # type: tuple[Note, list[Event]]

    def __call__(self, event: Event) -> None:
        self.waiting.append(event)
        if event.get("confirm"):
            self.flush()

    def flush(self) -> None:
        statements = [e for e in self.waiting if e["event"] != "statement" or revisions.changes(e["sql"])]
        if statements:
            self.note("statements", events=[{k: v for k, v in e.items() if k != "confirm"} for e in statements])
        self.waiting = []


def _end_backends(guard: Any, application: str) -> None:
    """Cancel what the child's sessions are at, end them, and wait until the server has rolled them back."""
    from sqlalchemy import text

    ending = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = :name AND datname = current_database()"
    )
    guard.execute(ending, {"name": application}).all()


def _result(target: Target, before: Mapping[str, Any], note: Note) -> dict[str, Any]:
    try:
        after = standing(target)
    except AfdbError:
        note("change.result", changed=None)
        raise
    note("change.result", changed=after != before, **after)
    return after


def _migration(
    command: str, outcome: Outcome, before: Mapping[str, Any], after: Mapping[str, Any], seconds: float
) -> Migration:
    done = [s for s in outcome.statements if revisions.changes(s["sql"])]
    rows = [
        {
            "n": number,
            "statement": s["sql"].split("\n")[0][:90],
            "seconds": s.get("seconds"),
            "rows": s.get("rows"),
        }
        for number, s in enumerate(done, 1)
    ]
    here, there = (", ".join(state["revisions"]) or "nothing" for state in (before, after))
    changed = before != after
    said = f"{command}d from {here} to {there}" if changed else f"at {there}: nothing to do"
    headline = f"{said} in {seconds:.1f} s, {count(len(rows), 'statement')}" if changed else said
    return Migration(
        headline=headline,
        rows=tuple(rows) if changed else (),
        before=before,
        after=after,
        changed=changed,
        seconds=seconds,
    )


def _moved_on(target: Target) -> Refused:
    return Refused(
        f"target {target.name} is not what the plan was made for",
        why="its revision or its schema changed after the plan was made",
        do="run the migration again: it makes the plan anew",
    )


def _failed(target: Target, error: Event, before: Mapping[str, Any], after: Mapping[str, Any]) -> AfdbError:
    said = f"{error['kind']}: {error['message']}"
    here = ", ".join(after["revisions"]) or "nothing stamped"
    if after != before:
        return Incomplete(
            f"target {target.name} was changed, and not all of it was done; it stands at {here}",
            why=said,
            do="mend the cause, then run the same command again: it goes on where this one stopped",
        )
    if error.get("sqlstate") == NO_LOCK:
        return Refused(
            f"target {target.name} is as it was ({here}): a lock was not to be had in {ATTEMPTS} attempts",
            why=_blockers(target) or said,
            do="wait for that transaction to end, or end it, then run again",
        )
    if error["kind"] in ("CommandError", "DataLossError"):
        return Refused(f"target {target.name} is as it was ({here})", why=error["message"], do="see the reason above")
    return Incomplete(
        f"the migration failed and was rolled back; target {target.name} stands at {here} as before",
        why=said,
        do="mend the cause, then run again",
    )


def _interrupted(target: Target, before: Mapping[str, Any], after: Mapping[str, Any]) -> Interrupted:
    unchanged = after == before
    return Interrupted(
        f"interrupted; target {target.name} {'is as it was' if unchanged else 'was changed'}",
        why=f"it stands at {', '.join(after['revisions']) or 'nothing stamped'}",
        do="run the same command again: it goes on where this one stopped",
    )


def _blockers(target: Target) -> str:
    """The sessions whose open transaction may hold the lock, oldest first."""
    if target.dialect == "sqlite":
        return "another process is writing to the file"
    try:
        with target.connect() as connection:
            rows = connection.exec_driver_sql(catalog.question("open_transactions")).mappings().all()
    except Unavailable:
        return ""
    said = [
        f"process {r['pid']} of role {r['role']} ({r['state']}, {r['seconds']} s): {r['last_statement']}" for r in rows
    ]
    return "; ".join(said[:3])

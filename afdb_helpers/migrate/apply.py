"""One Alembic command on a target: under the lock, journaled, tried again on contention, and looked at afterwards."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from afdb_helpers import hazards, revisions
from afdb_helpers.errors import AfdbError
from afdb_helpers.migrate import lock, outcomes
from afdb_helpers.revisions import Event, Outcome, Project, Session
from afdb_helpers.targets import Target

Note = Callable[..., Any]
LOCK_TIMEOUT = 1000  # ms a statement waits for its lock, and every later statement of the application behind it


def under_lock(
    target: Target,
    project: Project,
    command: str,
    revision: str,
    *,
    note: Note,
    run_id: str,
    x: list[str] | None = None,
    expected: Mapping[str, Any] | None = None,
) -> outcomes.Migration:
    """Run one Alembic command on the target. `expected`: what `standing` must say, else `Refused` before any change."""
    started = time.monotonic()
    session = Session(application_name=f"afdb {run_id}"[:63], lock_timeout=LOCK_TIMEOUT)
    request = {"command": command, "arguments": [revision], "url": target.secret_url(), "observe": True, "x": x,
               "attributes": {lock.HELD: True}}  # fmt: skip
    hazards.fit(target, note)
    with lock.held(target, run_id=run_id) as guard:
        _unhindered(target, guard)
        before = outcomes.standing(target)
        if expected is not None and before != expected:
            raise outcomes.moved_on(target)
        note("change.intent", command=command, revision=revision, **before)

        def cancel() -> None:
            if guard is not None:
                _end_backends(guard, session.application_name)

        outcome: Outcome | None = None
        with contextlib.suppress(KeyboardInterrupt):
            outcome = _with_retries(project, request, session, note, cancel)
        cancel()  # a child that died may have left its server process at work
        after = _result(target, before, note)
    if outcome is None:
        raise outcomes.interrupted(target, before, after)
    if outcome.error:
        raise outcomes.failed(target, outcome.error, before, after)
    if outcomes.stamped(outcome) and after["revisions"] == before["revisions"]:
        raise outcomes.uncommitted(target, after)
    return outcomes.migration(command, outcome, before, after, time.monotonic() - started)


def _unhindered(target: Target, guard: Any) -> None:
    """Refuse a protected target while something on the server would hold the migration up."""
    if target.protected and guard is not None:
        hazards.present(guard).raise_unless_ok()


def _with_retries(
    project: Project, request: Mapping[str, Any], session: Session, note: Note, cancel: Callable[[], None]
) -> Outcome:
    """Run the child; again, after a pause that grows, when a lock was not to be had, and only then."""
    journal = _Journal(note)
    for attempt in range(1, outcomes.ATTEMPTS + 1):
        outcome = revisions.run(
            project.ini, request, python=project.python, session=session, on_event=journal, on_interrupt=cancel
        )
        journal.flush()
        if not outcome.error or outcome.error.get("sqlstate") not in outcomes.NO_LOCK or attempt == outcomes.ATTEMPTS:
            return outcome
        note("retry", attempt=attempt, why="a lock was not to be had within the lock timeout")
        time.sleep(0.5 * attempt + random.random() / 2)  # noqa: S311 — jitter, not a secret
    raise AssertionError("unreachable")


class _Journal:
    """Notes the child's statements: stored before a commit and before a statement outside a transaction goes ahead."""

    def __init__(self, note: Note) -> None:
        self.note = note
        self.waiting: list[Event] = []
        self.changing: set[int] = set()

    def __call__(self, event: Event) -> None:
        if event["event"] == "statement" and revisions.changes(event["sql"]):
            self.changing.add(event["n"])
        if event.get("n", 0) in self.changing or event["event"] in ("commit", "rollback", "error"):
            self.waiting.append({key: value for key, value in event.items() if key != "confirm"})
        if event.get("confirm"):
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.note("statements", events=self.waiting)
        self.waiting = []


def _end_backends(guard: Any, application: str) -> None:
    """Cancel what the child's sessions are at, end them, and wait until the server has rolled them back."""
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    ending = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = :name AND datname = current_database()"
    )
    with contextlib.suppress(SQLAlchemyError):  # the server cut this connection too; what stands is looked at next
        guard.execute(ending, {"name": application}).all()


def _result(target: Target, before: Mapping[str, Any], note: Note) -> dict[str, Any]:
    """What stands now, noted. Raises `Incomplete` where that cannot be seen, since something may have been changed."""
    try:
        after = outcomes.standing(target)
    except AfdbError as error:
        note("change.result", changed=None)
        raise outcomes.unseen(target, error) from None
    note("change.result", changed=after != before, **after)
    return after

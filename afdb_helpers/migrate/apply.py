"""One Alembic command on a target: under the lock, journaled, tried again on contention, and looked at afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Mapping
from typing import Any

from afdb_helpers import hazards, migration_plan, revisions
from afdb_helpers.errors import AfdbError
from afdb_helpers.migrate import endings, lock, outcomes, reserved
from afdb_helpers.migrate.journal import Journal, Note
from afdb_helpers.migrate.watch import LOOK, Silent, Watch
from afdb_helpers.revisions import Event, Graph, Outcome, Project, Session
from afdb_helpers.targets import Target

LOCK_TIMEOUT = 1000  # ms a statement waits for its lock, and every later statement of the application behind it
SILENCE = 30.0  # seconds, unless AFDB_SILENCE says otherwise


COMMANDS = {"upgrade": "upgrade", "downgrade": "downgrade", "adopt": "stamp", "repair": "upgrade"}


def under_lock(
    target: Target,
    project: Project,
    direction: str,
    revision: str,
    *,
    note: Note,
    run_id: str,
    x: list[str] | None = None,
    expected: Mapping[str, Any] | None = None,
    plan: str = "",
) -> outcomes.Migration:
    """Run the Alembic command of a direction on the target. `expected`: what it must be like, and the revision files'
    hashes, else `Refused` before any change. `plan`: the digest that is left in the database."""
    with _Guarded(target, project, direction, revision, note, run_id, expected or {}, plan) as guarded:
        return guarded.carry_out(x)


class _Guarded:
    """One command from the lock to the last look."""

    def __init__(
        self, target: Target, project: Project, direction: str, revision: str, note: Note, run_id: str,
        expected: Mapping[str, Any], plan: str,
    ) -> None:  # fmt: skip
        self.target, self.project, self.direction, self.revision = target, project, direction, revision
        self.note, self.run_id, self.expected, self.plan = note, run_id, expected, plan
        self.session = Session(application_name=f"afdb {run_id}"[:63], lock_timeout=LOCK_TIMEOUT)
        self.journal, self.watch = Journal(note), Watch(target, float(os.environ.get("AFDB_SILENCE") or SILENCE))
        self.graph: Graph | None = None
        self.wanted: str | None = None
        self.intended = False
        self.described: list[Event] = []
        self.pids: set[int] = set()
        self.before: dict[str, Any] = {}
        self.identity: dict[str, Any] = {}
        self.guard: Any = None
        self.providers: reserved.Seen = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> _Guarded:
        return self

    def __exit__(self, *_error: object) -> None:
        self.watch.close()
        self._open.close()

    def carry_out(self, x: list[str] | None) -> outcomes.Migration:
        """Run it, see what stands, and say so: a `Migration`, or an error that is true."""
        started = time.monotonic()
        request = {"command": COMMANDS[self.direction], "arguments": [self.revision], "url": self.target.secret_url(),
                   "x": x, "observe": True, "describe": True, "attributes": {lock.HELD: True},
                   "options": {"purge": True} if self.direction == "adopt" else {}}  # fmt: skip
        outcome: Outcome | None = None
        refusal: AfdbError | None = None
        try:
            outcome = self.attempts(request)
        except KeyboardInterrupt:
            pass
        except Silent as silent:
            raise self.unknown(silent) from None
        except AfdbError as error:
            if not self.intended:
                raise
            refusal = error
        self.cancel()  # a child that died may have left its server process at work
        after, ending = self.result()
        if refusal is not None and ending.state == endings.UNCHANGED:
            raise refusal
        if refusal is not None:
            outcome = Outcome([], "", {"event": "error", "kind": type(refusal).__name__, "message": refusal.what})
        if outcome is None:
            raise outcomes.interrupted(self.target, self.before, after)
        return self.judged(outcome, after, ending, time.monotonic() - started)

    def judged(
        self, outcome: Outcome, after: Mapping[str, Any], ending: endings.Ending, seconds: float
    ) -> outcomes.Migration:
        done = outcomes.migration(self.direction, outcome, self.before, after, seconds)
        if outcome.error:
            if ending.state == endings.COMPLETE and outcomes.was_cut(outcome.error):
                self.note("commit.outcome", why=outcome.error["message"], committed=True)
                return outcomes.answered_late(done)
            error = endings.as_asked(outcome.error, self.before["revisions"], self.lossy())
            raise outcomes.failed(self.target, error or outcome.error, self.before, after, ending)
        if ending.state == endings.INVALID:
            raise outcomes.invalid(self.target, after, ending)
        if outcomes.stamped(outcome) and after["revisions"] == self.before["revisions"] and not self.journal.stamped:
            raise outcomes.uncommitted(self.target, after)
        self.insist_on_the_providers(after)
        return done

    def insist_on_the_providers(self, after: Mapping[str, Any]) -> None:
        """What belongs to the provider is as it was, whatever hid the statement from lint."""
        if not self.providers:
            return
        with self.target.connect() as connection:
            found = reserved.changed(self.providers, reserved.seen(connection), self.project)
        if found:
            self.note("reserved.changed", objects=[one.object for one in found])
            raise reserved.trespassed(self.target, after["revisions"], found)

    def attempts(self, request: dict[str, Any]) -> Outcome:
        """Run the child; again, after a pause that grows, when a lock was not to be had, nothing of a revision stands
        without its stamp, and only then."""
        for attempt in range(1, outcomes.ATTEMPTS + 1):
            outcome = revisions.run(
                self.project.ini, request, python=self.project.python, session=self.session, on_event=self.see,
                on_interrupt=self.cancel, on_quiet=self.watch.quiet, meanwhile=self.begin,
            )  # fmt: skip
            self.journal.flush()
            error = outcome.error or {}
            if error.get("sqlstate") not in outcomes.CONTENTION or self.journal.loose or attempt == outcomes.ATTEMPTS:
                return outcome
            self.note("retry", attempt=attempt, why="a lock was not to be had within the lock timeout",
                      sqlstate=error["sqlstate"], blockers=outcomes.blockers(self.target))  # fmt: skip
            time.sleep(0.5 * attempt + random.random() / 2)  # noqa: S311 — jitter, not a secret
        raise AssertionError("unreachable")

    def begin(self) -> None:
        """While the child loads: the way to the server, the lock, and what stands before."""
        if self.before:
            return
        hazards.fit(self.target, self.note)
        self.guard = self._open.enter_context(lock.held(self.target, run_id=self.run_id))
        if self.target.protected and self.guard is not None:
            hazards.present(self.guard).raise_unless_ok()
        if self.guard is not None:
            self.providers = reserved.seen(self.guard)
        self.before, self.identity = outcomes.standing(self.target), outcomes.identity(self.target)
        expected = {key: self.expected[key] for key in ("revisions", "schema") if key in self.expected}
        if expected and self.before != expected:
            raise outcomes.moved_on(self.target)
        if self.expected.get("target", self.identity) != self.identity:
            raise outcomes.moved_on(self.target, "another database answers under its name")

    def see(self, event: Event) -> dict[str, str] | None:
        """Each event of the child, before it goes on where it waits. The answer to the heads holds the run's mark."""
        if event["event"] == "revision":
            self.described.append(event)
        elif event["event"] == "heads":
            return {"mark": self.intend(revisions.from_events([*self.described, event]))}
        elif event["event"] == "connected" or event.get("where"):
            outcomes.refuse_elsewhere(self.target, self.identity, event.get("where") or event)
            self.pids.add((event.get("where") or event).get("pid") or 0)
        self.watch(event)
        self.journal(event)
        return None

    def intend(self, graph: Graph) -> str:
        """The way is clear: say what is about to be done, before the child connects."""
        self.graph, self.described = graph, []
        self.wanted, _ = migration_plan.route(graph, tuple(self.before["revisions"]), self.revision, self.direction)
        files = {one.id: one.sha256 for one in graph.revisions}
        given = self.expected.get("files", {})
        if edited := [id_ for id_, sha256 in given.items() if files.get(id_) != sha256]:
            raise outcomes.moved_on(self.target, f"the file of revision {', '.join(edited)} was edited")
        if not self.intended:
            self.note("change.intent", command=self.direction, revision=self.revision, **self.before)
        self.intended = True
        applied = graph.ancestors(self.wanted) if self.wanted != "base" else set()
        return outcomes.mark(self.run_id, self.plan, {id_: files[id_] for id_ in sorted(applied)})

    def cancel(self) -> None:
        if self.guard is not None:
            _end_backends(self.guard, self.session.application_name, sorted(self.pids))

    def result(self) -> tuple[dict[str, Any], endings.Ending]:
        """What stands now and which end that is, noted. Raises `Incomplete` where it cannot be seen, since something
        may have been changed."""
        try:
            after = outcomes.standing(self.target)
            if self.journal.unsettled and outcomes.committed(self.target, self.journal.unsettled):
                self.journal.settle()
            broken = endings.invalid(self.target) if after != self.before or self.journal.loose else []
        except AfdbError as error:
            self.note("change.result", changed=None)
            raise outcomes.unseen(self.target, error) from None
        ending = endings.judge(
            self.target, self.graph, self.before, after, again=self.again(), wanted=self.wanted,
            loose=self.journal.loose, invalid=broken, stamped=self.journal.stamped,
        )  # fmt: skip
        self.note(
            "change.result", changed=after != self.before, state=ending.state, repair=list(ending.repair), **after
        )
        return after, ending

    def unknown(self, silent: Silent) -> AfdbError:
        """The network fell silent: what can be seen within a few seconds, else that it is not known."""
        with contextlib.suppress(TimeoutError, AfdbError):
            after = hazards.within(LOOK, lambda: outcomes.standing(self.target))
            self.note("change.result", changed=None, state="unknown", **after)
            return outcomes.silent(self.target, str(silent))
        self.note("change.result", changed=None, state="unknown")
        return outcomes.silent(self.target, str(silent))

    def lossy(self) -> str:
        """The command that throws away what the older schema cannot hold."""
        if self.target.protected:
            return f"afdb prepare {self.revision} --down --drop-data --target {self.target.name}"
        return f"{self.again()} --drop-data"

    def again(self) -> str:
        """The command that goes on where this one stopped."""
        if self.direction in ("adopt", "repair"):
            return f"afdb adopt{' --repair' if self.direction == 'repair' else ''} --target {self.target.name}"
        if not self.target.protected:
            return f"afdb {self.direction} {self.revision} --target {self.target.name}"
        return f"afdb run migration --target {self.target.name} --revision {self.revision} --direction {self.direction}"


def _end_backends(guard: Any, application: str, pids: list[int]) -> None:
    """Cancel what the child's sessions are at, end them, and wait until the server has rolled them back."""
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    ending = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE (application_name = :name OR pid = ANY(:pids)) AND datname = current_database()"
    )
    with contextlib.suppress(SQLAlchemyError):  # the server cut this connection too; what stands is looked at next
        guard.execute(ending, {"name": application, "pids": pids}).all()

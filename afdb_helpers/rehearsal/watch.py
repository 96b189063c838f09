"""Every statement of a rehearsal with what it did: locks, rewrites, WAL, temporary and other bytes.

The migration waits while it is looked at, and the clock stops as long, so that a lock's hold is the migration's own.
Between two events a second look every `SAMPLE` seconds sees the locks of statements outside a transaction, and of other
connections; those are known to within that time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from afdb_helpers import catalog
from afdb_helpers.backup import Copy
from afdb_helpers.errors import Refused
from afdb_helpers.rehearsal import meter
from afdb_helpers.rehearsal.meter import Lock, Meter
from afdb_helpers.revisions import Event

SAMPLE = 0.01  # seconds
_SIZES = 20  # a sample in so many asks for the database's size too
Facts = dict[str, Any]


@dataclass(frozen=True)
class Hold:
    """A lock from `begin` to `end`, in seconds of the migration; `statement` is the one that took it."""

    relation: str
    lock: str
    statement: int
    begin: float
    end: float


class Watch:
    """Sees each event of the child, and lets nothing be committed where nobody stands on the copy.

    `facts`: statement → begin, locks, rewrites, wal, temporary. `meter` is None for a file, which has none of this.
    """

    def __init__(self, meter: Meter | None) -> None:
        self.meter = meter
        self.facts: dict[int, Facts] = {}
        self.holds: list[Hold] = []
        self.running = 0
        self.started, self.stopped = time.monotonic(), 0.0
        self.looked, self.exact = 0.0, False  # when the locks were seen last, and whether the migration stood still
        self.held: dict[Lock, tuple[int, float]] = {}
        self.alone = threading.Lock()
        if meter:
            self.work, self.files = meter.work(), {oid: one.file for oid, one in meter.relations.items()}
            self.first, self.peak = self.work, self.work.bytes
            self.temporary, self.largest = 0, 0

    def request(self) -> dict[str, Any]:
        """What the child is asked to do for it."""
        return {"observe": True, "locks": True, "stepwise": True, "ask": catalog.question("exclusive_files")}

    def __call__(self, event: Event) -> None:
        came = time.monotonic()
        now = came - self.started - self.stopped
        with self.alone:
            if event["event"] == "statement":
                self.running = event["n"]
                self.facts[event["n"]] = {"begin": now, "alone": event["alone"], "locks": [], "rewrites": []}
            if event.get("confirm"):
                self._look(event, now)
                self.stopped += time.monotonic() - came

    def guard(self, event: Event) -> None:
        """Before something is committed: whether the migration stands on the copy. Of a file that cannot be told."""
        commits = event["event"] == "commit" or event.get("alone")
        if commits and self.meter and not self.meter.visited():
            raise _elsewhere()

    def _look(self, event: Event, now: float) -> None:
        self.guard(event)
        if self.meter:
            self._seen(self.meter.locks(), now, exact=True)
            if event["event"] == "done":
                self._measured(self.meter, event)
            if event["event"] == "rollback":
                self.files |= self.meter.files()

    def _measured(self, meter: Meter, event: Event) -> None:
        facts, work = self.facts[event["n"]], meter.work()
        files = meter.files() if facts["alone"] else dict(event.get("answer") or ())
        changed = {oid for oid, file in files.items() if self.files.get(oid, file) != file}
        self.files |= {oid: file for oid, file in files.items() if oid in self.files}
        known = [meter.relations[oid] for oid in sorted(changed)]
        facts["rewrites"] = [one.name for one in known if one.index_of not in changed and one.kind != "S"]
        facts["wal"] = work.wal - self.work.wal
        facts["temporary"] = meter.temporary(work.log)
        self.temporary += facts["temporary"]
        self.largest = max(self.largest, facts["temporary"])
        self.work, self.peak = work, max(self.peak, work.bytes)

    def _seen(self, locks: set[Lock], now: float, *, exact: bool) -> None:
        """New locks began after the last look; those that are gone ended now, or at that look where it stood still."""
        assert self.meter
        for lock in locks - self.held.keys():
            facts = self.facts.get(self.running)
            self.held[lock] = self.running, max(self.looked, facts["begin"] if facts else 0.0)
            if facts:
                facts["locks"].append([self.meter.relations[lock[1]].name, lock[2]])
        for lock in self.held.keys() - locks:
            number, begin = self.held.pop(lock)
            end = self.looked if self.exact else now
            self.holds.append(Hold(self.meter.relations[lock[1]].name, lock[2], number, begin, end))
        self.looked, self.exact = now, exact

    @contextlib.contextmanager
    def sampling(self) -> Iterator[None]:
        """Look every `SAMPLE` seconds during the block; at its end everything that is still held ends."""
        done = threading.Event()
        failed: list[BaseException] = []

        def sample() -> None:
            number = 0
            try:
                while not done.wait(SAMPLE):
                    number += 1
                    self._sample(number)
            except Exception as error:  # raised where the block ends: a watch that saw nothing is no evidence
                failed.append(error)

        thread = threading.Thread(target=sample, daemon=True)
        if self.meter:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if self.meter:
                thread.join()
        if failed:
            raise failed[0]
        if self.meter:
            self._seen(set(), self.seconds(), exact=False)

    def seconds(self) -> float:
        """Since the watch began, without the time in which the migration was looked at."""
        return time.monotonic() - self.started - self.stopped

    def _sample(self, number: int) -> None:
        with self.alone:
            assert self.meter
            self._seen(self.meter.locks(), self.seconds(), exact=False)
            if number % _SIZES == 0:
                self.peak = max(self.peak, self.meter.work().bytes)

    def disk(self) -> dict[str, int]:
        """Bytes: the database before and at its largest, the WAL written, temporary files, and what is needed in all.

        Needed is what it grew by, all of the WAL, which a standby or a slot may keep, and one statement's temporary
        files; SQLite: nothing of it is known.
        """
        if not self.meter:
            return {}
        wal, grown = self.meter.work().wal - self.first.wal, self.peak - self.first.bytes
        return {"before": self.first.bytes, "peak": self.peak, "wal": wal, "temporary": self.temporary,
                "needed": grown + wal + self.largest}  # fmt: skip


@contextlib.contextmanager
def watching(copy: Copy) -> Iterator[Watch]:
    """A watch over the copy's server, or over the file."""
    if copy.url.startswith("sqlite"):
        yield Watch(None)
        return
    with meter.opened(copy) as opened:
        yield Watch(opened)


def _elsewhere() -> Refused:
    return Refused(
        "the project's env.py goes to another database than the one it is given",
        why="it is about to commit, and no session of it stands on the private copy; nothing was committed",
        do="let env.py take the URL from DATABASE_URL or from sqlalchemy.url of its configuration",
    )

"""The child's statements, noted before they can stand; and what of them stands without a stamp."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from afdb_helpers import catalog, revisions
from afdb_helpers.revisions import Event

Note = Callable[..., Any]
_STAMP = re.compile(rf'(INSERT INTO|UPDATE|DELETE FROM) (\S+\.)?"?{catalog.VERSION_TABLE}\b', re.IGNORECASE)
_MADE = re.compile(rf'\s*CREATE TABLE (\S+\.)?"?{catalog.VERSION_TABLE}\b', re.IGNORECASE)


class Journal:
    """Notes statements that may change something: stored before a commit, and before one outside a transaction.

    `loose` holds what was committed since the last stamp: applied, and not stamped; `stamped`: there was one.
    `unsettled` is the number of a transaction whose commit was sent and not answered.
    """

    def __init__(self, note: Note) -> None:
        self.note = note
        self.waiting: list[Event] = []
        self.changing: dict[int, str] = {}
        self.open: list[str] = []
        self.loose: list[str] = []
        self.stamped = False
        self.unsettled: str | None = None

    def __call__(self, event: Event) -> None:
        kind = event["event"]
        if kind == "statement" and revisions.changes(event["sql"]):
            self._begun(event)
        if event.get("n", 0) in self.changing or (kind in ("commit", "rollback", "committed") and self.open):
            self.waiting.append({key: value for key, value in event.items() if key not in ("confirm", "answer")})
        elif kind == "error":
            self.waiting.append(event)
        if kind == "commit" and self.open:
            self.unsettled = (event.get("where") or {}).get("xid")
        elif kind == "committed":
            self.settle()
        elif kind == "rollback":
            self.open = []
        if event.get("confirm"):
            self.flush()

    def settle(self) -> None:
        """The open transaction is known to be committed."""
        if stands := [sql for sql in self.open if not _MADE.match(sql)]:
            self.stamped |= (stamp := any(map(stamps, stands)))
            self.loose = [] if stamp else [*self.loose, *stands]
        self.open, self.unsettled = [], None

    def flush(self) -> None:
        if self.waiting:
            self.note("statements", events=self.waiting)
        self.waiting = []

    def _begun(self, event: Event) -> None:
        self.changing[event["n"]] = event["sql"]
        if not event["alone"]:
            self.open.append(event["sql"])
        elif stamps(event["sql"]):
            self.loose, self.stamped = [], True
        elif not _MADE.match(event["sql"]):  # it commits by itself, and may have by the time an error is known
            self.loose.append(event["sql"])


def stamps(sql: str) -> bool:
    """Whether a statement writes down that a revision was run."""
    return bool(_STAMP.match(sql.strip()))

"""A network that falls silent is noticed: the server is asked, on a connection of its own, whether it still answers."""

from __future__ import annotations

import threading
import time
from typing import Any

from afdb_helpers import catalog, revisions
from afdb_helpers.errors import AfdbError
from afdb_helpers.revisions import Event
from afdb_helpers.targets import Target

EVERY = 0.5  # seconds between two questions
LOOK = 4.0  # seconds that the look afterwards may take


class Silent(revisions.Abandoned):
    """Nothing was heard of the server, or of the child's session, for as long as it may be silent."""


class Watch:
    """Sees the child's events; when none comes for a while, asks the server what the child's session does.

    A statement may take hours, and a revision may compute between two: neither is silence. Silence is a server that
    does not answer here either, or one that is done with a statement whose answer the child still waits for.
    """

    def __init__(self, target: Target, limit: float) -> None:
        self._target, self._limit = target, limit
        self._pid: int | None = None
        self._asked: float | None = None  # since when the child has waited for the server
        self._heard = 0.0
        self._idle = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        if event["event"] == "connected":
            self._pid = event.get("pid")
        waiting = event["event"] in ("statement", "commit")
        self._asked = time.monotonic() if waiting else None
        self._idle = 0.0

    def quiet(self) -> None:
        """Called while no event comes. Raises `Silent`."""
        if self._pid is None:
            return
        now = time.monotonic()
        if self._thread is None:
            self._heard = now
            self._thread = threading.Thread(target=self._ask, daemon=True)
            self._thread.start()
        if now - self._heard > self._limit:
            raise Silent(f"the server has not answered for {self._limit:.0f} s")
        if self._asked and now - self._asked > self._limit and self._idle > self._limit:
            raise Silent(f"the server was done {self._idle:.0f} s ago, and its answer did not arrive")

    def close(self) -> None:
        """Ask no more. A question that is never answered is left to itself."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(EVERY)

    def _ask(self) -> None:
        from sqlalchemy import text

        question = text(catalog.question("watched_session"))
        while not self._over.is_set():
            try:
                with self._target.connect(application_name="afdb watch") as connection:
                    while not self._over.is_set():
                        self._answer(connection.execute(question, {"pid": self._pid}).mappings().first())
                        self._over.wait(EVERY)
            except AfdbError:  # it cannot be asked: that is what is measured
                self._over.wait(EVERY)

    def _answer(self, row: Any) -> None:
        self._heard = time.monotonic()
        if row is None:  # the session is gone
            self._idle += EVERY
        else:
            self._idle = float(row["idle"] or 0)

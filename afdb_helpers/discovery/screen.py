"""Everything at once, the one screen first: what this database is, in which state, what will hurt, what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.catalog import picture
from afdb_helpers.discovery import advising, diagram, sizing, target
from afdb_helpers.discovery.chain import Found, applied
from afdb_helpers.discovery.chain import models as compared
from afdb_helpers.discovery.chain import project as in_folder
from afdb_helpers.discovery.replay import stamp, state
from afdb_helpers.discovery.settings import configuration
from afdb_helpers.errors import AfdbError
from afdb_helpers.report import Picture, Report
from afdb_helpers.targets import Target, cannot_look

if TYPE_CHECKING:
    from sqlalchemy import Connection

WELL = ("server", "way", "state", "blockers", "advice")  # what has to be well for the whole to be
TOP = 5  # pieces of advice on the first screen


@dataclass(frozen=True, kw_only=True, repr=False)
class Unseen(Report):
    """What could not be looked at, in its place: the rest is shown all the same."""

    error: AfdbError


@dataclass(frozen=True, kw_only=True, repr=False)
class Discovery(Report):
    """The first screen; each part is there in full beside it."""

    project: Found
    models: Report
    configuration: Report
    server: Report
    way: Report
    state: Report
    tables: Report
    tenants: Report
    blockers: Report
    advice: Report
    entities: Report
    stamped: tuple[str, ...] = ()

    def graph(self) -> Report:
        """The revisions as a picture."""
        if self.project.graph is None:
            return self.project
        return diagram.graph(self.project.graph, stamped=self.stamped)

    def sizes(self) -> Picture | Report:
        """The tables as a picture."""
        return self.tables if isinstance(self.tables, Unseen) else picture.sizes(self.tables)

    def usage(self) -> dict[str, Any]:
        """The sizes as `catalog.sizes` says them: what a cost comparison takes as measured."""
        rows = [{"table": r["table"], "estimated_rows": r["rows"], "bytes": r["bytes"]} for r in self.tables.rows]
        return Report(headline=self.tables.headline, ok=self.tables.ok, rows=tuple(rows)).as_dict()

    def kept(self) -> dict[str, Any]:
        """What the next run compares with: sizes, and the hashes of the revisions that were applied."""
        if isinstance(self.tables, Unseen):
            return {}
        return sizing.kept(self.tables) | {"revisions": applied(self.project.graph, self.stamped)}


def look(
    connection: Connection, at: Target, *, folder: Path | None = None, ini: str | None = None,
    python: str | None = None, before: Mapping[str, Any] | None = None, models: bool = True,
) -> Discovery:  # fmt: skip
    """Look at everything, the project and one database, and change neither. `before` is what an earlier run kept.

    The target is asked in a thread of its own, over this connection, while the project is read and the models are
    compared on a private server.
    """
    past = before or {}
    parts: dict[str, Any] = {"configuration": configuration(folder)}
    with ThreadPoolExecutor(1) as aside:
        first = aside.submit(_first, connection, at)
        found = in_folder(folder, ini=ini, python=python, before=past.get("revisions"))
        stamped, live = first.result()
        told = aside.submit(_told, connection, at, past)
        parts["models"] = (
            compared(found.project, major=getattr(live, "major", None))
            if models
            else Report(headline="models: not compared, as asked")
        )
        parts |= told.result()
    if isinstance(live, Unseen):
        parts |= {"state": live, "entities": live}
    else:
        parts["state"] = _seen(at, lambda: state(connection, found.project, live=live))
        parts["entities"] = diagram.entities(live)
    here = stamped if isinstance(stamped, tuple) else ()
    return Discovery(
        headline=f"{at.name}: {parts['state'].headline}",
        ok=all(parts[name].ok for name in WELL) and not any(isinstance(part, Unseen) for part in parts.values()),
        rows=tuple(_lines(found, parts)),
        remedy=next_step(parts),
        project=found,
        stamped=here,
        **parts,
    )


def _first(connection: Connection, at: Target) -> tuple[Any, Any]:
    """The target's stamp and its schema."""
    return _seen(at, lambda: stamp(connection)), _seen(at, lambda: catalog.snapshot(connection))


def _told(connection: Connection, at: Target, past: Mapping[str, Any]) -> dict[str, Any]:
    """What the target says of itself, its schema apart."""
    questions: dict[str, Callable[[], Report]] = {
        "server": lambda: target.server(connection),
        "way": lambda: target.way(at),
        "tables": lambda: sizing.tables(connection, before=past if past.get("tables") else None),
        "tenants": lambda: sizing.tenants(connection),
        "blockers": lambda: target.blockers(connection),
        "advice": lambda: advising.advice(connection),
    }
    return {name: _seen(at, ask) for name, ask in questions.items()}


def next_step(parts: Mapping[str, Report]) -> str:
    """The one command or step that comes next: what is unseen or wrong first, then the chain's own way on."""
    for name in ("server", "state"):
        if isinstance(parts[name], Unseen):
            return parts[name].remedy
    if parts["state"].remedy:
        return parts["state"].remedy
    for name in ("blockers", "way"):
        if not parts[name].ok:
            return parts[name].remedy
    return "afdb run backup"


def _lines(found: Found, parts: Mapping[str, Report]) -> list[dict[str, Any]]:
    """One line a question; the gravest advice by name."""
    state = parts["state"]
    drift = state.parts[0].headline if state.parts else "nothing to compare"
    asked = [("Server", parts["server"]), ("Way there", parts["way"]), ("Project", found), ("State", state)]
    lines = [{"about": about, "found": report.headline, "ok": report.ok} for about, report in asked]
    lines.append({"about": "Drift", "found": drift, "ok": state.ok})
    for about in ("models", "tables", "tenants", "blockers", "configuration", "advice"):
        lines.append({"about": about.capitalize(), "found": parts[about].headline, "ok": parts[about].ok})
    grave = [row for row in parts["advice"].rows if row["severity"] == "high"]
    lines += [{"about": "", "found": f"{row['advice']}: {row['object']}", "ok": False} for row in grave[:TOP]]
    return lines


def _seen(at: Target, look_at: Callable[[], Any]) -> Any:
    """The answer, or in its place why there is none."""
    from sqlalchemy.exc import DBAPIError

    try:
        return look_at()
    except AfdbError as error:
        return Unseen(headline=f"not seen: {error.what}: {error.why}", ok=False, remedy=error.do, error=error)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        gone = cannot_look(at, error)
        return Unseen(headline=f"not seen: {gone.why}", ok=False, remedy=gone.do, error=gone)


def finding(found: Discovery) -> Report:
    """What a discovery ends with: whatever state was found, to have found it is well; its remedy is the next step.

    Raises where the state or the tables could not be looked at: then nothing was found.
    """
    for part in (found.state, found.tables):
        if isinstance(part, Unseen):
            raise part.error
    return Report(headline=found.state.headline, remedy=found.remedy)

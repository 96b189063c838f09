"""The Alembic project: its graph, heads and file hashes; and its commands, in a child process of its own.

Nothing here names a target: whoever has a URL passes it on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afdb_helpers import targets
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.revisions.process import VERSION_TABLE, Abandoned, Event, Outcome, Session, changes, run, short, tidy

__all__ = [
    "VERSION_TABLE",
    "Abandoned",
    "Event",
    "Graph",
    "Outcome",
    "Project",
    "Revision",
    "Session",
    "changes",
    "find",
    "from_events",
    "run",
    "short",
    "tidy",
]


@dataclass(frozen=True)
class Revision:
    """One file of the chain. `mapping` is what it declares about renamed columns, None where it declares nothing.

    `resumes`: it has `missing(connection)`, so it can tell what is left of it to do.
    """

    id: str
    down: tuple[str, ...]
    doc: str
    path: Path
    sha256: str
    mapping: dict[str, Any] | None = field(default=None, compare=False)
    resumes: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Graph:
    """Every revision, each after the ones it builds on, and the heads."""

    revisions: tuple[Revision, ...]
    heads: tuple[str, ...]

    def get(self, revision: str) -> Revision:
        """A revision by its id or a unique beginning of it; `head` and `base` are not revisions here."""
        found = [r for r in self.revisions if r.id == revision] or [
            r for r in self.revisions if r.id.startswith(revision)
        ]
        if len(found) == 1:
            return found[0]
        known = ", ".join(r.id for r in self.revisions[-5:])
        raise ConfigError(
            f"revision {revision!r} is {'not unique' if found else 'unknown'}",
            why=f"{', '.join(r.id for r in found)} begin with it"
            if found
            else f"the project's newest revisions are {known}"
            if known
            else "the project has no revision",
            do="see them all with `afdb history`",
        )

    def head(self) -> str:
        """The one head. Raises `Refused` when there are several."""
        if len(self.heads) == 1:
            return self.heads[0]
        if not self.heads:
            raise ConfigError(
                "the project has no revision", why="its versions folder is empty", do="afdb create MESSAGE"
            )
        raise Refused(
            f"the project has {len(self.heads)} heads: {', '.join(self.heads)}",
            why="it is not decided which of them a database is to be taken to",
            do=f"merge them: alembic merge -m merge {' '.join(self.heads)}",
        )

    def wanted(self, revision: str) -> str:
        """The id that `head`, `base`, an id or the beginning of one stands for. Raises `ConfigError` or `Refused`."""
        if revision in ("head", "heads"):
            return self.head()
        return "base" if revision == "base" else self.get(revision).id

    def ancestors(self, revision: str) -> set[str]:
        """The ids that `revision` builds on, itself included."""
        known = {r.id: r for r in self.revisions}
        found: set[str] = set()
        open_ = [revision]
        while open_:
            current = open_.pop()
            if current not in found:
                found.add(current)
                open_.extend(known[current].down)
        return found

    def back(self, current: tuple[str, ...], wanted: str) -> tuple[Revision, ...]:
        """The revisions to undo to get from the stamped ones down to `wanted` (`base`: all of them), newest first."""
        applied = set().union(*(self.ancestors(self.get(one).id) for one in current)) if current else set()
        kept = self.ancestors(wanted) if wanted != "base" else set()
        return tuple(r for r in reversed(self.revisions) if r.id in applied - kept)

    def mapping(self) -> dict[str, Any]:
        """What the chain declares, all revisions together, by the first names: see `fingerprint.mapping`."""
        merged: dict[str, Any] = {}
        for revision in self.revisions:
            for table, said in (revision.mapping or {}).items():
                first = next((name for name, one in merged.items() if one.get("to") == table), table)
                _append(merged.setdefault(first, {"renamed": {}}), said)
        return merged

    def between(self, current: tuple[str, ...], wanted: str) -> tuple[Revision, ...]:
        """The revisions to apply to get from the stamped ones to `wanted`, in order."""
        applied = set().union(*(self.ancestors(self.get(one).id) for one in current)) if current else set()
        needed = self.ancestors(wanted) if wanted != "base" else set()
        return tuple(r for r in self.revisions if r.id in needed - applied)


@dataclass(frozen=True)
class Project:
    """An Alembic project by its ini file, and the interpreter it lives in where that is not ours."""

    ini: Path
    python: Path | None = None

    def graph(self) -> Graph:
        """The chain, read in a child process; again only when one of its files, or a folder of them, has changed.

        Raises `ConfigError` when the project cannot be read.
        """
        kept = _known.get(self)
        if kept is None or not kept[0].revisions or kept[1] != _stamp(self, kept[0]):
            self.read({"command": "describe"}, lambda graph: None)
        return _known[self][0]

    def read(
        self,
        request: Mapping[str, Any],
        then: Callable[[Graph], Mapping[str, Any] | None],
        *,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Outcome:
        """Read the chain, then run the request in the same child, with what `then` answers to the chain put into it.

        `meanwhile` runs while the child reads. Raises `ConfigError` when the project cannot be read.
        """
        described: list[Event] = []
        read: list[Graph] = []

        def see(event: Event) -> Mapping[str, Any] | None:
            described.append(event)
            if event["event"] != "heads":
                return None
            read.append(graph := from_events(described))
            _known[self] = graph, _stamp(self, graph)
            return then(graph)

        request = {"describe": True, **request}
        outcome = run(self.ini, request, python=self.python, on_event=see, meanwhile=meanwhile)
        if outcome.error and not read:
            raise ConfigError(
                f"the Alembic project of {self.ini} cannot be read",
                why=f"{outcome.error['kind']}: {outcome.error['message']}",
                do=f"see what `alembic -c {self.ini} history` says",
            )
        return outcome


def _append(one: dict[str, Any], said: Mapping[str, Any]) -> None:
    """Add what a later revision declares of a table: a renamed column that is renamed again has one new name."""
    now, first = one["renamed"], {new: old for old, new in one["renamed"].items()}
    renamed = said.get("renamed", {})
    one["renamed"] = {old: renamed.get(new, new) for old, new in now.items()}
    one["renamed"] |= {old: new for old, new in renamed.items() if old not in now and old not in first}
    casts = {first.get(old, old): type_ for old, type_ in said.get("cast", {}).items()}
    retired, before = said.get("retired", []), one.get("retired", [])
    gone = True if True in (retired, before) else [*before, *(first.get(c, c) for c in retired)]
    added = [*one.get("added", []), *said.get("added", [])]
    more = {"cast": casts | one.get("cast", {}), "retired": gone, "added": added}
    one |= {name: value for name, value in more.items() if value}
    one |= {name: said[name] for name in ("to", "key", "created") if name in said}


_known: dict[Project, tuple[Graph, list[tuple[int, int]]]] = {}


def _stamp(project: Project, graph: Graph) -> list[tuple[int, int]]:
    """Time and size of every file that the graph was read from, and of their folders, where a new file would show."""
    files = [revision.path for revision in graph.revisions]
    looked_at = [project.ini, *files, *sorted({path.parent for path in files})]
    found = [path.stat() if path.exists() else None for path in looked_at]
    return [(s.st_mtime_ns, s.st_size) if s else (0, 0) for s in found]


def find(ini: str | Path | None = None, *, python: str | Path | None = None) -> Project:
    """The project of `ini`, else of AFDB_ALEMBIC_INI, else of the nearest alembic.ini in this folder or above it; with
    the interpreter `python`, else AFDB_PYTHON, else ours. Raises `ConfigError`."""
    settings = targets.environment()
    named = "AFDB_ALEMBIC_INI" if ini is None else "--alembic-ini"
    ini, python = ini or settings.get("AFDB_ALEMBIC_INI") or None, python or settings.get("AFDB_PYTHON")
    if ini is not None and not Path(ini).is_file():
        raise ConfigError(
            f"there is no file {ini}", why=f"{named} is to be the project's alembic.ini", do="correct the path"
        )
    here = Path.cwd()
    found = (
        Path(ini)
        if ini
        else next((d / "alembic.ini" for d in (here, *here.parents) if (d / "alembic.ini").is_file()), None)
    )
    if found is None:
        raise ConfigError(
            "no Alembic project here",
            why=f"neither {here} nor a folder above it holds an alembic.ini",
            do="change to the project's folder, or name it with --alembic-ini PATH or AFDB_ALEMBIC_INI",
        )
    return Project(found.absolute(), Path(python) if python else None)


def from_events(events: list[Event]) -> Graph:
    """The graph that a child described."""
    heads = next(e["heads"] for e in events if e["event"] == "heads")
    return Graph(tuple(_revision(e) for e in events if e["event"] == "revision"), tuple(heads))


def _revision(event: Event) -> Revision:
    path = Path(event["path"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Revision(event["id"], tuple(event["down"]), event["doc"], path, digest, event["mapping"], event["resumes"])

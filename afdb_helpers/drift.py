"""Where a live schema differs from the one its chain of revisions makes.

The reference is made, not guessed: the chain is replayed on a private server (on SQLite: in a temporary file), and what
stands there afterwards is what should stand in the target.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, embedded_postgres, revisions, targets
from afdb_helpers.catalog import Catalog
from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Event, Graph, Outcome, Project

if TYPE_CHECKING:
    from sqlalchemy import Connection

ABSENT = "absent"


@dataclass(frozen=True, kw_only=True, repr=False)
class Standing(Report):
    """Which revisions a live schema equals; several where a revision changes data only. `there`: whether any table of
    the chain is there at all. Rows: the differences to the nearest.
    """

    equal: tuple[str, ...]
    there: bool


def compare(live: Catalog, reference: Catalog, *, ours: Collection[str] = ()) -> Report:
    """One row a difference: the object, what the reference has, what is live.

    Names of constraints do not matter, the order of columns does not, and a stricter NOT NULL in the live schema is
    reported as a note that does not make it drift, since it refuses nothing that stands there; so is a table that no
    revision made, unless it is one of `ours`.
    """
    rows = [row for name in _both(live.tables, reference.tables) for row in _table(name, live, reference, ours)]
    wrong = sum(not row["accepted"] for row in rows)
    return Report(
        headline="schema: equal to the chain's" if not wrong else f"schema: {count(wrong, 'difference')}",
        ok=not wrong,
        rows=tuple(rows),
        remedy="" if not wrong else "afdb adopt --repair converges a known faulty state; else write a revision for it",
    )


def standing(live: Catalog, project: Project, graph: Graph) -> Standing:
    """Which revision the live schema equals, by replaying the chain on a private server; else how it differs from the
    nearest. Raises `Unavailable` where the chain makes nothing from empty."""
    made = chain(project, graph, dialect=live.dialect)
    ours = {table for _, schema in made for table in schema.tables}
    there = bool(ours & live.tables.keys())
    found = {id_: compare(live, schema, ours=ours) for id_, schema in made}
    if equal := tuple(id_ for id_, compared in found.items() if compared.ok and there):
        return Standing(headline=f"the schema equals {' and '.join(equal)}", equal=equal, there=there)
    if not there:
        return Standing(headline="no table of the chain is there", ok=False, equal=(), there=False)
    wrong = {id_: [row for row in compared.rows if not row["accepted"]] for id_, compared in found.items()}
    nearest = min(reversed(wrong), key=lambda id_: len(wrong[id_]))
    headline = f"the schema equals no revision; {count(len(wrong[nearest]), 'difference')} to {nearest}, the nearest"
    return Standing(headline=headline, ok=False, rows=tuple(wrong[nearest]), equal=(), there=True)


def reference(project: Project, graph: Graph, revision: str, *, dialect: str = "postgresql") -> Catalog:
    """The schema that the chain makes when it is replayed up to `revision`, or made from the same files before.

    Starts a private server and changes nothing else. Raises `Unavailable` when the chain does not run from empty.
    """
    place = _place(graph, graph.get(revision).id, dialect)
    if kept := _kept(place):
        return kept
    with _empty_database(dialect) as url:
        return _keep(place, replay(project, revision, url))


def chain(project: Project, graph: Graph, *, dialect: str = "postgresql") -> list[tuple[str, Catalog]]:
    """What the chain makes, revision by revision, as far as it runs from empty; states between branches are left out.

    Each revision gets a transaction of its own and is looked at after it; where env.py holds one of its own around
    them all, the revisions are replayed one by one. Raises `Unavailable` where not even the first one runs.
    """
    places = {revision.id: _place(graph, revision.id, dialect) for revision in graph.revisions}
    kept = [(id_, found) for id_, place in places.items() if (found := _kept(place))]
    if len(kept) == len(places):
        return kept
    with _empty_database(dialect) as url:
        made = _steps(project, url)
    if len(made) < 2 < len(places):
        with _empty_database(dialect) as url:
            made = {id_: replay(project, id_, url) for id_ in places}
    return [(id_, _keep(place, made[id_])) for id_, place in places.items() if id_ in made]


def replay(project: Project, revision: str, url: str) -> Catalog:
    """Run the chain up to `revision` on a private, empty database and read what it made."""
    with targets.parse("reference", url, {}).connect() as connection:
        outcome = _run(project, {"command": "upgrade", "arguments": [revision], "url": url}, connection)
        if outcome.error:
            raise _not_replayed(revision, outcome.error)
        return catalog.snapshot(connection)


def _steps(project: Project, url: str) -> dict[str, Catalog]:
    """The schema after each revision, looked at while the next one waits."""
    made: dict[str, Catalog] = {}
    request = {"command": "upgrade", "arguments": ["heads"], "url": url, "apart": True, "stepwise": True}
    with targets.parse("reference", url, {}).connect() as connection:

        def look(event: Event) -> None:
            if event["event"] == "committed":
                stamped = catalog.heads(connection)
                if len(stamped) == 1 and stamped[0] not in made:
                    made[stamped[0]] = catalog.snapshot(connection)

        outcome = _run(project, request, connection, look)
    if not made:
        raise _not_replayed("its first revision", outcome.error or {"kind": "nothing", "message": "was committed"})
    return made


def _run(
    project: Project, request: dict[str, Any], connection: Connection, look: Callable[[Event], None] = lambda _: None
) -> Outcome:
    """Alembic on a private database, and nowhere else: an env.py that goes to another one is refused before it acts."""
    ours = catalog.identity(connection).key()

    def see(event: Event) -> None:
        if (event["event"] == "connected" or event.get("where")) and not catalog.is_same(
            ours, event.get("where") or event
        ):
            raise _elsewhere(event.get("where") or event)
        look(event)

    return revisions.run(project.ini, {**request, "observe": True}, python=project.python, on_event=see)


def _elsewhere(said: Event) -> Refused:
    return Refused(
        f"the project's env.py connects to {said.get('database') or 'another server'}, not to the private one that it"
        " was given; nothing was executed there",
        why="it does not take the URL from sqlalchemy.url or DATABASE_URL",
        do="let env.py read config.get_main_option('sqlalchemy.url') or DATABASE_URL, then run again",
    )


def _not_replayed(revision: str, error: Event) -> Unavailable:
    return Unavailable(
        f"the chain cannot be replayed up to {revision} on an empty database",
        why=f"{error['kind']}: {error['message'].splitlines()[0]}",
        do="mend the revision it names; until then there is no reference to compare with",
    )


def _place(graph: Graph, revision: str, dialect: str) -> Path:
    """The file that keeps what these very revisions make."""
    needed = graph.ancestors(revision)
    files = [(r.id, r.sha256) for r in graph.revisions if r.id in needed]
    makers = [dialect, _version() if dialect == "postgresql" else None, version("sqlalchemy"), catalog.SHAPE]
    return _cache() / f"{catalog.digest([makers, files]).removeprefix('sha256:')}.json"


def _kept(place: Path) -> Catalog | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return Catalog.from_dict(json.loads(place.read_text()))
    return None


def _keep(place: Path, made: Catalog) -> Catalog:
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not truth
        partial = place.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(made.as_dict()))
        partial.rename(place)
    return made


def _table(name: str, live: Catalog, reference: Catalog, ours: Collection[str]) -> Iterator[dict[str, Any]]:
    if name not in live.tables or name not in reference.tables:
        if name in reference.tables:
            yield _difference(name, "table", ABSENT)
        else:  # somebody else's: no revision made it, and none will touch it
            yield _difference(name, ABSENT, "table", accepted=name not in ours)
        return
    here, there = live.tables[name], reference.tables[name]
    for column in _both(here["columns"], there["columns"]):
        yield from _column(f"{name}.{column}", here["columns"].get(column), there["columns"].get(column))
    if here["primary_key"] != there["primary_key"]:
        yield _difference(f"{name} primary key", there["primary_key"], here["primary_key"])
    for kind, word in (("foreign_keys", "foreign key"), ("uniques", "unique"), ("checks", "check")):
        gone = [item for item in there[kind] if item not in here[kind]]
        more = [item for item in here[kind] if item not in there[kind]]
        yield from (_difference(f"{name} {word}", item, ABSENT) for item in gone)
        yield from (_difference(f"{name} {word}", ABSENT, item) for item in more)
    for index in _both(here["indexes"], there["indexes"]):
        one, other = here["indexes"].get(index, ABSENT), there["indexes"].get(index, ABSENT)
        if one != other:
            yield _difference(f"{name} index {index}", other, one)


def _column(name: str, live: Any, wanted: Any) -> Iterator[dict[str, Any]]:
    if live is None or wanted is None:
        yield _difference(name, wanted["type"] if wanted else ABSENT, live["type"] if live else ABSENT)
        return
    for fact in _both(live, wanted):
        if live.get(fact) == wanted.get(fact):
            continue
        if fact == "nullable":
            said = {True: "NULL allowed", False: "NOT NULL"}
            yield _difference(name, said[wanted[fact]], said[live[fact]], accepted=not live[fact])
        else:
            yield _difference(f"{name} {fact}", wanted.get(fact, ABSENT), live.get(fact, ABSENT))


def _difference(what: str, wanted: Any, live: Any, *, accepted: bool = False) -> dict[str, Any]:
    return {"object": what, "chain": _said(wanted), "live": _said(live), "accepted": accepted}


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, Mapping):
        more = "".join(f" {k} {v}" for k, v in value.items() if k not in ("columns", "unique"))
        return f"{'unique ' if value.get('unique') else ''}({', '.join(map(str, value.get('columns', ())))}){more}"
    return "none" if value is None else str(value)


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*other, *one]))


@contextlib.contextmanager
def _empty_database(dialect: str) -> Iterator[str]:
    if dialect == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            (file := Path(folder, "reference.db")).touch()
            yield f"sqlite+pysqlite:///{file}"
        return
    with embedded_postgres.start(_version()) as server:
        yield server.create_database("reference")


def _version() -> int:
    return max(embedded_postgres.available(), default=embedded_postgres.DEFAULT_VERSION)


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afdb" / "catalogs"
    with contextlib.suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
    return home

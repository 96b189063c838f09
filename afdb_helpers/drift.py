"""Where a live schema differs from the one its chain of revisions makes.

The reference is made, not guessed: the chain is replayed on a private server (on SQLite: in a temporary file), and what
stands there afterwards is what should stand in the target.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from afdb_helpers import catalog, embedded_postgres, revisions, targets
from afdb_helpers.catalog import Catalog
from afdb_helpers.errors import Unavailable
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Graph, Project

ABSENT = "absent"


def compare(live: Catalog, reference: Catalog) -> Report:
    """One row a difference: the object, what the reference has, what is live.

    Names of constraints do not matter, the order of columns does not, and a stricter NOT NULL in the live schema is
    reported as a note that does not make it drift, since it refuses nothing that stands there; so is a table that no
    revision made.
    """
    rows = [row for name in _both(live.tables, reference.tables) for row in _table(name, live, reference)]
    wrong = sum(not row["accepted"] for row in rows)
    return Report(
        headline="schema: equal to the chain's" if not wrong else f"schema: {count(wrong, 'difference')}",
        ok=not wrong,
        rows=tuple(rows),
        remedy="" if not wrong else "afdb upgrade converges a known faulty state; else write a revision that mends it",
    )


def reference(project: Project, graph: Graph, revision: str, *, dialect: str = "postgresql") -> Catalog:
    """The schema that the chain makes when it is replayed up to `revision`, or made from the same files before.

    Starts a private server and changes nothing else. Raises `Unavailable` when the chain does not run from empty.
    """
    needed = graph.ancestors(graph.get(revision).id)
    files = [(r.id, r.sha256) for r in graph.revisions if r.id in needed]
    makers = [dialect, _version() if dialect == "postgresql" else None, version("sqlalchemy"), catalog.SHAPE]
    cached = _cache() / f"{catalog.digest([makers, files]).removeprefix('sha256:')}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return Catalog.from_dict(json.loads(cached.read_text()))
    with _empty_database(dialect) as url:
        made = replay(project, revision, url)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not truth
        partial = cached.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(made.as_dict()))
        partial.rename(cached)
    return made


def replay(project: Project, revision: str, url: str) -> Catalog:
    """Run the chain up to `revision` on a private, empty database and read what it made."""
    request = {"command": "upgrade", "arguments": [revision], "url": url}
    outcome = revisions.run(project.ini, request, python=project.python)
    if outcome.error:
        raise Unavailable(
            f"the chain cannot be replayed up to {revision} on an empty database",
            why=f"{outcome.error['kind']}: {outcome.error['message'].splitlines()[0]}",
            do="mend the revision it names; until then there is no reference to compare with",
        )
    with targets.parse("reference", url, {}).connect() as connection:
        return catalog.snapshot(connection)


def _table(name: str, live: Catalog, reference: Catalog) -> Iterator[dict[str, Any]]:
    if name not in live.tables or name not in reference.tables:
        if name in reference.tables:
            yield _difference(name, "table", ABSENT)
        else:  # somebody else's: no revision made it, and none will touch it
            yield _difference(name, ABSENT, "table", accepted=True)
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
            yield f"sqlite+pysqlite:///{folder}/reference.db"
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

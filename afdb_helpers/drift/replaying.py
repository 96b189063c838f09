"""The schema that a chain makes: it is replayed on a private server (on SQLite: in a temporary file), or was before."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, embedded_postgres, revisions, targets
from afdb_helpers.catalog import Catalog
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.revisions import Event, Graph, Outcome, Project

if TYPE_CHECKING:
    from sqlalchemy import Connection

Make = Callable[[str, bool], str]  # an empty database: with a role, if named; on the disk, if asked; returns its URL
DISK_FULL = "53100"
ROLE_MISSING = re.compile(r'role "(?P<name>.+)" does not exist')


def reference(
    project: Project, graph: Graph, revision: str, *, dialect: str = "postgresql", major: int | None = None
) -> Catalog:
    """The schema that the chain makes when it is replayed up to `revision`, or made from the same files before.

    `major` is the live server's: servers of one version write the same thing in the same words, so the nearest is
    taken. Starts a private server, changes nothing else. Raises `Unavailable` when the chain does not run from empty.
    """
    server = _version(major) if dialect == "postgresql" else None
    if kept := _kept(_place(graph, graph.get(revision).id, server)):
        return kept
    with _replayed(project, graph, revision, server) as (_, look):
        return look()


@contextlib.contextmanager
def replayed(
    project: Project, graph: Graph, revision: str, *, major: int | None = None
) -> Iterator[tuple[str, Callable[[], Catalog]]]:
    """The URL of a private PostgreSQL database, for the time of the block, on which the chain ran up to `revision`, and
    what looks at it: after that, `reference` of the same revision need not run it again.

    Raises what `reference` raises.
    """
    with _replayed(project, graph, revision, _version(major)) as made:
        yield made


@contextlib.contextmanager
def _replayed(
    project: Project, graph: Graph, revision: str, server: int | None
) -> Iterator[tuple[str, Callable[[], Catalog]]]:
    with _private(server) as make:
        url = replay(project, revision, make)
        yield url, lambda: _keep(_place(graph, graph.get(revision).id, server), _schema(url))


def chain(
    project: Project, graph: Graph, *, dialect: str = "postgresql", major: int | None = None
) -> list[tuple[str, Catalog]]:
    """What the chain makes, revision by revision, as far as it runs from empty; states between branches are left out.

    Each revision gets a transaction of its own and is looked at after it; where env.py holds one of its own around
    them all, the revisions are replayed one by one. Raises `Unavailable` where not even the first one runs.
    """
    server = _version(major) if dialect == "postgresql" else None
    places = {revision.id: _place(graph, revision.id, server) for revision in graph.revisions}
    kept = [(id_, found) for id_, place in places.items() if (found := _kept(place))]
    if len(kept) == len(places):
        return kept
    with _private(server) as make:
        made = _steps(project, make)
        if len(made) < 2 < len(places):
            made = {id_: _schema(replay(project, id_, make)) for id_ in places}
    return [(id_, _keep(place, made[id_])) for id_, place in places.items() if id_ in made]


def replay(project: Project, revision: str, make: Make) -> str:
    """Run the chain up to `revision` on a private, empty database; its URL."""
    url, outcome = _run(project, {"command": "upgrade", "arguments": [revision]}, make)
    if outcome.error:
        raise _unreplayable(revision, outcome.error)
    return url


def _schema(url: str) -> Catalog:
    with targets.parse("reference", url, {}).connect() as connection:
        return catalog.snapshot(connection)


def _steps(project: Project, make: Make) -> dict[str, Catalog]:
    """The schema after each revision, looked at while the next one waits."""
    made: dict[str, Catalog] = {}

    def look(event: Event, connection: Connection) -> None:
        if event["event"] == "committed":
            stamped = catalog.heads(connection)
            if len(stamped) == 1 and stamped[0] not in made:
                made[stamped[0]] = catalog.snapshot(connection)

    request = {"command": "upgrade", "arguments": ["heads"], "apart": True, "stepwise": True}
    _, outcome = _run(project, request, make, look)
    if not made:
        raise _unreplayable("its first revision", outcome.error or {"kind": "nothing", "message": "was committed"})
    return made


def _run(
    project: Project, request: dict[str, Any], make: Make, look: Callable[[Event, Connection], None] = lambda *_: None
) -> tuple[str, Outcome]:
    """Alembic on a private, empty database, whose URL is returned.

    A chain that grants to roles of its own needs them: each that is missing is made, and the chain begins anew. So it
    does on the disk, where what it loads is more than memory has room for.
    """
    role, made, on_disk = "", set[str](), False
    while True:
        url = make(role, on_disk)
        every = {"url": url, "observe": True, "statements": False, "throwaway": True}
        outcome = _once(project, {**request, **every}, look)
        if outcome.error and outcome.error.get("sqlstate") == DISK_FULL and not on_disk:
            role, made, on_disk = "", set(), True
            continue
        missing = ROLE_MISSING.search(outcome.error["message"]) if outcome.error else None
        if missing is None or missing["name"] in made:
            return url, outcome
        role = missing["name"]
        made.add(role)


def _once(project: Project, request: dict[str, Any], look: Callable[[Event, Connection], None]) -> Outcome:
    """An env.py that goes to another database than the private one is refused before it acts."""
    with targets.parse("reference", request["url"], {}).connect() as connection:
        ours = catalog.identity(connection).key()

        def see(event: Event) -> None:
            said = event.get("where") or event
            if (event["event"] == "connected" or event.get("where")) and not catalog.is_same(ours, said):
                raise _elsewhere(said)
            look(event, connection)

        return revisions.run(project.ini, request, python=project.python, on_event=see)


def _elsewhere(said: Event) -> Refused:
    return Refused(
        f"the project's env.py connects to {said.get('database') or 'another server'}, not to the private one that it"
        " was given; nothing was executed there",
        why="it does not take the URL from sqlalchemy.url or DATABASE_URL",
        do="let env.py read config.get_main_option('sqlalchemy.url') or DATABASE_URL, then run again",
    )


def _place(graph: Graph, revision: str, server: int | None) -> Path:
    """The file that keeps what these very revisions make on this version; None is SQLite."""
    needed = graph.ancestors(revision)
    files = [(r.id, r.sha256) for r in graph.revisions if r.id in needed]
    makers = [server, version("sqlalchemy"), catalog.SHAPE]
    return _cache() / f"{catalog.digest([makers, files]).removeprefix('sha256:')}.json"


def _kept(place: Path) -> Catalog | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, Refused):
        return Catalog.from_dict(json.loads(place.read_text()))
    return None


def _keep(place: Path, made: Catalog) -> Catalog:
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not truth
        partial = place.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(made.as_dict()))
        partial.rename(place)
    return made


def _unreplayable(revision: str, error: Event) -> Unavailable:
    return Unavailable(
        f"the chain cannot be replayed up to {revision} on an empty database",
        why=f"{error['kind']}: {error['message'].splitlines()[0]}",
        do="mend env.py or the revision that it names; until then there is no reference to compare with",
    )


@contextlib.contextmanager
def _private(version: int | None) -> Iterator[Make]:
    """Makes empty databases: on a private PostgreSQL of that version; without one, SQLite files."""
    numbers = itertools.count()
    if version is None:
        with tempfile.TemporaryDirectory() as folder:

            def empty(role: str, on_disk: bool) -> str:
                (file := Path(folder, f"reference_{next(numbers)}.db")).touch()
                return f"sqlite+pysqlite:///{file}"

            yield empty
        return
    with contextlib.ExitStack() as open_:

        @functools.cache
        def server(on_disk: bool) -> Server:
            settings = embedded_postgres.SCHEMAS
            started = embedded_postgres.start(version, settings=settings, alike=True, in_memory=not on_disk)
            return open_.enter_context(started)

        def make(role: str, on_disk: bool) -> str:
            if role:
                _make_role(server(on_disk), role)
            number, made = next(numbers), server(on_disk)  # the first finds its database there, as empty as a new one
            return made.create_database(f"reference_{number}") if number else made.url(embedded_postgres.FIRST)

        yield make


def _make_role(server: Server, role: str) -> None:
    import psycopg2
    from psycopg2 import sql

    with contextlib.closing(psycopg2.connect(host=str(server.socket), user="postgres", dbname="postgres")) as session:
        session.autocommit = True
        session.cursor().execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))


def _version(major: int | None = None) -> int:
    """The live server's own version, else the next newer one that is here, else the newest."""
    have = embedded_postgres.available()
    newer = [one for one in have if major is not None and one >= major]
    return min(newer, default=max(have, default=embedded_postgres.DEFAULT_VERSION))


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afdb" / "catalogs"
    with contextlib.suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
    return home

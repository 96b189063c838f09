"""The state that a database is in as its project sees it, shown by replaying the chain. Only looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afdb_helpers import catalog, drift
from afdb_helpers.catalog import Catalog
from afdb_helpers.discovery import frameworks
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Graph, Project

if TYPE_CHECKING:
    from sqlalchemy import Connection


def state(connection: Connection, found: Project | None, *, live: Catalog | None = None) -> Report:
    """Where the database stands in the chain.

    One of: empty; at a revision, with or without drift, part of the way to the next, or in truth at the next; not
    stamped, and equal to a revision, made by models, another application's, or equal to none; stamped with a revision
    that the project does not have; a stamp that the role may not read. Not ok unless the schema is what the stamp says.
    """
    live = live or catalog.snapshot(connection)
    if found is None:
        return _without_project(connection, live)
    graph, stamped = found.graph(), stamp(connection)
    if stamped is None:
        return _unreadable(connection, live, found, graph)
    if unknown := sorted(set(stamped) - {r.id for r in graph.revisions}):
        return Report(
            headline=f"ahead: stamped {', '.join(unknown)}, which this project does not have",
            ok=False,
            remedy="check out the version of the project that holds it",
        )
    if not stamped:
        return _unstamped(connection, live, found, graph)
    if len(stamped) > 1:
        return Report(
            headline=f"stamped with {len(stamped)} revisions: {', '.join(stamped)}",
            ok=False,
            remedy=f"merge them: alembic merge -m merge {' '.join(stamped)}",
        )
    return _stamped(live, found, graph, stamped[0])


def stamp(connection: Connection) -> tuple[str, ...] | None:
    """The stamped revisions; None where the role may not read them."""
    from sqlalchemy.exc import ProgrammingError

    try:
        return catalog.heads(connection)
    except ProgrammingError as error:
        if getattr(error.orig, "pgcode", "") != "42501":
            raise
        return None


def _stamped(live: Catalog, found: Project, graph: Graph, stamped: str) -> Report:
    behind = graph.between((stamped,), graph.head())
    compared = drift.against(live, found, graph, stamped)
    where = f"at {stamped}" + (f", {count(len(behind), 'revision')} behind" if behind else " (head)")
    if compared.ok:
        return Report(headline=where, remedy="afdb run backup" if behind else "", parts=(compared,))
    for following in behind:
        if stamped in following.down and (between := _between(live, found, graph, stamped, following.id)):
            return between
    return Report(headline=f"{where}, drifted", ok=False, remedy=compared.remedy, parts=(compared,))


def _between(live: Catalog, found: Project, graph: Graph, stamped: str, following: str) -> Report | None:
    """Whether all that differs from the stamped revision belongs to the following one, some or all of it done."""
    before = drift.reference(found, graph, stamped, dialect=live.dialect, major=live.major)
    after = drift.reference(found, graph, following, dialect=live.dialect, major=live.major)
    to_do = _wrong(drift.compare(before, after))
    drifted, left = drift.compare(live, before), drift.compare(live, after)
    if left.ok:
        return Report(
            headline=f"stamped {stamped}, and the schema equals {following}",
            ok=False,
            remedy=f"see why the stamp stayed behind; if nothing is missing: alembic stamp {following}",
            parts=(drifted,),
        )
    if not (_wrong(drifted) <= to_do and _wrong(left) < to_do):
        return None
    done = len(to_do) - len(_wrong(left))
    return Report(
        headline=f"at {stamped}, part of the way to {following}: {done} of {count(len(to_do), 'difference')} are done",
        ok=False,
        remedy="afdb upgrade goes on with it, if the revision looks before each step; else undo by hand what is there",
        parts=(left,),
    )


def _wrong(compared: Report) -> set[str]:
    return {row["object"] for row in compared.rows if not row["accepted"]}


def _unstamped(connection: Connection, live: Catalog, found: Project, graph: Graph) -> Report:
    if not live.tables:
        return Report(headline="empty: no table, no revision stamped", remedy="afdb upgrade")
    made = drift.chain(found, graph, dialect=live.dialect, major=live.major)
    head = dict(made).get(graph.head())
    if head is None:  # the chain breaks off before it: say where
        head = drift.reference(found, graph, graph.head(), dialect=live.dialect, major=live.major)
    if head.tables and not set(head.tables) & set(live.tables):
        return _another(connection, live)
    nearest: tuple[str, Report] | None = None
    for revision, schema in reversed(made):
        compared = drift.compare(live, schema)
        if compared.ok:
            headline = f"not stamped, and the schema equals {revision}"
            return Report(headline=headline, ok=False, remedy="afdb adopt, which verifies and stamps it")
        if nearest is None or len(compared.rows) < len(nearest[1].rows):
            nearest = (revision, compared)
    how = "equal to no revision"
    if _made_by_models(live, head):
        how = f"made by create_all of models: all tables of {graph.head()}, without its defaults"
    parts: tuple[Report, ...] = ()
    if nearest:
        parts = (Report(headline=f"compared with {nearest[0]}, the nearest", ok=False, rows=nearest[1].rows),)
    return Report(headline=f"not stamped, and {how}", ok=False, remedy="afdb upgrade", parts=parts)


def _made_by_models(live: Catalog, head: Catalog) -> bool:
    """Whether every table of the head is there and none of the defaults that only its revisions give."""
    if not set(head.tables) <= set(live.tables):
        return False
    declared = [name for name, table in head.tables.items() if _defaults(table)]
    return bool(declared) and not any(_defaults(live.tables[name]) for name in head.tables)


def _defaults(table: catalog.Facts) -> list[str]:
    """The columns with a default of their own; a number from a sequence is none."""
    return [n for n, c in table["columns"].items() if c["default"] and "nextval(" not in str(c["default"])]


def _another(connection: Connection, live: Catalog) -> Report:
    """Tables, and none of them the chain's: whoever runs this may have meant another database."""
    theirs = frameworks.of_database(connection)
    by = "".join(
        f", migrated by {one['framework']}" + (f" (last: {one['last']})" if one["last"] else "") for one in theirs
    )
    return Report(
        headline=f"another application's: {count(len(live.tables), 'table')}, none of them the chain's{by}",
        ok=False,
        remedy="correct the target's URL; to put the chain's tables beside these: afdb upgrade",
        rows=tuple(theirs),
    )


def _without_project(connection: Connection, live: Catalog) -> Report:
    """What can be said without a chain to compare with."""
    theirs = frameworks.of_database(connection)
    stamped = stamp(connection)
    said = [f"migrated by {one['framework']}" + (f" (last: {one['last']})" if one["last"] else "") for one in theirs]
    said += [f"stamped {', '.join(stamped)} by Alembic"] if stamped else []
    return Report(
        headline=f"no project to compare with; {count(len(live.tables), 'table')}, "
        + (", ".join(said) or "no framework has migrated it"),
        ok=False,
        rows=tuple(theirs),
        remedy="run again in the folder of the project that this database belongs to",
    )


def _unreadable(connection: Connection, live: Catalog, found: Project, graph: Graph) -> Report:
    """The stamp is not shown to the role; the schema still says what it equals."""
    seen = _unstamped(connection, live, found, graph)
    return Report(
        headline=f"the role may not read alembic_version; {seen.headline.removeprefix('not stamped, and ')}",
        ok=False,
        rows=seen.rows,
        remedy="GRANT SELECT ON alembic_version TO the role, then look again",
        parts=seen.parts,
    )

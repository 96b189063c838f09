"""The project, the server, and the state that the one is in as the other sees it. Only looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afdb_helpers import catalog, drift
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Graph, Project

if TYPE_CHECKING:
    from sqlalchemy import Connection


def project(found: Project) -> Report:
    """The chain of revisions, oldest first, with the hash of each file; not ok when it has several heads."""
    graph = found.graph()
    rows = [
        {"revision": r.id, "after": ", ".join(r.down), "what": r.doc, "file": r.path.name, "sha256": r.sha256[:12]}
        for r in graph.revisions
    ]
    heads = ", ".join(graph.heads) or "none"
    return Report(
        headline=f"{count(len(rows), 'revision')}, head {heads}",
        ok=len(graph.heads) == 1,
        rows=tuple(rows),
        remedy="" if len(graph.heads) == 1 else "alembic merge -m merge heads",
    )


def server(connection: Connection) -> Report:
    """Which database this is: what approvals and backups will be bound to."""
    found = catalog.identity(connection)
    rows = [{"fact": name.replace("_", " "), "value": value} for name, value in found.as_dict().items()]
    kind = "PostgreSQL" if found.dialect == "postgresql" else "SQLite"
    return Report(headline=f"{kind} {found.version}, database {found.database}", rows=tuple(rows))


def state(connection: Connection, found: Project) -> Report:
    """Where the database stands in the chain, shown by replaying the chain on a private server.

    One of: empty; at a revision, with or without drift; not stamped, and equal to a revision or to none; stamped with a
    revision that the project does not have. Not ok unless the schema is what the stamp says.
    """
    graph = found.graph()
    stamped, live = catalog.heads(connection), catalog.snapshot(connection)
    if unknown := sorted(set(stamped) - {r.id for r in graph.revisions}):
        return Report(
            headline=f"ahead: stamped {', '.join(unknown)}, which this project does not have",
            ok=False,
            remedy="check out the version of the project that holds it",
        )
    if not stamped:
        return _unstamped(live, found, graph)
    if len(stamped) > 1:
        return Report(
            headline=f"stamped with {len(stamped)} revisions: {', '.join(stamped)}",
            ok=False,
            remedy=f"merge them: alembic merge -m merge {' '.join(stamped)}",
        )
    behind = graph.between(stamped, graph.head())
    where = f"at {', '.join(stamped)}" + (f", {count(len(behind), 'revision')} behind" if behind else " (head)")
    compared = drift.compare(live, drift.reference(found, graph, stamped[0], dialect=live.dialect))
    do = compared.remedy or ("afdb run backup" if behind else "")
    drifted = "" if compared.ok else ", drifted"
    return Report(headline=where + drifted, ok=compared.ok, remedy=do, parts=(compared,))


def finding(found: Report) -> Report:
    """What a discovery ends with: whatever state was found, to have found it is well; its remedy is the next step."""
    return Report(headline=found.headline, remedy=found.remedy)


def _unstamped(live: catalog.Catalog, found: Project, graph: Graph) -> Report:
    if not live.tables:
        return Report(headline="empty: no table, no revision stamped", remedy="afdb upgrade")
    nearest: Report | None = None
    for revision in reversed(graph.revisions):
        compared = drift.compare(live, drift.reference(found, graph, revision.id, dialect=live.dialect))
        if compared.ok:
            headline = f"not stamped, and the schema equals {revision.id}"
            return Report(headline=headline, ok=False, remedy="afdb upgrade stamps and converges it")
        if nearest is None or len(compared.rows) < len(nearest.rows):
            nearest = Report(headline=f"compared with {revision.id}, the nearest", ok=False, rows=compared.rows)
    parts = (nearest,) if nearest else ()
    return Report(headline="not stamped, and equal to no revision", ok=False, remedy="afdb upgrade", parts=parts)

"""Is the schema what the chain makes, is every value still there, does the server vouch for it all? Only looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, drift, fingerprint
from afdb_helpers.errors import Refused
from afdb_helpers.fingerprint import Fingerprint
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Graph, Project

if TYPE_CHECKING:
    from sqlalchemy import Connection


def schema(connection: Connection, project: Project) -> Report:
    """The live schema against the chain's at the stamped revision. Raises `Refused` where nothing is stamped."""
    stamped = catalog.heads(connection)
    graph = project.graph()
    if len(stamped) != 1:
        raise Refused(
            f"the database is stamped with {count(len(stamped), 'revision')}",
            why="which schema it should have cannot be told",
            do="afdb upgrade",
        )
    return drift.against(catalog.snapshot(connection), project, graph, stamped[0])


def data(connection: Connection, before: Mapping[str, Any], project: Project) -> Report:
    """Every value of a record's `before.json` against what stands now, through what the chain declares in between."""
    taken = Fingerprint.from_dict(before["data"])
    graph = project.graph()
    declared = mapping(graph, tuple(before.get("revisions", ())), catalog.heads(connection))
    if repaired := before.get("repaired"):
        declared = replace(graph, revisions=(graph.get(repaired),)).mapping()
    return fingerprint.compare(taken, connection, mapping=declared, live=connection.dialect.name == "postgresql")


def mapping(graph: Graph, before: tuple[str, ...], now: tuple[str, ...]) -> dict[str, Any]:
    """Which column is which between two stamps: up the chain, or down it, where names turn round.

    Where a stamp is unknown to the project, or there is none, what the whole chain declares.
    """
    known = {revision.id for revision in graph.revisions}
    if len(now) != 1 or not before or not {*before, *now} <= known:
        return graph.mapping()
    if up := graph.between(before, now[0]):
        return replace(graph, revisions=up).mapping()
    down = replace(graph, revisions=tuple(reversed(graph.back(before, now[0])))).mapping()
    return {name: _turned(said) for name, said in down.items()}


def _turned(said: Mapping[str, Any]) -> dict[str, Any]:
    """A table's mapping on the way down: new names are the old ones, and what was added is retired."""
    renamed = {new: old for old, new in said["renamed"].items()}
    kept = said.get("key", {}).get("kept")
    added = [column for column in said.get("added", ()) if column != kept and column not in renamed]
    return {"renamed": renamed, "retired": True if said.get("created") else added}


def invariants(connection: Connection) -> Report:
    """Invalid indexes, constraints never validated, rows that point nowhere: one row each, none when all is well."""
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        rows = [{"table": row[0], "object": f"row {row[1]} → {row[2]}", "state": "orphan"} for row in found[:20]]
        broken = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        rows += [{"table": "", "object": said, "state": "damaged"} for said in broken if said != "ok"]
    else:
        rows = [dict(row) for row in connection.exec_driver_sql(catalog.question("not_valid")).mappings()]
    return Report(
        headline=f"invariants: {count(len(rows), 'violation') if rows else 'all hold'}",
        ok=not rows,
        rows=tuple(rows),
        remedy="rebuild the index, or validate the constraint, that is named" if rows else "",
    )


def verdict(*parts: Report) -> Report:
    """One headline over the parts: it is well when each of them is."""
    wrong = [part for part in parts if not part.ok]
    said = "; ".join(part.headline for part in parts)
    return Report(headline=said, ok=not wrong, remedy=wrong[0].remedy if wrong else "", parts=tuple(wrong))

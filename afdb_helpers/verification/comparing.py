"""The live schema against the chain, every value against what was before, and one verdict over all parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, drift, fingerprint
from afdb_helpers.errors import Refused
from afdb_helpers.fingerprint import Fingerprint
from afdb_helpers.report import Picture, Report, count
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
    declared = since(project, before, catalog.heads(connection))
    return fingerprint.compare(taken, connection, mapping=declared, live=connection.dialect.name == "postgresql")


def since(project: Project, before: Mapping[str, Any], now: tuple[str, ...]) -> dict[str, Any]:
    """What the revisions declare between a record's `before.json` and the stamp of now."""
    graph = project.graph()
    if repaired := before.get("repaired"):
        return replace(graph, revisions=(graph.get(repaired),)).mapping()
    return mapping(graph, tuple(before.get("revisions", ())), now)


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


def sizes(connection: Connection, before: Mapping[str, Any], project: Project, compared: Report) -> Picture:
    """Rows and bytes of each table before and now as a picture; `compared` is what `data` found. Asks the catalogue."""
    declared = since(project, before, catalog.heads(connection))
    now, were = {row["table"]: row["bytes"] for row in catalog.sizes(connection).rows}, before.get("bytes", {})
    rows = []
    for row in compared.rows:
        name = row["table"]
        here = declared.get(name, {}).get("to", name)
        bytes_ = {"bytes before": were.get(name), "bytes now": now.get(here, now.get(name))}
        rows.append({"table": name, **{key: row[key] for key in ("rows before", "rows now")}, **bytes_})
    total = [catalog.human(sum(row[f"bytes {when}"] or 0 for row in rows)) for when in ("before", "now")]
    return catalog.picture.changed(rows, f"Before and now: {count(len(rows), 'table')}, {total[0]} → {total[1]}")


def verdict(*parts: Report) -> Report:
    """One headline over the parts: it is well when each of them is."""
    wrong = [part for part in parts if not part.ok]
    said = "; ".join(part.headline for part in parts)
    return Report(headline=said, ok=not wrong, remedy=wrong[0].remedy if wrong else "", parts=tuple(wrong))

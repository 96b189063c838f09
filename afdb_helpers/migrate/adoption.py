"""Which revision a database without a true stamp is at: found by replaying the chain, never taken at anybody's word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, drift, migration_plan
from afdb_helpers.drift import Standing
from afdb_helpers.errors import Incomplete, Refused
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.revisions import Graph, Project
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection


def plan(
    connection: Connection,
    project: Project,
    revision: str,
    direction: str,
    *,
    drop_data: bool = False,
    rehearsed: Mapping[str, Any] | None = None,
) -> MigrationPlan:
    """The plan for the database behind `connection`, as `migration_plan.make` has it. Only looks.

    For an adoption the chain is replayed on a private server, to see that the schema equals `revision` (empty: which
    one it equals).

    Raises `Refused` where it equals none, or several, or another one.
    """
    graph = project.graph()
    if direction == "repair" and not revision:
        revision = next(iter(catalog.heads(connection)), "head")
    if direction == "adopt":
        revision = _equal(connection, project, graph, graph.wanted(revision) if revision else "")
    return migration_plan.make(
        connection, graph, revision, direction=direction, drop_data=drop_data, rehearsed=rehearsed
    )


def converged(target: Target, project: Project, revision: str) -> None:
    """After a repair: the schema is what the chain makes at `revision`. Raises `Incomplete` with what still differs."""
    with target.connect() as connection:
        live = catalog.snapshot(connection)
    compared = drift.against(live, project, project.graph(), revision)
    if not compared.ok:
        raise Incomplete(
            f"revision {revision} ran again on target {target.name}, and the schema is not its own yet",
            why=differences(compared.rows),
            do="write a revision that mends these, then run it",
        )


def _equal(connection: Connection, project: Project, graph: Graph, wanted: str) -> str:
    """The one revision that the live schema equals, where it is `wanted`, or none is."""
    stamped, live = catalog.heads(connection), catalog.snapshot(connection)
    found = drift.standing(live, project, graph)
    known = {revision.id for revision in graph.revisions}
    if not found.equal:
        raise _none(found, stamped)
    if not wanted and len(stamped) == 1 and stamped[0] in found.equal:
        return stamped[0]  # it is true already
    if unknown := set(stamped) - known - ({*stamped} if wanted else set()):
        raise Refused(
            f"the database is stamped {', '.join(sorted(unknown))}, a revision that this project does not have",
            why=f"{found.headline}, but a newer version of the project may have changed its data",
            do="check out the version that holds it; or, if the stamp is a mistake, name the revision: --revision ID",
        )
    if wanted and wanted not in found.equal:
        raise Refused(
            f"the database is not at {wanted}, so it is not stamped {wanted}; nothing was changed",
            why=found.headline,
            do=f"afdb adopt --revision {found.equal[-1]}, or afdb upgrade afterwards",
        )
    if not wanted and len(found.equal) > 1:
        raise Refused(
            f"the schema equals {len(found.equal)} revisions: {', '.join(found.equal)}",
            why="what lies between them changes data only, and whether that was done cannot be seen",
            do=f"name the last one that was done: afdb adopt --revision {found.equal[0]}",
        )
    return wanted or found.equal[0]


def _none(found: Standing, stamped: tuple[str, ...]) -> Refused:
    if not found.there:
        return Refused(
            "the database is at no revision, so it is not stamped; nothing was changed",
            why="it holds none of the tables that the chain makes",
            do="afdb upgrade, which makes them",
        )
    repair = "afdb adopt --repair runs the stamped revision again; or " if stamped else ""
    return Refused(
        "the database is at no revision, so it is not stamped; nothing was changed",
        why=f"{found.headline}: {differences(found.rows)}",
        do=f"{repair}mend these differences, then run again; afdb upgrade takes over what its revisions know of",
    )


def differences(rows: Iterable[Mapping[str, Any]]) -> str:
    wrong = [row for row in rows if not row["accepted"]]
    said = [f"{row['object']} ({row['chain']} in the chain, {row['live']} here)" for row in wrong[:8]]
    return "; ".join(said) + (f"; and {len(wrong) - 8} more" if len(wrong) > 8 else "")

"""Which revision a live schema equals, and whether it is the one that it should be."""

from __future__ import annotations

from dataclasses import dataclass

from afdb_helpers.catalog import Catalog
from afdb_helpers.drift.comparing import compare
from afdb_helpers.drift.replaying import chain, reference
from afdb_helpers.drift.waivers import waived
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Graph, Project


@dataclass(frozen=True, kw_only=True, repr=False)
class Standing(Report):
    """Which revisions a live schema equals; several where a revision changes data only. `there`: whether any table of
    the chain is there at all. Rows: the differences to the nearest.
    """

    equal: tuple[str, ...]
    there: bool


def against(live: Catalog, project: Project, graph: Graph, revision: str) -> Report:
    """The live schema against what the chain makes at `revision`, but for what the project's waivers accept."""
    made = reference(project, graph, revision, dialect=live.dialect, major=live.major)
    return compare(live, made, waived=waived(project))


def standing(live: Catalog, project: Project, graph: Graph) -> Standing:
    """Which revision the live schema equals, by replaying the chain on a private server; else how it differs from the
    nearest. Raises `Unavailable` where the chain makes nothing from empty."""
    made, given = chain(project, graph, dialect=live.dialect, major=live.major), waived(project)
    ours = {table for _, schema in made for table in schema.tables}
    there = bool(ours & live.tables.keys())
    found = {id_: compare(live, schema, ours=ours, waived=given) for id_, schema in made}
    if equal := tuple(id_ for id_, compared in found.items() if compared.ok and there):
        return Standing(headline=f"the schema equals {' and '.join(equal)}", equal=equal, there=there)
    if not there:
        return Standing(headline="no table of the chain is there", ok=False, equal=(), there=False)
    wrong = {id_: [row for row in compared.rows if not row["accepted"]] for id_, compared in found.items()}
    nearest = min(reversed(wrong), key=lambda id_: len(wrong[id_]))
    headline = f"the schema equals no revision; {count(len(wrong[nearest]), 'difference')} to {nearest}, the nearest"
    return Standing(headline=headline, ok=False, rows=tuple(wrong[nearest]), equal=(), there=True)

"""The models against the chain, through the catalogue: each makes its tables in a private database of its own.

`alembic check` asks the models what they would change, and is blind to a check's text, an enum's values, a server
default. Here both sides are what a server says of itself.
"""

from __future__ import annotations

from typing import Any

from afdb_helpers import catalog, drift, embedded_postgres, revisions, targets
from afdb_helpers.catalog import Catalog
from afdb_helpers.errors import Unavailable
from afdb_helpers.report import Report, Row, count
from afdb_helpers.revisions import Project

PARTS = ("columns", "constraints", "indexes")  # what models can declare of a table


def models(project: Project) -> Report:
    """Whether `create_all` of env.py's target_metadata makes what the chain makes; not ok where it does not.

    Starts a private server and changes nothing else. What models cannot declare (views, functions, triggers, policies,
    grants, comments, owners) does not count. Raises `Unavailable` where env.py names no models or fails.
    """
    graph = project.graph()
    version, settings = max(embedded_postgres.available()), embedded_postgres.SCHEMAS
    with embedded_postgres.start(version, settings=settings, alike=True, in_memory=True) as server:
        url = server.url(embedded_postgres.FIRST)
        request = {"command": "current", "url": url, "create_all": True, "throwaway": True}
        outcome = revisions.run(project.ini, request, python=project.python)
        if outcome.error:
            raise _unmade(outcome.error)
        with targets.parse("models", url, {}).connect() as connection:
            made = catalog.snapshot(connection)
    chain = drift.reference(project, graph, graph.head(), major=made.major)
    found = drift.compare(_declarable(made), _declarable(chain), ours=made.tables, waived=drift.waived(project))
    rows = [{"object": r["object"], "chain": r["chain"], "models": r["live"], "waived": _waived(r)} for r in found.rows]
    wrong = sum(not row["waived"] for row in rows)
    return Report(
        headline=f"models: {count(wrong, 'difference')} from the chain" if wrong else "models: equal to the chain",
        ok=not wrong,
        rows=tuple(rows),
        remedy="afdb create MESSAGE writes the revision that is missing; or correct the models" if wrong else "",
    )


def _waived(row: Row) -> str:
    """What drift accepts of a live schema as stricter, or as somebody else's, is no excuse for models."""
    because: str = row["because"]
    return because if because.startswith("waived") else ""


def _declarable(schema: Catalog) -> Catalog:
    tables = {name: {part: _bare(facts[part]) for part in PARTS} for name, facts in schema.tables.items()}
    enums = {name: {"values": facts["values"]} for name, facts in schema.objects.get("enum", {}).items()}
    return Catalog(schema.dialect, tables, {"enum": enums}, schema.major)


def _bare(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: {key: said for key, said in facts.items() if key not in ("comment", "grants", "valid")}
            for name, facts in parts.items()}  # fmt: skip


def _unmade(error: dict[str, Any]) -> Unavailable:
    said = str(error["message"]).splitlines()[0] if error["message"] else error["kind"]
    if "create_all" in said or "target_metadata" in said:
        return Unavailable(
            "there are no models to compare with the chain",
            why="env.py names no metadata",
            do="set target_metadata in env.py to your models' metadata",
        )
    return Unavailable(
        "the models' tables cannot be made in an empty database",
        why=f"{error['kind']}: {said}",
        do="mend env.py or what it imports",
    )

"""The statements of a plan linted for a target: with what the rehearsal measured of them, stretched to its sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, lint
from afdb_helpers.errors import Unavailable
from afdb_helpers.lint import Executed, Findings, Severity, Table, Wait, waivers
from afdb_helpers.migration_plan import offline
from afdb_helpers.rehearsal import prediction
from afdb_helpers.rehearsal.result import BLOCKS
from afdb_helpers.rehearsal.watch import Hold
from afdb_helpers.revisions import Project

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from afdb_helpers.migration_plan import MigrationPlan


def findings(
    facts: Mapping[str, Any], connection: Connection, project: Project, *, threshold: Severity = "high"
) -> Findings:
    """What lint says of a rehearsal (its `rehearsal.json`) for the database behind `connection`. Only looks."""
    tables = {name: Table(**row) for name, row in catalog.activity(connection).items()}
    return _check(executed(facts, tables), connection, tables, project, threshold)


def not_rehearsed(
    plan: MigrationPlan, connection: Connection, project: Project, *, target: str, threshold: Severity = "high"
) -> tuple[Findings, tuple[str, ...]]:
    """The same for what `alembic upgrade --sql` prints, where nothing is measured; and the revisions whose SQL is not
    to be had so, since they read the database. Raises `Unavailable` where that is all of them.
    """
    tables = {name: Table(**row) for name, row in catalog.activity(connection).items()}
    url = connection.engine.url.set(password=None).render_as_string(hide_password=False)
    seen = offline.preview(plan, project, url)
    steps = tuple(step["id"] for step in plan.content["revisions"])
    if steps and (set(steps) <= set(seen.not_previewable) or not seen.offline):
        raise unseen(steps, target)
    listed = [Executed(sql=sql) for sql in seen.offline]
    return _check(listed, connection, tables, project, threshold), seen.not_previewable


def unseen(ids: Sequence[str], target: str) -> Unavailable:
    """What is to be said where the SQL of some revisions was not looked at."""
    return Unavailable(
        f"there is no SQL to lint of revision {', '.join(ids)}",
        why="nothing was rehearsed, and what reads the database cannot be printed without it",
        do=f"afdb prepare --target {target}: it rehearses, and lints what was executed",
    )


def executed(facts: Mapping[str, Any], tables: Mapping[str, Table]) -> list[Executed]:
    """Each statement that changes something, once, with the longest of its waits and the most of its rows."""
    now = {name: table.bytes or 0 for name, table in tables.items()}
    factors = prediction.factors(facts["statements"], facts["sizes"], now)
    clock = prediction.Clock([s for s in facts["statements"] if s["seconds"]], factors)
    holds = [Hold(**hold) if isinstance(hold, dict) else hold for hold in facts["holds"]]
    by_sql: dict[str, list[Mapping[str, Any]]] = {}
    for statement in facts["statements"]:
        if statement["changes"]:
            by_sql.setdefault(statement["sql"], []).append(statement)
    return [_executed(sql, repeated, holds, clock, factors) for sql, repeated in by_sql.items()]


def _executed(
    sql: str,
    repeated: Sequence[Mapping[str, Any]],
    holds: Sequence[Hold],
    clock: prediction.Clock,
    factors: Mapping[int, float],
) -> Executed:
    waits = {
        Wait(hold.relation, hold.lock, BLOCKS[hold.lock], round(clock(hold.end) - clock(hold.begin), 3))
        for statement in repeated
        for hold in holds
        if hold.begin < statement["begin"] + (statement["seconds"] or 0) and hold.end > statement["begin"]
    }
    if len(repeated) > 1:  # in batches: a larger table has more of them, not larger ones
        factors = {}
    stretched = [(s["seconds"] or 0.0) * factors.get(s["n"], 1.0) for s in repeated]
    rows = [round(s["rows"] * factors.get(s["n"], 1.0)) for s in repeated if s["rows"] is not None]
    rewrites = tuple(dict.fromkeys(name for s in repeated for name in s["rewrites"]))
    return Executed(sql=sql, alone=repeated[0]["alone"], seconds=round(max(stretched), 3),
                    rows=max(rows, default=None), rewrites=rewrites,
                    waits=tuple(sorted(waits, key=lambda wait: (wait.relation, wait.lock))))  # fmt: skip


def _check(
    listed: Sequence[Executed],
    connection: Connection,
    tables: Mapping[str, Table],
    project: Project,
    threshold: Severity,
) -> Findings:
    if connection.dialect.name == "sqlite":  # the rules are PostgreSQL's; one writer locks the file, whatever it does
        listed = []
    found = (connection.dialect.server_version_info or (None,))[0]
    version = found if isinstance(found, int) and connection.dialect.name == "postgresql" else None
    waived = waivers.read(project.ini.parent / lint.FILE)
    return lint.check(listed, tables, waived=waived, version=version, threshold=threshold)

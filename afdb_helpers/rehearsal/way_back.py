"""The way back, tried on the copy: downgraded to where it began, and compared with the backup. Changes the copy only.

It does not decide whether the migration may go up, unless `required`: many a project has no downgrade, and the way
back is then the backup. That is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from afdb_helpers import catalog, fingerprint, revisions
from afdb_helpers.backup import Backup, Copy
from afdb_helpers.fingerprint import Fingerprint
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Event, Outcome, Project, Session

WayBack = Literal["tried", "required", "left out"]
_REMEDY = "the way back is a backup: restore it; or mend the downgrade, then rehearse again"


def none(why: str, *, required: bool = False) -> Report:
    """There was no way back to try."""
    return Report(headline=f"way back: {why}", ok=not required, remedy=_REMEDY if required else "")


def tried(
    copy: Copy,
    backup: Backup,
    project: Project,
    before: tuple[str, ...],
    guard: Callable[[Event], None],
    *,
    required: bool = False,
) -> Report:
    """Downgrade the copy and say what of the migration is still to be seen. Rows: what differs from the backup."""
    if len(before) > 1:
        return none(f"not tried, the database is stamped with {count(len(before), 'revision')}", required=required)
    request = {"command": "downgrade", "arguments": [before[0] if before else "base"], "url": copy.url, "observe": True}
    session = Session(application_name="afdb rehearsal")
    outcome = revisions.run(project.ini, request, python=project.python, session=session, on_event=guard)
    if outcome.error:
        message = outcome.error["message"].strip().splitlines()[0]
        return none(f"refused or impossible: {outcome.error['kind']}: {message}", required=required)
    if not _changed(outcome):
        return none("the project has none, its downgrade changes nothing", required=required)
    return _trace(copy, backup, before, required)


def _changed(outcome: Outcome) -> bool:
    """Whether it did more than take the stamp away."""
    sql = [statement["sql"] for statement in outcome.statements if revisions.changes(statement["sql"])]
    return any(catalog.VERSION_TABLE not in statement for statement in sql)


def _trace(copy: Copy, backup: Backup, before: tuple[str, ...], required: bool) -> Report:
    with copy.connect() as connection:
        stands = catalog.heads(connection)
        same_schema = catalog.snapshot(connection).digest == backup.manifest["catalogue"]
        data = fingerprint.compare(Fingerprint.from_dict(backup.manifest["fingerprint"]), connection)
    traces = [
        *(["the stamp"] if stands != before else []),
        *([] if same_schema else ["the schema"]),
        *(f"{row['table']}: {row['differs']}" for row in data.rows if row["differs"]),
    ]
    if not traces:
        return Report(headline="way back: no trace, schema and every value as in the backup")
    rows = tuple({"differs from the backup": trace} for trace in traces)
    headline = f"way back: leaves a trace ({', '.join(traces[:3])})"
    return Report(headline=headline, ok=not required, rows=rows, remedy=_REMEDY if required else "")

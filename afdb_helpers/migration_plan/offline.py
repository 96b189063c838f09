"""What `alembic upgrade --sql` prints, where no rehearsal has shown the SQL; and the revisions of which it cannot tell.

A revision that reads the database has nothing to read there: Alembic raises, or prints something that will not run so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from afdb_helpers import revisions
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.revisions import Project, Revision

ATTEMPTS = 12  # revisions that raise, after which the rest is not tried
_RUNNING = re.compile(r"^-- Running (?:up|down)grade \S* ?-> (\S+)|^-- Running downgrade (\S+)", re.MULTILINE)
_READS = re.compile(r"\bget_bind\(|\.connection\b|\binspect\(|\bfrom_engine\(|\bSession\(")


def preview(plan: MigrationPlan, project: Project, url: str) -> MigrationPlan:
    """The plan with the SQL that Alembic prints for it. Contacts no database; `url` says which dialect it is.

    What a rehearsal has shown is left as it is, and so is a way down.
    """
    if plan.rehearsed or plan.empty or plan.content["direction"] != "upgrade" or len(plan.content["from"]) > 1:
        return plan
    steps = [step["id"] for step in plan.content["revisions"]]
    start, printed, raised = (plan.content["from"] or ["base"])[0], [], []
    for _ in range(ATTEMPTS):
        script, failed = _printed(project, f"{start}:{plan.content['to']}", url)
        printed.append(script)
        if not failed:
            break
        raised.append(failed)
        start = failed
        if failed == plan.content["to"] or failed not in steps:
            break
    else:
        raised += steps[steps.index(start) + 1 :]
    reading = {r.id for r in project.graph().revisions if r.id in steps and reads(r)}
    flagged = [id_ for id_ in steps if id_ in reading or id_ in raised]
    return plan.previewed([sql for script in printed for sql in _statements(script)], flagged)


def reads(revision: Revision) -> bool:
    """Whether a revision's file asks for the connection: what it does may then depend on what it finds."""
    return bool(_READS.search(revision.path.read_text(encoding="utf-8", errors="replace")))


def _printed(project: Project, span: str, url: str) -> tuple[str, str]:
    """What Alembic prints before it is done or raises, and the revision that raised."""
    request = {"command": "upgrade", "arguments": [span], "options": {"sql": True}, "url": url}
    outcome = revisions.run(project.ini, request, python=project.python)
    script = next((event["sql"] for event in outcome.events if event["event"] == "script"), "")
    if not outcome.error:
        return script, ""
    begun = [found for match in _RUNNING.finditer(script) for found in match.groups() if found]
    return _whole(script, begun), begun[-1] if begun else "?"


def _whole(script: str, begun: list[str]) -> str:
    """Without what the revision that raised has printed of itself."""
    return script[: [match.start() for match in _RUNNING.finditer(script)][-1]] if begun else ""


def _statements(script: str) -> Iterable[str]:
    from afdb_helpers import lint

    return (sql for sql in lint.split(script) if revisions.changes(sql))

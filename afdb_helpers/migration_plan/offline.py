"""What `alembic upgrade --sql` prints, where no rehearsal has shown the SQL; and the revisions of which it cannot tell.

A revision that reads the database has nothing to read there: Alembic raises, or prints something that will not run so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from afdb_helpers import revisions
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.revisions import Graph, Outcome, Project, Revision

ATTEMPTS = 12  # revisions that raise, after which the rest is not tried
_RUNNING = re.compile(r"^-- Running (?:up|down)grade \S* ?-> (\S+)|^-- Running downgrade (\S+)", re.MULTILINE)
_READS = re.compile(r"\bget_bind\(|\.connection\b|\binspect\(|\bfrom_engine\(|\bSession\(")


def planned(
    project: Project,
    url: str,
    make: Callable[[Graph], MigrationPlan],
    *,
    meanwhile: Callable[[], object] = lambda: None,
) -> MigrationPlan:
    """The plan that `make` makes of the chain, with the SQL as in `preview`: one child reads the chain and prints.

    `meanwhile` runs while it reads. Raises `ConfigError` when the project cannot be read, and what `make` raises.
    """
    made: list[MigrationPlan] = []

    def then(graph: Graph) -> Mapping[str, Any]:
        made.append(plan := make(graph))
        return {"arguments": [_span(plan, _start(plan))]} if _unseen(plan) else {"command": "describe"}

    first = project.read(_request(url), then, meanwhile=meanwhile)
    return _previewed(made[0], project, url, first) if _unseen(made[0]) else made[0]


def preview(plan: MigrationPlan, project: Project, url: str) -> MigrationPlan:
    """The plan with the SQL that Alembic prints for it. Contacts no database; `url` says which dialect it is.

    What a rehearsal has shown is left as it is, and so is a way down.
    """
    return _previewed(plan, project, url) if _unseen(plan) else plan


def reads(revision: Revision) -> bool:
    """Whether a revision's file asks for the connection: what it does may then depend on what it finds."""
    return bool(_READS.search(revision.path.read_text(encoding="utf-8", errors="replace")))


def _unseen(plan: MigrationPlan) -> bool:
    """Whether there is something to be shown, and `--sql` can show it."""
    content = plan.content
    return not (plan.rehearsed or plan.empty) and content["direction"] == "upgrade" and len(content["from"]) <= 1


def _previewed(plan: MigrationPlan, project: Project, url: str, first: Outcome | None = None) -> MigrationPlan:
    """With what was printed `first`, from the plan's start; after a revision that raises, once more from there."""
    steps = [step["id"] for step in plan.content["revisions"]]
    start, printed, raised = _start(plan), [], []
    for _ in range(ATTEMPTS):
        request = {**_request(url), "arguments": [_span(plan, start)]}
        script, failed = _printed(first or revisions.run(project.ini, request, python=project.python))
        first = None
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


def _request(url: str) -> dict[str, Any]:
    return {"command": "upgrade", "options": {"sql": True}, "url": url}


def _start(plan: MigrationPlan) -> str:
    return str((plan.content["from"] or ["base"])[0])


def _span(plan: MigrationPlan, start: str) -> str:
    return f"{start}:{plan.content['to']}"


def _printed(outcome: Outcome) -> tuple[str, str]:
    """What Alembic printed before it was done or raised, and the revision that raised."""
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

"""Which of five ends a migration came to, and the commands that take it from there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from afdb_helpers import catalog
from afdb_helpers.revisions import Event, Graph
from afdb_helpers.targets import Target

UNCHANGED, COMPLETE, BETWEEN = "unchanged", "complete", "between revisions"
APPLIED, INVALID = "applied but not stamped", "stamped but invalid"
_NAME = r'((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)'
_UNDO = [  # what undoes a statement that stands without its stamp, so that its revision can begin again
    (r"CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?NAME ON", "DROP INDEX CONCURRENTLY IF EXISTS {}"),
    (r"CREATE TABLE NAME", "DROP TABLE IF EXISTS {}"),
    (r"CREATE (?:MATERIALIZED )?VIEW NAME", "DROP VIEW IF EXISTS {}"),
    (r"ALTER TABLE NAME ADD COLUMN NAME", "ALTER TABLE {} DROP COLUMN IF EXISTS {}"),
    (r"ALTER TABLE NAME ADD CONSTRAINT NAME", "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}"),
]
_AGAIN = re.compile(r"\bIF (NOT )?EXISTS\b|\bVALIDATE CONSTRAINT\b|^\s*(ANALYZE|VACUUM|SET|COMMENT)\b", re.IGNORECASE)


def as_asked(error: Event | None, here: Sequence[str], lossy: str) -> Event | None:
    """A revision's refusal to lose data names Alembic's option; ours names `lossy`, the command at hand."""
    parts = (error or {}).get("parts")
    if not error or not parts or "-x allow_data_loss" not in parts["do"]:
        return error
    return {**error, "parts": {**parts, "do": f"stay at {', '.join(here)}, or {lossy}"}}


@dataclass(frozen=True)
class Ending:
    """`repair` holds commands, to be run in order; none where a person has to decide, which `why` then says."""

    state: str
    repair: tuple[str, ...] = ()
    why: str = ""


def judge(
    target: Target, graph: Graph | None, before: Mapping[str, Any], after: Mapping[str, Any],
    *, again: str, wanted: str | None, loose: Sequence[str], invalid: Sequence[str], stamped: bool = False,
) -> Ending:  # fmt: skip
    """The end that a migration to `wanted` came to. `again` is the command that goes on; `loose` stands unstamped.

    `stamped`: a stamp was committed. One that says what stood there before is a revision that ran again.
    """
    reindex = tuple(sql(target, f"REINDEX INDEX CONCURRENTLY {name}") for name in invalid)
    moved = after["revisions"] != before["revisions"] or (stamped and after != before)
    if not loose and invalid and (moved or after != before):
        return Ending(INVALID, reindex)
    if loose or (not moved and after != before):
        return _applied(target, graph, after, again, loose)
    if wanted is not None and after["revisions"] == ([] if wanted == "base" else [wanted]):
        return Ending(COMPLETE) if moved else Ending(UNCHANGED)
    return Ending(BETWEEN, (again,)) if moved else Ending(UNCHANGED, (again,))


def _applied(target: Target, graph: Graph | None, after: Mapping[str, Any], again: str, loose: Sequence[str]) -> Ending:
    """The revision after the stamped one was begun: go on with it, or undo what stands of it and begin it again."""
    following = [r for r in graph.revisions if set(r.down) <= set(after["revisions"])] if graph else []
    pending = [r for r in following if r.id not in after["revisions"]]
    if all(map(_AGAIN.search, loose)) or (pending and all(r.resumes for r in pending)):
        return Ending(APPLIED, (again,))
    undone = [undo(statement) for statement in reversed(loose) if not _AGAIN.search(statement)]
    if all(undone):
        return Ending(APPLIED, (*(sql(target, one) for one in undone if one), again))
    first = next(s for s, u in zip((s for s in reversed(loose) if not _AGAIN.search(s)), undone, strict=True) if not u)
    said = " ".join(first.split())[:80]
    return Ending(
        APPLIED, (), f"nothing is known that undoes {said!r}: finish the revision by hand, or go back to the backup"
    )


def undo(statement: str) -> str | None:
    """The statement that takes back what this one made; None where none is known."""
    for pattern, inverse in _UNDO:
        if found := re.match(r"\s*" + pattern.replace("NAME", _NAME), statement, re.IGNORECASE):
            return inverse.format(*found.groups())
    return None


def sql(target: Target, statement: str) -> str:
    """A command that runs a statement on the target; the URL, and the password in it, stay in the variable."""
    variable = "DATABASE_URL" if target.name == "default" else f"{target.name.upper()}_DATABASE_URL"
    return f'psql "${variable}" -c {shlex.quote(statement)}'


def invalid(target: Target) -> list[str]:
    """Indexes that the server itself does not vouch for."""
    if target.dialect == "sqlite":
        return []
    with target.connect() as connection:
        return list(catalog.keys.invalid(connection))

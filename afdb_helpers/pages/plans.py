"""A migration plan as people read it before they approve it, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WAITS = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")  # what an application waits for


def markdown(plan: Mapping[str, Any], rehearsal: Mapping[str, Any] | None = None) -> str:
    """The plan with what its rehearsal saw: what will run, where, which locks, what became of the data, the digest."""
    content = plan["content"]
    target = content["target"]
    where = f"database `{target['database']}`, server `{target.get('system_identifier') or 'not told'}`"
    out = [f"# Migration plan: {plan['headline']}", "", f"Digest `{plan['digest']}`", "", f"On {where}.", ""]
    out += _table(["Revision", "File (SHA-256)"], [[s["id"], f"`{s['sha256'][:16]}…`"] for s in content["revisions"]])
    if rehearsal:
        out += ["## Rehearsed", "", f"{rehearsal['headline']}.", ""]
        out += [f"- {part['headline']}" for part in rehearsal["parts"]] + [""]
        held = [h for h in rehearsal.get("holds", ()) if h["lock"] in WAITS]
        rows = [[h["relation"], h["lock"], f"{h['end'] - h['begin']:.3f} s", str(h["statement"])] for h in held]
        out += _table(["Table", "Lock", "Held for", "From statement"], rows)
    out += [f"## SQL: {len(content['sql'])} statements", ""]
    if not content["sql"]:
        out += ["Not rehearsed: what will run is not known yet.", ""]
    return "\n".join([*out, *(f"```sql\n{sql.strip()}\n```\n" for sql in content["sql"])])


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *cells]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]

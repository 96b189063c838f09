"""A migration plan as people read it before they approve it, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from afdb_helpers.report import places

WAITS = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")  # what an application waits for


def markdown(
    plan: Mapping[str, Any], rehearsal: Mapping[str, Any] | None = None, findings: Mapping[str, Any] | None = None,
    *, name: str = "", label: str = "", at: str = "",
) -> str:  # fmt: skip
    """The plan with what its rehearsal saw: what will run, where, which locks, what became of the data, the digest;
    and what lint says of its statements. The target's `name` and `label`, and when this was asked, are not approved.
    """
    content = plan["content"]
    where = _where(content["target"], rehearsal, name, label, at)
    title = f"# Migration plan{f' of {name}' if name else ''}: {plan['headline']}"
    out = [title, "", f"Digest `{plan['digest']}`", "", where, ""]
    flagged = set(plan.get("not_previewable", ()))
    files = [[s["id"], f"`{s['sha256'][:16]}…`"] for s in content["revisions"]]
    if flagged:
        said = ["**not previewable**" if s["id"] in flagged else "" for s in content["revisions"]]
        out += _table(["Revision", "File (SHA-256)", ""], [[*row, word] for row, word in zip(files, said, strict=True)])
    else:
        out += _table(["Revision", "File (SHA-256)"], files)
    if rehearsal:
        out += _rehearsed(rehearsal, content["sql"])
    if findings:
        out += _findings(findings)
    if content["direction"] == "adopt":
        out += ["No revision runs: the stamp is written, which was found to be true of the schema.", ""]
        return "\n".join(out)
    printed = plan.get("offline_sql", ())
    number = f"{len(content['sql'])} different" if content["sql"] else str(len(printed))
    out += [f"## SQL: {number} statements", ""]
    if not content["sql"]:
        out += ["Not rehearsed: what will run is not known yet.", ""]
    if printed:
        out += ["This is what Alembic prints without a database; it is no part of the digest.", ""]
    if flagged:
        out += ["A revision that is not previewable reads the database: its SQL is missing here, or another.", ""]
    if content["sql"]:
        out += ["Each is here once. A run counts more: it repeats some, for so many rows at a time or again after it "
                "waited in vain for a lock, and it reads.", ""]  # fmt: skip
    if any("%(" in sql for sql in content["sql"]):
        out += ["A `%(name)s` stands for a value that the revision hands over with the statement.", ""]
    shown = enumerate(content["sql"] or printed, 1)
    return "\n".join([*out, *(f"**{number}.**\n\n```sql\n{sql.strip()}\n```\n" for number, sql in shown)])


def _where(target: Mapping[str, Any], rehearsal: Mapping[str, Any] | None, name: str, label: str, at: str) -> str:
    """Of which database the plan is, as a sentence."""
    said = [
        f"target `{name}`, `{label}`" if name else "",
        f"database `{target['database']}`, server `{target.get('system_identifier') or 'not told'}`",
        f"rehearsed on backup `{rehearsal.get('backup')}`" if rehearsal else "",
        f"as it stood {at}" if at else "",
    ]
    whole = "; ".join(filter(None, said))
    return f"{whole[:1].upper()}{whole[1:]}."


def _rehearsed(said: Mapping[str, Any], planned: Sequence[str]) -> list[str]:
    """What the rehearsal saw. It counts repeated and reading statements too, so each is cited by its number here."""
    known = places(planned)
    numbers = {seen["n"]: known.get(seen["sql"], "") for seen in said["statements"]}
    out = ["## Rehearsed", "", f"{said['headline']}.", ""]
    out += [f"- {part['headline']}" for part in said["parts"]] + [""]
    held = [h for h in said.get("holds", ()) if h["lock"] in WAITS]
    rows = [
        [h["relation"], h["lock"], f"{h['end'] - h['begin']:.3f} s", str(numbers.get(h["statement"], ""))] for h in held
    ]
    return out + _table(["Table", "Lock", "Held for", "From statement below"], rows)


def _findings(said: Mapping[str, Any]) -> list[str]:
    """What lint found: what counts line by line, what is waived by waiver."""
    counts = [row for row in said["rows"] if not row["waived"]]
    rows = [
        [row["severity"], row["rule"], row["table"], row["blocks"] or "nobody",
         "" if row["seconds"] is None else f"{row['seconds']:.3f} s, {row['known']}", f"`{row['statement']}`"]
        for row in counts
    ]  # fmt: skip
    out = ["## What lint says of the statements", "", f"{said['headline']}.", ""]
    if counts:
        out += ["`high` stops nothing: whoever approves decides. `blocking` fails the rehearsal.", ""]
    out += _table(["Severity", "Rule", "Table", "Blocks", "For", "Statement"], rows)
    waivers = [row for part in said["parts"] for row in part["rows"] if "until" in row]
    out += [f"- waived: {w['rule']} for {w['for']}, {w['state']} until {w['until']}: {w['reason']}" for w in waivers]
    return [*out, *([""] if waivers else []), "Why, and each safe form: `afdb lint`.", ""] if said["rows"] else out


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *cells]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]

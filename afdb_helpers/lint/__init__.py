"""Rules for statements: squawk's and our own, weighed by the target's tables and by what a rehearsal measured.

Only looks at text and figures; contacts no database. Where a statement was rehearsed, locks and seconds are measured;
else they are estimated by the table's size, and said to be.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from afdb_helpers.lint import remedies, rules, squawk, statements, tokens, waivers
from afdb_helpers.lint.findings import (
    SEVERITIES,
    Executed,
    Finding,
    Findings,
    Severity,
    Table,
    Wait,
    estimated,
    find,
    weigh,
)
from afdb_helpers.lint.squawk import Remark
from afdb_helpers.lint.statements import Statement
from afdb_helpers.lint.waivers import FILE, Waiver
from afdb_helpers.report import Report, count

__all__ = [
    "FILE",
    "SEVERITIES",
    "Executed",
    "Finding",
    "Findings",
    "Severity",
    "Table",
    "Wait",
    "Waiver",
    "check",
    "split",
]

_STAMP = re.compile(r"(?:UPDATE|INSERT INTO) alembic_version .*?'([^']+)'", re.DOTALL)


def check(
    executed: Sequence[Executed],
    tables: Mapping[str, Table],
    *,
    waived: Sequence[Waiver] = (),
    version: int | None = None,
    threshold: Severity = "high",
    on: dt.date | None = None,
) -> Findings:
    """What is to be said of the statements, the gravest first. Not ok when a finding that is not waived reaches
    `threshold`. `tables` are the target's; `version` its server's major. Raises `Unavailable` where squawk cannot run.
    """
    found = [finding for finding in _find(executed, dict(tables), version) if finding.table != rules.VERSION_TABLE]
    marked, said = waivers.apply(found, waived, on or dt.datetime.now(dt.UTC).date())
    marked.sort(key=lambda one: (bool(one.waived), -SEVERITIES.index(one.severity), -(one.seconds or 0.0)))
    counted = [one for one in marked if one.reaches(threshold)]
    return Findings(
        headline=f"lint: {_headline(marked, len(executed))}",
        ok=not counted,
        rows=tuple(one.row() for one in marked),
        brief=tuple(one.brief() for one in marked),
        remedy=f"use the safe form, or waive it in {FILE} with a reason and a day" if counted else "",
        parts=(*([_safe(marked)] if marked else []), *([said] if said.rows else [])),
        findings=tuple(marked),
    )


def split(sql: str) -> list[str]:
    """The statements of a script."""
    return [sql[found[0].start : found[-1].end] for found in tokens.statements(sql)]


def _find(executed: Sequence[Executed], tables: dict[str, Table], version: int | None) -> Iterator[Finding]:
    revisions = _revisions([one.sql for one in executed])
    read = [statements.read(one.sql) for one in executed]
    remarks = squawk.run([one.sql for one in executed], version)
    made = _made(read) - set(tables)
    for number, one in enumerate(executed):
        own = rules.look(read[number], one, tables)
        theirs = (_remarked(remark, read[number], one, tables) for remark in remarks if remark.number == number)
        unique = {(finding.rule, finding.table): finding for finding in (*own, *theirs)}
        for finding in unique.values():
            if finding.table not in made or finding.rule in rules.ALWAYS:  # nobody uses what was made just now
                yield replace(finding, revision=revisions[number])


def _made(read: Iterable[list[Statement]]) -> set[str]:
    created = (s for found in read for s in found if s.verb == "create" and s.kind in ("table", "function"))
    return {s.table for s in created if not s.has("or", "replace")}


def _revisions(sql: Sequence[str]) -> list[str]:
    """The revision of each statement: the one that is stamped next."""
    stamped, found = "", []
    for statement in reversed(sql):
        match = _STAMP.match(statement.strip())
        stamped = match[1] if match else stamped
        found.append(stamped)
    return found[::-1]


def _remarked(remark: Remark, read: list[Statement], one: Executed, tables: Mapping[str, Table]) -> Finding:
    known = remedies.SQUAWK.get(remark.rule, remedies.OTHER)
    table = next((statement.table for statement in read if statement.table), "")
    facts = find(tables, table)
    wait = rules.waiting(one, table)
    seconds = wait.seconds if wait else one.seconds if one.measured else None
    if seconds is None and known.work != "application":
        seconds = estimated(known.work, facts)
    blocks = wait.blocks if wait else known.blocks
    severity = _of_application(remark, facts) if known.work == "application" else weigh(seconds, facts, blocks)
    return Finding(
        rule=remark.rule,
        severity=severity,
        statement=statements.one_line(one.sql),
        table=table,
        lock=wait.lock if wait else known.lock,
        blocks=blocks,
        seconds=None if seconds is None else round(seconds, 3),
        known="measured" if one.measured else "estimated" if seconds is not None else "unknown",
        why=known.why or f"{remark.message} {remark.help}".strip(),
        safe=known.safe.format(table=table, sql=one.sql.strip(), rule=remark.rule, concurrent=_concurrently(one.sql)),
    )


def _of_application(remark: Remark, table: Table | None) -> Severity:
    """It breaks whoever uses the table, be it small; low where nobody does, or where squawk could not read the text."""
    unused = table is not None and table.writes == 0 and table.reads == 0
    if remark.rule == squawk.NOT_READ or unused:
        return "low"
    return "high" if remark.rule in remedies.SQUAWK and remark.rule != "ban-drop-not-null" else "medium"


def _concurrently(sql: str) -> str:
    return re.sub(r"\b(INDEX|TABLE|REINDEX\s+INDEX)\b", r"\1 CONCURRENTLY", sql.strip(), count=1, flags=re.IGNORECASE)


def _headline(findings: Sequence[Finding], looked_at: int) -> str:
    counted = [one for one in findings if not one.waived]
    by = [(level, sum(one.severity == level for one in counted)) for level in reversed(SEVERITIES)]
    said = ", ".join(f"{number} {level}" for level, number in by if number) or "nothing found"
    waived = len(findings) - len(counted)
    return f"{said}{f', {waived} waived' if waived else ''} in {count(looked_at, 'statement')}"


def _safe(findings: Sequence[Finding]) -> Report:
    rows = [{"rule": one.rule, "table": one.table, "why": one.why, "safe form": one.safe} for one in findings]
    counted = tuple(row for row, one in zip(rows, findings, strict=True) if not one.waived)
    return Report(headline="why, and the safe form", rows=tuple(rows), brief=counted)

"""What came of a rehearsal, and how it is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from afdb_helpers import catalog, revisions
from afdb_helpers.fingerprint import Fingerprint
from afdb_helpers.rehearsal.watch import Hold, Watch
from afdb_helpers.report import Report, Row, count, executed, folded, places
from afdb_helpers.revisions import Outcome

BLOCKS = {
    "AccessExclusiveLock": "reads and writes",
    "ExclusiveLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ShareLock": "writes",
    "ShareUpdateExclusiveLock": "schema changes and vacuum",
}  # the strongest first; weaker ones stand in no application's way

Statement = dict[str, Any]


@dataclass(frozen=True, kw_only=True, repr=False)
class Rehearsal(Report):
    """What came of it. Rows: the statements that change something. `statements` has those that only look as well.

    `drop_data`: whether the way down was told to throw away what does not fit; `lost`: what it threw away.

    A statement: n, sql, seconds (None where it failed), begin (the migration's clock), rows, locks newly taken, tables
    rewritten, bytes of WAL and of temporary files, alone (outside a transaction), changes. `holds`: every lock that
    somebody may wait for, on relations that were there before. `disk`, `sizes`: bytes; `sizes` per table, before.
    """

    backup: str
    schema: str
    direction: str
    drop_data: bool
    lost: Mapping[str, int]
    revision: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    seconds: float
    statements: tuple[Statement, ...]
    holds: tuple[Hold, ...]
    disk: Mapping[str, int]
    sizes: Mapping[str, int]
    locks: Report
    way_back: Report

    @property
    def sql(self) -> list[str]:
        """The statements that change something, each once, in order: what a migration plan is made of.

        How often one is repeated, for so many rows at a time, depends on the machine.
        """
        return list(dict.fromkeys(statement["sql"] for statement in self.statements if statement["changes"]))

    def as_dict(self) -> dict[str, Any]:
        names = (
            "backup",
            "schema",
            "direction",
            "lost",
            "revision",
            "before",
            "after",
            "seconds",
            "statements",
            "disk",
            "sizes",
        )
        holds = [asdict(hold) for hold in self.holds]
        return {**super().as_dict(), **{name: getattr(self, name) for name in names}, "holds": holds}


def statements(outcome: Outcome, watch: Watch) -> tuple[Statement, ...]:
    """Each statement that was sent, with what the watch saw of it."""
    return tuple(_statement(seen, watch.facts.get(seen["n"], {})) for seen in outcome.statements)


def _statement(seen: Mapping[str, Any], facts: Mapping[str, Any]) -> Statement:
    """A SELECT changes something too where a function in it took a lock that reading does not take."""
    own = seen.get("locks") or []
    known = {(relation.replace('"', ""), mode) for relation, mode in own}
    locks = [*own, *(lock for lock in facts.get("locks", ()) if tuple(lock) not in known)]
    changes = revisions.changes(seen["sql"]) or any(mode != "AccessShareLock" for _, mode in locks)
    return {"n": seen["n"], "sql": seen["sql"], "seconds": seen.get("seconds"), "begin": round(facts["begin"], 6),
            "rows": seen.get("rows"), "locks": locks, "rewrites": facts.get("rewrites", []), "wal": facts.get("wal"),
            "temporary": facts.get("temporary"), "alone": seen["alone"], "changes": changes}  # fmt: skip


def numbers(done: Iterable[Statement]) -> dict[int, int]:
    """Each changing statement's number in the plan, where equal ones have one, by that among all that were sent."""
    changing = {one["n"]: one["sql"] for one in done if one["changes"]}
    known = places(changing.values())
    return {n: known[sql] for n, sql in changing.items()}


def locks(holds: Iterable[Hold], known: Mapping[int, int]) -> Report:
    """For each relation that was there before, the longest hold of each lock that something waits for.

    `known` has the plan's `numbers` of the statements that took them.
    """
    longest: dict[tuple[str, str], Hold] = {}
    for hold in holds:
        longer = longest.get((hold.relation, hold.lock))
        if hold.lock in BLOCKS and (longer is None or hold.end - hold.begin > longer.end - longer.begin):
            longest[hold.relation, hold.lock] = hold
    rows: list[dict[str, Any]] = [
        {"relation": hold.relation, "lock": hold.lock, "blocks": BLOCKS[hold.lock],
         "seconds": round(hold.end - hold.begin, 3), "from": known.get(hold.statement)}
        for hold in longest.values()
    ]  # fmt: skip
    rows.sort(key=lambda row: (list(BLOCKS).index(row["lock"]), -row["seconds"]))
    worst = max((row for row in rows if "writes" in row["blocks"]), key=lambda row: row["seconds"], default=None)
    said = "none that an application waits for"
    if worst:
        same = [
            row["relation"] for row in rows if (row["blocks"], row["seconds"]) == (worst["blocks"], worst["seconds"])
        ]
        said = f"the longest blocks {worst['blocks']} of {', '.join(same)} for {worst['seconds']:.3f} s"
    return Report(headline=f"locks: {said}", rows=tuple(rows))


def disk(found: Mapping[str, int]) -> Report:
    """The disk that it took, as one row."""
    if not found:
        return Report(headline="disk: not measured")
    row = {name: catalog.human(size) for name, size in found.items()}
    return Report(headline=f"disk: {row['needed']} needed beside the database's {row['before']}", rows=(row,))


def lost(before: Fingerprint, after: Fingerprint, mapping: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """What of before is gone with all that it held: table → rows, table.column → values that are not NULL."""
    gone: dict[str, int] = {}
    for name, old in before.tables.items():
        new, renamed = after.tables.get(name), mapping.get(name, {}).get("renamed", {})
        if new is None:
            gone[name] = old.rows
        else:
            missing = {c: p for c, p in old.columns.items() if c not in new.columns and c not in renamed}
            gone |= {f"{name}.{column}": print_.nonnull for column, print_ in missing.items()}
    return {name: n for name, n in gone.items() if n}


def kept(before: Mapping[str, int], after: Mapping[str, int], *, lossy: bool) -> Report:
    """The way down: each table that was there and is, with its rows; fewer are a loss, unless that was asked for."""
    both = [name for name in before if name in after]
    fewer = [name for name in both if after[name] < before[name]]
    rows = tuple({"table": name, "rows before": before[name], "rows after": after[name]} for name in both)
    said = f"fewer rows in {', '.join(fewer)}" if fewer else f"every row of {count(len(both), 'table')} is there"
    return Report(headline=f"data: {said}; values are not compared on the way down", ok=lossy or not fewer, rows=rows)


def wrong(outcome: Outcome, done: tuple[Statement, ...], after: tuple[str, ...], wanted: str) -> str:
    """Why the migration did not go well, or nothing. A database's message is cut where it may go on to quote values."""
    if outcome.error and (parts := outcome.error.get("parts")):
        return str(parts["what"])
    if outcome.error:
        said = f"{outcome.error['kind']}: {outcome.error['message'].strip().splitlines()[0]}"
        open_ = [statement for statement in done if statement["seconds"] is None]
        where = f"at {revisions.short(open_[-1]['sql'])!r}: " if open_ else ""
        return f"failed {where}{said}"
    if wanted not in after:
        return f"ended without an error, and the copy is at {', '.join(after) or 'no revision'}, not at {wanted}"
    return ""


def refusal(error: Mapping[str, Any] | None) -> tuple[Report, ...]:
    """Why a revision of ours refused and what to do, in its own words; nothing where it was no such refusal."""
    parts = (error or {}).get("parts")
    return (Report(headline=parts["why"], ok=False, remedy=parts["do"]),) if parts else ()


def said(
    before: tuple[str, ...],
    after: tuple[str, ...],
    seconds: float,
    done: tuple[Statement, ...],
    data: Report,
    back: Report,
) -> str:
    start, end = (", ".join(heads) or "nothing stamped" for heads in (before, after))
    if not done:
        return f"at {end} already, nothing to do"
    changing = executed(statement["sql"] for statement in done if statement["changes"])
    return f"{start} → {end} in {seconds:.1f} s, {changing}; {data.headline}; {back.headline}"


def rows(done: Sequence[Statement]) -> tuple[Row, ...]:
    """Each statement that changes something, under its number in the plan."""
    known = numbers(done)
    return tuple(_row(statement, known[statement["n"]]) for statement in done if statement["n"] in known)


def brief(done: Sequence[Statement]) -> tuple[Row, ...]:
    """The same with equal ones as one; a failed one stands alone."""
    return folded(rows(done), ((one["sql"], one["seconds"] is None) for one in done if one["changes"]))


def _row(statement: Statement, number: int) -> dict[str, Any]:
    taken = (f"{relation} {mode.removesuffix('Lock')}" for relation, mode in statement["locks"])
    return {
        "n": number,
        "statement": revisions.short(statement["sql"]),
        "seconds": statement["seconds"],
        "rows": statement["rows"],
        "locks": ", ".join(taken),
        "rewrites": ", ".join(statement["rewrites"]),
        "WAL, bytes": statement["wal"],
        "temporary, bytes": statement["temporary"],
    }

"""Where a target stands, what a migration did to it, and what is said when it did not go as planned."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, fingerprint, revisions, verification
from afdb_helpers.errors import AfdbError, Incomplete, Interrupted, Refused, Unavailable
from afdb_helpers.fingerprint import Fingerprint
from afdb_helpers.migrate import endings
from afdb_helpers.migrate.endings import Ending
from afdb_helpers.migrate.journal import stamps
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.report import Report, count, executed, folded, places
from afdb_helpers.revisions import Event, Graph, Outcome
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection

ATTEMPTS = 5
NO_LOCK = ("55P03", "SQLITE_BUSY", "SQLITE_LOCKED")
CONTENTION = (*NO_LOCK, "40P01", "40001")  # nothing else is tried again
_CUT = "server closed|terminating connection|connection (was |already )?closed|not connected|lost"


@dataclass(frozen=True, kw_only=True, repr=False)
class State(Report):
    """What is compared before and after: stamped revisions, schema digest, fingerprint of the data, invalid indexes,
    who may do what, the bytes of each table with its indexes; before a plan, what did not hold already.

    `repaired`: the revision that runs again although it is stamped, so that its renames are yet to come.
    """

    revisions: tuple[str, ...]
    schema: str
    data: Fingerprint
    rights: Mapping[str, Any]
    bytes: Mapping[str, int | None]
    invalid: tuple[str, ...] = ()
    violations: tuple[Mapping[str, Any], ...] = ()
    repaired: str = ""

    def as_dict(self) -> dict[str, Any]:
        said: dict[str, Any] = {"revisions": list(self.revisions), "schema": self.schema, "data": self.data.as_dict(),
                "rights": self.rights, "bytes": self.bytes, "invalid_indexes": list(self.invalid)}  # fmt: skip
        said |= {"violations": list(self.violations)} if self.violations else {}
        return said | ({"repaired": self.repaired} if self.repaired else {})


@dataclass(frozen=True, kw_only=True, repr=False)
class Migration(Report):
    """What was done: `before` and `after` are stamped revisions and schema digest; rows are the statements."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    changed: bool
    seconds: float


def state(connection: Connection, plan: MigrationPlan | None = None) -> State:
    """Revisions, schema and data as they are now, before a plan; reads each table once (ACCESS SHARE)."""
    repairs = plan is not None and plan.content["direction"] == "repair"
    taken = fingerprint.take(connection)
    stamped, schema = catalog.heads(connection), catalog.snapshot(connection)
    sizes = {row["table"]: row["bytes"] for row in catalog.sizes(connection).rows}
    rows = [{"table": name, "rows": p.rows, "columns": len(p.columns)} for name, p in taken.tables.items()]
    headline = f"at {', '.join(stamped) or 'no revision'}, {count(sum(p.rows for p in taken.tables.values()), 'row')}"
    broken = catalog.keys.invalid(connection)
    headline += f", invalid: {', '.join(broken)}" if broken else ""
    return State(headline=headline, rows=tuple(rows), revisions=stamped, schema=schema.digest, data=taken,
                 rights=verification.rights(schema), bytes=sizes, invalid=broken,
                 violations=tuple(verification.standing(connection)) if plan else (),
                 repaired=plan.content["to"] if plan and repairs else "")  # fmt: skip


def standing(target: Target) -> dict[str, Any]:
    """Where the target stands, on a fresh connection: stamped revisions and the schema's digest."""
    if target.dialect == "sqlite" and not target.file().exists():
        return {"revisions": [], "schema": catalog.Catalog("sqlite", {}).digest}
    with target.connect() as connection:
        return {"revisions": list(catalog.heads(connection)), "schema": catalog.snapshot(connection).digest}


def identity(target: Target) -> dict[str, Any]:
    """Which database the target is; nothing where it is a file that is still to be made."""
    if target.dialect == "sqlite":
        server = {"system_identifier": None, "timeline": None}
        return {"dialect": "sqlite", **server, "database": str(target.file()), "oid": None}
    with target.connect() as connection:
        return catalog.identity(connection).key()


def mark(run_id: str, plan: str, files: Mapping[str, str]) -> str:
    """What a run leaves as the comment of the version table: itself, its plan, its intent's place in the ledger, and
    the hashes of the files that are applied."""
    said: dict[str, Any] = {"run": run_id, "plan": plan, "ledger": os.environ.get("AFDB_RUN_LEDGER")}
    said |= {"files": {id_: sha256[:16] for id_, sha256 in files.items()}}
    return json.dumps({key: value for key, value in said.items() if value})


def edited(connection: Connection, graph: Graph) -> tuple[str, ...]:
    """The applied revisions whose file is another than the one that the last run here left the hash of."""
    if connection.dialect.name == "sqlite":
        return ()
    said = connection.exec_driver_sql(catalog.question("stamp_comment")).scalar()
    try:
        known = dict(json.loads(said or "{}").get("files", {}))
    except (ValueError, TypeError, AttributeError):  # somebody else's comment
        return ()
    here = {r.id: r.sha256[:16] for r in graph.revisions}
    applied = set().union(*(graph.ancestors(one) for one in catalog.heads(connection) if one in here))
    return tuple(id_ for id_ in known if id_ in applied and known[id_] != here[id_])


def refuse_elsewhere(target: Target, ours: Mapping[str, Any], said: Event) -> None:
    """Refuse a connection of the child's that leads to another database, a replica, or one that takes no writes."""
    if not catalog.is_same(ours, said):
        raise Refused(
            f"the project's env.py connects to {said.get('database') or 'another server'}, not to target {target.name};"
            " nothing was changed there",
            why="it does not take the URL from sqlalchemy.url or DATABASE_URL",
            do="let env.py read config.get_main_option('sqlalchemy.url') or DATABASE_URL, then run again",
        )
    if said.get("replica") or said.get("read_only"):
        raise Refused(
            f"target {target.name} takes no writes; nothing was changed",
            why="it is a replica" if said.get("replica") else "its sessions are read-only",
            do="put the primary's address into the URL (target_session_attrs=read-write finds it among several hosts)",
        )


def was_cut(error: Event) -> bool:
    """Whether what failed is the connection, or the child itself, so that a commit may have been made all the same."""
    return error["kind"] == "died" or bool(re.search(_CUT, error["message"]))


def committed(target: Target, xid: str) -> bool:
    """Whether the server committed a transaction whose commit was not answered."""
    from sqlalchemy import text

    with target.connect() as connection:
        return connection.execute(text("SELECT txid_status(:xid)"), {"xid": int(xid)}).scalar() == "committed"


def answered_late(done: Migration) -> Migration:
    return replace(done, headline=f"{done.headline}; the connection was lost after the commit, which the server made")


_DONE = {"upgrade": "upgraded", "downgrade": "downgraded", "adopt": "stamped, as verified,", "repair": "repaired"}


def migration(
    direction: str, outcome: Outcome, before: Mapping[str, Any], after: Mapping[str, Any], seconds: float
) -> Migration:
    done = [s for s in outcome.statements if revisions.changes(s["sql"])]
    known = places(s["sql"] for s in done)
    rows = [
        {
            "n": known[s["sql"]],
            "statement": revisions.short(s["sql"]),
            "seconds": s.get("seconds"),
            "rows": s.get("rows"),
        }
        for s in done
    ]
    here, there = (", ".join(state["revisions"]) or "nothing" for state in (before, after))
    changed = before != after
    said = f"{_DONE[direction]} from {here} to {there}" if changed else f"at {there}: nothing to do"
    headline = f"{said} in {seconds:.1f} s, {executed(s['sql'] for s in done)}" if changed else said
    return Migration(
        headline=headline,
        rows=tuple(rows) if changed else (),
        brief=folded(rows, ((s["sql"], s.get("seconds") is None) for s in done)) if changed else (),
        before=before,
        after=after,
        changed=changed,
        seconds=seconds,
    )


def moved_on(target: Target, what: str = "its revision or its schema changed") -> Refused:
    return Refused(
        f"target {target.name} is not what the plan was made for; nothing was changed",
        why=f"{what} after the plan was made",
        do="run the migration again: it makes the plan anew",
    )


def failed(
    target: Target, error: Event, before: Mapping[str, Any], after: Mapping[str, Any], ending: Ending
) -> AfdbError:
    said = f"{error['kind']}: {error['message']}"
    here = ", ".join(after["revisions"]) or "nothing stamped"
    if ending.state == endings.COMPLETE:
        return Incomplete(
            f"target {target.name} is complete at {here}, and the command failed after that",
            why=said,
            do=f"mend the cause; nothing is left to be migrated: afdb current --target {target.name}",
        )
    if after != before or ending.state != endings.UNCHANGED:
        next_ = "; then ".join(ending.repair) or ending.why
        return Incomplete(
            f"target {target.name} was changed, and not all of it was done; it stands at {here} ({ending.state})",
            why=said,
            do="mend the cause, then run the same command again: it goes on where this one stopped"
            if len(ending.repair) == 1 and ending.state != endings.INVALID
            else f"mend the cause, then: {next_}",
        )
    if error.get("sqlstate") in NO_LOCK:
        return Refused(
            f"target {target.name} is as it was ({here}): a lock was not to be had in {ATTEMPTS} attempts",
            why=blockers(target) or said,
            do="wait for that transaction to end, or end it, then run again",
        )
    if parts := error.get("parts"):
        return Refused(
            f"{parts['what']}; target {target.name} stands at {here} as before", why=parts["why"], do=parts["do"]
        )
    if error["kind"] == "CommandError":
        return Refused(
            f"target {target.name} is as it was ({here})", why=error["message"], do="mend the cause, then run again"
        )
    return Incomplete(
        f"the migration failed and was rolled back; target {target.name} stands at {here} as before",
        why=said,
        do="mend the cause, then run again",
    )


def stamped(outcome: Outcome) -> bool:
    """Whether the revisions were run to the point where Alembic writes down that they were."""
    return any(stamps(statement["sql"]) for statement in outcome.statements)


def invalid(target: Target, after: Mapping[str, Any], ending: Ending) -> Incomplete:
    return Incomplete(
        f"target {target.name} is stamped {', '.join(after['revisions'])}, and not all of it is valid",
        why="the server vouches not for an index that a failed concurrent build left; IF NOT EXISTS passed over it",
        do="; then ".join(ending.repair),
    )


def silent(target: Target, why: str) -> Incomplete:
    return Incomplete(
        f"UNKNOWN: the network to target {target.name} fell silent during a change, and the run was ended",
        why=why,
        do=f"when it answers again: afdb current --target {target.name}; then run the same command again,"
        " it looks at what stands and does what is left",
    )


def uncommitted(target: Target, after: Mapping[str, Any]) -> Incomplete:
    return Incomplete(
        f"the revisions ran, and nothing of it was kept; target {target.name} stands at"
        f" {', '.join(after['revisions']) or 'nothing stamped'} as before",
        why="the project's env.py did not commit: it used the connection before context.configure, or rolled back",
        do="mend env.py (a statement before context.configure needs a commit of its own), then run again",
    )


def unseen(target: Target, error: AfdbError) -> Incomplete:
    return Incomplete(
        f"a change of target {target.name} was begun, and where it stands now cannot be seen",
        why=error.why,
        do=f"when it answers again: afdb current --target {target.name}; then run the same command again",
    )


def interrupted(target: Target, before: Mapping[str, Any], after: Mapping[str, Any]) -> Interrupted:
    unchanged = after == before
    return Interrupted(
        f"interrupted; target {target.name} {'is as it was' if unchanged else 'was changed'}",
        why=f"it stands at {', '.join(after['revisions']) or 'nothing stamped'}",
        do="run the same command again: it goes on where this one stopped",
    )


def blockers(target: Target) -> str:
    """The sessions whose open transaction may hold the lock, oldest first."""
    if target.dialect == "sqlite":
        return "another process is writing to the file"
    try:
        with target.connect() as connection:
            rows = connection.exec_driver_sql(catalog.question("open_transactions")).mappings().all()
    except Unavailable:
        return ""
    said = [
        f"process {r['pid']} of role {r['role']} ({r['state']}, {r['seconds']} s): {r['last_statement']}" for r in rows
    ]
    return "; ".join(said[:3])

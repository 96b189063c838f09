"""What a migration will do, and the digest that an approval is bound to.

The digest is SHA-256 over canonical JSON of: which database (identity), in which schema (catalogue digest and stamped
revisions), which revisions with the hashes of their files, whether data may be thrown away on the way down, and the SQL
where a rehearsal has shown it. It is the same on every machine and in every run, and another one as soon as any of
these is another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.migration_plan import schema
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Graph, Revision

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True, repr=False)
class MigrationPlan(Report):
    """`content` is what the digest is taken over; nothing outside it is part of the approval.

    `offline` is what Alembic prints where no rehearsal has shown the SQL, and `not_previewable` holds the revisions
    that read the database, so that Alembic prints nothing, or not what will run.
    """

    content: Mapping[str, Any]
    offline: tuple[str, ...] = ()
    not_previewable: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return catalog.digest(self.content)

    @property
    def rehearsed(self) -> bool:
        """Whether the SQL is known, from a rehearsal."""
        return bool(self.content["sql"])

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.content["revisions"]

    def losing(self, lost: Mapping[str, int]) -> MigrationPlan:
        """The same plan with what a rehearsal saw thrown away (table → rows, table.column → values)."""
        if not self.content.get("drop_data"):
            return self
        rows = tuple({"thrown away": name, "rows or values": n} for name, n in lost.items())
        part = Report(
            headline=f"thrown away in the rehearsal: {count(len(rows), 'table or column') if rows else 'nothing'}",
            rows=rows,
        )
        return replace(self, parts=(*self.parts, part))

    def as_dict(self) -> dict[str, Any]:
        about = {"offline_sql": list(self.offline), "not_previewable": list(self.not_previewable)}
        said = {**super().as_dict(), "digest": self.digest, "content": dict(self.content)}
        return said | {name: value for name, value in about.items() if value}

    def previewed(self, sql: Sequence[str], not_previewable: Sequence[str]) -> MigrationPlan:
        """The same plan with what Alembic prints; the digest stays."""
        flagged = dict.fromkeys(not_previewable, "not previewable: it reads the database")
        rows = tuple({**row, "offline SQL": flagged.get(row["revision"], "printed")} for row in self.rows)
        return replace(self, rows=rows, offline=tuple(sql), not_previewable=tuple(not_previewable))


def make(
    connection: Connection,
    graph: Graph,
    revision: str = "head",
    *,
    direction: str = "upgrade",
    drop_data: bool = False,
    sql: Sequence[str] = (),
    rehearsed: Mapping[str, Any] | None = None,
) -> MigrationPlan:
    """The plan for the database behind `connection`. Only looks (ACCESS SHARE).

    `drop_data`: on the way down, what the older schema cannot hold is thrown away; else that is refused.
    `sql` is what a rehearsal saw. `rehearsed` is a rehearsal's `plan.json`: its SQL is taken over where all the rest of
    it is as it is now, and only then.

    Raises `Refused` when the database is stamped with a revision that the project does not have, or the project has
    several heads; `ConfigError` when `revision` is unknown or lies in the other direction.
    """
    current = catalog.heads(connection)
    wanted, steps = route(graph, current, revision, direction)
    identity = catalog.identity(connection)
    content: dict[str, Any] = {
        "target": identity.key(),
        "direction": direction,
        "from": list(current),
        "to": wanted,
        "schema": catalog.snapshot(connection).digest,
        "revisions": [{"id": r.id, "sha256": r.sha256} for r in steps],
        "sql": list(sql),
    }
    if drop_data and direction == "downgrade":
        content["drop_data"] = True
    if rehearsed and {**rehearsed["content"], "sql": []} == content:
        content["sql"] = rehearsed["content"]["sql"]
    return from_content(content, {r.id: r.doc for r in steps})


def route(graph: Graph, current: tuple[str, ...], revision: str, direction: str) -> tuple[str, tuple[Revision, ...]]:
    """Where `revision` is, and the steps to it from the stamped ones. Raises as `make` does.

    `adopt`: the steps are the revisions that the stamp will say were run. `repair`: the stamped one, which runs again.
    """
    wanted = graph.wanted(revision)
    known = {r.id for r in graph.revisions}
    if direction == "adopt":
        done = graph.ancestors(wanted) if current != (wanted,) else set()
        return wanted, tuple(r for r in graph.revisions if r.id in done)
    if not set(current) <= known:
        raise _ahead(current, known)
    if direction == "repair":
        return wanted, (_resuming(graph, wanted, current),)
    steps = graph.between(current, wanted) if direction == "upgrade" else graph.back(current, wanted)
    if not steps and wanted not in (current or ("base",)):
        other = "downgrade" if direction == "upgrade" else "upgrade"
        raise ConfigError(
            f"revision {wanted} is not {'ahead of' if direction == 'upgrade' else 'behind'} the database",
            why=f"it is at {', '.join(current) or 'no revision'}, and this goes one way only",
            do=f"afdb {other} {wanted}",
        )
    return wanted, steps


def from_content(content: Mapping[str, Any], docs: Mapping[str, str] | None = None) -> MigrationPlan:
    """A plan shown from its content, as it stands in a record. Raises `Refused` where it is none."""
    schema.check(content)
    steps = content["revisions"]
    if not steps:
        return MigrationPlan(headline=f"at {content['to']}: nothing to do", content=content)
    rows = [{"revision": s["id"], "what": (docs or {}).get(s["id"], ""), "file": s["sha256"][:12]} for s in steps]
    seen = f"{count(len(content['sql']), 'different statement')} seen in rehearsal"
    known = seen if content["sql"] else "not rehearsed"
    known = "no revision runs" if content["direction"] == "adopt" else known
    parts = (Report(headline=f"{known}; digest {catalog.digest(content)}"),)
    return MigrationPlan(headline=_headline(content), rows=tuple(rows), parts=parts, content=content)


def _headline(content: Mapping[str, Any]) -> str:
    start, end = ", ".join(content["from"]) or "nothing stamped", content["to"]
    if content["direction"] == "adopt":
        return f"stamp {end}, which the schema equals, in place of {start}"
    if content["direction"] == "repair":
        return f"run {end} again, until the schema is its own"
    lossy = f", and what {end} cannot hold is THROWN AWAY" if content.get("drop_data") else ""
    return f"from {start} to {end}{lossy}"


def _resuming(graph: Graph, wanted: str, current: tuple[str, ...]) -> Revision:
    """The stamped revision, which can tell what it lacks: only such a one can be run again."""
    if current != (wanted,):
        raise ConfigError(
            f"revision {wanted} is not the one to repair",
            why=f"the database is stamped {', '.join(current) or 'with nothing'}",
            do="afdb adopt, which finds the revision that the schema equals",
        )
    if not graph.get(wanted).resumes:
        raise Refused(
            f"revision {wanted} cannot be run again",
            why="it has no missing(connection), so it cannot tell what of it is there already",
            do="write a revision that mends the differences that `afdb run discovery` shows",
        )
    return graph.get(wanted)


def _ahead(current: tuple[str, ...], known: set[str]) -> Refused:
    unknown = ", ".join(sorted(set(current) - known))
    return Refused(
        f"the database is stamped {unknown}, a revision that this project does not have",
        why="it was migrated by a newer or another version of the project",
        do="check out the version of the project that holds that revision, then run again",
    )

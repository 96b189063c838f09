"""What has to hold whatever was done: the server vouches for all of it, nothing points nowhere, nobody gained or lost a
right."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, drift, waivers
from afdb_helpers.errors import Unavailable
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Project
from afdb_helpers.verification import orphans, sequences
from afdb_helpers.verification.comparing import since
from afdb_helpers.verification.rights import changed

if TYPE_CHECKING:
    from sqlalchemy import Connection


def invariants(
    connection: Connection, project: Project | None = None, before: Mapping[str, Any] | None = None
) -> Report:
    """Invalid indexes, constraints never validated, rows that point nowhere, sequences that would give a number twice,
    rights that are not as before: one row each with what would mend it, none when all is well. Nothing is run.

    With a `project`, rows are held against the foreign keys that its chain makes, too. `before` is a record's
    `before.json`, or its keys `revisions`, `rights` and `violations`: what was so before is said to have been.
    """
    chain = _chain(connection, project) if project else None
    if connection.dialect.name == "sqlite":
        rows = [*_sqlite(connection), *_intended(connection, chain)]
    else:
        with catalog.settled(connection, {"row_security": "off"}):
            rows = catalog.rows(connection, "not_valid")
            rows += sequences.behind(connection)
            rows += orphans.orphans(connection, orphans.declared(connection))
            rows += _intended(connection, chain)
        rows += _rights(connection, project, before) if project and before else ()
    already = {_key(row) for row in (before or {}).get("violations", ())}
    rows = [row | {"since": "before the migration"} if _key(row) in already else row for row in rows]
    old = sum("since" in row for row in rows)
    wrong = sum(not row.get("because") for row in rows)
    unknown = before is not None and "rights" not in before and connection.dialect.name != "sqlite"
    so = f", {'all' if old == wrong else old} of them so before the migration" if old else ""
    said = "; the rights of before were not kept" if unknown else ""
    return Report(
        headline=f"invariants: {count(wrong, 'violation') if wrong else 'all hold'}{so}{said}",
        ok=not wrong,
        rows=tuple(rows),
        remedy="see what each row's `mend` says; nothing of it was run" if wrong else "",
    )


def standing(connection: Connection) -> list[dict[str, Any]]:
    """What does not hold before a migration, of what can be asked quickly: what the server does not vouch for, and
    sequences behind their column. A sequence that may not be read is left to the verification, which says so."""
    if connection.dialect.name == "sqlite":
        return []
    found = catalog.rows(connection, "not_valid")
    with contextlib.suppress(Unavailable):
        found += list(sequences.behind(connection))
    return found


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["table"], row["object"], row["state"]


def _sqlite(connection: Connection) -> Iterator[dict[str, Any]]:
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check").all()[: orphans.SHOWN]:
        yield {"table": row[0], "object": f"row {row[1]} → {row[2]}", "state": "orphan", "mend": orphans.MEND}
    for said in connection.exec_driver_sql("PRAGMA integrity_check").scalars().all():
        if said != "ok":
            yield {"table": "", "object": said, "state": "damaged", "mend": "-- restore the file from a proven backup"}


def _chain(connection: Connection, project: Project) -> catalog.Catalog | None:
    """What the chain makes at the stamped revision, as it was made for the schema's comparison."""
    stamped = catalog.heads(connection)
    if len(stamped) != 1:
        return None
    major = catalog.snapshot(connection).major
    return drift.reference(project, project.graph(), stamped[0], dialect=connection.dialect.name, major=major)


def _intended(connection: Connection, chain: catalog.Catalog | None) -> Iterator[dict[str, Any]]:
    if chain is not None:
        yield from orphans.orphans(connection, orphans.intended(catalog.snapshot(connection), chain))


def _rights(connection: Connection, project: Project, before: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    live, accepted, today = catalog.snapshot(connection), drift.waived(project), waivers.today()
    declared = since(project, before, catalog.heads(connection))
    for one in changed(before.get("rights", {}), live, declared):
        because = waivers.waived(one, accepted, today)
        said = f"before: {one.chain}; now: {one.live}"
        row = {"table": "", "object": one.object, "state": said, "mend": "" if because else one.mend}
        yield row | ({"because": f"waived {because}"} if because else {})

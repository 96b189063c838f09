"""The server: which one, until when it is supported, what the role may, the way there, who is in a migration's way."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, hazards
from afdb_helpers.discovery.asking import ask
from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.report import Report, count
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection

SOON = 180  # days before its end of life from which a version is pointed out


def server(connection: Connection, *, on: dt.date | None = None) -> Report:
    """Which database this is, what approvals and backups are bound to, and what the role may do with it.

    Not ok where a version is out of support, and where the role cannot see all that a migration has to know.
    """
    found = catalog.identity(connection)
    facts = {name.replace("_", " "): value for name, value in found.as_dict().items()}
    if found.dialect == "sqlite":
        return Report(headline=f"SQLite {found.version}, database {found.database}", rows=_rows(facts))
    more = ask(connection, "target_facts")[0]
    ends = supported(more["major"], on or dt.datetime.now(dt.UTC).date())
    unseen = _unseen(more)
    facts |= {"supported": ends.headline} | _told(more)
    kept = (Report(headline="not seen", ok=False, rows=tuple(unseen)),) if unseen else ()
    return Report(
        headline=f"PostgreSQL {found.version}, database {found.database}, {more['kind']}; {ends.headline}",
        ok=ends.ok and not unseen,
        rows=_rows(facts),
        remedy=ends.remedy or (unseen[0]["remedy"] if unseen else ""),
        parts=(*kept, _extensions(connection), _settings(connection)),
    )


def supported(major: int, on: dt.date) -> Report:
    """Until when a version has its fixes, by the dates that came with this package."""
    known = json.loads((Path(__file__).parent / "versions.json").read_text())
    end = known["end_of_life"].get(str(major))
    if end is None:
        newest = max(map(int, known["end_of_life"]))
        return Report(
            headline=f"version {major} is {'newer' if major > newest else 'older'} than the dates of {known['as_of']}"
        )
    left = (dt.date.fromisoformat(end) - on).days
    upgrade = f"plan the upgrade to a supported version; see {known['source']}"
    if left < 0:
        return Report(headline=f"out of support since {end}", ok=False, remedy=upgrade)
    return Report(headline=f"supported until {end}", remedy=upgrade if left < SOON else "")


def way(target: Target) -> Report:
    """How the server is reached: directly, by a session pooler, by a transaction pooler; and whether it is verified.

    Opens up to five connections, each for a moment. What a migration or a backup would refuse is not ok.
    """
    parts: list[dict[str, Any]] = []
    remedies = []
    for what, look in (("the URL", hazards.way), ("the session", hazards.pooled)):
        try:
            found = look(target)
            parts.append({"looked at": what, "found": found.headline, "ok": True})
        except Refused as error:
            parts.append({"looked at": what, "found": f"{error.what}: {error.why}", "ok": False})
            remedies.append(error.do)
        except Unavailable as error:
            parts.append({"looked at": what, "found": f"{error.what}: {error.why}", "ok": False})
            remedies.append(error.do)
    said = "; ".join(part["found"] for part in parts if not part["ok"]) or parts[-1]["found"]
    return Report(
        headline=f"the way there: {said}", ok=not remedies, rows=tuple(parts), remedy=remedies[0] if remedies else ""
    )


def blockers(connection: Connection) -> Report:
    """Who would hold up a migration that began now, and what is in its way; not ok where there is something."""
    present = hazards.present(connection)
    if connection.dialect.name == "sqlite":
        return present
    rows = [*present.rows, *ask(connection, "would_block")]
    if not rows:
        return Report(headline="nobody would block a migration now")
    kinds = sorted({row["hazard"] for row in rows})
    headline = f"{count(len(rows), 'thing')} would block a migration now: {', '.join(kinds)}"
    if kinds == ["not seen"]:
        headline = "whether somebody would block a migration now cannot be seen"
    return Report(headline=headline, ok=False, rows=tuple(rows), remedy=rows[0]["remedy"])


def _told(more: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": more["kind"],
        "replay lag, s": more["replay_lag"],
        "TLS": more["tls"] or "none",
        "encoding": f"{more['encoding']}, {more['collation']}",
        "size": None if more["bytes"] is None else catalog.human(more["bytes"]),
        "connections": more["connections"],
        "role is": more["attributes"] or "an ordinary role",
        "member of": more["member_of"],
        "may create schemas": more["may_create_schemas"],
        "may create in public": more["may_create_in_public"],
        "tables": f"{more['tables']}, {more['owned']} of them the role's own, {more['readable']} readable",
    }


def _unseen(more: dict[str, Any]) -> list[dict[str, str]]:
    """What the role is not shown, with the grant that would change it."""
    found = []
    if more["readable"] < more["tables"]:
        lacking = more["tables"] - more["readable"]
        found.append({"what": f"the content and the statistics of {count(lacking, 'table')} of {more['tables']}",
                      "remedy": more["to_read"]})  # fmt: skip
    if not more["sees_other_sessions"]:
        found.append({"what": "what the sessions of other roles do",
                      "remedy": more["to_see_sessions"]})  # fmt: skip
    return found


def _extensions(connection: Connection) -> Report:
    rows = ask(connection, "extensions")
    return Report(headline=count(len(rows), "extension"), rows=tuple(rows))


def _settings(connection: Connection) -> Report:
    rows = ask(connection, "settings_that_matter")
    return Report(headline="settings that matter to a migration", rows=tuple(rows))


def _rows(facts: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return tuple({"fact": name, "value": value} for name, value in facts.items() if value is not None)

"""What of a database's content stands in no table: where its sequences stand, and its large objects.

Sequences are bound to no snapshot: pg_dump reads each at some moment of its work. So they are asked before and after
it, and what is restored has to lie between. Kept in beside.json, a file of the backup like the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.backup import sealed

if TYPE_CHECKING:
    from sqlalchemy import Connection

BESIDE = "beside.json"


def sequences(connection: Connection, excluded: Sequence[str]) -> dict[str, int | None]:
    """Each sequence's last number, but of those schemas; None before the first, and where it may not be seen."""
    rows = connection.exec_driver_sql(catalog.question("sequences")).mappings()
    return {row["name"]: row["value"] for row in rows if row["schema"] not in excluded}


def objects(connection: Connection) -> dict[str, Any]:
    """The large objects as the connection's snapshot has them; `total` is None where the role may not read them all."""
    number, readable = connection.exec_driver_sql(catalog.question("large_objects")).one()
    content = catalog.question("large_object_content")
    return {"number": number, "total": connection.exec_driver_sql(content).scalar_one() if readable else None}


def keep(folder: Path, before: Mapping[str, int | None], after: Mapping[str, int | None], large: Any) -> None:
    """Write it. A sequence that was made or dropped meanwhile is not in the dump, or not for long: it is left out."""
    both = {name: [before[name], after[name]] for name in before if name in after}
    sealed.write(folder / BESIDE, {"sequences": both, "large_objects": large})


def compare(folder: Path, connection: Connection, excluded: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What of it is not in the restored copy as it was; nothing for a backup from before this was kept."""
    if not (folder / BESIDE).is_file():
        return
    then = sealed.unseal((folder / BESIDE).read_bytes())
    now = sequences(connection, excluded)
    for name, (before, after) in then["sequences"].items():
        if name not in now:
            yield f"sequence {name}", "gone"
        elif not _between(now[name], before, after):
            yield f"sequence {name}", f"stands at {now[name]}, stood at {before}"
    was, found = then["large_objects"], objects(connection)
    if was["number"] != found["number"]:
        yield "large objects", f"{was['number']} → {found['number']}"
    elif None not in (was["total"], found["total"]) and was["total"] != found["total"]:
        yield "large objects", "content"


def _between(now: int | None, before: int | None, after: int | None) -> bool:
    if before == after:
        return now == before
    if now is None or before is None or after is None:
        return True  # it drew its first number meanwhile, or was set back: where it stood then is not known
    return min(before, after) <= now <= max(before, after)

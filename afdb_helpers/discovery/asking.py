"""How discovery puts a question of sql/ to the server: values bound, the answer as plain rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog

if TYPE_CHECKING:
    from sqlalchemy import Connection


def ask(connection: Connection, name: str, **values: Any) -> list[dict[str, Any]]:
    """The answer to sql/<name>.sql: one mapping a row."""
    from sqlalchemy import text

    return [dict(row) for row in connection.execute(text(catalog.question(name)), values).mappings()]

"""What every session that migrates tells the server, unless the caller's URL or PGOPTIONS say otherwise."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

SETTINGS = {
    "application_name": "afdb alembic",
    "client_connection_check_interval": "2s",  # a statement ends with its client, where the system can tell
    "idle_in_transaction_session_timeout": "5min",
}
_SET = (
    "SELECT set_config(s.name, given.value, false) FROM pg_settings s JOIN unnest(CAST(:names AS text[]),"
    " CAST(:given AS text[])) AS given (name, value) USING (name) WHERE s.source NOT IN ('client', 'session')"
)
_GIVEN = {"names": list(SETTINGS), "given": list(SETTINGS.values())}


def mark(engine: sa.Engine) -> None:
    """Set them on each new connection of a PostgreSQL engine, before a transaction begins."""

    @sa.event.listens_for(engine, "connect")
    def _connect(session: Any, _record: Any) -> None:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute(_SET.replace(":names", "%(names)s").replace(":given", "%(given)s"), _GIVEN)
        session.autocommit = False


def settle(connection: sa.Connection) -> None:
    """Set them on a connection that another project's env.py made; what the session set itself stays."""
    connection.execute(sa.text(_SET), _GIVEN)

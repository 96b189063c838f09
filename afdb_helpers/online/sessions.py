"""What every session that migrates tells the server, unless the caller's URL or PGOPTIONS say otherwise."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

# a statement ends with its client, where the system can tell
_SET = """
SELECT set_config(name, given.value, false) FROM pg_settings JOIN (VALUES
  ('application_name', 'afdb alembic'), ('client_connection_check_interval', '2s'),
  ('idle_in_transaction_session_timeout', '5min')) given (name, value) USING (name)
WHERE source NOT IN ('client', 'session')
""".strip()


def mark(engine: sa.Engine) -> None:
    """Set them on each new connection of a PostgreSQL engine, before a transaction begins."""

    @sa.event.listens_for(engine, "connect")
    def _connect(session: Any, _record: Any) -> None:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute(_SET)
        session.autocommit = False


def settle(connection: sa.Connection) -> None:
    """Set them on a connection that another project's env.py made; what the session set itself stays."""
    connection.exec_driver_sql(_SET)

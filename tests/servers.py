"""Servers with something that the shared ones of conftest.py do not have."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import sqlalchemy as sa

from afdb_helpers import embedded_postgres
from afdb_helpers.embedded_postgres import Server


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on, as of now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def with_password(secret: str) -> Iterator[Server]:
    """A server that listens on 127.0.0.1 and there asks the role `clerk` for a password; on its socket it trusts."""
    settings = {"listen_addresses": "127.0.0.1", "port": str(free_port())}
    with embedded_postgres.start(settings=settings) as server:
        with sa.create_engine(server.url("postgres"), poolclass=sa.NullPool).begin() as connection:
            connection.exec_driver_sql(f"CREATE ROLE clerk LOGIN PASSWORD '{secret}'")
            rules = "local all all trust\nhost all clerk 127.0.0.1/32 scram-sha-256\n"
            (server.data / "pg_hba.conf").write_text(rules)
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield server

"""Servers with something that the shared ones of conftest.py do not have."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from afdb_helpers import embedded_postgres
from afdb_helpers.embedded_postgres import Server, owner


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


PGBOUNCER = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"


@contextlib.contextmanager
def on_tcp(**settings: str) -> Iterator[Server]:
    """A server that listens on 127.0.0.1 and trusts whoever comes from there."""
    with embedded_postgres.start(
        settings={"listen_addresses": "127.0.0.1", "port": str(free_port()), **settings}
    ) as it:
        (it.data / "pg_hba.conf").write_text("local all all trust\nhost all,replication all 127.0.0.1/32 trust\n")
        with sa.create_engine(it.url("postgres"), poolclass=sa.NullPool).begin() as connection:
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield it


@contextlib.contextmanager
def pgbouncer(server: Server, mode: str, folder: Path, *, drops: str = "", size: int = 20) -> Iterator[int]:
    """PgBouncer before a server of `on_tcp`; its port. `mode` is session or transaction; it ignores `drops`."""
    if not Path(PGBOUNCER).exists():
        pytest.skip("PgBouncer is not on this machine")
    port = free_port()
    (folder / "users.txt").write_text('"postgres" ""\n')
    lines = ["[databases]", f"* = host=127.0.0.1 port={server.port} user=postgres", "[pgbouncer]",
             f"listen_addr=127.0.0.1\nlisten_port={port}\nunix_socket_dir=\nauth_type=any\nauth_file={folder}/users.txt",
             f"pool_mode={mode}\ndefault_pool_size={size}\nlogfile={folder}/log"]  # fmt: skip
    (folder / "pgbouncer.ini").write_text("\n".join([*lines, f"ignore_startup_parameters={drops}" if drops else ""]))
    as_nobody = ["-u", "nobody"] if os.getuid() == 0 else []
    for path in (folder, *folder.iterdir()):
        path.chmod(0o777)
    running = subprocess.Popen(
        [PGBOUNCER, *as_nobody, "pgbouncer.ini"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < until:
            time.sleep(0.02)
        yield port
    finally:
        running.kill()
        running.wait()


@contextlib.contextmanager
def replica(primary: Server, **settings: str) -> Iterator[Server]:
    """A server that streams from the primary, and has replayed all that stands there now."""
    home = owner.scratch() / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    home.mkdir(mode=0o700)
    owner.give(home)
    try:
        owner.run(
            primary.programs / "pg_basebackup", "-D", home / "data", "-h", primary.socket, "-p", primary.port,
            "-U", "postgres", "-R", "-c", "fast", "--no-sync",
        )  # fmt: skip
        source = f"host={primary.socket} port={primary.port} user=postgres"
        yield embedded_postgres._start(home, primary.version, {"primary_conninfo": source, **settings})
    finally:
        embedded_postgres._end(home)

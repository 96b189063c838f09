"""What a fingerprint costs: against the bare SQL, against COPY into sha256sum, against reladiff; memory; linearity.

    python benchmarks/verification.py [--rows 5000000] [--rounds 3] [--no-reladiff]

One private server, one table of ten columns: bigint, integer, two texts, numeric(12,4), timestamp, timestamptz,
boolean, uuid, json. Each pair in turn, medians. Parallel workers of the server are off: `--jobs` is the number
of sessions.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable

import sqlalchemy as sa

from afdb_helpers import embedded_postgres, fingerprint, targets
from afdb_helpers.embedded_postgres import Server

RELADIFF = ["reladiff==0.6.0", "psycopg2-binary"]
SETTINGS = {
    "shared_buffers": "1GB",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
}
COLUMNS = ("id", "a", "name", "email", "amount", "at", "seen", "ok", "u", "doc")
THEIRS = COLUMNS[:-1]  # reladiff cannot compare json
MAKE = """CREATE TABLE {name} AS
  SELECT n::bigint AS id, ((n::bigint * 7919) % 100000)::integer AS a, 'user ' || n AS name,
  md5(n::text) || '@example.org' AS email, ((n::bigint * 31 % 1000000)::numeric / 100)::numeric(12,4) AS amount,
  timestamp '2026-01-01' + n * interval '1.000001 s' AS at, timestamptz '2026-01-01' + n * interval '1.37 s' AS seen,
  n % 3 = 0 AS ok, md5('u' || n)::uuid AS u, json_build_object('k', n, 'v', md5(n::text)) AS doc
  FROM generate_series(1, {rows}) AS n"""
BARE = "SELECT " + ", ".join(f"sum(hashtextextended({c}::text, 0))" for c in COLUMNS) + " FROM t"


def timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def run_sql(url: str, *statements: str) -> None:
    with sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def ours(url: str, table: str = "t", jobs: int = 1) -> None:
    with targets.parse("x", url, {}).connect() as connection:
        fingerprint.take(connection, tables=[table], jobs=jobs)


def copied(server: Server, url: str) -> None:
    psql = f'"{server.programs}/psql" -X -q -h "{server.socket}" -p {server.port} -U postgres -d bench'
    shell = f'{psql} -c "COPY t TO STDOUT" | sha256sum'
    subprocess.run(["bash", "-c", shell], check=True, stdout=subprocess.DEVNULL)


def row(what: str, seconds: float, against: float | None, limit: str) -> None:
    ratio = f"{seconds / against:6.2f} ×" if against else ""
    print(f"{what:44} {seconds:8.2f} s  {ratio:>9}  {limit}", flush=True)


def opened(server: Server) -> str:
    """The URL of the database over TCP, for reladiff, which cannot use a socket: 127.0.0.1 alone, with a password."""
    secret = secrets.token_hex(16)
    run_sql(server.url("bench"), f"CREATE ROLE clerk SUPERUSER LOGIN PASSWORD '{secret}'")
    rules = "local all all trust\nhost all clerk 127.0.0.1/32 scram-sha-256\n"
    (server.data / "pg_hba.conf").write_text(rules)
    run_sql(server.url("bench"), "SELECT pg_reload_conf()")
    return f"postgresql://clerk:{secret}@127.0.0.1:{server.port}/bench"


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reladiff(plain: str) -> float | None:
    """Seconds to compare a with b, its copy; None where it cannot be installed here."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        made = subprocess.run(
            [f"{folder}/bin/pip", "install", "-q", *RELADIFF], check=False, capture_output=True, text=True
        )
        if made.returncode:
            print(f"reladiff is skipped: it cannot be installed here ({made.stderr.strip().splitlines()[-1:]})")
            return None
        names = [part for c in THEIRS if c != "id" for part in ("-c", c)]
        command = [f"{folder}/bin/reladiff", plain, "a", plain, "b", "-k", "id", *names, "--threads", "1"]
        said: list[subprocess.CompletedProcess[str]] = []
        seconds = timed(lambda: said.append(subprocess.run(command, check=False, capture_output=True, text=True)))
        if said[0].returncode or "ERROR" in said[0].stderr:  # it ends with 0 when it cannot connect
            print(f"reladiff is skipped: it does not run here ({said[0].stderr.strip().splitlines()[-1:]})")
            return None
        return seconds


def compare_two(url: str) -> None:
    """Both tables, two sessions: reladiff, too, reads the two sides at the same time."""
    with targets.parse("x", url, {}).connect() as connection:
        prints = fingerprint.take(connection, tables=["a", "b"], jobs=2).tables
    assert prints["a"].row_sum == prints["b"].row_sum


def memory(url: str) -> float:
    """MB that a process of its own needs at most for one fingerprint of the table; what imports need included."""
    code = f"""
import resource
from afdb_helpers import fingerprint, targets
with targets.parse("x", {url!r}, {{}}).connect() as connection:
    fingerprint.take(connection, tables=["t"], jobs=2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-reladiff", action="store_true")
    options = parser.parse_args()
    with embedded_postgres.start(18, settings={**SETTINGS, "port": str(free_port())}) as server:
        url = server.create_database("bench")
        run_sql(url, MAKE.format(name="t", rows=options.rows), "VACUUM ANALYZE t")
        works = {
            "bare": lambda: run_sql(url, BARE),
            "ours": lambda: ours(url),
            "two": lambda: ours(url, jobs=2),
            "copy": lambda: copied(server, url),
        }
        found: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(options.rounds):
            for name, work in works.items():
                found[name].append(timed(work))
        middle = {name: statistics.median(values) for name, values in found.items()}
        print(f"{options.rows:,} rows × {len(COLUMNS)} columns, {os.cpu_count()} cores, PostgreSQL 18")
        row("bare SQL, a 64-bit hash of each column", middle["bare"], None, "")
        row("fingerprint", middle["ours"], middle["bare"], "of the bare SQL (must be ≤ 1.2)")
        row("COPY | sha256sum", middle["copy"], None, "")
        row("fingerprint", middle["ours"], middle["copy"], "of COPY (must be < 1)")
        row("fingerprint, --jobs 2", middle["two"], middle["copy"], "of COPY (must be ≤ 0.5)")
        print(f"{'memory of the client, at most':44} {memory(url):8.1f} MB            (must be < 100)", flush=True)
        for part in (100_000, 500_000, 1_000_000, options.rows):
            run_sql(url, "DROP TABLE IF EXISTS part", MAKE.format(name="part", rows=part), "VACUUM ANALYZE part")
            best = min(timed(lambda: ours(url, "part")) for _ in range(options.rounds))
            print(f"{part:12,} rows {best:38.2f} s {best / part * 1e9:8.0f} ns a row", flush=True)
        if not options.no_reladiff:
            run_sql(url, "DROP TABLE part", f"CREATE TABLE a AS SELECT {', '.join(THEIRS)} FROM t", "DROP TABLE t",
                    "CREATE TABLE b AS TABLE a", "ALTER TABLE a ADD PRIMARY KEY (id)",
                    "ALTER TABLE b ADD PRIMARY KEY (id)", "VACUUM ANALYZE a", "VACUUM ANALYZE b")  # fmt: skip
            mine = timed(lambda: compare_two(url))
            theirs = reladiff(opened(server))
            if theirs:
                row(f"two equal tables of {len(THEIRS)} columns: reladiff", theirs, mine, "of ours (must be ≥ 3)")
                row(f"two equal tables of {len(THEIRS)} columns: ours", mine, None, "")
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()

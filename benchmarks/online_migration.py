"""002 while the application runs: a plain 002 in one transaction, ours, and one bare index, in one run.

    python benchmarks/online_migration.py [--rows 100000,1000000] [--writers 3] [--figure docs/figures/online-migration]

Each round: a private server with a production's settings (fsync on), a database at 001 with that many audit rows, three
clients that read and write all the time, and one `alembic upgrade head`, of `benchmarks/plain` or of this project. The
control is no migration: one CREATE INDEX CONCURRENTLY on a timestamp, as large as the index of 002's numbers. What the
application waits for there is the server's work on its disk. Prints a table: the longest statement of the application,
its longest wait for a lock (of any kind but the server's internal ones; the server's own log, exact), acknowledged
audit rows lost, statements that failed, the migration's time, its client's memory.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import application
import psycopg2

from afdb_helpers import demo, embedded_postgres, revisions
from afdb_helpers.embedded_postgres import Server

ROOT = Path(__file__).resolve().parents[1]
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "512MB",
           "max_wal_size": "8GB", "checkpoint_timeout": "15min",
           "log_lock_waits": "on", "deadlock_timeout": "5ms", "log_line_prefix": "%a "}  # fmt: skip
WAITED = re.compile(r"^the application LOG:  process \d+ acquired .* after ([\d.]+) ms", re.MULTILINE)
PLAIN = ROOT / "benchmarks" / "plain" / "alembic.ini"
LOOKS: dict[str, dict[str, Any]] = {
    "plain": {"label": "one transaction", "color": "#D55E00", "marker": "s"},
    "ours": {"label": "this 002", "color": "#0072B2", "marker": "o"},
    "index": {"label": "a bare index", "color": "#777777", "marker": ".", "linestyle": "--"},
}
MANY = """
INSERT INTO audit_logs (id, event_type, user_id, tenant_id, resource_type, resource_id, action, success, metadata,
  created_at)
SELECT md5(n::text)::uuid::text, 'seed', 'usr-' || (1 + n %% 480), 'ten-' || (1 + n %% 24), 'agent',
       'agt-' || n %% 1200, 'run', true, '{"ip": "10.0.0.1"}', timestamp '2024-04-01' + n * interval '1 second'
FROM generate_series(1, %s) n
"""


@dataclass(frozen=True)
class Round:
    """One migration under load. Seconds; memory, and the log that the server wrote, in bytes. A wait for a lock of less
    than 5 ms counts as none."""

    rows: int
    method: str
    longest: float
    lock: float
    lost: int
    written: int
    failed: int
    seconds: float
    memory: int
    log: int


def _dsn(server: Server) -> dict[str, Any]:
    return {"host": str(server.socket), "user": "postgres", "dbname": demo.DATABASE}


def plain(url: str) -> None:
    """The copy-and-rename that a migration usually is, in one transaction."""
    _upgrade(url, "-c", str(PLAIN))


def ours(url: str) -> None:
    """`alembic upgrade head`, as an operator runs it."""
    _upgrade(url)


def index(url: str) -> None:
    """The control: a bare index on the same table."""
    session = psycopg2.connect(url.replace("+psycopg2", ""))
    session.autocommit = True
    session.cursor().execute("CREATE INDEX CONCURRENTLY ON audit_logs (created_at)")
    session.close()


def _upgrade(url: str, *options: str) -> None:
    command = [str(Path(sys.executable).with_name("alembic")), *options, "upgrade", "head"]
    settings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"DATABASE_URL": url}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def measure(rows: int, writers: int, method: Callable[[str], None]) -> Round:
    with embedded_postgres.start(settings=DURABLE) as server:
        url = demo.create(server)
        session = psycopg2.connect(**_dsn(server))
        session.autocommit = True
        cursor = session.cursor()
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(MANY, (rows,))
        cursor.execute("VACUUM (ANALYZE)")
        cursor.execute("CHECKPOINT")
        with application.running(_dsn(server), clients=writers) as load:
            time.sleep(1.0)
            cursor.execute("SELECT pg_current_wal_lsn()")
            (before,) = cursor.fetchone()
            started = time.monotonic()
            method(url)
            seconds = time.monotonic() - started
            cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %s)::bigint", [before])
            (log,) = cursor.fetchone()
            time.sleep(1.0)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        lost, failed = load.lost(session), len(load.failed)
        session.close()
        if load.failed:
            print("  ", load.failed[0], file=sys.stderr)
        waits = map(float, WAITED.findall((server.data / "log").read_text()))
        lock, written = max(waits, default=0.0) / 1000, len(load.acknowledged)
        return Round(rows, method.__name__, load.longest, lock, lost, written, failed, seconds, memory, log)


def picture(rounds: list[Round], path: Path) -> None:
    """Longest statement and lost rows against rows; as PNG and SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    stall, loss = figure.subplots(1, 2)
    for method, look in LOOKS.items():
        mine = [r for r in rounds if r.method == method]
        stall.plot([r.rows for r in mine], [r.longest for r in mine], **look)
        if method != "index":
            loss.plot([r.rows for r in mine], [r.lost for r in mine], **look)
    stall.set(
        title="How long the application waits at most",
        ylabel="longest statement, s",
        xscale="log",
        yscale="log",
    )
    loss.set(title="Acknowledged rows that are lost", ylabel="audit rows", xscale="log")
    for axes in (stall, loss):
        axes.set_xlabel("audit rows in the table")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=130)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", default="100000,1000000,3000000")
    asked.add_argument("--writers", type=int, default=3)
    asked.add_argument("--figure", type=Path)
    given = asked.parse_args()
    os.chdir(ROOT)
    assert revisions.find().ini.is_file()
    rounds = []
    print("| Audit rows | Method | Longest statement | Longest wait for a lock | Lost | Failed | Took | Memory |")
    print("| --- " * 8 + "|")
    for rows in map(int, given.rows.split(",")):
        for method in (plain, ours, index):
            r = measure(rows, given.writers, method)
            rounds.append(r)
            memory = f"{r.memory / 1e6:.0f} MB" if method is ours else ""
            times = f"{r.longest * 1000:,.0f} ms | {r.lock * 1000:,.0f} ms"
            lost = f"{r.lost:,} of {r.written:,} | {r.failed}"
            name = LOOKS[r.method]["label"]
            print(f"| {rows:,} | {name} | {times} | {lost} | {r.seconds:.1f} s | {memory} |", flush=True)
    if given.figure:
        picture(rounds, given.figure)


if __name__ == "__main__":
    main()

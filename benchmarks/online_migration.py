"""002 while the application runs: a plain 002 in one transaction against ours, in one run.

    python benchmarks/online_migration.py [--rows 100000,1000000] [--writers 3] [--figure docs/figures/online-migration]

Each round: a private server with a production's settings (fsync on), a database at 001 with that many audit rows, three
clients that read and write all the time, and one `alembic upgrade head`, of `benchmarks/plain` or of this project.
Prints a table: the longest statement of the application, acknowledged audit rows lost, statements that failed, the
migration's time, its client's memory.
"""

from __future__ import annotations

import argparse
import os
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
           "max_wal_size": "8GB", "checkpoint_timeout": "15min"}  # fmt: skip
PLAIN = ROOT / "benchmarks" / "plain" / "alembic.ini"
MANY = """
INSERT INTO audit_logs (id, event_type, user_id, tenant_id, resource_type, resource_id, action, success, metadata,
  created_at)
SELECT md5(n::text)::uuid::text, 'seed', 'usr-' || (1 + n %% 480), 'ten-' || (1 + n %% 24), 'agent',
       'agt-' || n %% 1200, 'run', true, '{"ip": "10.0.0.1"}', timestamp '2024-04-01' + n * interval '1 second'
FROM generate_series(1, %s) n
"""


@dataclass(frozen=True)
class Round:
    """One migration under load. Seconds; memory in bytes."""

    rows: int
    method: str
    longest: float
    slowest: str
    lost: int
    written: int
    failed: int
    seconds: float
    memory: int


def _dsn(server: Server) -> dict[str, Any]:
    return {"host": str(server.socket), "user": "postgres", "dbname": demo.DATABASE}


def plain(url: str) -> None:
    """The copy-and-rename that a migration usually is, in one transaction."""
    _upgrade(url, "-c", str(PLAIN))


def ours(url: str) -> None:
    """`alembic upgrade head`, as an operator runs it."""
    _upgrade(url)


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
            started = time.monotonic()
            method(url)
            seconds = time.monotonic() - started
            time.sleep(1.0)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        lost, failed = load.lost(session), len(load.failed)
        session.close()
        if load.failed:
            print("  ", load.failed[0], file=sys.stderr)
        return Round(
            rows, method.__name__, load.longest, load.slowest, lost, len(load.acknowledged), failed, seconds, memory
        )


def picture(rounds: list[Round], path: Path) -> None:
    """Longest statement and lost rows against rows, both methods; as PNG and SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    stall, loss = figure.subplots(1, 2)
    look: dict[str, Any] = {"plain": {"color": "#D55E00", "marker": "s"}, "ours": {"color": "#0072B2", "marker": "o"}}
    names = {"plain": "one transaction", "ours": "this 002"}
    for method in ("plain", "ours"):
        mine = [r for r in rounds if r.method == method]
        stall.plot([r.rows for r in mine], [r.longest for r in mine], label=names[method], **look[method])
        loss.plot([r.rows for r in mine], [r.lost for r in mine], label=names[method], **look[method])
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
    print(
        f"{'rows':>10} {'method':>6} {'longest statement':>18} {'lost':>6} {'of':>7} {'failed':>6} {'took':>8}"
        f" {'memory':>8}"
    )
    for rows in map(int, given.rows.split(",")):
        for method in (plain, ours):
            r = measure(rows, given.writers, method)
            rounds.append(r)
            took, memory = f"{r.seconds:.1f} s", f"{r.memory / 1e6:.0f} MB" if method is ours else ""
            longest = f"{r.longest * 1000:,.0f} ms"
            print(
                f"{rows:10,} {r.method:>6} {longest:>18} {r.lost:6,} {r.written:7,} {r.failed:6} {took:>8} {memory:>8}",
                flush=True,
            )
    if given.figure:
        picture(rounds, given.figure)


if __name__ == "__main__":
    main()

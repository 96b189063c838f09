"""What it takes to find drift in 1,000 tables of 12 columns, against `alembic check` on the same database.

    python benchmarks/drift.py [--tables 1000] [--rounds 3]

All in one run on one private server, in turn, each in a process of its own. Ours is measured twice: with the chain's
replay, and with what an earlier replay of the same files has kept. `alembic check` sees tables, columns and indexes;
ours sees defaults, checks, sequences, views, functions, triggers, policies and grants as well. A replay cannot be had
for less than running the chain: so what `alembic upgrade head` of an empty database takes on that server stands
beside it. Prints medians, ratios.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from discovery import BIN, project, seconds

from afdb_helpers import embedded_postgres

DRIFT = """
from afdb_helpers import catalog, drift, revisions, targets
found = revisions.find()
with targets.get("default").connect() as connection:
    drift.against(catalog.snapshot(connection), found, found.graph(), "1a").raise_unless_ok()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    settings = {"max_locks_per_transaction": "1024"}
    with tempfile.TemporaryDirectory() as name, embedded_postgres.start(settings=settings) as server:
        folder, cache = Path(name), Path(name) / "cache"
        project(folder, chosen.tables, more=6)
        environment = {**os.environ, "DATABASE_URL": server.create_database("shop"), "XDG_CACHE_HOME": str(cache)}
        alembic, ours = str(BIN / "alembic"), (sys.executable, "-c", DRIFT)
        seconds(folder, environment, alembic, "upgrade", "head")
        rounds: list[tuple[float, ...]] = []
        for _ in range(chosen.rounds):
            shutil.rmtree(cache, ignore_errors=True)
            replayed = seconds(folder, environment, *ours)
            kept, check = seconds(folder, environment, *ours), seconds(folder, environment, alembic, "check")
            empty = {**environment, "DATABASE_URL": server.create_database(f"empty_{len(rounds)}")}
            rounds.append((replayed, kept, check, seconds(folder, empty, alembic, "upgrade", "head")))
        replayed, kept, check, chain = (statistics.median(times) for times in zip(*rounds, strict=True))
        print(f"{chosen.tables} tables × 12 columns")
        print(f"alembic check                  {check:7.2f} s")
        print("alembic upgrade head of an empty database")
        print(f"                               {chain:7.2f} s   {chain / check:5.2f} ×")
        print(f"drift, the chain replayed      {replayed:7.2f} s   {replayed / check:5.2f} ×  (must be ≤ 1)")
        print(f"                                           {replayed / chain:5.2f} × that upgrade")
        print(f"drift, the replay kept before  {kept:7.2f} s   {kept / check:5.2f} ×  (must be ≤ 0.3)")


if __name__ == "__main__":
    main()

"""002 and its way back hit by faults before, during and after their statements, with an application at work.

    python benchmarks/crash_matrix.py [--kills 110] [--others 12] [--rows 20000] [--version 18] [--workers 2]

Each fault has a database of its own, two clients that read and write all the time, one plain rerun, and a look at what
stands: acknowledged rows lost or doubled, invalid indexes, what was left over, the schema, the order of the numbers.

    kill        the migrating process, by SIGKILL; --kills for each direction, the rest --others each
    terminate   its session, by pg_terminate_backend
    backend     its server process, by SIGKILL: the server resets every session, and recovers
    stop        the whole server at once, started again
    cut         the connection, once a COMMIT was sent and took effect
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

import chain  # noqa: E402
import crashes  # noqa: E402

from afdb_helpers import demo, embedded_postgres  # noqa: E402
from afdb_helpers.embedded_postgres import Server  # noqa: E402

HOW = ("kill", "terminate", "backend", "stop", "cut")
ALONE = ("backend", "stop")  # they hit every database of the server
WAYS = {"upgrade": "002", "downgrade": "001"}
MORE = """
INSERT INTO audit_logs (id, event_type, user_id, tenant_id, action, success, metadata, created_at)
SELECT 'more-' || i, 'more', 'usr-' || 1 + i % 480, 'ten-' || 1 + i % 24, 'a' || i % 9, i % 2 = 0,
       json_build_object('i', i), timestamp '2024-01-01' + i % 5000 * interval '1 minute'
FROM generate_series(1, {rows}) i
"""
NULLED = "UPDATE audit_logs SET legacy_id = NULL WHERE event_type = 'more'"  # as if written at 002: to be lettered


@contextlib.contextmanager
def template(server: Server, command: str, rows: int) -> Iterator[str]:
    """A database to be cloned for each fault, at the revision that the command starts from."""
    url = demo.create(server)
    chain.execute(url, MORE.format(rows=rows))
    if command == "downgrade":
        chain.upgrade(url)
        chain.execute(url, NULLED)
    chain.execute(url, "VACUUM ANALYZE")
    yield demo.DATABASE
    server.drop_database(demo.DATABASE)


def matrix(server: Server, command: str, how: str, faults: int, rows: int, workers: int) -> list[crashes.Kill]:
    """`faults` of them, at statements spread evenly over all, before, during and after one by turns."""
    revision = WAYS[command]
    fresh = server.create_database("fresh")
    chain.upgrade(fresh, revision)
    wanted = chain.catalogue(fresh)
    server.drop_database("fresh")
    with template(server, command, rows) as source, contextlib.ExitStack() as stack:
        killers = [stack.enter_context(crashes.killer()) for _ in range(1 if how in ALONE else workers)]
        whole = crashes.kill(killers[0], server, source, command, revision, 0, "after", wanted)
        many = min(faults, whole.statements * len(crashes.WHEN))
        chosen = [(1 + n * whole.statements // many, crashes.WHEN[n % len(crashes.WHEN)]) for n in range(many)]

        def share(number: int) -> list[crashes.Kill]:
            mine = chosen[number :: len(killers)]
            return [crashes.kill(killers[number], server, source, command, revision, *one, wanted, how) for one in mine]

        with ThreadPoolExecutor(len(killers)) as pool:
            done = [one for some in pool.map(share, range(len(killers))) for one in some]
    for one in done:
        if one.lost or one.wrong:
            print("  ", one, file=sys.stderr)
    return done


def line(command: str, how: str, moment: str, mine: list[crashes.Kill]) -> str:
    hit, written = sum(one.killed for one in mine), sum(one.written for one in mine)
    lost, wrong = sum(one.lost for one in mine), sum(bool(one.wrong) for one in mine)
    stall = max((one.stall for one in mine), default=0) * 1000
    return f"| {command} | {how} | {moment} | {len(mine)} | {hit} | {written:,} | {lost} | {wrong} | {stall:,.0f} ms |"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kills", type=int, default=110, help="of the process, for each direction")
    asked.add_argument("--others", type=int, default=12, help="of each other fault, for each direction")
    asked.add_argument("--rows", type=int, default=20_000, help="of the audit trail")
    asked.add_argument("--version", type=int, default=18, help="of PostgreSQL")
    asked.add_argument("--workers", type=int, default=2, help="faults at a time, where they do not hit each other")
    said = asked.parse_args()
    os.chdir(ROOT)
    logging.disable(logging.WARNING)
    print(f"PostgreSQL {said.version}, {said.rows:,} audit rows\n")
    print("| Command | Fault | Moment | Runs | Hit | Acknowledged | Lost | Amiss | Longest statement |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    bad, began = 0, time.monotonic()
    with embedded_postgres.start(said.version, settings={"synchronous_commit": "on"}) as server:
        for how in HOW:
            for command in WAYS:
                faults = said.kills if how == "kill" else said.others
                if not faults:
                    continue
                done = matrix(server, command, how, faults, said.rows, said.workers)
                for moment in crashes.WHEN:
                    print(line(command, how, moment, [one for one in done if one.when == moment]), flush=True)
                bad += sum(one.lost + len(one.wrong) for one in done)
    print(f"\nin {time.monotonic() - began:.0f} s; lost or amiss: {bad}", flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()

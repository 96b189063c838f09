"""002 and its way back killed by SIGKILL before, during and after their statements, with an application at work.

    python benchmarks/crash_matrix.py [--kills 200]

Each kill has a database of its own, two clients that read and write all the time, one plain rerun, and a look at what
stands: acknowledged rows lost or doubled, invalid indexes, what was left over, the schema, the order of the numbers.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

import chain  # noqa: E402
import crashes  # noqa: E402

from afdb_helpers import demo, embedded_postgres  # noqa: E402
from afdb_helpers.embedded_postgres import Server  # noqa: E402


def matrix(server: Server, command: str, revision: str, kills: int) -> list[crashes.Kill]:
    """One kill for each (statement, moment), spread evenly over all of them until there are `kills`."""
    template = demo.create(server)
    if command == "downgrade":
        chain.upgrade(template)
    fresh = server.create_database("fresh")
    chain.upgrade(fresh, revision)
    wanted = chain.catalogue(fresh)
    server.drop_database("fresh")
    with crashes.killer() as killer:
        whole = crashes.kill(killer, server, demo.DATABASE, command, revision, 0, "after", wanted)
        every = [(at, when) for at in range(1, whole.statements + 1) for when in crashes.WHEN]
        chosen = [every[n * len(every) // kills] for n in range(kills)] if kills < len(every) else every
        done = [crashes.kill(killer, server, demo.DATABASE, command, revision, *one, wanted) for one in chosen]
    for one in done:
        if one.lost or one.wrong:
            print("  ", one, file=sys.stderr)
    return done


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kills", type=int, default=110, help="for each direction")
    kills = asked.parse_args().kills
    os.chdir(ROOT)
    head = (
        f"{'command':>10} {'moment':>7} {'kills':>6} {'written':>8} {'lost':>5} {'amiss':>6} {'longest statement':>18}"
    )
    print(head)
    bad = 0
    with embedded_postgres.start() as server:
        for command, revision in (("upgrade", "002"), ("downgrade", "001")):
            started, done = time.monotonic(), matrix(server, command, revision, kills)
            for moment in crashes.WHEN:
                mine = [one for one in done if one.when == moment]
                killed, written = sum(one.killed for one in mine), sum(one.written for one in mine)
                lost, wrong = sum(one.lost for one in mine), sum(bool(one.wrong) for one in mine)
                stall = f"{max((one.stall for one in mine), default=0) * 1000:,.0f} ms"
                print(f"{command:>10} {moment:>7} {killed:6} {written:8,} {lost:5} {wrong:6} {stall:>18}", flush=True)
                bad += lost + wrong
            print(f"{'':>10} in {time.monotonic() - started:.0f} s", flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()

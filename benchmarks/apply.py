"""What the guard costs: an upgrade with nothing to do, the journal of 1,000 statements, the plan of 300 revisions.

Each against what a user would run instead, both in turn, so that a machine whose speed drifts drifts for both. Prints
medians and the median ratio. The journal's line is the whole upgrade less the same command with nothing to do: of
`migrate.upgrade` into a record, fsynced, and of Alembic's own upgrade in a child process that nobody listens to.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from afdb_helpers import embedded_postgres, migrate, revisions, targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.revisions import Project
from afdb_helpers.runbook.record import Record

ROUNDS = 7
ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
ENV = """
from alembic import context
from sqlalchemy import create_engine, pool
url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = """
from alembic import op
revision, down_revision = "{id}", {down!r}
def upgrade():
    for n in range({statements}):
        op.execute(f"CREATE TABLE t{id}_{{n}} (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'x')")
def downgrade():
    pass
"""


def project(folder: Path, count: int, statements: int) -> Project:
    """A project of `count` revisions, each of so many statements."""
    (folder / "migrations" / "versions").mkdir(parents=True)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\nsqlalchemy.url = \n")
    (folder / "migrations" / "env.py").write_text(ENV)
    for n in range(count):
        down = f"r{n - 1:04}" if n else None
        text = REVISION.format(id=f"r{n:04}", down=down, statements=statements)
        (folder / "migrations" / "versions" / f"r{n:04}.py").write_text(text)
    return Project(folder / "alembic.ini")


def seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def command(environment: dict[str, str], cwd: Path, *words: str) -> Callable[[], object]:
    def run() -> object:
        return subprocess.run(
            [str(BIN / words[0]), *words[1:]], check=True, cwd=cwd, env=environment, capture_output=True
        )

    return run


def compare(title: str, limit: float, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    for work in (ours, theirs):
        work()  # a first run reads files that later ones find in memory
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    show(title, limit, pairs)


def show(title: str, limit: float, pairs: list[tuple[float, float]]) -> None:
    mine, other = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{title:34} {mine:7.3f} s {other:7.3f} s {ratio:6.2f}   (must be ≤ {limit})", flush=True)


def up_to_date(server: Server, folder: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": server.create_database("up_to_date"), "AFDB_RECORDS": str(folder)}
    subprocess.run([BIN / "alembic", "upgrade", "head"], check=True, cwd=ROOT, env=environment, capture_output=True)
    ours, theirs = (command(environment, ROOT, program, "upgrade", "head") for program in ("afdb", "alembic"))
    compare("upgrade, nothing to do", 1.8, ours, theirs)


def journaled(server: Server, folder: Path) -> None:
    """The seconds that 1,000 statements take, with the journal and without anybody looking.

    Each side begins every other round, and no database is dropped meanwhile: ext4 gives no inode away again for
    minutes, so whoever makes files after many were deleted pays for the search, as much again as all the rest. Where
    other programs delete many, AFDB_SCRATCH=/dev/shm takes that out.
    """
    chain = project(folder / "thousand", 10, 100)

    def guarded(url: str) -> object:
        return migrate.upgrade(targets.parse("default", url, {}), chain, note=kept.note)

    def plain(url: str, command: str = "upgrade") -> object:
        return revisions.run(chain.ini, {"command": command, "arguments": ["head"], "url": url})

    def statements(name: str, upgrade: Callable[[str], object]) -> float:
        """The upgrade less one with nothing to do, which looks at a schema twice: half without tables, half with."""
        url, bare = server.create_database(name), server.create_database(f"{name}_bare")
        plain(bare, "stamp")
        whole, again, nothing = (seconds(partial(upgrade, at)) for at in (url, url, bare))
        return whole - (again + nothing) / 2

    pairs = []
    for n in range(ROUNDS):
        kept = Record(folder / f"record{n}", {})
        kept.folder.mkdir()
        sides = {"ours": guarded, "theirs": plain}
        took = {name: statements(f"{name}{n}", sides[name]) for name in sorted(sides, reverse=bool(n % 2))}
        pairs.append((took["ours"], took["theirs"]))
    show("1,000 statements, journaled", 1.1, pairs)


def planned(server: Server, folder: Path) -> None:
    chain = project(folder / "three_hundred", 300, 1)
    environment = {**os.environ, "DATABASE_URL": server.create_database("planned"), "AFDB_RECORDS": str(folder)}
    ini = chain.ini.read_text().replace("sqlalchemy.url = ", f"sqlalchemy.url = {environment['DATABASE_URL']}")
    chain.ini.write_text(ini)
    ours = command(environment, chain.ini.parent, "afdb", "plan")
    theirs = command(environment, chain.ini.parent, "alembic", "upgrade", "head", "--sql")
    compare("plan of 300 revisions", 2.0, ours, theirs)


def main() -> None:
    print(f"{'':34} {'ours':>9} {'theirs':>9}  ratio")
    with embedded_postgres.start() as server, tempfile.TemporaryDirectory() as made:
        for measure in (up_to_date, journaled, planned):
            measure(server, Path(made))


if __name__ == "__main__":
    main()

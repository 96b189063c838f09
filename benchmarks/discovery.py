"""What `afdb run discovery` takes on 2,000 tables, against `alembic check` plus SQLAlchemy's reflection of them.

All in one run on one private server, in turn, each in processes of its own. The project is made here: one revision of
2,000 tables, and models that say the same. The chain's replay and the comparison with the models are kept from run to
run, under the hashes of the project's files; so the first run is shown apart. It makes a database at head, which
`alembic check` needs as well and here has been given: the first run is shown against both, without and with what
`alembic upgrade head` of an empty database takes. Prints seconds, their ratios, and the number of questions asked.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from afdb_helpers import embedded_postgres

BIN = Path(sys.executable).parent
SHOP = """
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("tenant", metadata, sa.Column("id", sa.Integer, primary_key=True))
for n in range({tables}):
    sa.Table(f"t{{n:04}}", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(40)),
             sa.Column("tenant_id", sa.Integer, sa.ForeignKey("tenant.id"), index=True),
             sa.Column("price", sa.Numeric(12, 2)), sa.Column("body", sa.JSON), sa.Column("created_at", sa.DateTime),
             *[sa.Column(f"more_{{i}}", sa.Integer) for i in range({more})])
"""
ENV = """
import os, sys, sqlalchemy as sa
from alembic import context
sys.path.insert(0, os.path.dirname(os.path.dirname(__file__)))
import shop
url = context.config.get_main_option("sqlalchemy.url") or os.environ["DATABASE_URL"]
with sa.create_engine(url).connect() as connection:
    context.configure(connection=connection, target_metadata=shop.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""
FIRST = """
from alembic import op
import shop
revision, down_revision = "1a", None
def upgrade():
    shop.metadata.create_all(op.get_bind())
def downgrade():
    raise NotImplementedError
"""
REFLECT = "import os, sqlalchemy as sa; sa.MetaData().reflect(sa.create_engine(os.environ['DATABASE_URL']))"
COUNT = """
import os, sqlalchemy as sa
from pathlib import Path
from afdb_helpers import discovery, targets
target, asked = targets.get("default"), []
with target.connect() as connection:
    sa.event.listen(connection, "before_cursor_execute", lambda *a: asked.append(a[2]))
    discovery.look(connection, target, folder=Path.cwd(), models=False)
print(len(asked))
"""


def project(folder: Path, tables: int, *, more: int = 0) -> None:
    """A project of so many tables of six columns and `more`."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "shop.py").write_text(SHOP.format(tables=tables, more=more))
    (folder / "migrations" / "env.py").write_text(ENV)
    (versions / "1a_first.py").write_text(FIRST)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\nprepend_sys_path = .\n")


def seconds(folder: Path, environment: dict[str, str], *command: str) -> float:
    started = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    settings = {"max_locks_per_transaction": "1024"}
    with tempfile.TemporaryDirectory() as name, embedded_postgres.start(settings=settings) as server:
        folder = Path(name)
        project(folder, chosen.tables)
        url = server.create_database("shop")
        environment = {
            **os.environ,
            "DATABASE_URL": url,
            "XDG_CACHE_HOME": f"{name}/cache",
            "AFDB_RECORDS": f"{name}/records",
        }
        making = seconds(folder, environment, str(BIN / "alembic"), "upgrade", "head")
        discover = [str(BIN / "afdb"), "run", "discovery"]
        first = seconds(folder, environment, *discover)
        pairs = []
        for _ in range(chosen.rounds):
            ours = seconds(folder, environment, *discover)
            check = seconds(folder, environment, str(BIN / "alembic"), "check")
            reflection = seconds(folder, environment, sys.executable, "-c", REFLECT)
            pairs.append((ours, check + reflection))
            print(
                f"discovery {ours:7.2f} s   alembic check {check:6.2f} s + reflection {reflection:6.2f} s", flush=True
            )
        ratio = statistics.median(a / b for a, b in pairs)
        counting = [sys.executable, "-c", COUNT]
        asked = subprocess.run(counting, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        theirs = statistics.median(b for _, b in pairs)
        print(f"{chosen.tables} tables: median ratio {ratio:.2f} (must be ≤ 1); {asked.stdout.strip()} questions asked")
        print(f"the first run, with replay and models, {first:.2f} s; `alembic upgrade head` of an empty database")
        print(
            f"{making:.2f} s; ratio {first / theirs:.2f}, with that on the other side {first / (making + theirs):.2f}"
        )


if __name__ == "__main__":
    main()

"""A32: a canary for a password, in each place where a run could let it slip; and that the same look would find it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import projects
import pytest
import servers
import sqlalchemy as sa
from commandline import settings
from small_notebooks import small

from afdb_helpers import signing
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.runbook import leaks

pytestmark = pytest.mark.xdist_group("canary")  # a look at all processes sees what another test lets slip
CANARY = "k4Nary-5e0b/p+w d"  # each of its encodings is another text
QUOTED = "k4Nary-5e0b%2Fp%2Bw%20d"
NEEDLES = {*leaks.shapes(CANARY), b"k4Nary", b"5e0b"}
RIGHT = "postgresql://clerk:{q}@127.0.0.1:{port}/postgres"
SHAPES = {  # URLs that lead nowhere, each with the password where a slip of the hand puts it
    "a wrong password": "postgresql://clerk:{q}x@127.0.0.1:{port}/postgres",
    "no such database": "postgresql://clerk:{q}@127.0.0.1:{port}/nowhere",
    "nobody listens": "postgresql://clerk:{q}@127.0.0.1:1/postgres",
    "no such host": "postgresql://clerk:{q}@no-such-host.invalid/postgres",
    "the password among the options": "postgresql://thief@127.0.0.1:{port}/postgres?password={q}",
    "a port that is none": "postgresql://clerk:p@127.0.0.1:{q}/postgres",
    "an @ in the password": "postgresql://clerk:x@{q}@127.0.0.1:{port}/postgres",
    "a dialect nobody speaks": "mysql://clerk:{q}@127.0.0.1:{port}/postgres",
    "an option nobody knows": "postgresql://clerk:p@127.0.0.1:{port}/postgres?{q}=1",
    "libpq's keywords": "host=127.0.0.1 port={port} user=clerk password='{c}'",
}

# runs each notebook with its URL as the target, in one process; with the guard off, no secret is known
RUNS = """import json, os, sys
from afdb_helpers import runbook
from afdb_helpers.runbook import leaks
if "off" in sys.argv:
    leaks.known = lambda *_, **__: leaks.Known(())
for notebook, url in json.loads(sys.stdin.read()):
    os.environ["DATABASE_URL"] = url
    print(runbook.execute(notebook, {"target": "default"}), flush=True)
"""
SHOWN = """import os, sys
from pathlib import Path
from afdb_helpers import backup, migrate, targets
from afdb_helpers.revisions import Project
def shown(look):
    try:
        print(look())
    except Exception as error:
        print("FAILED", type(error).__name__)
        print(*get_ipython().InteractiveTB.structured_traceback(*sys.exc_info()), sep="\\n")
"""
LOOKS = """for url in Path(os.environ["CASES"]).read_text().split("\\n"):
    os.environ["DATABASE_URL"] = url
    shown(lambda: runbook.begin("small", target="default"))"""
WORKS = """shown(lambda: backup.dump(run.target, run_id=run.id, note=run.note).id)
shown(lambda: migrate.upgrade(run.target, Project(Path("chain/alembic.ini")), note=run.note, run_id=run.id))
shown(lambda: run.connection.exec_driver_sql("SELECT 1 / 0"))
run.note("change.intent")
shown(lambda: run.connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())"))"""
FAILS = "ALTER TABLE nowhere ADD COLUMN i int"
LETS_SLIP = """import os
from sqlalchemy import make_url
secret = make_url(os.environ["DATABASE_URL"]).password
run.note("slip", said=secret)
print(run.target.secret_url())
raise ValueError(f"no entry with {secret!r}")"""


@dataclass
class Left:
    """Where the canary could be: files, what was printed, what the server logged, what processes were called."""

    folder: Path
    printed: bytes
    logged: bytes
    called: set[bytes]

    def places(self) -> list[str]:
        texts = {str(p.relative_to(self.folder)): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}
        texts |= {"printed": self.printed, "server's log": self.logged, "process list": b"\n".join(self.called)}
        return sorted(name for name, text in texts.items() if any(needle in text for needle in NEEDLES))


class Watched:
    """The command lines of all processes there are while something runs."""

    def __enter__(self) -> set[bytes]:
        self.seen: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(process.read_bytes())
                except OSError:  # it ended meanwhile
                    continue


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """Asks the clerk for the canary, and logs every statement and connection from then on."""
    with servers.with_password(CANARY) as server:
        with sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT").connect() as connection:
            for change in ("log_statement = 'all'", "log_connections = on", "log_min_duration_statement = 0"):
                connection.exec_driver_sql(f"ALTER SYSTEM SET {change}")
            connection.exec_driver_sql("GRANT ALL ON SCHEMA public TO clerk")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield server


def runs(folder: Path, server: Server, books: list[tuple[Path, str]], *switches: str) -> Left:
    """Run the notebooks, and gather all that is left of them."""
    log = server.data / "log"
    before = log.stat().st_size
    key = folder / "key.pem"
    signing.create(key)
    folder.with_suffix(".cases").write_text("\n".join(filled(url, server) for url in SHAPES.values()))
    given = settings(AFDB_RECORDS=str(folder / "records"), AFDB_BACKUPS=str(folder / "backups"), HOME=str(folder))
    given |= {"SOME_API_TOKEN": CANARY, "AFDB_UNPROTECTED": "default", "AFDB_SIGNING_KEY": str(key)}
    given |= {"CASES": str(folder.with_suffix(".cases"))}
    with Watched() as called:
        done = subprocess.run(
            [sys.executable, "-c", RUNS, *switches], cwd=folder, env=given, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=240, check=False,
            input=json.dumps([(str(book), filled(url, server)) for book, url in books]).encode(),
        )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode()
    return Left(folder, done.stdout, log.read_bytes()[before:], called)


def filled(url: str, server: Server) -> str:
    return url.format(q=QUOTED, c=CANARY, port=server.port)


def ended(folder: Path) -> list[tuple[int, str]]:
    said = [json.loads(path.read_bytes()) for path in sorted((folder / "records").glob("*/run.json"))]
    return [(run["exit_code"], run["outcome"]) for run in said if run["mode"] != "interactive"]


@pytest.fixture(scope="module")
def left(guarded: Server, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What is left of a run in which everything goes wrong, and of two that a bad URL ended."""
    folder = tmp_path_factory.mktemp("canary")
    chain = projects.empty(folder / "chain")
    projects.add(chain, projects.FIRST, None, projects.sql(FAILS))
    book, all_ = small(folder, "1"), small(folder, SHOWN + LOOKS, SHOWN + WORKS, name="all")
    bad = [SHAPES["no such database"], SHAPES["a port that is none"]]
    return runs(folder, guarded, [(all_, RIGHT), *((book, url) for url in bad)])


def test_a32_bad_urls_failing_ddl_and_errors_of_the_server_leave_no_trace_of_the_password(left: Left) -> None:
    assert left.places() == []
    assert ended(left.folder) == [(0, "succeeded"), (4, "failed_unchanged"), (2, "failed_unchanged")]
    journals = b"".join(path.read_bytes() for path in left.folder.glob("records/*/journal.jsonl"))
    assert b"secret.masked" not in journals, "no message of ours holds it in the first place"


def test_a32_the_control_all_of_it_went_wrong_and_was_looked_at(left: Left) -> None:
    (notebook,) = left.folder.glob("records/*-all-*/notebook.ipynb")
    said = notebook.read_text()
    assert len(SHAPES) == 10
    assert said.count("FAILED ") - SHOWN.count("FAILED ") * 2 == 10 + 3, said
    assert b"password authentication failed" in left.logged
    assert FAILS.encode() in left.logged, "the server logs statements"
    assert any(b"pg_dump" in called for called in left.called), "the process list was seen"
    assert list(left.folder.glob("backups/*/manifest.json"))
    assert len(list(left.folder.glob("records/*/attestation.json"))) == 3


def test_a32_what_slips_is_masked_and_with_the_guard_off_the_canary_is_found(guarded: Server, tmp_path: Path) -> None:
    """The negative control: the very look that found nothing finds it in every kind of place."""
    found = {}
    for switch in ("on", "off"):
        folder = tmp_path / switch
        folder.mkdir()
        left = runs(folder, guarded, [(small(folder, LETS_SLIP), RIGHT)], switch)
        found[switch] = {Path(name).name for name in left.places()}
    assert found["on"] == set()
    assert ended(tmp_path / "on") == [(1, "failed_unchanged")]
    assert {"notebook.ipynb", "report.html", "run.json", "printed"} <= found["off"]


def test_a32_the_control_of_the_servers_log_and_the_process_list(guarded: Server, tmp_path: Path) -> None:
    log = guarded.data / "log"
    before = log.stat().st_size
    with sa.create_engine(guarded.url("postgres")).connect() as connection, Watched() as called:
        connection.exec_driver_sql(f"SELECT '{CANARY}'")
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.3)", CANARY], check=True)
    assert Left(tmp_path, b"", log.read_bytes()[before:], called).places() == ["process list", "server's log"]

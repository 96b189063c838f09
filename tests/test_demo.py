"""The demo as a newcomer sees it, and every runbook by Run All on the demo's database."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afdb_helpers import demo, lint, revisions, targets
from afdb_helpers.lint import waivers

ROOT = Path(__file__).resolve().parents[1]
AFDB = Path(sys.executable).with_name("afdb")


pytestmark = pytest.mark.xdist_group("demo")  # one worker plays the demo, once


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A short path that a server's own user can reach, for servers of these tests alone."""
    folder = Path(tempfile.mkdtemp(prefix="afdb-demo-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _environment(folder: Path, scratch: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AFDB_")}
    places = {"AFDB_RECORDS": str(folder / "records"), "AFDB_BACKUPS": str(folder / "backups")}
    return kept | places | {"AFDB_SCRATCH": str(scratch)} | more


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, scratch: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("d")
    done = subprocess.run(
        [AFDB, "demo"],
        cwd=ROOT,
        env=_environment(folder, scratch),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return folder, done


def test_the_demo_ends_with_six_successes_and_names_the_page_to_open(
    played: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = played
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for name in demo.RUNS:
        assert any(line.split()[0] == name and "succeeded" in line for line in lines if line.strip()), done.stdout
    assert str(folder / "records" / "index.html") in done.stdout
    assert (folder / "records" / "index.html").is_file()


def test_each_run_of_the_demo_left_its_record(played: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = played
    records = sorted((folder / "records").glob("*/run.json"))
    assert [json.loads(path.read_text())["runbook"]["name"] for path in records] == list(demo.RUNS)
    for path in records:
        left = {file.name for file in path.parent.iterdir()}
        assert {"run.json", "notebook.ipynb", "journal.jsonl", "report.html", "SHA256SUMS"} <= left
        assert json.loads(path.read_text())["outcome"] == "succeeded"


def test_the_migration_of_the_demo_knows_the_sql_from_the_rehearsal(
    played: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = played
    rehearsed, migrated = (
        json.loads(next((folder / "records").glob(f"*-{name}-*/plan.json")).read_text())
        for name in ("rehearsal", "migration")
    )
    assert migrated["content"]["sql"], "the migration did not find the rehearsal's SQL"
    assert migrated["digest"] == rehearsed["digest"]


def test_what_002_executes_has_no_grave_finding_but_one_that_is_waived_with_its_reason(
    played: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = played
    found = json.loads(next((folder / "records").glob("*-rehearsal-*/findings.json")).read_text())
    grave = [row for row in found["rows"] if row["severity"] in ("high", "blocking")]
    waived = {(waiver.rule, waiver.revision) for waiver in waivers.read(ROOT / lint.FILE)}
    assert {(row["rule"], row["revision"]) for row in grave} == {("renaming-column", "002")}
    assert {(row["rule"], row["revision"]) for row in grave} <= waived
    assert any(row["known"] == "measured" for row in found["rows"])


def test_the_demo_leaves_no_server_behind(played: tuple[Path, subprocess.CompletedProcess[str]], scratch: Path) -> None:
    assert played[1].returncode == 0
    assert not list(scratch.glob("*/*/data/postmaster.pid"))


def test_the_demo_database_is_at_001_and_the_same_every_time(new_database: Callable[..., str]) -> None:
    from afdb_helpers import catalog, fingerprint

    taken = []
    for _ in range(2):
        url = new_database()
        project = revisions.find(ROOT / "alembic.ini")
        assert revisions.run(project.ini, {"command": "upgrade", "arguments": ["001"], "url": url}).error is None
        demo.seed(url)
        with targets.parse("default", url, {}).connect() as connection:
            assert catalog.heads(connection) == ("001",)
            taken.append(fingerprint.take(connection))
    assert taken[0] == taken[1]
    assert sum(taken[0].counts().values()) > 25_000


def test_run_all_works_on_every_runbook(tmp_path: Path, scratch: Path, new_database: Callable[..., str]) -> None:
    """nbval runs each notebook on a kernel of its own, as JupyterLab does, in order, on a database at 001."""
    url = new_database()
    project = revisions.find(ROOT / "alembic.ini")
    assert revisions.run(project.ini, {"command": "upgrade", "arguments": ["001"], "url": url}).error is None
    demo.seed(url)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-cell-timeout=120",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "-o", "addopts=", "runbooks/"],
        cwd=ROOT,
        env=_environment(tmp_path, scratch, DATABASE_URL=url),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    with targets.parse("default", url, {}).connect() as connection:
        from afdb_helpers import catalog

        assert catalog.heads(connection) == ("002",)
    ran = [json.loads(p.read_text())["runbook"]["name"] for p in sorted((tmp_path / "records").glob("*/run.json"))]
    assert ran == list(demo.RUNS)

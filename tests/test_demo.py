"""The demo as a newcomer sees it, from the wheel and outside of any checkout; and every runbook by Run All."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import commandline
import pdftext
import pytest
from test_pages_browser import CHROMIUM

from afdb_helpers import demo, embedded_postgres, lint, revisions, targets
from afdb_helpers.lint import waivers

ROOT = Path(__file__).resolve().parents[1]


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
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source distribution, and the wheel built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def programs(built: Path, scratch: Path) -> Path:
    """The programs of an environment with the wheel installed; what it depends on comes from this one."""
    (wheel,) = built.glob("*.whl")
    venv.create(scratch / "venv", with_pip=False, symlinks=True)
    found = scratch / "venv" / "bin"
    install = [sys.executable, "-m", "pip", "--python", str(found / "python"), "install", "--no-deps", str(wheel)]
    subprocess.run(install, capture_output=True, check=True)
    (site,) = (scratch / "venv" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (found / "squawk").symlink_to(Path(sys.executable).with_name("squawk"))
    return found


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, programs: Path, scratch: Path
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The demo's folder, and what it printed."""
    folder = tmp_path_factory.mktemp("d")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AFDB_", "PYTHON"))}
    done = subprocess.run(
        [programs / "afdb", "demo"], cwd=folder, env=kept | {"AFDB_SCRATCH": str(scratch)},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    return folder / demo.HOME, done


def test_the_demo_runs_on_what_the_wheel_brought(
    played: tuple[Path, subprocess.CompletedProcess[str]], programs: Path, scratch: Path
) -> None:
    folder, done = played
    assert done.returncode == 0, done.stdout + done.stderr
    command = [str(programs / "python"), "-c", "import afdb_helpers; print(afdb_helpers.__file__)"]
    where = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert where.stdout.startswith(str(scratch)), "the wheel is not what was imported"
    assert {path.name for path in folder.parent.iterdir()} == {demo.HOME}
    run = json.loads(next((folder / "records").glob("*-migration-*/run.json")).read_text())
    assert str(scratch) in run["runbook"]["path"]
    assert (folder / "runbooks" / "01_discovery.ipynb").is_file()


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


def _unanswered(first: str, run: dict[str, Any]) -> list[str]:
    """Which of the eight questions the text of a page does not answer as run.json does."""
    said = "".join(first.split())
    went = run["revision"]
    answers = {
        "Who": [run["who"]["os_user"], run["who"]["database_role"]],
        "What": [f"revision {went['from'][0]} → {went['to'][0]}", "runbook migration"],
        "Where": ["default (not protected)", run["target"]["label"], run["target"]["server"]["system_identifier"]],
        "When": [run["started"][:19].replace("T", " "), run["ended"][11:19], f"took {run['seconds']:.1f} s"],
        "Why": ["no change number and no reason were given"],
        "Approved by": ["nobody: the target is not protected, so nobody was asked"],
        "Evidence": [f"rehearsal {run['evidence'][0]['id']}", "plan.json"],
        "Result": ["Succeeded", "the target was changed", "exit code 0"],
    }
    wanted = {question: ["".join(one.split()) for one in (question, *given)] for question, given in answers.items()}
    return [question for question, given in wanted.items() if not all(one in said for one in given)]


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (apt-get install chromium)")
def test_the_migration_of_the_demo_printed_answers_the_eight_questions_on_page_one(
    played: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    from playwright.sync_api import sync_playwright

    (folder,) = (played[0] / "records").glob("*-migration-*")
    run = json.loads((folder / "run.json").read_bytes())
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=120_000)
        page = browser.new_page()
        page.goto((folder / "report.html").as_uri())
        first, *rest = pdftext.pages(page.pdf(format="A4"))
        page.evaluate("document.querySelector('dl.facts').remove()")
        without = pdftext.pages(page.pdf(format="A4"))[0]
        browser.close()
    assert _unanswered(first, run) == [], first
    assert "Takesthetargettoarevision" in "".join("".join(rest).split()), "the notebook follows"
    assert len(_unanswered(without, run)) >= 7, "the control: the answers are those of the first screen"


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


def test_the_database_left_running_is_one_for_psql_and_says_when_it_is_made_anew(tmp_path: Path, scratch: Path) -> None:
    def afdb(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([commandline.AFDB, "demo", *arguments], cwd=ROOT, env=_environment(tmp_path, scratch),
                              capture_output=True, text=True, timeout=120, check=False)  # fmt: skip

    try:
        first, again = afdb("--database"), afdb("--database")
        assert (first.returncode, again.returncode, first.stderr) == (0, 0, "")
        assert again.stdout == first.stdout
        assert (
            again.stderr == "The demo database agent_factory that was here is dropped, and made anew at revision 001.\n"
        )
        psql = [
            str(embedded_postgres.available()[18] / "psql"),
            first.stdout.strip(),
            "-Atc",
            "SELECT * FROM alembic_version",
        ]
        assert subprocess.run(psql, capture_output=True, text=True, check=True).stdout == "001\n"
    finally:
        assert afdb("--stop").returncode == 0


@pytest.mark.parametrize("arguments", [(), ("--database",), ("--stop",)])
def test_while_the_demo_runs_a_second_one_names_its_process(
    arguments: tuple[str, ...], tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them starts a server: the first has one, and stops it at its end."""
    monkeypatch.setenv("AFDB_SCRATCH", str(scratch))
    with demo.alone(tmp_path):
        done = commandline.afdb("demo", *arguments, cwd=tmp_path, AFDB_SCRATCH=str(scratch))
    assert done.returncode == 3, done.stderr
    assert f"the demo is running in this folder: process {os.getpid()}\n" in done.stderr
    assert "wait until it has ended" in done.stderr
    with demo.alone(tmp_path):
        pass  # the control: it is over


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


# --- what is released


def test_a30_a_notebook_that_was_edited_where_the_wheel_was_installed_is_refused(
    played: tuple[Path, subprocess.CompletedProcess[str]], programs: Path, scratch: Path, tmp_path: Path
) -> None:
    run = json.loads(next((played[0] / "records").glob("*-cost_comparison-*/run.json")).read_text())
    assert run["runbook"]["committed"] is True, "the control"
    (notebook,) = scratch.glob("venv/lib/python*/site-packages/afdb_helpers/project/runbooks/06_*.ipynb")
    kept = notebook.read_text()
    notebook.write_text(kept.replace("run.close(", "run.close( "))
    kept_environment = {key: value for key, value in os.environ.items() if not key.startswith(("AFDB_", "PYTHON"))}
    command = [str(programs / "afdb"), "run", "cost_comparison"]
    done = subprocess.run(command, cwd=tmp_path, env=kept_environment, capture_output=True, text=True, check=False)
    notebook.write_text(kept)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "06_cost_comparison.ipynb is not the committed notebook" in done.stdout + done.stderr


def test_the_wheel_holds_runbooks_chain_prices_and_questions(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "afdb_helpers").rglob("*") if path.is_file()}
    lacking = {name for name in there if "__pycache__" not in name} - names
    assert lacking == set()
    assert {name for name in there if name.endswith((".sql", ".yaml", ".json", ".css", ".html"))}
    beside = [*(ROOT / "runbooks").glob("*.ipynb"), *(ROOT / "alembic").rglob("*.py"), ROOT / "alembic.ini"]
    assert len(beside) > 8
    assert {f"afdb_helpers/project/{path.relative_to(ROOT)}" for path in beside} <= names


def test_what_is_released_passes_the_index_own_check(built: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2

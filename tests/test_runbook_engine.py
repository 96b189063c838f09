"""The engine on real kernels: one test for each way a notebook runner has been seen to lie, named after it."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from commandline import afdb, begin, settings
from small_notebooks import Left, outputs, small
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from afdb_helpers import runbook, signing
from afdb_helpers.errors import ConfigError, Refused, Unavailable
from afdb_helpers.runbook import attestation, audit, outcome, record, records
from afdb_helpers.runbook.engine import Stopped
from afdb_helpers.runbook.kernels import FORMATS, without

PAPERMILL = Path(sys.executable).with_name("papermill")
CANARY = "k4Nary/p+w d"  # what a password may hold: each of its encodings differs


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The records of this test."""
    monkeypatch.setenv("AFDB_RECORDS", str(tmp_path / "records"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "records"


def papermill(*arguments: str, cwd: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """papermill's own command line with our engine."""
    command = [str(PAPERMILL), "--engine", "afdb", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=settings(**given), capture_output=True, text=True, timeout=120, check=False
    )


def through_papermill(source: Path, output: str | Path, **options: Any) -> None:
    """papermill's function with our engine."""
    with without(*FORMATS):
        from papermill import execute_notebook
    execute_notebook(str(source), str(output), engine_name="afdb", progress_bar=False, **options)


def wait_for(happened: Callable[[], Any], seconds: float = 30) -> Any:
    """Poll until something has happened, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {seconds} s")


def interrupted(folder: Path, *signums: int, until: str = "started", **given: str) -> tuple[int, str, float]:
    """Start `afdb run small.ipynb`, send signals once a cell has made the file; exit code, stderr, seconds it took."""
    process = begin("run", "small.ipynb", cwd=folder, **given)
    wait_for((folder / until).exists)
    sent = time.monotonic()
    for signum in signums:
        process.send_signal(signum)
        time.sleep(0.3)
    _, said = process.communicate(timeout=30)
    return process.returncode, said, time.monotonic() - sent


SLEEPS = """import pathlib, time
pathlib.Path("kernel").write_text(str(__import__("os").getpid()))
pathlib.Path("started").touch()
try:
    time.sleep(60)
finally:
    pathlib.Path("finally-ran").touch()"""


# ── what success takes ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_loads_none_of_papermills_stores_and_leaves_them_to_be_had(tmp_path: Path) -> None:
    small(tmp_path, "1")
    code = "import sys\nfrom afdb_helpers import runbook\nassert runbook.execute('small.ipynb').ok\n"
    code += "assert 'papermill' in sys.modules\nassert not {'boto3', 'pyarrow'} & set(sys.modules)\nimport boto3\n"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=settings(), check=True, timeout=120)


def test_a_run_that_closes_as_ok_after_every_cell_has_succeeded(where: Path, tmp_path: Path) -> None:
    result = runbook.execute(small(tmp_path, "n + 1", "text"), {"n": "41", "text": "true"})
    left = Left(where)
    left.ended(0, "succeeded", None)
    assert result.ok
    assert (result.id, result.exit_code, result.said) == (left.folder.name, 0, "all done")
    assert set(left.statuses().values()) == {"completed"}
    assert '"42"' in outputs(left, "step-1"), "the text was parsed by the declared type"
    assert "'true'" in outputs(left, "step-2"), "and text stays text"
    assert left.run["parameters"] == {"target": None, "n": 41, "text": "true"}
    assert left.run["parameters_given"] == ["n", "text"]
    assert [entry["event"] for entry in left.ledger] == ["intent", "end"]
    took = datetime.fromisoformat(left.run["ended"]) - datetime.fromisoformat(left.run["started"])
    assert left.run["seconds"] == result.seconds == pytest.approx(took.total_seconds(), abs=0.05), "the boot included"


def test_a_notebook_that_never_closes_its_run_has_not_succeeded(where: Path, tmp_path: Path) -> None:
    assert runbook.execute(small(tmp_path, close=None)).exit_code == 1
    left = Left(where)
    left.ended(1, "failed_unchanged", "not closed")
    assert set(left.statuses().values()) == {"completed"}, "the cells themselves are told truly"


def test_a_run_closed_as_not_ok_is_refused(where: Path, tmp_path: Path) -> None:
    close = "from afdb_helpers.report import Report\nrun.close(Report(headline='drift found', ok=False))"
    result = runbook.execute(small(tmp_path, close=close))
    Left(where).ended(3, "refused", "not as it should be")
    assert (result.exit_code, result.said) == (3, "drift found")


SWALLOWS = "try:\n    1 / 0\n    run.keep('before.json', {})\nexcept ZeroDivisionError:\n    pass"


@pytest.mark.parametrize(
    ("cells", "steps", "said"),
    [
        (
            (SWALLOWS, "2"),
            ["begin", "step-1: before.json", "step-2", "close"],
            "step step-1 left no before.json in the",
        ),
        (("1",), ["begin", "step-1", "step-2", "close"], "the journal lacks step step-2"),
        (
            ("1", "2"),
            ["begin", "step-2", "step-1", "close"],
            "the steps were done in another order: begin, step-1, step-2",
        ),
    ],
    ids=["a swallowed exception", "a cell that was taken out", "cells in another order"],
)
def test_a30_a_run_whose_journal_lacks_a_required_step_has_not_succeeded(
    cells: tuple[str, ...], steps: list[str], said: str, where: Path, tmp_path: Path
) -> None:
    """A30."""
    assert runbook.execute(small(tmp_path, *cells, steps=steps)).exit_code == 1
    left = Left(where)
    left.ended(1, "failed_unchanged", "step missing")
    assert said in left.run["headline"]
    assert left.run["runbook"]["steps"] == steps
    assert outcome.judge(left.journal, None).outcome == "succeeded", "without the list of steps it would be a success"


# ── cell timeout, kernel death, Ctrl-C, unknown kernel ──────────────────────────────────────────────────────────────


def test_exception_in_a_cell_later_cells_stay_pending(where: Path, tmp_path: Path) -> None:
    result = runbook.execute(small(tmp_path, "1 / 0", "2"))
    left = Left(where)
    left.ended(1, "failed_unchanged", "exception")
    assert left.run["failing_cell"] == result.failing_cell == "step-1"
    assert "ZeroDivisionError: division by zero" in left.run["headline"]
    assert left.statuses() == {
        "parameters": "completed", "begin": "completed", "step-1": "failed", "step-2": "pending", "close": "pending",
    }  # fmt: skip
    assert "step-2" not in {entry.get("cell") for entry in left.journal}
    mark = "".join(left.notebook["cells"][0]["source"])
    assert mark.startswith("**failed unchanged** in cell `step-1`, and cells after it never ran:\n\nZeroDivisionError")


@pytest.mark.parametrize(
    ("error", "code", "outcome"),
    [("Refused", 3, "refused"), ("Unavailable", 4, "failed_unchanged"), ("ConfigError", 2, "failed_unchanged")],
)
def test_an_error_of_ours_gives_the_run_its_exit_code(
    error: str, code: int, outcome: str, where: Path, tmp_path: Path
) -> None:
    source = f"from afdb_helpers.errors import {error}\nraise {error}('what', why='why so', do='do this')"
    result = runbook.execute(small(tmp_path, source))
    Left(where).ended(code, outcome, "exception")
    assert (result.exit_code, result.remedy) == (code, "do this")


def test_a_bug_after_the_intent_to_change_leaves_a_run_that_says_changed(where: Path, tmp_path: Path) -> None:
    result = runbook.execute(small(tmp_path, "run.note('change.intent', revision='002')\n1 / 0"))
    Left(where).ended(1, "failed_changed", "exception")
    assert result.changed is None, "an intent without a result: nobody can tell"


def test_cell_timeout_is_named_and_the_cell_is_interrupted_first(where: Path, tmp_path: Path) -> None:
    result = runbook.execute(small(tmp_path, SLEEPS, "2"), cell_timeout=1.5)
    left = Left(where)
    left.ended(4, "failed_unchanged", "timeout")
    assert "step-1 took longer than 1.5 s" in left.run["headline"]
    assert (left.statuses()["step-1"], left.statuses()["step-2"]) == ("failed", "pending")
    assert (tmp_path / "finally-ran").exists()
    assert result.seconds < 12


@pytest.mark.parametrize(
    ("dying", "how"),
    [
        ("os._exit(0)", "exit code 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9: it was killed, as when memory runs out"),
    ],
)
def test_kernel_death_is_named_and_later_cells_stay_pending(dying: str, how: str, where: Path, tmp_path: Path) -> None:
    runbook.execute(small(tmp_path, f"import os, signal\n{dying}", "2"))
    left = Left(where)
    left.ended(4, "failed_unchanged", "kernel died")
    assert f"the kernel died in cell step-1 ({how})" in left.run["headline"]
    assert (left.statuses()["step-1"], left.statuses()["step-2"]) == ("failed", "pending")


def test_kernel_death_after_the_intent_to_change_is_incomplete(where: Path, tmp_path: Path) -> None:
    runbook.execute(small(tmp_path, "run.note('change.intent')\nimport os\nos._exit(0)"))
    Left(where).ended(5, "failed_changed", "kernel died")


NO_MEMORY = """run.note("change.intent", revision="002")
import resource
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20), used + (32 << 20)))
held = []
while True:
    held.append(bytearray(1 << 20))"""
NO_STACK = """run.note("change.intent", revision="002")
import ctypes, sys
sys.setrecursionlimit(10**9)
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
def deeper(n):
    return deeper(n + 1)
deeper(0)"""


@pytest.mark.parametrize(
    ("source", "code", "cause", "said"),
    [
        (NO_MEMORY, 1, "exception", "MemoryError"),
        (NO_STACK, 5, "kernel died", "the kernel died in cell step-1 (signal"),
    ],
)
def test_a29_a_kernel_without_memory_is_no_success_and_may_have_changed_something(
    source: str, code: int, cause: str, said: str, where: Path, tmp_path: Path
) -> None:
    runbook.execute(small(tmp_path, source, "2"))
    left = Left(where)
    left.ended(code, "failed_changed", cause)
    assert said in left.run["headline"]
    assert (left.statuses()["step-1"], left.statuses()["step-2"]) == ("failed", "pending")
    assert [e["cell"] for e in left.journal if e["event"] == "cell.end"][-1] == "step-1", "no later cell counts as done"


def test_ctrl_c_on_papermill_interrupts_the_cell_and_the_record_says_so(tmp_path: Path) -> None:
    small(tmp_path, SLEEPS, "2")
    process = subprocess.Popen(
        [str(PAPERMILL), "--engine", "afdb", "small.ipynb", "out.ipynb"],
        cwd=tmp_path,
        env=settings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for((tmp_path / "started").exists)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    left = Left(tmp_path / "records")
    left.ended(130, "interrupted", "interrupted")
    assert process.returncode == 130
    assert time.monotonic() - sent < 6
    assert (tmp_path / "finally-ran").exists()
    assert (left.statuses()["step-1"], left.statuses()["step-2"]) == ("failed", "pending")
    assert "SIGINT came in cell step-1" in left.run["headline"]
    assert "Traceback" not in said
    assert json.loads((tmp_path / "out.ipynb").read_text()) == left.notebook


def test_sigterm_rolls_back_what_the_cell_began(tmp_path: Path, database: str) -> None:
    engine = create_engine(database, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n int)")
    source = f"""import pathlib, time, psycopg2
with psycopg2.connect({database.replace("+psycopg2", "")!r}) as connection:
    connection.cursor().execute("INSERT INTO t VALUES (1)")
    pathlib.Path("started").touch()
    time.sleep(60)"""
    small(tmp_path, source)
    code, _, took = interrupted(tmp_path, signal.SIGTERM)
    Left(tmp_path / "records").ended(143, "interrupted", "interrupted")
    assert code == 143
    assert took < 6
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 0
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
        assert connection.exec_driver_sql(waiting).scalar_one() == 0


def test_a_second_signal_kills_a_kernel_that_will_not_be_interrupted(tmp_path: Path) -> None:
    stubborn = """import os, pathlib, time
pathlib.Path("kernel").write_text(str(os.getpid()))
pathlib.Path("started").touch()
while True:
    try:
        time.sleep(1)
    except KeyboardInterrupt:
        pass"""
    small(tmp_path, stubborn)
    code, _, took = interrupted(tmp_path, signal.SIGTERM, signal.SIGTERM)
    left = Left(tmp_path / "records")
    left.ended(143, "interrupted", "interrupted")
    assert code == 143
    assert took < 6
    assert left.statuses()["step-1"] == "failed"
    assert not psutil.pid_exists(int((tmp_path / "kernel").read_text()))


def test_a_signal_before_the_first_cell_leaves_every_cell_pending(tmp_path: Path) -> None:
    small(tmp_path, "2")
    process = begin("run", "small.ipynb", cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("records/*/run.json")))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    left = Left(tmp_path / "records")
    left.ended(process.returncode, "interrupted", "interrupted")
    assert process.returncode == 143
    assert "completed" not in {left.statuses()[cell] for cell in ("step-1", "close")}


def test_sigkill_of_the_runner_leaves_a_readable_record_without_an_end_and_no_kernel(tmp_path: Path) -> None:
    small(tmp_path, SLEEPS, "2")
    code, _, _ = interrupted(tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    left = Left(tmp_path / "records")
    assert left.run["ended"] is None
    assert left.run["outcome"] is None
    assert (left.statuses()["begin"], left.statuses()["step-1"]) == ("completed", "running")
    assert left.statuses()["step-2"] == "pending"
    shown = records.read(left.folder)
    assert shown["outcome"] == "interrupted"
    assert "no end was recorded" in shown["cause"]
    assert not records.check(left.folder).ok
    assert [entry["event"] for entry in left.ledger] == ["intent"], "the missing end is itself evidence"
    wait_for(lambda: not psutil.pid_exists(int((tmp_path / "kernel").read_text())), 10)
    assert (tmp_path / "finally-ran").exists(), "the kernel noticed, and rolled back before it left"
    closed_by_the_next_command(left.folder, tmp_path)


def closed_by_the_next_command(folder: Path, cwd: Path) -> None:
    """A29: the record of a killed run is completed from its journal, and is then as whole as any other."""
    assert "1 record closed" in afdb("records", "close", cwd=cwd).stdout
    left = Left(folder.parent)
    left.ended(137, "interrupted", "killed")
    names = {path.name for path in folder.iterdir()}
    assert names == {"run.json", "journal.jsonl", "notebook.ipynb", "report.html", "SHA256SUMS"}
    assert left.run["headline"] == "the process that ran it was killed in cell step-1"
    assert (left.statuses()["step-1"], left.statuses()["step-2"]) == ("failed", "pending")
    assert left.run["closed"]["at"] > left.run["ended"] == left.journal[-2]["at"], "its last sign of life"
    assert audit.verify(folder.parent).ok
    assert "0 records closed" in afdb("records", "close", cwd=cwd).stdout


def test_a_run_without_a_key_after_signed_ones_says_so_and_a_signed_ones_page_names_its_key(
    where: Path, tmp_path: Path
) -> None:
    small(tmp_path, "1")
    signing.create(tmp_path / "key.pem")
    first = afdb("run", "small.ipynb", cwd=tmp_path)
    signed = afdb("run", "small.ipynb", cwd=tmp_path, AFDB_SIGNING_KEY=str(tmp_path / "key.pem"))
    left = next(where.glob("*/attestation.json")).parent
    unsigned = afdb("run", "small.ipynb", cwd=tmp_path)
    assert [done.returncode for done in (first, signed, unsigned)] == [0, 0, 0], unsigned.stderr
    said = "AFDB_SIGNING_KEY is not set: this run is not signed, as records before it are"
    assert [said in done.stderr for done in (first, signed, unsigned)] == [False, False, True]
    named = [attestation.keyid(left)[:16] in page.read_text() for page in where.glob("*/report.html")]
    assert sorted(named) == [False, False, True]


def test_unknown_kernel_is_refused_before_anything_starts(where: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown kernel: julia"):
        runbook.execute(small(tmp_path, kernel="julia"))
    assert not where.exists()


def test_unknown_kernel_asked_of_papermill_is_refused_with_our_exit_code(where: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="unknown kernel: nosuch") as stopped:
        through_papermill(small(tmp_path), tmp_path / "out.ipynb", kernel_name="nosuch")
    assert stopped.value.exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.ipynb"]


def test_a_users_own_python3_kernel_and_start_up_files_are_not_what_runs(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"}))
    startup = tmp_path / "ipython" / "profile_default" / "startup" / "00.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("import pathlib\npathlib.Path('startup-ran').touch()")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup))
    assert runbook.execute(small(tmp_path, "import sys\nsys.executable")).ok
    assert sys.executable in outputs(Left(where), "step-1")
    assert not (tmp_path / "startup-ran").exists()


def test_a_kernel_that_does_not_come_up_is_named(where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken" / "ipykernel" / "__init__.py"
    broken.parent.mkdir(parents=True)
    broken.write_text("raise ImportError('this kernel is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    result = runbook.execute(small(tmp_path))
    assert Left(where).run["cause"] == "kernel did not start"
    assert (result.exit_code, result.cause) == (4, "kernel did not start")
    assert "this kernel is broken" in Left(where).run["headline"]
    assert set(Left(where).statuses().values()) == {"pending"}


# ── sys.exit, and tags that skip ────────────────────────────────────────────────────────────────────────────────────


def test_a_cell_that_shows_an_error_and_goes_on_has_failed(where: Path, tmp_path: Path) -> None:
    shows = "try:\n    1 / 0\nexcept ZeroDivisionError:\n    get_ipython().showtraceback()"
    runbook.execute(small(tmp_path, shows, "2"))
    left = Left(where)
    left.ended(1, "failed_unchanged", "exception")
    assert "division by zero (cell step-1 showed it and went on)" in left.run["headline"]
    assert (left.statuses()["step-1"], left.statuses()["step-2"]) == ("failed", "pending")


@pytest.mark.parametrize("leaving", ["import sys\nsys.exit(0)", "raise SystemExit", "exit()"])
def test_a30_sys_exit_is_never_a_success(leaving: str, where: Path, tmp_path: Path) -> None:
    result = runbook.execute(small(tmp_path, leaving, "import time\ntime.sleep(1)"))
    assert result.exit_code != 0
    assert result.cause in ("sys.exit", "kernel died")
    assert Left(where).statuses()["close"] != "completed"


@pytest.mark.parametrize("tag", ["raises-exception", "skip-execution"])
def test_a_tag_that_passes_over_a_cell_is_refused(tag: str, where: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=f"cell step-1 is tagged {tag}"):
        runbook.execute(small(tmp_path, "1 / 0", tags={1: tag}))
    assert not where.exists()


# ── parameters ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_revision_that_looks_like_a_number_is_refused_with_p_and_stays_text_with_r(tmp_path: Path) -> None:
    small(tmp_path, "text")
    refused = papermill("small.ipynb", "out.ipynb", "-p", "text", "1975e0837120", cwd=tmp_path)
    assert refused.returncode == 2
    assert "float inf" in refused.stderr
    assert "-r NAME VALUE" in refused.stderr
    assert not (tmp_path / "out.ipynb").exists()
    done = papermill("small.ipynb", "out.ipynb", "-r", "text", "1975e0837120", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "'1975e0837120'" in outputs(Left(tmp_path / "records"), "step-1")


def test_an_unknown_parameter_is_refused_before_a_kernel_starts(tmp_path: Path) -> None:
    small(tmp_path)
    done = papermill("small.ipynb", "out.ipynb", "-p", "targte", "staging", cwd=tmp_path)
    assert done.returncode == 2
    assert "no parameter called 'targte'" in done.stderr
    assert "target" in done.stderr.split("nearest")[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.ipynb"], "nothing was written"


def test_a_parameters_name_is_never_code(where: Path, tmp_path: Path) -> None:
    path = small(tmp_path)
    with pytest.raises(ConfigError, match="is not a name"):
        runbook.execute(path, {"n = 1; open('code-ran', 'w')  #": "1"})
    assert not where.exists()


def test_a_parameters_value_is_never_code(where: Path, tmp_path: Path) -> None:
    value = "'''\" + open('code-ran', 'w').name + \"\\n{n}"
    assert runbook.execute(small(tmp_path, "print(text)"), {"text": value}).ok
    assert json.dumps(value)[1:-1] in json.dumps(Left(where).notebook["cells"][-2]["outputs"][0]["text"])
    assert not (tmp_path / "code-ran").exists()


def test_an_executed_notebook_is_refused_so_that_old_parameters_are_not_reused(where: Path, tmp_path: Path) -> None:
    runbook.execute(small(tmp_path, "n"), {"n": 7})
    with pytest.raises(Refused, match="executed notebook") as refused:
        runbook.execute(Left(where).folder / "notebook.ipynb")
    assert "parameters of an earlier run" in refused.value.why


def test_a_notebook_with_outputs_left_in_it_is_refused(where: Path, tmp_path: Path) -> None:
    path = small(tmp_path, "n")
    data = json.loads(path.read_text())
    data["cells"][4]["execution_count"] = 3
    path.write_text(json.dumps(data))
    with pytest.raises(Refused, match="executed notebook"):
        runbook.execute(path)
    assert not where.exists()


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────────────────────────

SECRET_URL = "postgresql://app:k4Nary%2Fp%2Bw%20d@db.example.org/shop"


@pytest.mark.parametrize(
    "value",
    [
        SECRET_URL,
        "postgresql://app:another1@db/x",
        CANARY,
        f"x{CANARY}y",
        base64.b64encode(f"--{CANARY}--".encode()).decode(),
        "host=db password=another1",
        "https://db/x?password=another1",
    ],
)
def test_secret_as_parameter_is_refused(
    value: str, where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRODUCTION_DATABASE_URL", SECRET_URL)
    with pytest.raises(Refused, match="secret as parameter: the value of text") as refused:
        runbook.execute(small(tmp_path, "text"), {"text": value})
    assert value not in str(refused.value)
    assert not where.exists()


def test_secret_as_parameter_is_refused_before_the_notebook_is_written(
    where: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("PRODUCTION_DATABASE_URL", SECRET_URL)
    with pytest.raises(Stopped, match="secret as parameter") as stopped:
        through_papermill(small(tmp_path, "text"), tmp_path / "out.ipynb", parameters={"text": CANARY})
    assert stopped.value.exit_code == 3
    assert CANARY not in str(stopped.value) + caplog.text + "".join(capfd.readouterr())
    assert caplog.text, "papermill does log"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.ipynb"]


SHOWS = """import base64, os, urllib.parse
secret = urllib.parse.unquote(os.environ["PRODUCTION_DATABASE_URL"].split(":")[2].split("@")[0])
print("raw", secret)
print("quoted", urllib.parse.quote(secret, safe=""))
base64.b64encode(b"a" + secret.encode() + b"z")"""


def test_a_secret_in_an_output_never_reaches_the_record_and_fails_the_run(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRODUCTION_DATABASE_URL", SECRET_URL)
    result = runbook.execute(small(tmp_path, SHOWS))
    left = Left(where)
    left.ended(5, "failed_unchanged", "secret in the record")
    assert "output of cell step-1" in left.run["headline"]
    assert "PRODUCTION_DATABASE_URL (password)" in left.run["headline"]
    assert "raw [PRODUCTION_DATABASE_URL (password)]" in outputs(left, "step-1"), "the rest of the output stands"
    for shape in (CANARY, "k4Nary%2F", "azROYXJ5", "NOYXJ5L3"):
        assert shape not in left.text() + str(result)


def test_the_same_output_without_such_a_setting_is_kept(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_SETTING", SECRET_URL.replace("postgresql://", ""))
    source = SHOWS.replace(
        'os.environ["PRODUCTION_DATABASE_URL"].split(":")[2]', 'os.environ["NO_SETTING"].split(":")[1]'
    )
    assert runbook.execute(small(tmp_path, source)).ok
    assert CANARY in Left(where).text()
    assert "k4Nary%2F" in Left(where).text()


def test_a_file_of_the_record_that_holds_a_secret_is_withheld(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_TOKEN", CANARY)
    source = "import os\n(run.folder / 'raw.txt').write_text('token ' + os.environ['SOME_API_TOKEN'])"
    result = runbook.execute(small(tmp_path, source, "run.keep('fine.json', {'a': 1})"))
    left = Left(where)
    left.ended(5, "failed_unchanged", "secret in the record")
    assert "SOME_API_TOKEN in raw.txt" in result.said
    assert left.run["withheld"] == ["raw.txt"]
    assert not (left.folder / "raw.txt").exists()
    assert (left.folder / "fine.json").exists()
    assert CANARY not in left.text()


def test_an_exceptions_text_with_a_secret_is_masked_everywhere(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOME_API_TOKEN", CANARY)
    result = runbook.execute(small(tmp_path, "import os\nraise ValueError(os.environ['SOME_API_TOKEN'])"))
    assert result.cause == "exception"
    assert "ValueError: [SOME_API_TOKEN]" in Left(where).run["headline"]
    assert CANARY not in Left(where).text() + str(result) + "".join(capfd.readouterr())


def test_a_sqlalchemy_traceback_shows_no_bound_values(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    sqlite3.connect(tmp_path / "a.db").execute("CREATE TABLE t (n int)").connection.close()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'a.db'}")
    source = "from sqlalchemy import text as sql\nvalue = 'bound' + '-value'\n"
    source += "run.connection.execute(sql('SELECT * FROM nowhere WHERE n = :n'), {'n': value})"
    assert runbook.execute(small(tmp_path, source), {"target": "default"}).cause == "exception"
    assert "no such table: nowhere" in Left(where).text()
    assert "bound-value" not in Left(where).text()


# ── the record on disk ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("source", "code"), [("n", 0), ("1 / 0", 1)])
def test_papermills_command_line_leaves_the_same_record_output_and_exit_code(
    source: str, code: int, tmp_path: Path
) -> None:
    small(tmp_path, source)
    (tmp_path / "out.ipynb").write_text("what was there before")
    os.link(tmp_path / "out.ipynb", tmp_path / "before")
    done = papermill("small.ipynb", "out.ipynb", "-p", "n", "3", cwd=tmp_path)
    left = Left(tmp_path / "records")
    left.ended(code, "succeeded" if code == 0 else "failed_unchanged", None if code == 0 else "exception")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "out.ipynb").read_text()) == left.notebook
    assert left.run["parameters"]["n"] == 3
    assert str(left.folder) in done.stderr
    assert (tmp_path / "before").read_text() == "what was there before", "written in place, a crash would leave 0 bytes"


def test_papermills_own_last_write_is_not_in_place(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from papermill.iorw import LocalHandler

    in_place: list[str] = []
    monkeypatch.setattr(LocalHandler, "write", lambda self, text, path: in_place.append(path))
    through_papermill(small(tmp_path), "out.ipynb")
    assert json.loads((tmp_path / "out.ipynb").read_text()) == Left(where).notebook
    assert in_place == [], "killed in the middle of it, papermill would leave 0 bytes"


def test_the_runbook_itself_is_no_output(where: Path, tmp_path: Path) -> None:
    path = small(tmp_path)
    before = path.read_bytes()
    with pytest.raises(Stopped, match="cannot be the output") as stopped:
        through_papermill(path, f"{tmp_path}/./small.ipynb")
    assert stopped.value.exit_code == 2
    assert path.read_bytes() == before
    assert not where.exists()


def test_papermills_cwd_is_the_kernels_and_paths_stay_where_papermill_was_called(where: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    small(tmp_path, "import os\nos.getcwd()")
    through_papermill(Path("small.ipynb"), "out.ipynb", cwd=str(tmp_path / "elsewhere"))
    assert f"'{tmp_path / 'elsewhere'}'" in outputs(Left(where), "step-1")
    assert json.loads((tmp_path / "out.ipynb").read_text()) == Left(where).notebook


def test_the_notebook_is_saved_once_a_cell_and_once_at_the_end(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves: list[str] = []
    write = record.write

    def counted(path: Path, data: bytes) -> None:
        saves.append(path.name)
        write(path, data)

    monkeypatch.setattr(record, "write", counted)
    runbook.execute(small(tmp_path, "1", "2", "3"))
    assert len(Left(where).statuses()) == 6
    assert saves.count("notebook.ipynb") == 7


def test_tqdm_leaves_one_stream_with_its_last_state(where: Path, tmp_path: Path) -> None:
    source = "import sys, time\nfrom tqdm.auto import tqdm\n"
    source += "for _ in tqdm(range(50), mininterval=0, file=sys.stdout):\n    time.sleep(0.005)\n    sys.stdout.flush()"
    runbook.execute(small(tmp_path, source))
    cell = next(c for c in Left(where).notebook["cells"] if c["id"] == "step-1")
    streams = [output for output in cell["outputs"] if output.get("name") == "stdout"]
    assert len(streams) == 1
    text = "".join(streams[0]["text"])
    assert "50/50" in text
    assert "\r" not in text.strip()
    assert "10/50" not in text
    assert not [o for o in cell["outputs"] if "application/vnd.jupyter.widget-view+json" in o.get("data", {})]


def test_the_kernels_channels_are_private_sockets_not_tcp(where: Path, tmp_path: Path) -> None:
    source = """import psutil
app = get_ipython().kernel.parent
names = {c.laddr for c in psutil.Process().net_connections(kind='unix')}
print(app.transport, sorted(name.rpartition('/')[2] for name in names if name.startswith(app.ip)))
print(len([c for c in psutil.Process().net_connections(kind='inet') if c.status == 'ESTABLISHED']))"""
    assert runbook.execute(small(tmp_path, source)).ok
    shown = json.loads(outputs(Left(where), "step-1"))
    assert "".join(shown[0]["text"]).splitlines() == [
        "ipc ['k-ipc-1', 'k-ipc-2', 'k-ipc-3', 'k-ipc-4', 'k-ipc-5']",
        "0",
    ]
    assert "without encryption" not in Left(where).text()


def test_nothing_of_a_kernel_is_left_behind(where: Path, tmp_path: Path) -> None:
    source = (
        "import os, subprocess\nsubprocess.Popen(['sleep', '600'])\nprint(os.environ['AFDB_KERNEL_DIR'], os.getpid())"
    )
    assert runbook.execute(small(tmp_path, source)).ok
    folder, pid = "".join(json.loads(outputs(Left(where), "step-1"))[-1]["text"]).split()
    assert not Path(folder).exists()
    assert len(folder) < 90, "a socket's path has to be short"
    left = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "600"]]
    assert not psutil.pid_exists(int(pid))
    assert not [p for p in left if os.getpgid(p.pid) == int(pid)], "and neither is what its cells started"


def test_records_that_cannot_be_written_stop_the_run_before_it_starts(where: Path, tmp_path: Path) -> None:
    where.write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="cannot be written, so nothing was run"):
        runbook.execute(small(tmp_path, "import pathlib\npathlib.Path('ran').touch()"))
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk of a given size can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_stops_the_run_before_it_starts(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AFDB_RECORDS", str(small_disk / "records"))
    (small_disk / "records").mkdir()
    with (small_disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    with pytest.raises(Unavailable, match="nothing was run") as stopped:
        runbook.execute(small(tmp_path, "import pathlib\npathlib.Path('ran').touch()"))
    assert os.strerror(errno.ENOSPC) in stopped.value.why
    assert not (tmp_path / "ran").exists()
    assert not [path for path in (small_disk / "records").iterdir() if path.is_dir()], "no half-made record is left"


def test_a_ledger_that_is_no_file_stops_the_run_before_it_starts(where: Path, tmp_path: Path) -> None:
    where.mkdir()
    (where / "ledger.jsonl").symlink_to("/dev/zero")  # reading it would never end
    with pytest.raises(ConfigError, match="nothing was run"):
        runbook.execute(small(tmp_path, "import pathlib\npathlib.Path('ran').touch()"))
    assert not (tmp_path / "ran").exists()


def test_a_disk_that_fills_up_during_the_run_still_takes_its_end(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AFDB_RECORDS", str(small_disk / "records"))
    fill = "import contextlib\nrun.note('change.intent')\nwith contextlib.suppress(OSError):\n"
    fill += "    with open('disk/filler', 'wb', buffering=0) as file:\n        while file.write(b'x' * 4096): pass\n"
    fill += "for n in range(100): run.note('more', text='x' * 4000)"
    result = runbook.execute(small(tmp_path, fill, "2"))
    left = Left(small_disk / "records")
    left.ended(1, "failed_changed", "exception")
    assert result.exit_code == 1
    assert "No space left on device" in left.run["headline"]
    assert left.statuses()["step-2"] == "pending"


# ── several runs, progress ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_next_kernel_boots_while_a_run_works(where: Path, tmp_path: Path) -> None:
    source = "import psutil, time\nprint(psutil.Process().create_time(), psutil.Process().pid)\ntime.sleep(0.5)"
    paths = [small(tmp_path, source, name=name) for name in ("one", "two")]
    results = runbook.execute_many([(path, {"n": 2}) for path in paths])
    assert [result.outcome for result in results] == ["succeeded", "succeeded"]
    shown = []
    for result in results:
        notebook = json.loads((result.folder / "notebook.ipynb").read_bytes())
        cell = next(c for c in notebook["cells"] if c["id"] == "step-1")
        shown.append([float(word) for word in "".join(cell["outputs"][0]["text"]).split()])
    ended = records.read(results[0].folder)["ended"]
    assert shown[0][1] != shown[1][1], "a kernel of its own for each"
    assert shown[1][0] < __import__("datetime").datetime.fromisoformat(ended).timestamp()


def test_runs_end_with_the_first_that_is_not_well(where: Path, tmp_path: Path) -> None:
    bad, never = small(tmp_path, "1 / 0", name="bad"), small(tmp_path, name="never")
    results = runbook.execute_many([(bad, {}), (never, {})])
    assert [(result.runbook, result.exit_code) for result in results] == [("bad", 1)]
    assert not list(where.glob("*-never-*"))


def test_a_run_of_more_than_two_seconds_says_which_cell_it_is_at(tmp_path: Path) -> None:
    small(tmp_path, "import time\ntime.sleep(3.5)")
    done = afdb("run", "small.ipynb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "small 3/4 Step 1 (" in done.stderr
    assert "small: succeeded" in done.stdout


def test_a_short_run_says_nothing_of_its_progress(
    where: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = runbook.execute(small(tmp_path))
    if result.seconds > 2:
        pytest.skip("this machine is too busy: the run took longer than two seconds")
    assert capfd.readouterr().err == ""

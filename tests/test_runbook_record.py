"""Records: a crash leaves them readable, a change after the seal is found, reading them believes nothing."""

from __future__ import annotations

import copy
import functools
import json
import operator
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recorded import begun, ended

from afdb_helpers import ledger
from afdb_helpers.errors import ConfigError, Refused, Unavailable
from afdb_helpers.runbook import outcome, provenance, record, records, shape
from afdb_helpers.runbook.outcome import Failure
from afdb_helpers.runbook.record import Record

GONE = object()


def begin(where: Path, *, runbook: str = "backup", target: str | None = "staging", **data: Any) -> Record:
    return record.begin(where, runbook=runbook, target=target, data=begun(runbook, target) | data)


def sealed(
    where: Path,
    *,
    runbook: str = "backup",
    target: str | None = "staging",
    outcome: str | None = "succeeded",
    about: dict[str, Any] | None = None,
    **data: Any,
) -> Record:
    """A record of a run that has ended."""
    kept = begin(where, runbook=runbook, target=target)
    record.write(kept.folder / "plan.json", record.as_json({"digest": "sha256:00"}))
    kept.release()
    kept.data |= ended(outcome or "interrupted") | {"outcome": outcome} | data
    kept.data["target"] = about or kept.data["target"]
    kept.note("run.end", outcome=outcome, exit_code=kept.data["exit_code"])
    kept.seal(ledger_entry={"event": "end", "run": kept.id})
    return kept


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_record_is_named_by_time_runbook_target_and_chance(tmp_path: Path) -> None:
    first, second = begin(tmp_path), begin(tmp_path, runbook="cost_comparison", target=None)
    assert first.id != begin(tmp_path).id
    stamp, name, target, chance = first.id.split("-")
    assert (len(stamp), name, target, len(chance)) == (16, "backup", "staging", 4)
    assert second.id.split("-")[1:-1] == ["cost_comparison"]


def test_a_targets_name_cannot_leave_the_folder_of_records(tmp_path: Path) -> None:
    kept = begin(tmp_path / "records", target="../../etc/passwd")
    assert kept.folder.parent == tmp_path / "records"


def test_the_intent_is_in_journal_and_ledger_before_anything_runs(tmp_path: Path) -> None:
    kept = begin(tmp_path)
    assert [event["event"] for event in kept.events()] == ["run.intent"]
    (entry,) = ledger.read(tmp_path / "ledger.jsonl")
    assert (entry["event"], entry["run"], entry["runbook"], entry["target"]) == (
        "intent", kept.id, "backup", "staging",
    )  # fmt: skip
    assert json.loads((kept.folder / "run.json").read_bytes())["ended"] is None


def test_a_writer_killed_at_any_moment_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "notebook.ipynb"
    code = "import sys; from pathlib import Path; from afdb_helpers.runbook import record\n"
    code += "one, other = b'1' * 4_000_000, b'2' * 4_000_000\n"
    code += "while True: record.write(Path(sys.argv[1]), one); record.write(Path(sys.argv[1]), other)"
    for delay in (0.0, 0.003, 0.005, 0.007, 0.011, 0.013, 0.017):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", code, str(path)])
        while not path.exists():
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        content = path.read_bytes()
        assert len(content) == 4_000_000
        assert len(set(content)) == 1


def test_a_write_that_fails_leaves_the_old_content_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    record.write(path, b"old")
    code = "import resource, signal, sys; from pathlib import Path; from afdb_helpers.runbook import record\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    code += "try: record.write(Path(sys.argv[1]), b'x' * 5000)\nexcept OSError: sys.exit(7)"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 7
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run.json"]


def test_a_record_that_cannot_be_begun_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text("edited by hand\n")
    with pytest.raises(Unavailable, match="its last line is not an entry"):
        begin(tmp_path)
    assert os.listdir(tmp_path) == ["ledger.jsonl"]


def test_a_seal_that_the_ledger_refuses_does_not_appear(tmp_path: Path) -> None:
    kept = begin(tmp_path)
    (tmp_path / "ledger.jsonl").unlink()
    (tmp_path / "ledger.jsonl").symlink_to("/dev/full")
    kept.data |= ended()
    with pytest.raises(OSError, match="No space left"):
        kept.seal(ledger_entry={"event": "end"})
    assert json.loads((kept.folder / "run.json").read_bytes())["ended"] is None
    assert not (kept.folder / "SHA256SUMS").exists()
    assert not list(kept.folder.glob(".*.part"))


# ── the shape of run.json ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"outcome": "fine"}, "outcome is not as the schema says"),
        ({"outcome": "succeeded", "exit_code": 1}, "exit_code is not as the schema says"),
        ({"outcome": "refused", "exit_code": 0}, "exit_code is not as the schema says"),
        ({"outcome": None}, "outcome is not as the schema says"),
        ({"ended": "yesterday"}, "ended is not as the schema says"),
        ({"surprise": 1}, "it is not as the schema says: Additional properties"),
        ({"schema": 2}, "its schema is 2, and this afdb reads 1"),
        ({"parameters": {"n": [1]}}, "parameters/n is not as the schema says"),
        ({"who": {}}, "who is not as the schema says"),
        (
            {"runbook": {"name": "backup"}},
            "runbook is not as the schema says: 'path' is a required",
        ),
        ({"evidence": [{"kind": "backup"}]}, "evidence/0 is not as the schema says"),
    ],
)
def test_what_is_not_as_the_schema_says_is_not_written(facts: dict[str, Any], said: str, tmp_path: Path) -> None:
    kept = begin(tmp_path)
    kept.data |= ended()
    shape.check(kept.data)
    before = (kept.folder / "run.json").read_bytes()
    kept.data |= facts
    for write in (kept.save, kept.seal):
        with pytest.raises(ValueError, match=re.escape(said)):
            write()
    assert (kept.folder / "run.json").read_bytes() == before
    assert not (kept.folder / "SHA256SUMS").exists()


def test_the_compiled_schema_accepts_what_the_schema_does_and_nothing_else(tmp_path: Path) -> None:
    """Every value of a record in turn is another one or left out; jsonschema says what has to come of it."""
    from jsonschema import Draft202012Validator

    kept, by_the_book, found = begin(tmp_path), Draft202012Validator(shape.schema()), dict.fromkeys((True, False), 0)
    kept.data |= ended()
    for path in _paths(kept.data):
        for other in (GONE, None, True, 0, -1, 300, 1.5, "", "succeeded", [1], ["x"], {}, {"name": "x"}):
            changed = copy.deepcopy(kept.data)
            holder = functools.reduce(operator.getitem, path[:-1], changed)
            holder[path[-1]] = other
            if other is GONE:
                del holder[path[-1]]
            if changed.get("schema") == shape.SCHEMA:
                accepts = shape._accepts(changed)
                assert accepts == by_the_book.is_valid(changed), (path, other)
                found[accepts] += 1
    assert min(found.values()) > 50


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from _paths(one, (*path, key))


def test_an_interactive_run_needs_less_and_says_what_it_is() -> None:
    data = {"schema": 1, "id": "20261128T120000Z-small-0000"} | begun("small") | {"mode": "interactive"}
    for key in ("git", "versions", "parameters", "parameters_given", "approval", "exit_code", "secrets_indistinct"):
        del data[key]
    data["runbook"] = {"name": "small"}
    shape.check(data)
    with pytest.raises(ValueError, match="is not as the schema says"):
        shape.check(data | {"mode": "engine"})


# ── the seal ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_sums_are_what_sha256sum_checks_and_the_ledger_holds_their_hash(tmp_path: Path) -> None:
    kept = sealed(tmp_path)
    done = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=kept.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["journal.jsonl: OK", "plan.json: OK", "run.json: OK"]
    end = ledger.read(tmp_path / "ledger.jsonl")[-1]
    digest = subprocess.run(["sha256sum", "SHA256SUMS"], cwd=kept.folder, capture_output=True, text=True, check=True)
    assert end["sha256sums"] == digest.stdout.split()[0]
    assert sorted(os.listdir(kept.folder)) == ["SHA256SUMS", "journal.jsonl", "plan.json", "run.json"]


@pytest.mark.parametrize(
    ("file", "state"),
    [("plan.json", "changed"), ("run.json", "changed"), ("journal.jsonl", "missing"), ("x", "not sealed")],
)
def test_a_record_changed_after_its_seal_is_found_and_the_file_named(file: str, state: str, tmp_path: Path) -> None:
    kept = sealed(tmp_path)
    assert records.check(kept.folder).ok
    path = kept.folder / file
    match state:
        case "changed":
            path.write_bytes(path.read_bytes().replace(b"s", b"S", 1))
        case "missing":
            path.unlink()
        case _:
            path.write_text("added")
    report = records.check(kept.folder)
    assert not report.ok
    assert report.headline == f"{file} is {state} since the record was sealed"
    shown = records.show(kept.folder)
    assert (shown.ok, shown.headline.startswith(report.headline)) == (False, True), "before what it says now"


def test_evidence_is_taken_from_a_sealed_record_only(tmp_path: Path) -> None:
    kept = sealed(tmp_path)
    data, digest = records.evidence(kept.folder, "plan.json")
    assert data == {"digest": "sha256:00"}
    assert digest in (kept.folder / "SHA256SUMS").read_text()
    with pytest.raises(Refused, match="is no evidence") as refused:
        records.evidence(kept.folder, "after.json")
    assert refused.value.why == "the record holds no after.json"
    (kept.folder / "plan.json").write_text('{"digest": "sha256:ff"}')
    with pytest.raises(Refused, match="is no evidence") as refused:
        records.evidence(kept.folder, "plan.json")
    assert "plan.json is changed" in refused.value.why
    with pytest.raises(Refused, match="is no evidence"):
        records.evidence(begin(tmp_path).folder, "plan.json")


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_record_without_an_end_is_running_while_its_process_lives_and_interrupted_after(tmp_path: Path) -> None:
    living = begin(tmp_path, runner=provenance.runner())
    assert records.read(living.folder)["outcome"] == "running"
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = begin(tmp_path, runner=provenance.runner() | {"pid": process.pid})
    assert records.read(dead.folder)["outcome"] == "interrupted"
    assert "no end was recorded" in records.read(dead.folder)["cause"]
    elsewhere = begin(tmp_path, runner=provenance.runner() | {"host": "another"})
    assert records.read(elsewhere.folder)["outcome"] == "interrupted"


def test_a_process_that_took_over_the_number_of_a_dead_runner_is_not_the_runner(tmp_path: Path) -> None:
    kept = begin(tmp_path, runner=provenance.runner() | {"since": 1_000_000_000.0})
    assert records.read(kept.folder)["outcome"] == "interrupted"


def test_records_are_listed_newest_first_and_a_damaged_one_is_shown_as_such(tmp_path: Path) -> None:
    made = [sealed(tmp_path).id for _ in range(2)]
    damaged = begin(tmp_path, runbook="zzz")
    newest = [damaged.id, *reversed(made)]
    (damaged.folder / "run.json").write_bytes(b"")
    rows = records.table(tmp_path).rows
    assert [row["record"] for row in rows] == [run["id"] for run in records.each(tmp_path)] == newest
    assert next(row["outcome"] for row in rows if row["record"] == damaged.id) == "corrupt"


def test_a_record_is_found_by_a_unique_part_of_its_name(tmp_path: Path) -> None:
    kept = sealed(tmp_path)
    sealed(tmp_path)
    assert records.find(tmp_path, kept.id) == kept.folder
    assert records.find(tmp_path, kept.id[-6:]) == kept.folder
    with pytest.raises(ConfigError, match="does not name one record") as refused:
        records.find(tmp_path, "backup")
    assert refused.value.why.startswith("2 of them")
    with pytest.raises(ConfigError, match="does not name one record"):
        records.find(tmp_path, "nothing")


def test_the_latest_is_the_newest_that_succeeded_on_that_target(tmp_path: Path) -> None:
    assert records.latest(tmp_path, "backup", target="staging", audited=False) is None
    good = sealed(tmp_path)
    for wrong in (
        sealed(tmp_path, outcome="failed_changed"),
        sealed(tmp_path, target="production"),
        sealed(tmp_path, runbook="rehearsal"),
        sealed(tmp_path, ended=None, outcome=None, exit_code=None),
    ):
        _renamed(wrong, "3")
    assert records.latest(tmp_path, "backup", target="staging", audited=True) == good.folder
    newer = _renamed(sealed(tmp_path, mode="interactive"), "4")
    assert records.latest(tmp_path, "backup", target="staging", audited=False) == newer
    assert records.latest(tmp_path, "backup", target="staging", audited=True) == good.folder
    of_any = records.latest(tmp_path, "backup", target=None, audited=True)
    assert of_any is not None
    assert "production" in of_any.name


def test_a_record_about_another_database_of_that_name_is_passed_over(tmp_path: Path) -> None:
    one, other = {"system_identifier": "7", "oid": 1}, {"system_identifier": "7", "oid": 2}
    good = sealed(tmp_path, about={"name": "staging", "server": one | {"clock": "then"}})
    _renamed(sealed(tmp_path, about={"name": "staging", "server": other | {"clock": "then"}}), "3")
    assert records.latest(tmp_path, "backup", target="staging", audited=True, server=one) == good.folder
    assert records.latest(tmp_path, "backup", target="staging", audited=True, server={"oid": 3}) is None


def _renamed(kept: Record, millennium: str) -> Path:
    """A record as if it had been made later: its id opens with the time."""
    later = kept.folder.with_name(millennium + kept.id[1:])
    kept.folder.rename(later)
    data = json.loads((later / "run.json").read_bytes()) | {"id": later.name}
    (later / "run.json").write_bytes(record.as_json(data))
    return later


# ── who ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_ci_job_is_named_with_its_actor_and_url() -> None:
    said = provenance.who(
        {"GITHUB_ACTOR": "octo", "GITHUB_SERVER_URL": "https://g", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "7"}
    )
    assert (said["ci_actor"], said["ci_run_url"]) == ("octo", "https://g/o/r/actions/runs/7")
    assert said["os_user"]
    assert provenance.who({})["ci_actor"] is None


def test_the_commit_and_whether_the_tree_differs_are_told(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    path = tmp_path / "01_x.ipynb"
    assert provenance.git(path) == {"sha": None, "dirty": None}
    git("init", "-q")
    path.write_text("{}")
    git("add", ".")
    git("commit", "-qm", "one")
    assert provenance.git(path) == {"sha": git("rev-parse", "HEAD"), "dirty": False}
    path.write_text("{} ")
    assert provenance.git(path)["dirty"] is True


def test_the_versions_are_those_installed() -> None:
    import sqlalchemy

    said = provenance.versions()
    assert said["sqlalchemy"] == sqlalchemy.__version__
    assert said["python"] == sys.version.split()[0]
    assert "pytest" not in said, "what tests need is no part of a run"


# ── the outcome, decided from the journal ───────────────────────────────────────────────────────────────────────────

INTENT, UNCHANGED, CHANGED, UNKNOWN = (
    {"event": "change.intent"},
    {"event": "change.result", "changed": False},
    {"event": "change.result", "changed": True},
    {"event": "change.result", "changed": None},
)
CLOSED = {"event": "close", "ok": True, "headline": "done"}
NOT_OK = {"event": "close", "ok": False, "headline": "not well"}


@pytest.mark.parametrize(
    ("events", "changed"),
    [
        ([], False),
        ([INTENT], None),
        ([INTENT, UNCHANGED], False),
        ([INTENT, CHANGED], True),
        ([INTENT, UNKNOWN], None),
        ([INTENT, CHANGED, INTENT, UNCHANGED], True),
        ([INTENT, UNCHANGED, INTENT], None),
        ([INTENT, CHANGED, INTENT], True),
    ],
)
def test_whether_a_target_was_changed_is_read_off_intents_and_results(
    events: list[dict[str, Any]], changed: bool | None
) -> None:
    assert outcome.changed(events) is changed


@pytest.mark.parametrize(
    ("events", "failure", "said"),
    [
        ([CLOSED], None, ("succeeded", 0)),
        ([INTENT, CHANGED, CLOSED], None, ("succeeded", 0)),
        ([], None, ("failed_unchanged", 1)),
        ([INTENT, CHANGED], None, ("failed_changed", 1)),
        ([NOT_OK], None, ("refused", 3)),
        ([INTENT, UNCHANGED, NOT_OK], None, ("refused", 3)),
        ([INTENT, CHANGED, NOT_OK], None, ("failed_changed", 5)),
        ([CLOSED, NOT_OK], None, ("refused", 3)),
        ([CLOSED], Failure("exception", "m", "c", "ValueError"), ("failed_unchanged", 1)),
        ([INTENT], Failure("exception", "m", "c", "ValueError"), ("failed_changed", 1)),
        ([], Failure("exception", "m", "c", "Refused"), ("refused", 3)),
        ([INTENT, UNCHANGED], Failure("exception", "m", "c", "Refused"), ("refused", 3)),
        ([INTENT, CHANGED], Failure("exception", "m", "c", "Refused"), ("failed_changed", 5)),
        ([], Failure("exception", "m", "c", "ConfigError"), ("failed_unchanged", 2)),
        ([], Failure("exception", "m", "c", "Unavailable"), ("failed_unchanged", 4)),
        ([INTENT], Failure("exception", "m", "c", "Unavailable"), ("failed_changed", 5)),
        ([INTENT, CHANGED], Failure("exception", "m", "c", "Incomplete"), ("failed_changed", 5)),
        ([INTENT, UNCHANGED], Failure("exception", "m", "c", "Incomplete"), ("failed_unchanged", 5)),
        ([], Failure("sys.exit", "m", "c", "SystemExit"), ("failed_unchanged", 1)),
        ([], Failure("timeout", "m", "c"), ("failed_unchanged", 4)),
        ([INTENT], Failure("timeout", "m", "c"), ("failed_changed", 5)),
        ([], Failure("kernel died", "m", "c"), ("failed_unchanged", 4)),
        ([INTENT], Failure("kernel died", "m", "c"), ("failed_changed", 5)),
        ([], Failure("interrupted", "m", "c", signum=2), ("interrupted", 130)),
        ([INTENT], Failure("interrupted", "m", "c", signum=15), ("interrupted", 143)),
        ([CLOSED], Failure(outcome.LEAK, "m"), ("failed_unchanged", 5)),
        ([CLOSED], Failure(outcome.RECORD, "m"), ("failed_unchanged", 4)),
    ],
)
def test_an_outcome_and_its_exit_code(
    events: list[dict[str, Any]], failure: Failure | None, said: tuple[str, int]
) -> None:
    ending = outcome.judge(events, failure)
    assert (ending.outcome, ending.exit_code) == said
    assert (ending.exit_code == 0) == (ending.outcome == "succeeded")
    assert (ending.cause is None) == (ending.exit_code == 0), "whatever is not a success has a cause"

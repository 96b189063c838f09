"""What a notebook calls: the server is asked who it is, evidence is checked, interactive is never a record."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from recorded import begun
from small_notebooks import Left, commit, small
from sqlalchemy import make_url

from afdb_helpers import ledger, runbook
from afdb_helpers.errors import ConfigError, Refused, Unavailable
from afdb_helpers.report import Report
from afdb_helpers.runbook import catalogue, record, records


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AFDB_RECORDS", str(tmp_path / "records"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "records"


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SQLite file that is the target `default`."""
    path = tmp_path / "shop.db"
    sqlite3.connect(path).execute("CREATE TABLE t (n int)").connection.close()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
    return path


def last(run: runbook.Run, event: str) -> dict[str, Any]:
    return [e for e in ledger.read(run.folder / "journal.jsonl") if e["event"] == event][-1]


# ── under the engine ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_on_postgresql_records_which_server_it_was_as_whom_and_the_clocks(
    where: Path, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGING_DATABASE_URL", database)
    source = "print(run.recorded, run.protected, run.target.name, run.folder, run.id)"
    result = runbook.execute(small(tmp_path, source), {"target": "staging"})
    left = Left(where)
    assert result.ok, left.run["headline"]
    target = left.run["target"]
    assert (target["name"], target["dialect"], target["protected"]) == ("staging", "postgresql", False)
    assert target["server"]["database"] == make_url(database).database
    assert int(target["server"]["system_identifier"]) > 0
    assert target["server"]["version"].startswith("18")
    assert left.run["who"]["database_role"] == target["server"]["role"]
    assert abs(left.run["clock_skew"]) < 2
    assert left.run["server_clock"].endswith("Z")
    shown = left.notebook["cells"][-2]["outputs"][0]["text"]
    assert "".join(shown) == f"True False staging {left.folder} {left.folder.name}\n"


def test_a_target_that_cannot_be_reached_ends_the_run_with_could_not_look(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'missing.db'}")
    assert runbook.execute(small(tmp_path), {"target": "default"}).exit_code == 4
    Left(where).ended(4, "failed_unchanged", "exception")


def test_a_target_that_nobody_configured_ends_the_run_as_a_bad_request(where: Path, tmp_path: Path) -> None:
    assert runbook.execute(small(tmp_path), {"target": "nowhere"}).exit_code == 2


def test_a30_a_protected_target_may_be_written_under_the_engine_by_the_committed_notebook_alone(
    where: Path, tmp_path: Path, sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDB_PROTECTED", "default")
    begin = "from afdb_helpers import runbook\nrun = runbook.begin('small', target=target, writes=True)\nrun"
    path = small(tmp_path, begin=begin)
    with pytest.raises(Refused, match=r"small\.ipynb is in no repository, and target default is protected"):
        runbook.execute(path, {"target": "default"})
    commit(tmp_path)
    assert runbook.execute(path, {"target": "default"}).ok
    assert Left(where).run["target"]["protected"] is True
    assert Left(where).run["runbook"]["committed"] is True
    path.write_text(path.read_text().replace("all done", "done"))
    with pytest.raises(Refused, match=r"small\.ipynb is not the committed notebook") as refused:
        runbook.execute(path, {"target": "default"})
    assert "AFDB_UNCOMMITTED" not in refused.value.do, "on a protected target nothing is tried"


def test_a30_an_edited_notebook_is_refused_or_tried_and_its_record_is_then_none_for_an_audit(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A30: cells edited after they were reviewed."""
    path = small(tmp_path, "1 + 1")
    commit(tmp_path)
    path.write_text(path.read_text().replace("1 + 1", "1 + 2"))
    monkeypatch.delenv("AFDB_UNCOMMITTED")
    with pytest.raises(Refused, match="is not the committed notebook") as refused:
        runbook.execute(path)
    assert "set AFDB_UNCOMMITTED=1 or run it in JupyterLab: no audit record" in refused.value.do
    assert not where.exists()
    monkeypatch.setenv("AFDB_UNCOMMITTED", "1")
    assert runbook.execute(path).ok
    left = Left(where)
    assert (left.run["mode"], left.run["runbook"]["committed"]) == ("trial", False)
    assert records.latest(where, "small", target=None, audited=True) is None, "no evidence for a protected target"
    assert records.latest(where, "small", target=None, audited=False) == left.folder


def test_another_processs_record_is_not_taken_for_the_engines(
    where: Path, sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDB_PROTECTED", "default")
    data = begun("small", "default")
    kept = record.begin(where, runbook="small", target="default", data=data)
    monkeypatch.setenv("AFDB_RUN_DIR", str(kept.folder))
    with pytest.raises(Refused, match="is not run by the engine"):
        runbook.begin("small", target="default", writes=True)


# ── interactive ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_interactive_run_leaves_a_record_that_says_it_is_none_for_an_audit(where: Path, sqlite: Path) -> None:
    run = runbook.begin("discovery", target="default")
    assert not run.recorded
    assert "interactive, not an audit record" in run.report().headline
    assert "for one: afdb run discovery --target default" in repr(run)
    assert "not an audit record" in run._repr_html_()
    closed = run.close(Report(headline="fine"))
    assert closed.ok
    data = records.read(run.folder)
    assert (data["mode"], data["outcome"], data["headline"]) == ("interactive", "succeeded", "fine")
    assert {"fact": "mode", "value": "interactive, not an audit record"} in records.show(run.folder).rows
    assert data["target"]["server"]["dialect"] == "sqlite"
    assert records.check(run.folder).ok
    assert not (where / "ledger.jsonl").exists(), "the ledger is for runs of the engine"


def test_a_protected_target_is_not_written_interactively(
    where: Path, sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDB_PROTECTED", "default")
    with pytest.raises(Refused, match="target default is protected") as refused:
        runbook.begin("migration", target="default", writes=True)
    assert refused.value.do == "afdb run migration --target default"
    assert not where.exists()
    assert runbook.begin("discovery", target="default").protected, "to look is allowed"


def test_where_a_protected_target_lacks_its_migration_the_way_is_by_a_rehearsal(
    where: Path, sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDB_PROTECTED", "default")
    with pytest.raises(Refused, match="there is no migration to go by") as refused:
        runbook.begin("verification", target="default").evidence("migration", "latest", "before.json")
    assert refused.value.do == "afdb prepare --target default"


def test_a_runbook_opened_beside_its_file_works_from_the_repositorys_root(
    where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(catalogue.folder())
    runbook.begin("cost_comparison")
    assert Path.cwd() == catalogue.folder().parent


def test_a_run_without_a_target_says_so_when_it_is_asked_for_one(where: Path) -> None:
    run = runbook.begin("cost_comparison")
    with pytest.raises(ConfigError, match="cost_comparison has no target"):
        _ = run.connection


def test_a_server_that_cannot_be_asked_stops_the_run_at_once(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@/shop?host=/nonexistent")
    with pytest.raises(Unavailable):
        runbook.begin("discovery", target="default")


# ── what is noted and kept ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_connection_only_reads_and_is_new_after_a_change(where: Path, sqlite: Path) -> None:
    run = runbook.begin("discovery", target="default")
    first = run.connection
    assert run.connection is first
    with pytest.raises(Exception, match=r"readonly|read-only|query_only"):
        first.exec_driver_sql("INSERT INTO t VALUES (1)")
    run.note("progress", rows=1)
    assert run.connection is first
    run.note("change.intent", revision="002")
    assert run.connection is not first
    assert first.closed


def test_what_is_kept_is_json_with_sorted_keys_and_only_a_file_of_its_own(where: Path) -> None:
    run = runbook.begin("cost_comparison")
    run.keep("plan.json", {"b": 1, "a": [Path("x")]})
    assert (run.folder / "plan.json").read_text() == '{\n  "a": [\n    "x"\n  ],\n  "b": 1\n}\n'
    for name in ("run.json", "journal.jsonl", "SHA256SUMS", "../x.json", "a/b.json"):
        with pytest.raises(ConfigError, match="cannot be kept"):
            run.keep(name, {})


def test_a_secret_in_what_is_noted_or_kept_is_masked_and_the_journal_says_where(
    where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "canary-canary")
    run = runbook.begin("cost_comparison")
    run.note("statements", events=[{"sql": "SELECT 'canary-canary'"}])
    run.keep("plan.json", {"sql": ["canary-canary"]})
    text = "".join(path.read_text() for path in run.folder.iterdir())
    assert "canary-canary" not in text
    assert "[SOME_TOKEN]" in text
    places = [e["place"] for e in ledger.read(run.folder / "journal.jsonl") if e["event"] == "secret.masked"]
    assert places == ["journal entry statements", "plan.json"]


def test_evidence_given_at_the_beginning_is_journaled(where: Path) -> None:
    run = runbook.begin("cost_comparison", backup="some-id", plan="")
    cited = [e for e in ledger.read(run.folder / "journal.jsonl") if e["event"] == "evidence"]
    assert [(e["kind"], e["id"]) for e in cited] == [("backup", "some-id")]


def test_evidence_of_an_earlier_run_is_found_checked_and_cited(where: Path, sqlite: Path) -> None:
    earlier = runbook.begin("migration", target="default")
    earlier.keep("before.json", {"rows": 3})
    earlier.close(Report(headline="done"))
    run = runbook.begin("verification", target="default")
    assert run.evidence("migration", "latest", "before.json") == {"rows": 3}
    assert run.evidence("migration", earlier.id, "before.json") == {"rows": 3}
    cited = last(run, "evidence")
    assert (cited["kind"], cited["id"], cited["file"]) == ("migration", earlier.id, "before.json")
    run.close(Report(headline="fine"))
    assert records.read(run.folder)["evidence"][0]["id"] == earlier.id


def test_evidence_that_is_missing_is_refused_unless_it_need_not_be_there(where: Path, sqlite: Path) -> None:
    run = runbook.begin("verification", target="default")
    with pytest.raises(Refused, match="there is no migration to go by") as refused:
        run.evidence("migration", "latest", "before.json")
    assert refused.value.do == "afdb run migration --target default"
    assert run.evidence("migration", "latest", "before.json", required=False) is None
    assert run.evidence("migration", "none", "before.json", required=False) is None


def test_evidence_about_another_database_is_passed_over_or_refused(
    where: Path, sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = runbook.begin("migration", target="default")
    earlier.keep("before.json", {})
    earlier.close(Report(headline="done"))
    other = tmp_path / "other.db"
    other.write_bytes(sqlite.read_bytes())
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{other}")
    run = runbook.begin("verification", target="default")
    assert run.evidence("migration", "latest", "before.json", required=False) is None
    with pytest.raises(Refused, match="is no evidence here"):
        run.evidence("migration", earlier.id, "before.json")


def test_an_interactive_run_is_no_evidence_for_a_protected_target(
    where: Path, sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDB_PROTECTED", "default")
    earlier = runbook.begin("migration", target="default")
    earlier.keep("before.json", {})
    earlier.close(Report(headline="done"))
    run = runbook.begin("verification", target="default")
    assert run.evidence("migration", "latest", "before.json", required=False) is None


def test_the_report_that_closes_a_run_is_kept(where: Path) -> None:
    run = runbook.begin("cost_comparison")
    run.close(Report(headline="found", ok=False, rows=({"a": 1},)))
    assert json.loads((run.folder / "report.json").read_text())["rows"] == [{"a": 1}]
    assert records.read(run.folder)["outcome"] == "refused"

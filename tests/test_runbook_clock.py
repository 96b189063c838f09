"""A35: clocks that are wrong, or go back: measured against the server and said; order and durations hang on neither."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from bs4 import BeautifulSoup
from recorded import whole
from small_notebooks import Left, outputs, small

from afdb_helpers import ledger, runbook
from afdb_helpers.report import Report
from afdb_helpers.runbook import audit, record, records

HOURS = timedelta(hours=3)
BEGIN = """from datetime import timedelta
from afdb_helpers import ledger, runbook
real = ledger.clock
ledger.clock = lambda: real() - timedelta(hours=3)
run = runbook.begin('small', target=target)
run"""


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AFDB_RECORDS", str(tmp_path / "records"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "records"


@pytest.fixture
def database_elsewhere(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The target `default`, in a time zone that changes twice a year; this process is in another."""
    with sa.create_engine(database, poolclass=sa.NullPool).begin() as connection:
        name = sa.make_url(database).database
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET timezone = 'America/New_York'")
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("TZ", "Australia/Lord_Howe")  # summer time of half an hour
    time.tzset()
    yield database
    monkeypatch.delenv("TZ")
    time.tzset()


def clock(monkeypatch: pytest.MonkeyPatch, shift: Callable[[], timedelta]) -> None:
    """Set this machine's clock: the one place where it is read."""
    real = ledger.clock
    monkeypatch.setattr(ledger, "clock", lambda: real() + shift())


@pytest.mark.parametrize(("hours", "warned"), [(3, True), (-3, True), (0, False)])
def test_a35_a_skew_of_three_hours_is_measured_recorded_and_warned_of(
    where: Path, database_elsewhere: str, monkeypatch: pytest.MonkeyPatch, hours: int, warned: bool
) -> None:
    """The control: without a skew, in whatever time zones, none is measured and nobody is warned."""
    clock(monkeypatch, lambda: timedelta(hours=-hours))
    run = runbook.begin("discovery", target="default")
    said = f"the server's clock is {hours * 3600:+d} s off this machine's"
    assert (said in run.report().headline) is warned
    run.close(Report(headline="fine"))
    kept = records.read(run.folder)
    assert abs(kept["clock_skew"] - hours * 3600) < 2


@pytest.mark.parametrize(("seconds", "warned"), [(61, True), (58, False)])
def test_a35_more_than_a_minute_is_too_much(
    where: Path, database: str, monkeypatch: pytest.MonkeyPatch, seconds: int, warned: bool
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    clock(monkeypatch, lambda: timedelta(seconds=seconds))
    assert ("off this machine's" in runbook.begin("discovery", target="default").report().headline) is warned


def test_a35_a_clock_that_steps_back_amid_a_run_makes_no_duration_negative(
    where: Path, tmp_path: Path, database_elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the skew that the kernel measured stands in run.json and on the page."""
    clock(monkeypatch, lambda: -HOURS if (tmp_path / "stepped").exists() else timedelta())
    step = "import pathlib, time\npathlib.Path('stepped').touch()\ntime.sleep(0.3)"
    result = runbook.execute(small(tmp_path, step, begin=BEGIN), {"target": "default"})
    left = Left(where)
    left.ended(0, "succeeded", None)
    assert left.run["ended"] < left.run["started"], "the control: it did go back"
    assert 0.3 < left.run["seconds"] == result.seconds < 60
    durations = {e["cell"]: e["seconds"] for e in left.journal if e["event"] == "cell.end"}
    assert 0.3 <= durations["step-1"] < 30
    assert min(durations.values()) >= 0
    assert [e["seq"] for e in left.journal] == list(range(1, len(left.journal) + 1))
    assert sorted(left.journal, key=lambda e: e["at"]) != left.journal, "by time it would be another order"
    checked = audit.verify(where)
    assert checked.ok
    assert "the clock went back before entry 2" in str(checked)
    assert abs(left.run["clock_skew"] - HOURS.total_seconds()) < 5
    assert "the server's clock is +10800 s off" in outputs(left, "begin").replace("+10801", "+10800")
    page = BeautifulSoup((left.folder / "report.html").read_text(), "html.parser")
    notes = [one.get_text() for one in page.select("p.note")]
    assert any("3 h 0 min ahead of this machine's" in note for note in notes), notes
    assert any("This machine's clock went back during the run" in note for note in notes), notes


def test_a35_the_night_the_clocks_go_back_is_no_step_back(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New York, 1 November 2026: 01:59 of summer time is followed by 01:00; records are in UTC."""
    times = iter(datetime.fromisoformat(f"2026-11-01T0{5 + n // 30}:{30 + n % 30}:00+00:00") for n in range(60))
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        monkeypatch.setattr(ledger, "clock", lambda: next(times))
        made = [whole(where) for _ in range(3)]
        local = [
            datetime.fromisoformat(one["at"]).astimezone().replace(tzinfo=None)
            for one in ledger.read(where / "ledger.jsonl")
        ]
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert sorted(local) != local, "the control: by the clock on the wall it was one"
    assert "went back" not in str(audit.verify(where))
    assert [one["id"] for one in records.each(where)] == [one.id for one in reversed(made)]
    assert record.now().endswith("+00:00")

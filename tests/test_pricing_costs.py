"""`afdb costs` as a founder types it, and what a discovery measured as its input."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from afdb_helpers import catalog, cli, pricing, runbook
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.report import Report
from afdb_helpers.runbook import records

WORKED = Path(__file__).with_name("worked_bills")


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Runs `afdb costs` in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("AFDB_RECORDS", str(tmp_path / "records"))

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["afdb", "costs", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out = capsys.readouterr()
        return int(ended.value.code or 0), out.out, out.err

    return run


# ------------------------------------------------------------------ the table


def test_the_defaults_are_the_runbooks(costs: Any) -> None:
    code, out, _ = costs("--format", "json")
    assert code == 0
    said = json.loads(out)
    assert said["ok"]
    supabase = next(row for row in said["rows"] if row["offer"] == "supabase-pro")
    assert supabase["USD a month"] == 25.0
    assert supabase["as of"] == "2026-08-26"
    assert len(said["rows"]) + len(said["parts"][0]["rows"]) == 66


def test_csv_has_a_line_for_every_offer_and_why_those_do_not_fit_that_do_not(costs: Any) -> None:
    code, out, _ = costs("--format", "csv", "-p", "db-gb", "20", "-p", "pitr_days", "7")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert len(rows) == 66
    assert next(row for row in rows if row["offer"] == "supabase-pro")["USD a month"] == "131.50"
    assert "recovery" in next(row for row in rows if row["offer"] == "heroku-pg-essential-2")["why not"]


def test_an_offer_line_by_line_and_the_advice(costs: Any) -> None:
    code, out, _ = costs("--offer", "supabase-pro", "--offer", "fly-mpg-basic", "-p", "egress_gb", "300")
    assert code == 0
    assert "supabase-pro: $29.95 a month" in out
    assert "pricing-catalog.ts" in out
    assert "2026-08-26" in out
    code, out, _ = costs("--advice")
    assert code == 0
    assert "What would change the answer" in out


def test_needs_that_no_offer_meets_exit_with_3(costs: Any) -> None:
    code, out, err = costs("-p", "ram_gb", "20000", "-p", "pitr_days", "100", "-p", "region", "eu")
    assert code == 3
    assert "No offer meets every need" in out
    assert "drop or lower the need" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-p", "db_gb", "-1"), ("db_gb = -1 is not allowed", "a number from 0 to 1,000,000")),
        (("-p", "db_gb", "nan"), ("db_gb = NaN is not allowed", "a number from 0 to 1,000,000")),
        (("-p", "egress_gb", "inf"), ("egress_gb = Infinity", "a number from 0 to 1,000,000")),
        (("-p", "db_gb", "1e9"), ("db_gb = 1000000000 is not allowed", "a number from 0 to 1,000,000")),
        (("-p", "db_gb", "much"), ("db_gb = much", "a number from 0 to 1,000,000")),
        (("-p", "region", "mars"), ("region = mars", "one of any, us, eu, asia")),
        (("-p", "egres_gb", "1"), ("no input called 'egres_gb'", "egress_gb")),
        (("-p", "mau", "1", "-p", "mau", "2"), ("mau is given twice", "give it once")),
        (("--offer", "supabase-prp"), ("no offer is called 'supabase-prp'", "supabase-pro")),
        (("-p", "compute", "huge", "--offer", "supabase-pro"), ("compute = 'huge' is no size", "micro, small")),
        (("--prices", "nowhere.yaml"), ("nowhere.yaml cannot be read", "name a readable YAML file")),
        (("--currency", "GBP"), ("there is no rate for 'GBP'", "--rate GBP USD DATE")),
        (("--rate", "EUR", "-1", "2026-01-01"), ("usd = Decimal('-1')", "above 0")),
        (("--rate", "EUR", "nan", "2026-01-01"), ("usd = 'nan'", "above 0")),
        (("--rate", "euro", "1.1", "2026-01-01"), ("currency = 'euro'", "a code such as EUR")),
        (("--rate", "EUR", "1.1", "yesterday"), ("as_of = 'yesterday'", "and the date")),
        (("--from-record", "nothing"), ("'nothing' does not name one record", "afdb records list")),
    ],
)
def test_a_bad_request_is_answered_with_field_and_range(
    costs: Any, words: tuple[str, ...], said: tuple[str, str]
) -> None:
    code, out, err = costs(*words)
    assert code == 2
    assert out == ""
    assert all(part in err for part in said), err
    assert "\n  why: " in err


def test_another_currency_is_shown_at_a_stated_rate_and_moves_prices_in_it(costs: Any) -> None:
    _, out, _ = costs("--currency", "EUR", "--rate", "EUR", "1.25", "2026-11-01", "--format", "json")
    said = json.loads(out)
    assert "one EUR is 1.25 USD (2026-11-01, as stated)" in said["headline"]
    rows = {row["offer"]: row for row in said["rows"]}
    assert rows["supabase-pro"]["EUR a month"] == 20.0
    # 5.49 and 0.50 EUR, backups at a fifth of the server, and 300 USD of labour
    assert rows["hetzner-cx23"]["USD a month"] == pytest.approx(6.86 + 0.63 + 1.37 + 300)


# ------------------------------------------------------------------ worked bills


def test_worked_bills_are_checked_and_a_miss_exits_with_3(costs: Any, tmp_path: Path) -> None:
    code, out, _ = costs("check", str(WORKED / "providers.yaml"))
    assert code == 0
    assert "18 of 18 worked bills computed within tolerance" in out
    bills = yaml.safe_load((WORKED / "providers.yaml").read_text())
    bills[3]["expected_usd"] += 0.03
    (tmp_path / "bills.yaml").write_text(yaml.safe_dump(bills))
    code, out, err = costs("check", str(tmp_path / "bills.yaml"), "--format", "json")
    assert code == 3
    missed = [row for row in json.loads(out)["rows"] if not row["ok"]]
    assert [(row["bill"], row["expected USD"], row["computed USD"]) for row in missed] == [
        ("sb-small-ipv4", 34.03, 34.0)
    ]
    assert "17 of 18" in err


def test_a_file_of_worked_bills_that_is_none_exits_with_2(costs: Any, tmp_path: Path) -> None:
    path = tmp_path / "bills.yaml"
    path.write_text("- {id: a, provider: supabase-pro, inputs: {compute: huge}, expected_usd: 1}")
    code, _, err = costs("check", str(path))
    assert code == 2
    assert "a: compute = 'huge' is no size of supabase-pro" in err


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ("{root_gb: 1, db_gb: 2}", "stated twice"),
        ("{projects: [3]}", "valid dictionary"),
        ("{micro_hours: 745}", "a number from 0 to 744"),
        ("{micro_hours: many}", "must be a number"),
        ("{projects: [{egress_gb: lots}]}", "must be a number"),
        ("{projects: 2, compute: [small]}", "1 values for 2"),
    ],
)
def test_a_word_used_wrongly_is_named(tmp_path: Path, inputs: str, named: str) -> None:
    path = tmp_path / "bills.yaml"
    path.write_text(f"- {{id: a, provider: neon-launch, inputs: {inputs}, expected_usd: 1}}")
    with pytest.raises(ConfigError) as caught:
        pricing.check_bills(path)
    assert named in str(caught.value)


@pytest.mark.parametrize("amount", [".nan", ".inf", "-1", "1e30"])
def test_an_amount_that_is_none_is_refused_with_its_range(tmp_path: Path, amount: str) -> None:
    path = tmp_path / "bills.yaml"
    path.write_text(f"- {{id: a, provider: neon-launch, inputs: {{}}, expected_usd: {amount}}}")
    with pytest.raises(ConfigError, match="expected_usd"):
        pricing.check_bills(path)


def test_two_bills_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bills.yaml"
    path.write_text("- {id: a, provider: neon-launch, inputs: {}, expected_usd: 0}\n" * 2)
    with pytest.raises(ConfigError, match="duplicate id: a"):
        pricing.check_bills(path)


# ------------------------------------------------------------------ what a discovery measured


def sized(name: str, started: str, **tables: tuple[int | None, int]) -> dict[str, Any]:
    rows = [{"table": table, "estimated_rows": rows, "bytes": size} for table, (rows, size) in tables.items()]
    return {"id": name, "started": started, "data": {"rows": rows}}


def test_size_growth_and_users_are_what_two_discoveries_measured() -> None:
    first = sized("one", "2026-10-01T00:00:00Z", users=(100, 10**9), events=(5, 10**9))
    last = sized("two", "2026-10-11T00:00:00Z", users=(480, 10**9), events=(5, 2 * 10**9))
    found = pricing.measured([first, last])
    assert found.inputs["db_gb"] == 3
    assert found.inputs["growth_gb"] == pytest.approx(Decimal("3.041667"))
    assert found.inputs["mau"] == 480
    used = pricing.workload(db_gb=1, mau=1, egress_gb=7, projects=2).but(**found.inputs)
    assert (used.projects[1].db_gb, used.mau, used.egress_gb) == (Decimal(3), Decimal(480), Decimal(7))


def test_growth_of_less_than_a_day_is_not_measured_and_shrinking_is_no_growth() -> None:
    first = sized("one", "2026-10-01T00:00:00Z", users=(None, 3 * 10**9))
    near, far = (sized("two", f"2026-10-{day}:00:00Z", users=(None, 10**9)) for day in ("01T23", "02T00"))
    found = pricing.measured([first, near])
    assert set(found.inputs) == {"db_gb"}  # the server did not count the users either
    assert "a second discovery" in found.rows[-1]["from"]
    assert pricing.measured([first, far]).inputs["growth_gb"] == 0


def test_nothing_measured_changes_nothing() -> None:
    assert pricing.measured([]).inputs == {}


def discover(database: Path, rows: int) -> str:
    """A discovery of the SQLite file as the runbook keeps it."""
    with sqlite3.connect(database) as connection:
        connection.executemany("INSERT INTO users VALUES (?)", [(f"user {n}" * 50,) for n in range(rows)])
    run = runbook.begin("discovery", target="default")
    run.keep("usage.json", catalog.sizes(run.connection).as_dict())
    run.close(Report(headline="found"))
    return run.folder.name


def test_a_record_is_found_with_the_oldest_of_the_same_database(
    costs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("shop", "other"):
        sqlite3.connect(tmp_path / f"{name}.db").execute("CREATE TABLE users (name text)").connection.close()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
    discover(tmp_path / "other.db", 10)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/shop.db")
    first = discover(tmp_path / "shop.db", 400)
    time.sleep(1.01)  # a record's id has the second in it
    last = discover(tmp_path / "shop.db", 200)
    where = tmp_path / "records"
    found = records.history(where, "discovery", "latest", "usage.json")
    assert [each["id"] for each in found] == [first, last]
    assert [each["id"] for each in records.history(where, "discovery", first, "usage.json")] == [first]
    assert records.history(where, "discovery", "none", "usage.json") == []
    assert pricing.measured(found).inputs["mau"] == 600
    code, out, _ = costs("--from-record", "latest", "--offer", "auth0-essentials-b2c")
    assert code == 0
    assert "auth0-essentials-b2c: $42.00 a month" in out  # 600 users measured, 500 included
    (where / first / "usage.json").write_text("{}")
    with pytest.raises(Refused, match="is no evidence"):
        records.history(where, "discovery", "latest", "usage.json")


def test_a_record_of_another_runbook_or_none_at_all_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDB_RECORDS", str(tmp_path / "records"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=r"none in .* has succeeded"):
        records.history(tmp_path / "records", "discovery", "latest", "usage.json")
    run = runbook.begin("cost_comparison")
    run.close(Report(headline="done"))
    with pytest.raises(Refused, match="is a cost_comparison"):
        records.history(tmp_path / "records", "discovery", run.folder.name, "usage.json")

"""Every kind of difference between two schemas is a row with both sides, and its statement mends it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from afdb_helpers import catalog, drift
from afdb_helpers.drift.waivers import Waiver
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.report import Report
from afdb_helpers.revisions import Project

pytestmark = pytest.mark.xdist_group("drift kinds")  # they share a database

SCENARIOS = Path(__file__).parent / "scenarios" / "drift"
CHAIN = (SCENARIOS / "chain.sql").read_text()
DIFFERENCES, ACCEPTED, EQUAL = (
    yaml.safe_load((SCENARIOS / f"{name}.yaml").read_text()) for name in ("differences", "accepted", "equal")
)


class Changing:
    """Both schemas in one database: changes are made in a transaction that is given up."""

    def __init__(self, url: str) -> None:
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        with self.engine.begin() as connection:
            connection.exec_driver_sql(CHAIN, execution_options={"no_parameters": True})
        with self.engine.connect() as connection:
            self.reference = catalog.snapshot(connection)

    def after(self, statements: str, *, mend: bool = False, **how: Any) -> tuple[Report, Report]:
        """What is reported after these statements, and after the mending ones that it names."""
        with self.engine.connect() as connection:
            self._run(connection, statements)
            found = again = drift.compare(catalog.snapshot(connection), self.reference, **how)
            if mend:
                for row in found.rows:
                    self._run(connection, row["mend"].replace(" CONCURRENTLY", ""))  # not in a transaction
                again = drift.compare(catalog.snapshot(connection), self.reference)
            return found, again

    @staticmethod
    def _run(connection: sa.Connection, statements: str) -> None:
        if statements and not statements.startswith("--"):
            connection.exec_driver_sql(statements, execution_options={"no_parameters": True})


@pytest.fixture(scope="module")
def changing(postgres: Server) -> Iterator[Changing]:
    made = Changing(postgres.create_database("drift_kinds"))
    yield made
    postgres.drop_database("drift_kinds")
    with sa.create_engine(postgres.url("postgres"), poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql('DROP ROLE drift_reader, "drift Writer"')


@pytest.mark.parametrize("case", DIFFERENCES)
def test_trap_each_difference_is_a_row_with_both_sides_and_its_statement_mends_it(
    case: str, changing: Changing
) -> None:
    wanted = DIFFERENCES[case]
    by_hand = wanted.get("by hand", False)
    report, again = changing.after(wanted["do"], mend=not by_hand)
    assert not report.ok
    row = next(row for row in report.rows if _fits(row, wanted))
    assert not row["accepted"]
    assert row["mend"].startswith("-- ") == by_hand, "a remark, not a statement"
    assert by_hand or again.ok, again
    assert report.remedy


def _fits(row: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    return all(
        row[side] == wanted[side] or (wanted[side].startswith("…") and row[side].endswith(wanted[side][1:]))
        for side in ("object", "chain", "live")
    )


@pytest.mark.parametrize("case", ACCEPTED)
def test_trap_what_refuses_nothing_and_belongs_to_others_is_listed_and_does_not_count(
    case: str, changing: Changing
) -> None:
    wanted = ACCEPTED[case]
    report, _ = changing.after(wanted["do"])
    assert report.ok
    (row,) = report.rows
    assert {key: row[key] for key in ("object", "live", "because")} == {k: v for k, v in wanted.items() if k != "do"}
    assert row["accepted"]
    assert row["mend"] == ""


@pytest.mark.parametrize("case", EQUAL)
def test_equal_meaning_is_equal(case: str, changing: Changing) -> None:
    report, _ = changing.after(f"CREATE ROLE drift_owner; {EQUAL[case]}")
    assert report.ok, report
    assert report.rows == ()


def test_trap_the_control_every_kind_that_a_catalogue_holds_has_a_story(changing: Changing) -> None:
    """The control for the three above: a kind of object that were not compared would not be missed by them."""
    held = {f"{kind} " for kind in changing.reference.objects} - {"extension "}
    held |= {f" {word} " for word in ("index", "trigger", "rule", "policy", "grant to")} | {
        " owner",
        " comment",
        " row security",
    }
    said = [f"{wanted['object']} " for wanted in DIFFERENCES.values()]
    assert len(held) > 15
    assert not {kind for kind in held if not any(kind.strip() in one for one in said)}


# --- waivers

SERIAL = DIFFERENCES["serial in place of an identity"]["do"]
WAIVER = """
[[waiver]]
object = "sales.invoice.id identity"
live = "serial"
reason = "counted the old way until the application is rewritten"
until = 2026-12-01
"""
LAST_DAY = dt.date(2026, 12, 1)


@pytest.fixture
def waived(tmp_path: Path) -> tuple[Waiver, ...]:
    (tmp_path / "drift-waivers.toml").write_text(WAIVER)
    return drift.waived(Project(tmp_path / "alembic.ini"))


def test_serial_or_identity_is_equal_where_it_is_waived(changing: Changing, waived: tuple[Waiver, ...]) -> None:
    report, _ = changing.after(SERIAL, waived=waived, on=LAST_DAY)
    assert report.ok
    assert [row["because"] for row in report.rows] == [
        "waived until 2026-12-01: counted the old way until the application is rewritten"
    ]
    assert report.parts[0].rows[0]["state"] == "counts"
    assert not changing.after(SERIAL)[0].ok, "the control: without the waiver it is a difference"


def test_an_expired_waiver_and_one_of_something_else_do_not_count(
    changing: Changing, waived: tuple[Waiver, ...]
) -> None:
    report, _ = changing.after(SERIAL, waived=waived, on=LAST_DAY + dt.timedelta(days=1))
    assert not report.ok
    assert report.parts[0].headline == "1 waiver, 1 expired"
    gone = "ALTER TABLE sales.invoice ALTER id DROP IDENTITY"
    report, _ = changing.after(gone, waived=waived, on=LAST_DAY)
    assert not report.ok, "live is another than the waiver says"
    assert report.parts[0].rows[0]["state"] == "covers nothing"


@pytest.mark.parametrize(("change", "alembic"), [
    ("ALTER TYPE hue ADD VALUE 'grey'", []),
    ("ALTER TABLE t DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (n > 1)", []),
    ("ALTER TABLE t ALTER n SET DEFAULT 2", []),
    ("ALTER TABLE t RENAME n TO number", ["add_column", "remove_column"]),
])  # fmt: skip
def test_trap_the_control_what_alembic_itself_does_not_see_or_takes_for_a_loss(
    change: str, alembic: list[str], database: str
) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine, models = sa.create_engine(database, poolclass=sa.NullPool), sa.MetaData()
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TYPE hue AS ENUM ('red'); CREATE TABLE t (n int DEFAULT 1, h hue,"
                                   " CONSTRAINT positive CHECK (n > 0))")  # fmt: skip
        models.reflect(connection)
        reference = catalog.snapshot(connection)
    with engine.begin() as connection:
        connection.exec_driver_sql(change)
        context = MigrationContext.configure(connection)
        assert sorted(one[0] for one in compare_metadata(context, models)) == alembic
        assert not drift.compare(catalog.snapshot(connection), reference, ours={"t"}).ok

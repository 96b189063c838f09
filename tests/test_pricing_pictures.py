"""Thousands of bills at once are the single bills; what is drawn from them says what it shows."""

from __future__ import annotations

import io
import itertools
import re
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from afdb_helpers import pricing
from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing import pictures
from afdb_helpers.pricing.bills import bill
from afdb_helpers.report import Picture
from afdb_helpers.runbook import catalogue

BOOK = catalogue.read(catalogue.find("cost_comparison"))
SEED = pricing.workload(**{p.name: p.default for p in BOOK.parameters if p.name in pricing.INPUTS})
MOST: dict[str, int] = {
    "db_gb": 2_000, "ram_gb": 80, "vcpu": 20, "changed_gb_per_day": 20, "egress_gb": 30_000, "cached_egress_gb": 1_000,
    "mau": 3_000_000, "file_gb": 5_000, "file_egress_gb": 20_000, "file_writes": 10**7, "file_reads": 10**8,
    "realtime_connections": 20_000, "realtime_messages": 10**9, "function_calls": 10**8, "active_hours": 744,
    "engineer_hours": 8,
}  # fmt: skip
NEEDS: dict[str, st.SearchStrategy[Any]] = {
    "production": st.booleans(), "high_availability": st.booleans(), "pitr_days": st.sampled_from([0, 0, 2, 7, 30]),
    "backup_days": st.sampled_from([0, 1, 10]), "read_replicas": st.integers(0, 2), "projects": st.integers(1, 3),
    "disk_type": st.sampled_from(["gp3", "io2"]), "iops": st.sampled_from([0, 8_000]),
    "auth": st.sampled_from([None, True, False]), "storage": st.sampled_from([None, True]),
    "realtime": st.sampled_from([None, True]), "functions": st.sampled_from([None, True]),
    "region": st.sampled_from(["any", "eu"]), "compute": st.none(), "ipv4": st.booleans(),
}  # fmt: skip


@st.composite
def columns(draw: st.DrawFn) -> dict[str, list[Decimal]]:
    """Two workloads' values of some inputs: nothing, small, or anything."""
    names = draw(st.sets(st.sampled_from(sorted(MOST)), min_size=2))
    found = {}
    for name in sorted(names):
        most = MOST[name]
        small, any_ = st.decimals(0, min(most, 30), places=2), st.decimals(0, most, places=2)
        found[name] = draw(st.lists(st.just(Decimal(0)) | small | any_, min_size=2, max_size=2))
    return found


@settings(max_examples=8, deadline=None, phases=(Phase.reuse, Phase.generate))
@given(st.fixed_dictionaries(NEEDS), columns())
def test_bills_of_many_workloads_are_each_ones_single_bill_to_the_cent(
    needs: dict[str, Any], varied: dict[str, list[Decimal]]
) -> None:
    base = {**needs, "engineer_hours_high": 8, "engineer_rate_usd": 75, "usage": {"io_requests": 5_000_000}}
    found = pricing.many(pricing.workload(**base), {name: list(map(float, v)) for name, v in varied.items()})
    best = found.best()
    for place in range(2):
        single = pricing.bills(pricing.workload(**base, **{name: v[place] for name, v in varied.items()}))
        for each in single:
            row = found.row(each.offer.id)
            assert (each.feasible, each.settled) == (found.feasible[row, place], found.settled[row, place]), (
                each.offer.id
            )
            if each.feasible:
                assert found.total[row, place] == pytest.approx(float(each.total), abs=0.005), each.offer.id
                assert found.labour[row, place] == pytest.approx(float(each.labour), abs=0.005)
        first = next((each.offer.id for each in single if each.settled), None)
        assert first == (found.offers[best[place]].id if best[place] >= 0 else None)


def test_a_file_store_that_only_the_wal_archive_needs_is_billed_in_the_arrays_too() -> None:
    needs: dict[str, Any] = {"projects": 3, "pitr_days": 30, "high_availability": True}
    varied = {"db_gb": 0.28, "changed_gb_per_day": 9.3}
    single = bill("do-droplet-1gb", pricing.workload(**needs, **varied))
    found = pricing.many(pricing.workload(**needs), {name: [value] for name, value in varied.items()})
    assert single.add_ons
    assert single.total > 36
    assert found.total[found.row("do-droplet-1gb"), 0] == pytest.approx(float(single.total))


def test_the_control_a_rule_left_out_of_the_arrays_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    used = pricing.workload(egress_gb=300)
    right = float(bill("supabase-pro", used).total)
    found = pricing.many(pricing.workload(), {"egress_gb": [300.0]})
    assert found.total[found.row("supabase-pro"), 0] == right
    arrays = sys.modules["afdb_helpers.pricing.many"]  # the function has the module's name
    monkeypatch.setattr(arrays, "billed", lambda meter, usage, given: usage)  # no allowance
    found = pricing.many(pricing.workload(), {"egress_gb": [300.0]})
    assert found.total[found.row("supabase-pro"), 0] != right


@pytest.mark.parametrize(
    ("varied", "said"),
    [
        ({"pitr_days": [1.0]}, "pitr_days cannot have a value for each workload"),
        ({"db_gb": [float("nan")]}, "db_gb has values that are not allowed"),
        ({"db_gb": [-1.0]}, "a number from 0 to 1,000,000"),
        ({"db_gb": [1e9]}, "a number from 0 to 1,000,000"),
        ({"db_gb": [float("inf")]}, "a number from 0 to 1,000,000"),
        ({"db_gb": [1.0, 2.0], "mau": [1.0]}, "the inputs have 1 and 2 values"),
        ({}, "the inputs have no values"),
    ],
)
def test_values_that_cannot_be_billed_at_once_are_refused(varied: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pricing.many(SEED, varied)
    assert said in str(caught.value)


# ------------------------------------------------------------------ simulation


def test_the_same_seed_draws_the_same_workloads_and_another_one_others() -> None:
    one, same, other = (pricing.simulate(SEED, samples=300, seed=seed) for seed in (1, 1, 2))
    assert one.rows == same.rows
    assert one.rows != other.rows
    assert sum(one.shares.values()) == pytest.approx(1)


def test_more_uncertainty_makes_ranges_wider_and_none_makes_them_the_bill() -> None:
    used = SEED.but(egress_gb=60)
    sure, unsure = (pricing.simulate(used, samples=400, uncertainty=share) for share in (0, 1))
    widths = []
    for report in (sure, unsure):
        row = next(row for row in report.rows if row["offer"] == "aws-rds-pg-t4g-micro")
        widths.append(row["1 in 20 above"] - row["USD, 1 in 20 below"])
        low, high = row["USD, 1 in 20 below"], row["1 in 20 above"]
        assert low <= bill("aws-rds-pg-t4g-micro", used).total <= high
    assert widths[0] == 0
    assert widths[1] > 3
    assert sure.shares == {"aws-rds-pg-t4g-micro": 1.0}
    assert unsure.shares["railway-pro"] > 0.1  # past 66 GB of egress
    advice = pricing.recommend(used, simulated=unsure)
    assert "the same answer in" in advice.parts[1].rows[0]["what"]
    assert "railway-pro" in advice.parts[1].rows[0]["is"]


@pytest.mark.parametrize(
    "how", [{"samples": 0}, {"samples": 10**9}, {"uncertainty": -1}, {"uncertainty": float("nan")}]
)
def test_a_simulation_that_makes_no_sense_is_refused(how: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="samples from 1 to 1,000,000"):
        pricing.simulate(SEED, **how)


def test_what_moves_the_bill_names_every_input_once_widest_first() -> None:
    moves = pricing.tornado(SEED, also="supabase-pro")
    first = next(row for row in moves.rows if row["offer"] == "supabase-pro")
    assert first["input"] == "recovery over 7 days"
    assert first["USD at the high end"] == Decimal(130)
    standby = next(row for row in moves.rows if row["offer"] == "supabase-pro" and row["input"] == "a standby")
    assert (standby["USD at the high end"], standby[""]) == (None, "does not fit")
    replica = next(row for row in moves.rows if row["offer"] != "supabase-pro" and row["input"] == "a read replica")
    assert (replica["USD at the high end"], replica[""]) == (None, "the price was not confirmed")
    still = next(row for row in moves.rows if row["input"].startswith("no effect"))
    assert "monthly active users" in still["input"]


# ------------------------------------------------------------------ growth, turning points


def test_growth_adds_up_the_single_bills_and_ends_where_an_offer_no_longer_fits() -> None:
    used = SEED.but(growth_gb=1, db_gb=5, ram_gb=0, vcpu=0)
    found = pricing.outlook(used, months=12, percent=0, also="heroku-pg-essential-1,supabase-pro")
    row = next(row for row in found.rows if row["offer"] == "supabase-pro")
    months = [bill("supabase-pro", used.but(db_gb=5 + month)).total for month in range(12)]
    assert (row["USD in month 1"], row["USD in month 12"], row["USD in 12 months"]) == (
        months[0],
        months[-1],
        sum(months),
    )
    ended = next(row for row in found.rows if row["offer"] == "heroku-pg-essential-1")
    assert ended["fits"] == "for 6 months"  # 5 GB to 10 GB
    assert ended["USD in 12 months"] is None
    always = found.rows[-1]
    assert always["offer"] == "always the cheapest"
    assert always["USD in 12 months"] <= min(r["USD in 12 months"] for r in found.rows if r["USD in 12 months"])


@pytest.mark.parametrize("how", [{"months": 0}, {"months": 121}, {"percent": 101}, {"percent": float("nan")}])
def test_growth_that_makes_no_sense_is_refused(how: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="months from 1 to 120"):
        pricing.outlook(SEED, **how)


def test_break_even_points_are_where_single_comparisons_change() -> None:
    found = pricing.break_even(SEED, also="supabase-pro")
    turns = [row for row in found.rows if row["when"].startswith("Egress")]
    assert len({row["when"] for row in found.rows}) == 4
    before, after = turns[0], turns[1]
    at = after["from"]
    assert next(b.offer.id for b in pricing.bills(SEED.but(egress_gb=at)) if b.settled) == after["the cheapest is"]
    near = next(b.offer.id for b in pricing.bills(SEED.but(egress_gb=at * Decimal("0.9"))) if b.settled)
    assert near == before["the cheapest is"]


@pytest.mark.parametrize("name", ["ram_gb", "egress_gb"])
def test_a_turning_point_is_exact_to_its_step(name: str) -> None:
    turn = pricing.turning_point(SEED, name)
    assert turn is not None
    step = {"ram_gb": Decimal("0.25"), "egress_gb": Decimal(1)}[name]
    last, beyond = turn
    best = [
        next(b.offer.id for b in pricing.bills(SEED.but(**{name: value})) if b.settled) for value in (last, last + step)
    ]
    assert best[0] == next(b.offer.id for b in pricing.bills(SEED) if b.settled) != best[1]
    assert beyond is not None
    assert beyond.offer.id == best[1]


def test_offers_asked_for_are_shown_and_unknown_ones_refused() -> None:
    shown = pricing.outlook(SEED, months=2, also="neon-scale, fly-mpg-launch")
    assert {"neon-scale", "fly-mpg-launch"} <= {row["offer"] for row in shown.rows}
    with pytest.raises(ConfigError, match="supabase-pro"):
        pricing.outlook(SEED, also="supabase-prp")


# ------------------------------------------------------------------ pictures


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text of every figure that is drawn."""
    from matplotlib.text import Text

    found: list[str] = []
    real = pictures._png

    def watched(figure: Any, title: str) -> bytes:
        png = real(figure, title)
        found.extend(text.get_text() for text in figure.findobj(Text) if text.get_text())
        return png

    monkeypatch.setattr(pictures, "_png", watched)
    return found


def test_pictures_name_their_axes_with_units_and_their_offers(texts: list[str]) -> None:
    drawn: list[tuple[Picture, str]] = [
        (pricing.picture(SEED, top=4), r"USD per month"),
        (pricing.outlook(SEED, months=3, also="supabase-pro"), r"USD in total since the first month"),
        (pricing.break_even(SEED), r"Egress, GB a month"),
        (pricing.simulate(SEED, samples=50), r"USD per month, labour included"),
        (pricing.tornado(SEED), r"USD per month"),
    ]
    for picture, axis in drawn:
        assert picture.png.startswith(b"\x89PNG")
        assert any(re.search(axis, text) for text in texts)
        assert any(text.replace("\\", "") == picture.headline for text in texts)
        assert picture.rows


def test_the_labels_of_an_axis_do_not_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    wide: list[Any] = []
    real = pictures._png

    def measured(figure: Any, title: str) -> bytes:
        png = real(figure, title)
        for axes in figure.axes:
            left, right = axes.get_window_extent().intervalx
            boxes = sorted((label.get_window_extent().intervalx for label in axes.get_xticklabels()), key=min)
            wide.append([box for box in boxes if left - 1 <= sum(box) / 2 <= right + 1])
        return png

    monkeypatch.setattr(pictures, "_png", measured)
    pricing.break_even(SEED)
    assert len(wide) == 4
    for boxes in wide:
        assert len(boxes) > 1
        assert all(before[1] < after[0] for before, after in itertools.pairwise(boxes))


def test_the_paper_is_white_in_light_and_dark_pages_and_colours_differ() -> None:
    from matplotlib import image

    pixels = image.imread(io.BytesIO(pricing.outlook(SEED, months=3).png))
    assert np.all(pixels[0, 0] == 1)
    assert len(set(pictures.LINES)) == len(pictures.LINES) == len(pictures.DASHES)

"""Bills are what the providers work out themselves; the rules hold for every offer and every workload."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from afdb_helpers import pricing
from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing import pricefile, worked
from afdb_helpers.pricing.charges import charges
from afdb_helpers.runbook.catalogue import catalogue

WORKED = sorted(Path(__file__).with_name("worked_bills").glob("*.yaml"))
ENTRIES: list[dict[str, Any]] = [entry for path in WORKED for entry in pricefile.read_yaml(path)]
CATALOGUE = pricing.load()
HOSTS = [offer.id for offer in CATALOGUE.offers if offer.kind != "addon"]
SMALL: Mapping[str, Any] = {
    "db_gb": 2, "egress_gb": 10, "mau": 1_000, "file_gb": 5, "ram_gb": 1, "vcpu": 1, "auth": True, "storage": True,
    "backup_days": 1, "changed_gb_per_day": 0.1, "production": True,
    "engineer_hours_low": 2, "engineer_hours": 4, "engineer_hours_high": 8, "engineer_rate_usd": 75,
}  # fmt: skip


def amounts(bill: pricing.Bill) -> dict[str, Decimal | None]:
    return {charge.label: charge.amount for charge in bill.charges}


# ------------------------------------------------------------------ worked bills


def test_there_are_worked_bills_to_compute() -> None:
    assert len(ENTRIES) >= 18 + 10


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])
def test_a_worked_bill_is_computed_to_the_cent_its_provider_prints(entry: dict[str, Any]) -> None:
    offer = CATALOGUE.offer(entry["provider"])
    computed = pricing.bill(offer, worked.from_inputs(offer, entry["inputs"]))
    assert not computed.unknown
    tolerance = Decimal(str(entry.get("tolerance_usd", "0.02")))
    assert abs(computed.total - Decimal(str(entry["expected_usd"]))) <= tolerance, amounts(computed)


@pytest.mark.parametrize("path", WORKED, ids=lambda path: path.stem)
def test_checking_a_file_of_worked_bills_prints_expected_and_computed(path: Path) -> None:
    report = pricing.check_bills(path)
    assert report.ok
    assert report.rows
    assert all({"expected USD", "computed USD"} <= set(row) for row in report.rows)


def test_a_bill_missed_by_three_cents_is_named_and_not_ok(tmp_path: Path) -> None:
    bill = {"provider": "supabase-pro", "inputs": {"compute": "micro"}}
    wrong = [{"id": "right", "expected_usd": 25, **bill}, {"id": "wrong", "expected_usd": 25.03, **bill}]
    path = tmp_path / "bills.yaml"
    path.write_text(yaml.safe_dump(wrong))
    report = pricing.check_bills(path)
    assert not report.ok
    assert [row["ok"] for row in report.rows] == [True, False]
    assert "wrong" in report.remedy
    assert "right" not in report.remedy


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no list of bills"),
        ("[1]", "no mapping"),
        ("- {id: a, provider: supabase-pro, inputs: {}}", "a has no expected_usd"),
        ("- {id: a, provider: supabase-pro, inputs: {}, expected_usd: lots}", "must be a number"),
        ("- {id: a, provider: supabase-prp, inputs: {}, expected_usd: 1}", "supabase-pro"),
        ("- {id: a, provider: supabase-pro, inputs: {compute: huge}, expected_usd: 1}", "micro, small"),
        ("- {id: a, provider: supabase-pro, inputs: {egres_gb: 3}, expected_usd: 1}", "egress_gb"),
        ("- {id: a, provider: supabase-pro, inputs: {egress_gb: -3}, expected_usd: 1}", "from 0 to 1,000,000"),
        ("- {id: a, provider: supabase-pro, inputs: {projects: 2, disk_gb: [8]}, expected_usd: 1}", "1 values for 2"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_a_malformed_file_of_worked_bills_says_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "bills.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        pricing.check_bills(path)
    assert named in str(caught.value)


def test_an_absent_file_of_worked_bills_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml cannot be read"):
        pricing.check_bills(tmp_path / "nowhere.yaml")


# ------------------------------------------------------------------ the price file


def test_the_price_file_holds_every_offer_with_source_and_confidence() -> None:
    assert len(CATALOGUE.offers) == 89
    assert all(offer.source and offer.evidence for offer in CATALOGUE.offers)
    assert sum(offer.kind == "addon" for offer in CATALOGUE.offers) == 23


def test_the_schema_beside_the_price_file_is_the_one_that_is_checked() -> None:
    assert json.loads(pricefile.SCHEMA.read_text()) == pricefile.json_schema()


def test_the_price_file_passes_its_json_schema() -> None:
    jsonschema = importlib.import_module("jsonschema")  # it has no type stubs
    data = json.loads(json.dumps(pricefile.read_yaml(pricefile.DATA), default=str))
    schema = json.loads(pricefile.SCHEMA.read_text())
    jsonschema.validate(data, schema)
    data["offers"][3]["meters"][0]["price"] = "nine"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


def broken(tmp_path: Path, change: Any) -> Path:
    """A price file with two offers, changed in one place."""
    data = pricefile.read_yaml(pricefile.DATA)
    data["offers"] = [offer for offer in data["offers"] if offer["id"] in ("neon-launch", "hetzner-cx23")]
    change(data)
    path = tmp_path / "offers.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d["offers"][0].pop("source"), "offer neon-launch, source: Field required"),
        (lambda d: d["offers"].append(d["offers"][0]), "duplicate id: neon-launch"),
        (lambda d: d["offers"][0]["meters"][1].update(price="0.106"), "meters.1.price: must be a number, not str"),
        (lambda d: d["offers"][0]["meters"][1].update(price=-1), "greater than or equal to 0"),
        (lambda d: d["offers"][0]["meters"][1].update(price=float("nan")), "meters.1.price"),
        (lambda d: d["offers"][0]["meters"][1].update(currency="JPY"), "no rate to USD for JPY"),
        (lambda d: d["offers"][0]["meters"][1].update(currency="dollars"), "meters.1.currency: String should match"),
        (lambda d: d["rates"][0].update(usd=0), "rates.0.usd: Input should be greater than 0"),
        (lambda d: d["offers"][0]["meters"][1].update(currency="GBP"), "no rate to USD for GBP"),
        (lambda d: d["offers"][0]["meters"][1].update(includes=3), "meters.1.includes: Extra inputs"),
        (lambda d: d["offers"][1]["meters"][2].update(percent_of="rent"), "a meter that the offer does not have: rent"),
        (lambda d: d.update(currency="EUR"), "currency: Input should be 'USD'"),
    ],
)
def test_a_wrong_price_file_is_refused_with_offer_and_field(tmp_path: Path, change: Any, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pricing.load(broken(tmp_path, change))
    assert named in str(caught.value)


def test_the_untouched_half_of_that_price_file_is_accepted(tmp_path: Path) -> None:
    assert len(pricing.load(broken(tmp_path, lambda d: None)).offers) == 2


def test_a_new_provider_is_data(tmp_path: Path) -> None:
    new = {
        "id": "new-host", "provider": "New", "plan": "One", "kind": "managed", "source": "https://example.org",
        "as_of": None, "confidence": "low", "evidence": "made up", "provides": ["postgres"], "ram_gb": 2,
        "recovery": {"days": 3},
        "meters": [
            {"of": "fee", "price": 10, "per": "project", "currency": "EUR"},
            {"of": "rows_read", "price": 1, "each": 1_000_000, "included": 5_000_000, "step": 1_000_000},
        ],
    }  # fmt: skip
    catalogue = pricing.load(broken(tmp_path, lambda d: d["offers"].append(new)))
    used = pricing.workload(usage={"rows_read": 7_200_000}, ram_gb=2)
    bill = pricing.bill("new-host", used, catalogue=catalogue)
    assert bill.feasible
    assert amounts(bill) == {"Plan": Decimal("11.64"), "Rows read": Decimal("3.00")}
    assert not pricing.bill("new-host", used.but(ram_gb=4), catalogue=catalogue).feasible


# ------------------------------------------------------------------ the workload


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 10**9, "8", True, None])
def test_an_absurd_size_is_refused_with_its_range(value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        pricing.workload(db_gb=value)
    assert "db_gb" in caught.value.what
    assert "a number from 0 to 1,000,000" in caught.value.do


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"region": "mars"}, "one of any, us, eu, asia"),
        ({"disk_type": "floppy"}, "one of gp3, io2"),
        ({"high_availability": "yes"}, "true or false"),
        ({"read_replicas": 1.5}, "a number from 0 to 100"),
        ({"projects": 0}, "a whole number from 1 to 1,000"),
        ({"projects": True}, "a whole number from 1 to 1,000"),
        ({"engineer_hours": 4}, "between engineer_hours_low and engineer_hours_high"),
        ({"datbase_gb": 1}, "no input called 'datbase_gb'"),
    ],
)
def test_a_wrong_input_is_refused_with_what_it_may_be(inputs: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pricing.workload(**inputs)
    assert named in str(caught.value)


def test_a_workload_shows_what_was_stated_and_the_allowed_range() -> None:
    report = pricing.workload(db_gb=2, region="eu").report()
    assert [row["input"] for row in report.rows] == ["region", "db_gb"]
    assert report.rows[1]["allowed"] == "a number from 0 to 1,000,000"


# ------------------------------------------------------------------ rules


@pytest.mark.parametrize(
    ("offer", "with_standby", "without"),
    [
        ("aws-rds-pg-t4g-micro", "27.96", "13.98"),  # compute and storage twice
        ("do-pg-1gb", "30.30", "15.15"),
        ("render-pg-pro-4gb", "111.50", "56.50"),  # compute alone twice
        ("aws-aurora-sv2-standard", "87.80", "44.00"),
        ("fly-mpg-basic", "40.80", "40.80"),  # included
        ("heroku-pg-premium-0", "200.00", "200.00"),
        ("aiven-pg-startup", "180.00", "75.00"),  # the next plan up
        ("aws-lightsail-pg-1gb", "30.00", "15.00"),
        ("hetzner-cx23", "13.94", "6.97"),  # two servers
    ],
)
def test_high_availability_costs_what_the_provider_multiplies(offer: str, with_standby: str, without: str) -> None:
    plain = pricing.workload(db_gb=Decimal(5) if offer.startswith("render") else Decimal(2))
    assert str(pricing.bill(offer, plain.but(high_availability=True)).total) == with_standby
    assert str(pricing.bill(offer, plain).total) == without


@pytest.mark.parametrize("offer", ["supabase-pro", "heroku-pg-standard-0", "render-pg-basic-1gb", "neon-launch"])
def test_an_offer_without_a_standby_is_not_feasible_when_one_is_needed(offer: str) -> None:
    assert "high availability" in pricing.bill(offer, pricing.workload(high_availability=True)).reasons[0]
    assert pricing.bill(offer, pricing.workload()).feasible


def test_a_standby_at_an_unconfirmed_price_makes_the_bill_a_lower_bound() -> None:
    bill = pricing.bill("railway-pro", pricing.workload(high_availability=True))
    assert str(bill) == "at least $20.00, 1 unknown"
    assert bill.feasible
    assert not bill.settled


def test_recovery_lifts_compute_to_small_and_costs_a_hundred_per_seven_days() -> None:
    bill = pricing.bill("supabase-pro", pricing.workload(pitr_days=8))
    assert amounts(bill)["Compute small"] == 15
    assert amounts(bill)["Point-in-time recovery"] == 200
    refused = pricing.bill("supabase-pro", pricing.workload(pitr_days=8, compute="micro"))
    assert refused.reasons == ("point-in-time recovery needs compute small or larger, not micro",)
    assert not pricing.bill("supabase-pro", pricing.workload(pitr_days=29)).feasible


def test_the_compute_credit_never_covers_replicas_and_never_pays_out() -> None:
    bill = pricing.bill("supabase-pro", pricing.workload(hours={"micro": 100}, read_replicas=1))
    assert amounts(bill)["Compute micro"] == Decimal("1.34")
    assert amounts(bill)["Compute micro replica"] == 10
    assert amounts(bill)["Compute credit"] == Decimal("-1.34")


def test_a_host_that_blocks_over_its_quota_is_not_feasible_and_one_that_bills_is() -> None:
    heavy = pricing.workload(mau=60_000)
    assert "the service is restricted" in pricing.bill("supabase-free", heavy).reasons[0]
    assert pricing.bill("supabase-free", heavy.but(mau=50_000)).feasible
    assert pricing.bill("supabase-pro", heavy.but(mau=200_000)).total == 25 + 325
    assert "storage is fixed" in pricing.bill("heroku-pg-essential-0", pricing.workload(db_gb=2)).reasons[0]


def test_an_unconfirmed_price_is_never_zero() -> None:
    bill = pricing.bill("do-pg-1gb", pricing.workload(egress_gb=1))
    assert str(bill) == "at least $15.15, 1 unknown"
    assert not bill.settled
    assert pricing.bill("do-pg-1gb", pricing.workload()).settled


def test_an_unconfirmed_allowance_is_not_assumed() -> None:
    bill = pricing.bill("aws-rds-pg-t4g-micro", pricing.workload(egress_gb=100))
    line = next(charge for charge in bill.charges if charge.meter == "egress_gb")
    assert line.amount == 9
    assert "at most" in line.note


def test_graduated_prices_count_each_part_at_its_tier() -> None:
    bill = pricing.bill("clerk-pro", pricing.workload(mau=150_000))
    assert bill.total == 25 + 50_000 * Decimal("0.02") + 50_000 * Decimal("0.018")
    assert pricing.bill("auth0-essentials-b2c", pricing.workload(mau=10_000)).total == 700
    assert pricing.bill("workos-authkit", pricing.workload(mau=1_000_001)).total == 2_500


def test_fees_are_added_to_usage_or_set_against_it_as_the_provider_does() -> None:
    assert pricing.bill("ably-standard", pricing.workload(realtime_messages=4_000_000)).total == 29 + 10
    assert pricing.bill("railway-pro", pricing.workload(ram_gb=1)).total == 20
    assert pricing.bill("railway-pro", pricing.workload(ram_gb=3)).total == 30


def test_provisioned_disk_has_a_least_size_steps_and_doublings() -> None:
    sizes = {"aws-rds-pg-t4g-micro": (2, 20), "render-pg-pro-4gb": (6, 10), "azure-flex-b1ms": (33, 64)}
    for offer, (used, provisioned) in sizes.items():
        bill = pricing.bill(offer, pricing.workload(db_gb=used))
        assert next(c.quantity for c in bill.charges if c.meter == "disk_gb") == provisioned


def test_backups_are_free_up_to_the_disk_that_is_provisioned_not_the_data_in_it() -> None:
    used = pricing.workload(db_gb=2, backup_days=10, changed_gb_per_day=1)
    assert "Backup storage" not in amounts(pricing.bill("aws-rds-pg-t4g-micro", used))
    more = pricing.bill("aws-rds-pg-t4g-micro", used.but(changed_gb_per_day=2))
    assert amounts(more)["Backup storage"] == Decimal("0.19")  # 2 + 20 - 20 GB at 0.095


def test_euros_become_dollars_at_a_stated_rate_with_its_date() -> None:
    bill = pricing.bill("hetzner-cx33", pricing.workload())
    assert bill.total == Decimal("10.46")
    assert "1.1637 USD per EUR on 2026-05-27" in bill.charges[0].note


def test_missing_services_are_the_cheapest_add_ons_that_fit() -> None:
    bill = pricing.bill("fly-mpg-basic", pricing.workload(mau=30_000, realtime_connections=150, file_gb=50))
    assert bill.add_ons == ("clerk-hobby", "ably-free", "backblaze-b2")
    assert pricing.bill("supabase-pro", pricing.workload(mau=30_000)).add_ons == ()
    assert "railway-buckets" not in bill.add_ons


def test_an_add_ons_fee_is_paid_for_its_service() -> None:
    bill = pricing.bill("fly-mpg-basic", pricing.workload(realtime_connections=400))
    assert bill.add_ons == ("pusher-startup",)
    assert {c.group: c.amount for c in bill.charges} == {"plan and compute": 38, "realtime": 49}


def test_a_service_that_no_add_on_can_provide_makes_the_offer_infeasible() -> None:
    bill = pricing.bill("fly-mpg-basic", pricing.workload(realtime_connections=100_000))
    assert bill.reasons == ("realtime: not provided, and no add-on fits",)


def test_self_hosting_costs_engineer_hours_and_a_managed_offer_does_not() -> None:
    own = pricing.bill("hetzner-cx23", pricing.workload(**SMALL))
    assert [own.labour_low, own.labour, own.labour_high] == [Decimal(150), Decimal(300), Decimal(600)]
    assert own.infrastructure == own.total - 300
    assert pricing.bill("aws-rds-pg-t4g-micro", pricing.workload(**SMALL)).labour == 0


def test_a_need_of_which_nothing_is_known_keeps_an_offer_from_being_recommended() -> None:
    bill = pricing.bill("heroku-pg-essential-1", pricing.workload(ram_gb=1))
    assert bill.feasible
    assert bill.unconfirmed == ("1 GB of RAM",)
    assert not bill.settled


def test_a_usage_that_must_be_stated_leaves_the_bill_open_until_it_is() -> None:
    silent = pricing.workload(realtime_messages=10**6)
    assert len(pricing.bill("ably-standard", silent).unconfirmed) == 2
    said = silent.but(usage={"channel_minutes": 10**6, "realtime_gib": 4})
    assert pricing.bill("ably-standard", said).unconfirmed == ()
    assert pricing.bill("ably-standard", said).total == pricing.bill("ably-standard", silent).total + 2


def test_an_unknown_offer_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(ConfigError, match="supabase-pro"):
        pricing.bill("supabase-prp", pricing.workload())


# ------------------------------------------------------------------ the comparison


def test_rows_are_sorted_by_total_and_the_unfit_are_told_apart() -> None:
    report = pricing.compare(pricing.workload(**SMALL))
    totals = [row["USD a month"] for row in report.rows]
    assert report.ok
    assert totals == sorted(totals)
    assert len(report.rows) + len(report.parts[0].rows) == len(HOSTS)
    assert all(row["why not"] for row in report.parts[0].rows)


def test_with_a_top_the_dearer_offers_are_told_in_short_and_none_is_left_out() -> None:
    whole, short = (pricing.compare(pricing.workload(**SMALL), top=top) for top in (None, 5))
    assert [row["offer"] for row in short.rows + short.parts[0].rows] == [row["offer"] for row in whole.rows]
    assert all("bill" in row and "labour" not in row for row in short.rows)  # the five cheapest cost no labour
    assert "dearer offers" in short.parts[0].headline
    assert short.parts[1] == whole.parts[0]


def test_needs_that_no_offer_meets_are_not_ok() -> None:
    needs = pricing.workload(ram_gb=20_000, pitr_days=100, region="eu", production=True)
    report = pricing.compare(needs)
    assert not report.ok
    assert report.remedy
    assert len(report.parts[0].rows) == len(HOSTS)
    assert not pricing.recommend(needs).ok


def test_old_and_undated_figures_are_marked_and_none_is_hidden() -> None:
    marks = {row["offer"]: row["marks"] for row in pricing.compare(pricing.workload()).rows}
    assert "older than a year" in marks["gcp-cloudsql-g1-small"]
    assert "undated" in marks["aws-rds-pg-t4g-medium"]
    assert marks["neon-launch"] == ""


def test_line_items_carry_quantity_unit_price_source_and_date() -> None:
    report = pricing.itemised(pricing.workload(**SMALL), ["supabase-pro", "hetzner-cx23"])
    rows = [row for part in report.parts for row in part.rows]
    assert len(rows) > 5
    assert all(row["source"] and row["as of"] and row["quantity"] for row in rows)


def test_without_names_the_cheapest_of_each_kind_is_itemised() -> None:
    report = pricing.itemised(pricing.workload(**SMALL))
    kinds = [CATALOGUE.offer(part.headline.split(":")[0]).kind for part in report.parts]
    assert sorted(kinds) == ["managed", "platform", "self-hosted"]


def test_the_picture_is_a_png_that_names_its_axis_and_draws_nothing_twice() -> None:
    picture = pricing.picture(pricing.workload(**SMALL), top=5)
    assert picture.png.startswith(b"\x89PNG")
    assert picture._repr_html_().startswith('<img src="data:image/png;base64,')
    assert len(picture.rows) == 5
    for row in picture.rows:
        parts = [value for name, value in row.items() if name not in ("offer", "total")]
        assert sum(parts) == row["total"]


def test_the_recommended_offer_is_the_cheapest_settled_one() -> None:
    used = pricing.workload(**SMALL)
    settled = [bill for bill in pricing.bills(used) if bill.settled]
    report = pricing.recommend(used)
    assert report.ok
    assert min(settled, key=lambda bill: bill.total).offer.id in report.headline
    assert [part.headline for part in report.parts] == ["What would change the answer", "How certain it is"]


def test_a_turning_point_is_the_last_value_at_which_the_answer_holds() -> None:
    used = pricing.workload(**SMALL)
    turn = pricing.turning_point(used, "egress_gb")
    assert turn is not None
    last, beyond = turn
    best = next(bill for bill in pricing.bills(used) if bill.settled)
    assert next(b for b in pricing.bills(used.but(egress_gb=last)) if b.settled).offer == best.offer
    assert beyond is not None
    assert beyond.offer != best.offer


def test_importing_pricing_loads_no_pandas_matplotlib_or_price_file() -> None:
    code = "import sys, afdb_helpers.pricing; print(*{'pandas', 'matplotlib', 'yaml', 'sqlalchemy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split() == []


def test_the_runbooks_defaults_are_a_workload_that_offers_can_meet() -> None:
    book = next(book for book in catalogue() if book.name == "cost_comparison")
    used = pricing.workload(**{p.name: p.default for p in book.parameters if p.name in pricing.INPUTS})
    assert used.production
    assert pricing.recommend(used).ok


# ------------------------------------------------------------------ properties

_SIZES = st.decimals(min_value=0, max_value=5_000, places=2)
_USAGE = {
    "db_gb": _SIZES,
    "egress_gb": _SIZES,
    "cached_egress_gb": _SIZES,
    "file_egress_gb": _SIZES,
    "changed_gb_per_day": st.decimals(min_value=0, max_value=20, places=2),
    "mau": st.integers(0, 3_000_000),
    "file_writes": st.integers(0, 10**8),
    "file_reads": st.integers(0, 10**8),
    "ram_gb": st.decimals(min_value=0, max_value=80, places=1),
    "vcpu": st.integers(0, 20),
    "pitr_days": st.integers(0, 40),
    "backup_days": st.integers(0, 40),
    "iops": st.integers(0, 20_000),
    "mbps": st.integers(0, 1_000),
    "read_replicas": st.integers(0, 3),
    "realtime_connections": st.integers(0, 60_000),
    "realtime_messages": st.integers(0, 10**9),
    "function_calls": st.integers(0, 10**9),
    "function_ms_each": st.integers(0, 100),
}
_NEEDS = st.fixed_dictionaries(
    {"high_availability": st.booleans(), "disk_type": st.sampled_from(["gp3", "io2"]), "projects": st.integers(1, 3)}
)
_WORKLOADS = st.fixed_dictionaries(_USAGE)
_OFFERS = st.sampled_from(CATALOGUE.offers)


def total(offer: pricing.Offer, used: pricing.Workload) -> Decimal:
    return sum((charge.amount or Decimal(0) for charge in charges(offer, used, CATALOGUE)), Decimal(0))


@settings(max_examples=400, deadline=None)
@given(_OFFERS, _WORKLOADS, _WORKLOADS, _NEEDS, st.sets(st.sampled_from(sorted(_USAGE)), min_size=1))
def test_a_bill_never_falls_when_usage_grows_within_one_plan(
    offer: pricing.Offer, used: dict[str, Any], more: dict[str, Any], needs: dict[str, Any], growing: set[str]
) -> None:
    grown = {name: max(value, more[name]) if name in growing else value for name, value in used.items()}
    services = {"auth": True, "storage": True, "realtime": True, "functions": True}
    before, after = pricing.workload(**used, **needs, **services), pricing.workload(**grown, **needs, **services)
    assert total(offer, before) <= total(offer, after)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CATALOGUE.offers), _SIZES, _SIZES)
def test_more_files_never_cost_less_where_no_allowance_grows_with_them(
    offer: pricing.Offer, files: Decimal, more: Decimal
) -> None:
    growing = any("file_gb" in meter.included_times for meter in offer.meters)
    few, many = (pricing.workload(file_gb=n, file_egress_gb=100) for n in sorted((files, more)))
    assert growing or total(offer, few) <= total(offer, many)


def test_backblaze_gives_free_egress_for_stored_files_so_storing_more_may_cost_less() -> None:
    few, many = (pricing.workload(file_gb=n, file_egress_gb=300) for n in (50, 100))
    assert pricing.bill("backblaze-b2", few).total > pricing.bill("backblaze-b2", many).total


@settings(max_examples=60, deadline=None)
@given(_WORKLOADS, _NEEDS, st.booleans())
def test_line_items_sum_to_the_total_and_the_cheapest_feasible_offer_is_the_cheapest(
    used: dict[str, Any], needs: dict[str, Any], production: bool
) -> None:
    found = pricing.bills(pricing.workload(**used, **needs, production=production))
    assert len(found) == len(HOSTS)
    for bill in found:
        lines = [charge.amount for charge in bill.charges if charge.amount is not None]
        assert sum(lines) == bill.total == bill.total.quantize(Decimal("0.01"))
        assert all(amount == amount.quantize(Decimal("0.01")) for amount in lines)
        assert bill.infrastructure + bill.labour == bill.total
    feasible = [bill for bill in found if bill.feasible]
    assert found[: len(feasible)] == tuple(feasible)
    assert all(feasible[0].total <= bill.total for bill in feasible)

"""The generated parts of backend-options-and-costs.md, each computed from the package's price file.

The workload is the cost runbook's: its parameters cell is read, so page and runbook cannot differ. Ages of figures are
judged on the day the price file was put together, so the page is the same whenever it is made.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from afdb_helpers import pricing
from afdb_helpers.pricing.advice import GROWS, SWITCHES
from afdb_helpers.pricing.bills import Bill
from afdb_helpers.pricing.comparison import age
from afdb_helpers.pricing.offers import Earlier
from afdb_helpers.report import Report, show
from afdb_helpers.runbook.catalogue import catalogue

PRICES = pricing.load()
SUPABASE = "supabase-pro"
# What a service grows through: each phase changes the seed's workload.
PHASES: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("0 Development", "one developer, no users", {"production": False, "mau": 0, "egress_gb": 0, "backup_days": 0}),
    ("1 Launch", "the seed's workload", {}),
    (
        "2 Growth",
        "20 GB, 4 GB of RAM, 20,000 users, 100 GB of files, recovery over 7 days",
        {"db_gb": 20, "ram_gb": 4, "vcpu": 2, "mau": 20_000, "egress_gb": 100, "file_gb": 100, "pitr_days": 7},
    ),
    (
        "3 Scale",
        "200 GB, 8 GB of RAM, 150,000 users, 1 TB of files, recovery over 7 days, a standby",
        {"db_gb": 200, "ram_gb": 8, "vcpu": 2, "mau": 150_000, "egress_gb": 1_000, "file_gb": 1_000}
        | {"pitr_days": 7, "high_availability": True},
    ),
)
# One need at a time, to see which of them Supabase's price turns on.
CASES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("the seed's workload", {}),
    ("… with point-in-time recovery over 7 days", {"pitr_days": 7}),
    ("… with realtime, 150 clients", {"realtime_connections": 150, "realtime_messages": 10**6}),
    ("… with realtime, 500 clients", {"realtime_connections": 500, "realtime_messages": 5 * 10**6}),
    ("… with realtime and 2 million function calls", {"realtime_connections": 500, "function_calls": 2 * 10**6}),
    ("… with 200,000 users who sign in", {"mau": 200_000}),
    ("… with 300 GB of egress", {"egress_gb": 300}),
    ("… with 4 GB of RAM", {"ram_gb": 4}),
    ("… as three projects", {"projects": 3}),
    ("… without bought sign-in and files", {"auth": False, "storage": False}),
)


def seed() -> pricing.Workload:
    """The workload that the cost runbook starts from."""
    return but({})


@functools.cache
def advice() -> Report:
    """The recommendation for it, with how often it holds when usage is off by up to a half."""
    return pricing.recommend(seed(), simulated=pricing.simulate(seed()))


def but(changes: Mapping[str, Any]) -> pricing.Workload:
    """The seed with changes; realtime and functions are needed where a change uses them."""
    needs = {"realtime": "realtime_connections" in changes, "functions": "function_calls" in changes}
    book = next(book for book in catalogue() if book.name == "cost_comparison")
    defaults = {p.name: p.default for p in book.parameters if p.name in pricing.INPUTS}
    return pricing.workload(**{**defaults, **needs, **changes})


def workload() -> str:
    rows = [(f"`{row['input']}`", row["value"]) for row in seed().report().rows]
    return table(("Input", "Value"), rows)


def answer() -> str:
    """The recommendation in one sentence, with the price of Supabase Pro beside it."""
    report, supabase = advice(), pricing.bill(SUPABASE, seed())
    return f"**{report.headline}.** Supabase Pro comes to {supabase}."


def comparison(top: int = 20) -> str:
    """The cheapest feasible offers, each with its source."""
    found = [bill for bill in pricing.bills(seed()) if bill.feasible]
    rows = [
        (
            f"`{bill.offer.id}`",
            bill.offer.kind,
            str(bill),
            ", ".join(f"`{name}`" for name in bill.add_ons),
            ", ".join((*(charge.label.lower() for charge in bill.unknown), *bill.unconfirmed)),
            source(bill.offer),
        )
        for bill in found[:top]
    ]
    said = f"\n{len(found)} of {len(pricing.bills(seed()))} offers are feasible; the cheapest {len(rows)} are shown.\n"
    return table(("Offer", "Kind", "A month", "Add-ons", "Not confirmed", "Source"), rows) + said


def earlier() -> str:
    """The figures of the first comparison beside today's for the same workload, and with recovery over 7 days."""
    rows = []
    for then in PRICES.earlier:
        now = [_today(then, used) for used in (seed(), but({"pitr_days": 7}))]
        figure = f"{then.low:,.2f}" if then.low == then.high else f"{then.low:,.2f} to {then.high:,.2f}"
        rows.append((then.what, figure, *now, f"{then.source}, {then.as_of}"))
    day = PRICES.earlier[0].as_of
    return table(
        ("What", f"USD on {day}", "Today, the seed's workload", "Today, with recovery over 7 days", "Then by"), rows
    )


def _today(then: Earlier, used: pricing.Workload) -> str:
    if then.offer:
        bill = pricing.bill(then.offer, used)
    else:
        bill = next(bill for bill in pricing.bills(used) if bill.settled and bill.offer.kind == then.kind)
    return f"{bill} (`{bill.offer.id}`)"


def option(kind: str, name: str = "") -> str:
    """What the option costs for the seed's workload: the named offer, or the cheapest of its kind."""
    found = [
        bill for bill in pricing.bills(seed()) if bill.offer.kind == kind and (bill.settled or bill.offer.id == name)
    ]
    bill = next((b for b in found if b.offer.id == name), found[0] if found else None)
    if bill is None:
        return "For the seed's workload: none is fit for production."
    parts = ", ".join(f"{c.label.lower()} {show(c.amount)}" for c in bill.charges if c.amount)
    range_ = f", {bill.infrastructure + bill.labour_low:,.2f} to {bill.infrastructure + bill.labour_high:,.2f}"
    labour = f"{range_} with the range of engineer hours" if bill.labour else ""
    return f"For the seed's workload: `{bill.offer.id}`, **{bill}** a month ({parts}){labour}. {source(bill.offer)}."


def lines() -> str:
    """Supabase Pro's bill and the recommended one line by line."""
    out = []
    best = next(bill.offer.id for bill in pricing.bills(seed()) if bill.settled)
    for name in dict.fromkeys((SUPABASE, best)):
        bill = pricing.bill(name, seed())
        rows = [
            (f"`{c.offer}`", c.label, f"{c.quantity.normalize():,f} {c.unit}", c.price, cost(c), c.note)
            for c in bill.charges
        ]
        out += [f"**`{name}`: {bill} a month.** {source(bill.offer)}.", ""]
        out += [table(("From", "Item", "Quantity", "Unit price", "USD", "Note"), rows)]
    return "\n".join(out)


def cases() -> str:
    """Supabase Pro against the cheapest other answer, one need at a time."""
    rows = []
    for words, changes in CASES:
        used = but(changes)
        ours, found = pricing.bill(SUPABASE, used), pricing.bills(used)
        other = next((b for b in found if b.settled and b.offer.provider != "Supabase"), None)
        less = "" if other is None else f"{ours.total - other.total:,.2f}"
        rows.append((words, str(ours) if ours.feasible else "; ".join(ours.reasons), named(other), less))
    return table(("Need", "Supabase Pro", "Cheapest other with every figure confirmed", "Supabase costs more by"), rows)


def phases() -> str:
    """What each phase needs, and the cheapest settled answer of each kind."""
    rows = []
    for name, words, changes in PHASES:
        found = [bill for bill in pricing.bills(but(changes)) if bill.settled]
        supabase = pricing.bill(SUPABASE, but(changes))
        kinds = [next((b for b in found if b.offer.kind == kind), None) for kind in ("managed", "self-hosted")]
        ours = str(supabase) if supabase.feasible else "no standby" if changes.get("high_availability") else "no"
        rows.append((name, words, ours, *map(named, kinds), f"**{named(found[0]) if found else 'none'}**"))
    return table(("Phase", "Needs", "Supabase Pro", "Best managed", "Best self-hosted", "Cheapest of all"), rows)


def turns() -> str:
    """The conditions under which the recommendation changes."""
    report = advice()
    rows = [tuple(show(row.get(name)) for name in ("if", "then", "USD a month")) for row in report.parts[0].rows]
    assert len(rows) >= len(GROWS) + len(SWITCHES)
    return table(("If", "then the answer is", "USD a month"), rows)


def certainty() -> str:
    report = advice()
    return table(("What", "is"), [(row["what"], row["is"]) for row in report.parts[1].rows])


def unknowns() -> str:
    """How much of the price file is not confirmed."""
    offers = PRICES.offers
    meters = [meter for offer in offers for meter in offer.meters if meter.of != "compute"]
    marks = [age(offer.as_of, PRICES.researched) for offer in offers]
    trust = {level: sum(offer.confidence == level for offer in offers) for level in ("high", "medium", "low")}
    rows: list[tuple[Any, ...]] = [
        ("offers", len(offers)),
        ("meters", len(meters)),
        ("prices not confirmed", sum(meter.price is None for meter in meters)),
        ("allowances not confirmed", sum(meter.included is None for meter in meters)),
        ("offers of high, medium, low confidence", ", ".join(map(str, trust.values()))),
        ("offers older than a year", marks.count("older than a year")),
        ("offers without a date", marks.count("undated")),
    ]
    rate = PRICES.rates[0]
    dated = f"({rate.source}, {rate.as_of})"
    note = f"\nPut together on {PRICES.researched}. One {rate.currency} is {rate.usd:f} USD {dated}.\n"
    return table(("In the price file", "Count"), rows) + note


def offers() -> str:
    """Every offer with its fee, source and date."""
    rows = []
    for offer in PRICES.offers:
        fee = next((m for m in offer.meters if m.of == "fee"), None)
        price = "metered" if fee is None else "not confirmed" if fee.price is None else f"{fee.price:f} {fee.currency}"
        if offer.commitment:
            price = f"at least {offer.commitment:f} USD"
        rows.append((f"`{offer.id}`", f"{offer.provider} {offer.plan}", price, source(offer), offer.evidence))
    return table(("Offer", "Plan", "Fee", "Source", "How it was read"), rows)


def cost(charge: pricing.Charge) -> str:
    return "not confirmed" if charge.amount is None else f"{charge.amount:,.2f}"


def source(offer: pricing.Offer) -> str:
    old = ", older than a year" if age(offer.as_of, PRICES.researched) == "older than a year" else ""
    return f"[source]({offer.source}), {offer.as_of or 'undated'}{old}, {offer.confidence} confidence"


def named(bill: Bill | None) -> str:
    if bill is None:
        return "none"
    extra = f" with {', '.join(f'`{name}`' for name in bill.add_ons)}" if bill.add_ons else ""
    return f"`{bill.offer.id}`{extra}: {bill}"


def table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; a bar in a cell is escaped."""
    body = ["| " + " | ".join(show(cell).replace("|", r"\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(names) + " |", "|" + " --- |" * len(names), *body]) + "\n"

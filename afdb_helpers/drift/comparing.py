"""What differs between a live schema and a reference, and what of it does not count."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from afdb_helpers import waivers
from afdb_helpers.catalog import Catalog
from afdb_helpers.catalog.schema import Facts
from afdb_helpers.drift import access, mending, parts
from afdb_helpers.drift.access import Access
from afdb_helpers.drift.waivers import Waiver
from afdb_helpers.drift.words import quoted
from afdb_helpers.report import Report, count

ABSENT = "absent"
OTHERS = "no revision made it"
STRICTER = "stricter: it refuses nothing that stands there"
UNGRANTED = "the chain grants nothing to anybody"
_REMEDY = "afdb adopt --repair converges a known faulty state; else write a revision for it"
_EARLIER = (
    "schema",
    "extension",
    "enum",
    "domain",
    "composite type",
    "range",
    "sequence",
    "function",
    "procedure",
    "aggregate",
    "view",
    "materialized view",
)  # what the statements of the later ones need
_LATER = ("view", "materialized view")  # than tables
_APART = ("columns", *parts.PARTS, "name", "owner", "grants")  # facts that are compared in their own way


@dataclass(frozen=True)
class Difference:
    """One difference; `because` says why it does not count, `mend` is empty then."""

    object: str
    chain: str
    live: str
    mend: str = ""
    because: str = ""

    def row(self) -> dict[str, Any]:
        return {"object": self.object, "chain": self.chain, "live": self.live, "accepted": bool(self.because),
                "because": self.because, "mend": self.mend}  # fmt: skip

    def accepted(self, because: str) -> Difference:
        return replace(self, because=because, mend="")


def compare(
    live: Catalog,
    reference: Catalog,
    *,
    ours: Collection[str] = (),
    waived: Sequence[Waiver] = (),
    on: dt.date | None = None,
) -> Report:
    """One row a difference: the object, what the reference has, what is live, and the statement that would mend it.

    Names of constraints do not matter, nor does the order of columns, nor who owns everything. Listed, and not
    counted, are: what no revision made and nobody's table hangs on, unless it is one of `ours`; a stricter NOT NULL;
    grants where the chain grants nothing; what is waived.
    """
    on = on or waivers.today()
    found = sorted(differences(live, reference, ours), key=lambda one: bool(one.because))
    if live.dialect == "sqlite":
        found = [replace(one, mend=mending.for_sqlite(one.mend)) for one in found]
    differing = [one for one in found if not one.because]
    found = [_waive(one, waived, on) for one in found]
    wrong = sum(not one.because for one in found)
    return Report(
        headline="schema: equal to the chain's" if not wrong else f"schema: {count(wrong, 'difference')}",
        ok=not wrong,
        rows=tuple(one.row() for one in found),
        remedy="" if not wrong else _REMEDY,
        parts=(waivers.report(waived, differing, on, of="differences"),) if waived else (),
    )


def _waive(found: Difference, given: Sequence[Waiver], on: dt.date) -> Difference:
    because = "" if found.because else waivers.waived(found, given, on)
    return found.accepted(f"waived {because}") if because else found


def differences(live: Catalog, reference: Catalog, ours: Collection[str] = ()) -> Iterator[Difference]:
    """Every difference, those too that do not count."""
    rules, foreign = Access.of(live, reference), _foreign(live, reference)
    for schema in foreign:
        yield Difference(f"schema {schema}", ABSENT, _inhabitants(live, schema)).accepted(OTHERS)
    kinds = sorted(_both(live.objects, reference.objects), key=_EARLIER.index)
    for kind in [kind for kind in kinds if kind not in _LATER]:
        yield from _objects(kind, live, reference, rules, foreign)
    for name in _both(live.tables, reference.tables):
        if not _in(name, foreign):
            yield from _table(name, live.tables.get(name), reference.tables.get(name), rules, name in ours)
    for kind in [kind for kind in kinds if kind in _LATER]:
        yield from _objects(kind, live, reference, rules, foreign)


def _objects(
    kind: str, live: Catalog, reference: Catalog, rules: Access, foreign: Sequence[str]
) -> Iterator[Difference]:
    here, there = live.objects.get(kind, {}), reference.objects.get(kind, {})
    for name in _both(here, there):
        if not _in(name, foreign):
            of_a_column = kind == "sequence" and any(_has_column(one, name) for one in (live, reference))
            yield from _object(kind, name, here.get(name), there.get(name), rules, of_a_column)


def _foreign(live: Catalog, reference: Catalog) -> list[str]:
    """Schemas in which the chain makes nothing: somebody else's, with all that is in them."""
    known = {name.partition(".")[0] for name in reference.tables if "." in name}
    known |= {name.partition(".")[0] for found in reference.objects.values() for name in found if "." in name}
    return sorted(set(live.objects.get("schema", {})) - set(reference.objects.get("schema", {})) - known)


def _in(name: str, schemas: Sequence[str]) -> bool:
    return any(name == schema or name.startswith(f"{schema}.") for schema in schemas)


def _inhabitants(live: Catalog, schema: str) -> str:
    kinds = {"table": live.tables, **{kind: found for kind, found in live.objects.items() if kind != "schema"}}
    numbers = {kind: sum(name.startswith(f"{schema}.") for name in found) for kind, found in kinds.items()}
    return ", ".join(count(number, kind) for kind, number in numbers.items() if number) or "empty"


def _table(name: str, live: Facts | None, wanted: Facts | None, rules: Access, ours: bool) -> Iterator[Difference]:
    if live is None or wanted is None:
        if wanted is not None:
            yield Difference(name, "table", ABSENT, mending.create("table", name, wanted))
        elif live is not None:
            said = f"partition of {live['partition_of']}" if "partition_of" in live else "table"
            found = Difference(name, ABSENT, said, mending.drop_table(live.get("name", quoted(name))))
            yield found if ours else found.accepted(OTHERS)
        return
    yield from _whole("table", name, name, live, wanted, rules)
    table = quoted(name) if "name" not in live else live["name"]
    for column in _both(live["columns"], wanted["columns"]):
        here, there = live["columns"].get(column), wanted["columns"].get(column)
        if "partition_of" not in live or (here and there and here["type"] == there["type"]):  # else it is the parent's
            yield from _column(name, live | {"name": table}, column, here, there, rules)
    for part in parts.PARTS:
        yield from _parts(name, part, live | {"name": table}, wanted)


def _object(
    kind: str, name: str, live: Facts | None, wanted: Facts | None, rules: Access, of_a_column: bool
) -> Iterator[Difference]:
    label = f"sequence of {name}" if of_a_column else f"{kind} {name}"
    if live is not None and wanted is not None:
        yield from _whole(kind, name, label, live, wanted, rules)
        for part in parts.PARTS:
            yield from _parts(label, part, live, wanted)
    elif of_a_column:
        return  # a fact of the column: `serial`, an identity, or neither
    elif wanted is not None:
        yield Difference(label, kind, ABSENT, mending.create(kind, name, wanted))
    else:
        yield Difference(label, ABSENT, kind).accepted(OTHERS)


def _has_column(one: Catalog, name: str) -> bool:
    table, _, column = name.rpartition(".")
    return column in one.tables.get(table, {"columns": {}})["columns"]


def _whole(kind: str, name: str, label: str, live: Facts, wanted: Facts, rules: Access) -> Iterator[Difference]:
    """The facts of an object as a whole, its owner, and who may do what with it."""
    named = live.get("name", quoted(name))
    for fact in _both(live, wanted):
        one, other = wanted.get(fact), live.get(fact)
        if fact in _APART or one == other:
            continue
        mend = mending.fact(kind, name, fact, wanted, live)
        found = Difference(f"{label} {_word(fact)}", _said(one), _said(other), mend)
        yield found.accepted("the server's") if (kind, fact) == ("extension", "version") else found
    if (owner := rules.owner(wanted, live)) is not None and not label.startswith("sequence of "):
        mend = mending.fact(kind, name, "owner", {"owner": owner}, live)
        yield Difference(f"{label} owner", owner, _said(live["owner"]), mend)
    for role, one, other in rules.differing(kind, wanted, live):
        found = Difference(f"{label} grant to {role}", one or ABSENT, other or ABSENT,
                           access.mend(kind, named, role, one, other))  # fmt: skip
        yield found if rules.chain_grants else found.accepted(UNGRANTED)


def _column(
    table: str, holder: Facts, column: str, live: Facts | None, wanted: Facts | None, rules: Access
) -> Iterator[Difference]:
    label, named = f"{table}.{column}", holder["name"]
    if wanted is None and live is not None:
        yield Difference(label, ABSENT, live["type"], mending.drop_column(named, column))
    if wanted is not None and live is None:
        yield Difference(label, wanted["type"], ABSENT, mending.add_column(named, column, wanted))
    if wanted is None or live is None:
        return
    for fact in _both(live, wanted):
        one, other = wanted.get(fact), live.get(fact)
        if one == other or fact == "grants":
            continue
        mend = mending.column(named, column, fact, wanted, live)
        if fact == "nullable":
            said = {True: "NULL allowed", False: "NOT NULL"}
            found = Difference(label, said[wanted[fact]], said[live[fact]], mend)
            yield found if live[fact] else found.accepted(STRICTER)
        else:
            yield Difference(f"{label} {_word(fact)}", _said(one), _said(other), mend)
    for role, may, does in rules.differing("column", wanted, live, owner=holder.get("owner")):
        mend = access.mend("table", named, role, may, does, column=column)
        found = Difference(f"{label} grant to {role}", may or ABSENT, does or ABSENT, mend)
        yield found if rules.chain_grants else found.accepted(UNGRANTED)


def _parts(label: str, part: str, live: Facts, wanted: Facts) -> Iterator[Difference]:
    """Constraints, indexes, triggers, rules or policies of a table."""
    here, there = live.get(part, {}), wanted.get(part, {})
    for name in sorted(_both(here, there), key=lambda name: name in there):  # room first, a name may be used again
        one, other = there.get(name), here.get(name)
        called = parts.label(label, part, name)
        if other is None:
            yield Difference(called, parts.said(part, name, one), ABSENT, parts.create(live, part, name, one))
        elif one is None:
            yield Difference(called, ABSENT, parts.said(part, name, other), parts.drop(live, part, name, other))
        else:
            yield from _changes(called, part, name, live, one, other)


def _changes(called: str, part: str, name: str, table: Facts, wanted: Facts, live: Facts) -> Iterator[Difference]:
    for fact in _both(live, wanted):
        if fact == "name" or wanted.get(fact) == live.get(fact):
            continue
        mend = parts.change(table, part, name, fact, wanted, live)
        if fact == "definition":
            yield Difference(called, parts.said(part, name, wanted), parts.said(part, name, live), mend)
        elif fact == "valid":
            said = {True: "valid", False: "not valid"}
            found = Difference(called, said[wanted.get(fact, True)], said[live.get(fact, True)], mend)
            yield found if fact in live else found.accepted(STRICTER)
        else:
            yield Difference(f"{called} {_word(fact)}", _said(wanted.get(fact)), _said(live.get(fact)), mend)


def _word(fact: str) -> str:
    return fact.replace("_", " ")


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _both(one: Mapping[str, Any] | Iterable[str], other: Mapping[str, Any] | Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*other, *one]))

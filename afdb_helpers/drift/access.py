"""Owners and grants. Who owns what on a private server says nothing, so only exceptions from the usual owner count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from afdb_helpers.catalog import Catalog, grants
from afdb_helpers.catalog.schema import Facts
from afdb_helpers.drift.words import quoted, statement, word

_GRANTED_AS = {"view": "TABLE", "materialized view": "TABLE", "aggregate": "FUNCTION"}
_AS = {"function": "function", "procedure": "function", "aggregate": "function",
       "enum": "type", "domain": "type", "composite type": "type", "range": "type"}  # fmt: skip


@dataclass(frozen=True)
class Access:
    """What is to be known of both schemas before an owner or a grant can be called another."""

    usual_live: str
    usual_chain: str
    chain_grants: bool
    maintain: bool  # whether both servers know that privilege

    @classmethod
    def of(cls, live: Catalog, reference: Catalog) -> Access:
        both = all((one.major or 0) >= 17 for one in (live, reference))
        return cls(_usual(live), _usual(reference), _grants(reference), both)

    def owner(self, wanted: Facts, live: Facts) -> str | None:
        """Who should own it, where somebody else does."""
        should, does = wanted.get("owner"), live.get("owner")
        should = self.usual_live if should == self.usual_chain else should
        return should if does is not None and should != does else None

    def differing(
        self, kind: str, wanted: Facts, live: Facts, *, owner: str | None = None
    ) -> Iterator[tuple[str, str, str]]:
        """Role, what the chain lets it do, what it may do. The owner may do everything."""
        should, may = granted(kind, wanted), granted(kind, live)
        for role in sorted({*should, *may} - {live.get("owner", owner)}):
            one, other = self._known(should.get(role, "")), self._known(may.get(role, ""))
            if one != other:
                yield role, one, other

    def _known(self, privileges: str) -> str:
        words = [one for one in privileges.split(", ") if self.maintain or not one.startswith("MAINTAIN")]
        return ", ".join(words)


def granted(kind: str, facts: Facts) -> dict[str, str]:
    """Role → privileges, those too that the server gives to everybody unless they are taken away."""
    found: dict[str, str] = facts.get("grants", grants.BY_DEFAULT.get(_AS.get(kind, ""), {}))
    return found


def mend(kind: str, named: str, role: str, wanted: str, live: str, *, column: str = "") -> str:
    """GRANT what is missing, REVOKE what is too much; of one column where it is given."""
    should, may = set(wanted.split(", ")) - {""}, set(live.split(", ")) - {""}
    what = f"{_GRANTED_AS.get(kind, word(kind))} {named}"
    whom = role if role == "PUBLIC" else quoted(role)
    more, missing = may - should, should - may
    statements = [statement("REVOKE {} ON {} FROM {}", _words(more, column), what, whom)] if more else []
    for star, end in (("", ""), ("*", " WITH GRANT OPTION")):
        if words := {one for one in missing if one.endswith("*") == bool(star)}:
            statements.append(statement("GRANT {} ON {} TO {}{}", _words(words, column), what, whom, end))
    return "; ".join(statements)


def _words(words: set[str], column: str) -> str:
    of = f" ({quoted(column)})" if column else ""
    return ", ".join(sorted(one.rstrip("*") + of for one in words))


def _usual(one: Catalog) -> str:
    """Who owns most of the tables; without tables, most of the rest."""
    owners = Counter(facts["owner"] for facts in one.tables.values() if "owner" in facts)
    if not owners:
        owners = Counter(f["owner"] for kind in one.objects.values() for f in kind.values() if "owner" in f)
    return min(owners, key=lambda name: (-owners[name], name), default="")


def _grants(one: Catalog) -> bool:
    """Whether anything is granted to anybody, the server's own schema aside."""

    def granted(found: Mapping[str, Any]) -> bool:
        return any(facts.get("grants") for facts in found.values())

    columns = [facts["columns"] for facts in one.tables.values()]
    objects = [found for kind, found in one.objects.items() if kind != "schema"]
    return any(map(granted, [one.tables, *columns, *objects]))

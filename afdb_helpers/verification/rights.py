"""Who may do what, and who sees which rows: grants, policies and row-level security, as they were before.

The chain is no witness here: a revision that drops a policy makes a chain without it, and drift then sees none missing.
What is meant to change is accepted by `drift-waivers.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from afdb_helpers.catalog import Catalog
from afdb_helpers.catalog.schema import Facts
from afdb_helpers.drift import access, mending, parts
from afdb_helpers.drift.comparing import ABSENT, Difference
from afdb_helpers.drift.words import quoted

Rights = Mapping[str, Mapping[str, Mapping[str, str]]]  # kind of object → its name → right → what it says
_OF_COLUMN = re.compile(r"grant of (?P<column>.+) to (?P<role>.+)", re.DOTALL)
_TO_ROLE = re.compile(r"grant to (?P<role>.+)", re.DOTALL)


def rights(schema: Catalog) -> dict[str, dict[str, dict[str, str]]]:
    """Of every object, an empty mapping where nothing is said. Plain data, to be kept."""
    found = {"table": {name: _of("table", facts) for name, facts in schema.tables.items()}}
    for kind, objects in schema.objects.items():
        if kind != "extension":
            found[kind] = {name: _of(kind, facts) for name, facts in objects.items()}
    return found


def _of(kind: str, facts: Facts) -> dict[str, str]:
    said = {f"grant to {role}": may for role, may in access.granted(kind, facts).items()}
    for column, of in facts.get("columns", {}).items():
        said |= {f"grant of {column} to {role}": may for role, may in of.get("grants", {}).items()}
    said |= {f"policy {name}": of["definition"] for name, of in facts.get("policies", {}).items()}
    return said | ({"row security": facts["row_security"]} if "row_security" in facts else {})


def changed(before: Rights, live: Catalog, mapping: Mapping[str, Any]) -> Iterator[Difference]:
    """Each right that is gone, new or another, of objects that were there before and still are; `chain` is before.

    New names count as the old ones, by what revisions declare.
    """
    now = rights(live)
    for kind, objects in before.items():
        for old, held in objects.items():
            said = mapping.get(old, {}) if kind == "table" else {}
            new = said.get("to", old) if said.get("to", old) in now.get(kind, {}) else old
            if new not in now.get(kind, {}):
                continue
            should, does = _renamed(held, said, mapping), now[kind][new]
            for right in sorted({*should, *does}):
                one, other = should.get(right, ABSENT), does.get(right, ABSENT)
                if one != other:
                    label = new if kind == "table" else f"{kind} {new}"
                    yield Difference(f"{label} {right}", one, other, _mend(kind, new, right, one, other, live))


def _renamed(held: Mapping[str, str], said: Mapping[str, Any], mapping: Mapping[str, Any]) -> dict[str, str]:
    """The rights of before under the columns' names of now; of retired columns there are none."""
    names, retired = said.get("renamed", {}), said.get("retired", ())
    found = {}
    for right, what in held.items():
        match = _OF_COLUMN.fullmatch(right)
        if match and retired is not True and match["column"] in retired:
            continue
        now = f"grant of {names.get(match['column'], match['column'])} to {match['role']}" if match else right
        found[now] = _reworded(what, names, mapping) if right.startswith("policy ") else what
    return found


def _reworded(policy: str, names: Mapping[str, str], mapping: Mapping[str, Any]) -> str:
    """A policy's text with the new names of columns and tables; the server rewrites it when they are renamed."""
    tables = {old: said["to"] for old, said in mapping.items() if "to" in said}
    words = {**tables, **names}
    return re.sub(r"\w+", lambda word: words.get(word[0], word[0]), policy) if words else policy


def _mend(kind: str, name: str, right: str, before: str, now: str, live: Catalog) -> str:
    facts = live.tables[name] if kind == "table" else live.objects[kind][name]
    named = facts.get("name", quoted(name))
    one, other = ("" if said == ABSENT else said for said in (before, now))
    if match := _OF_COLUMN.fullmatch(right):
        return access.mend(kind, named, match["role"], one, other, column=match["column"])
    if match := _TO_ROLE.fullmatch(right):
        return access.mend(kind, named, match["role"], one, other)
    if right == "row security":
        return mending.fact("table", name, "row_security", {"row_security": one or None}, facts)
    policy, table = right.removeprefix("policy "), facts | {"name": named}
    drop = parts.drop(table, "policies", policy, {}) if other else ""
    make = parts.create(table, "policies", policy, {"definition": one}) if one else ""
    return "; ".join(filter(None, [drop, make]))

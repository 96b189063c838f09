"""What hangs on a table: constraints, indexes, triggers, rules, policies; how it is called, what would mend it."""

from __future__ import annotations

import re

from afdb_helpers.catalog.schema import Facts
from afdb_helpers.drift.words import literal, quoted, statement

PARTS = {"constraints": "constraint", "indexes": "index", "triggers": "trigger", "rules": "rule", "policies": "policy"}
_KINDS = {"PRIMARY KEY": "primary key", "FOREIGN KEY": "foreign key", "UNIQUE": "unique", "CHECK": "check",
          "EXCLUDE": "exclusion"}  # fmt: skip
_FIRES = {None: "ENABLE", "disabled": "DISABLE", "on replicas alone": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}
_USING = re.compile(r"^CREATE (UNIQUE )?INDEX .+? (?:USING |ON \S+ (?=\())(.*)$", re.DOTALL)


def label(table: str, part: str, name: str) -> str:
    """`customer index customer_name`, `customer foreign key`."""
    if part == "constraints":
        return f"{table} {next((word for start, word in _KINDS.items() if name.startswith(start)), 'constraint')}"
    return f"{table} {PARTS[part]} {name}"


def said(part: str, name: str, facts: Facts) -> str:
    """What is shown of it: a constraint's text is its name, of an index what comes after its table."""
    if part == "constraints":
        return name
    definition = str(facts["definition"])
    index = _USING.match(definition) if part == "indexes" else None
    return f"{'unique ' if index[1] else ''}{index[2]}" if index else definition


def create(table: Facts, part: str, name: str, facts: Facts, *, new: bool = False) -> str:
    """The statements that make what the live table lacks, without a lock over a scan unless the table is new."""
    comment = _comment(table, part, name, facts, facts["comment"]) if "comment" in facts else ""
    fires = _fires(table["name"], part, name, facts["fires"]) if "fires" in facts else ""
    return "; ".join(filter(None, [_create(table, part, name, facts, new).rstrip(";"), fires, comment]))


def _create(table: Facts, part: str, name: str, facts: Facts, new: bool) -> str:
    named, definition = table["name"], str(facts.get("definition", name))
    if part == "indexes" and ("partitioned_by" in table or new):
        return definition.replace(" ON ONLY ", " ON ", 1)
    if part == "indexes":
        return definition.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)
    if part == "policies":
        return statement("CREATE POLICY {} ON {} {}", quoted(name), named, definition)
    if part != "constraints":
        return definition
    called = f" CONSTRAINT {quoted(facts['name'])}"
    if name.startswith(("FOREIGN KEY", "CHECK")):
        later = f"; ALTER TABLE {named} VALIDATE{called}"
        return statement("ALTER TABLE {} ADD{} {} NOT VALID{}", named, called, name, later)
    return statement("ALTER TABLE {} ADD{} {}", named, called, name)


def drop(table: Facts, part: str, name: str, facts: Facts) -> str:
    """The statement that takes away what no revision made."""
    if part == "constraints":
        return statement("ALTER TABLE {} DROP CONSTRAINT {}", table["name"], quoted(facts["name"]))
    if part == "indexes":
        return statement("DROP INDEX {}{}", "" if "partitioned_by" in table else "CONCURRENTLY ", facts["name"])
    return statement("DROP {} {} ON {}", PARTS[part].upper(), quoted(name), table["name"])


def change(table: Facts, part: str, name: str, which: str, wanted: Facts, live: Facts) -> str:
    """The statement for one fact of what stands on both sides."""
    if which == "valid":
        if part == "indexes":
            return f"REINDEX INDEX CONCURRENTLY {live['name']}"
        return statement("ALTER TABLE {} VALIDATE CONSTRAINT {}", table["name"], quoted(live["name"]))
    if which == "comment":
        return _comment(table, part, name, live, wanted.get("comment"))
    if which == "fires":
        return _fires(table["name"], part, name, wanted.get("fires"))
    if part in ("indexes", "policies"):
        return f"{drop(table, part, name, live)}; {create(table, part, name, wanted)}"
    return str(wanted["definition"]).replace("CREATE ", "CREATE OR REPLACE ", 1)


def _fires(table: str, part: str, name: str, fires: str | None) -> str:
    return statement("ALTER TABLE {} {} {} {}", table, _FIRES[fires], PARTS[part].upper(), quoted(name))


def _comment(table: Facts, part: str, name: str, facts: Facts, text: str | None) -> str:
    called = facts["name"] if part == "indexes" else quoted(facts.get("name", name))
    on = "" if part == "indexes" else f" ON {table['name']}"
    return f"COMMENT ON {PARTS[part].upper()} {called}{on} IS {literal(text)}"

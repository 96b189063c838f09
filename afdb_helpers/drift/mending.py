"""The statement that would make a live object what the chain has. It is shown, and never run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from afdb_helpers.catalog.schema import Facts
from afdb_helpers.drift import access, parts
from afdb_helpers.drift.words import literal, quoted, statement, word

_SERIALS = {"smallint": "smallserial", "integer": "serial", "bigint": "bigserial"}
BY_HAND = "-- no statement does it: make the object anew in a revision"


def create(kind: str, name: str, facts: Facts) -> str:
    """The statements that make what the live schema lacks, with what belongs to it."""
    named = facts.get("name", quoted(name))
    made = [_table(named, facts) if kind == "table" else _object(kind, named, facts)]
    made += [f"COMMENT ON {word(kind)} {named} IS {literal(facts['comment'])}"] if "comment" in facts else []
    made += _granted(kind, named, facts)
    if "row_security" in facts:
        made.append(_row_security(named, facts["row_security"]))
    for part in parts.PARTS:
        if part != "constraints":
            made += [parts.create(facts, part, key, said, new=True) for key, said in facts.get(part, {}).items()]
    return "; ".join(made)


def _object(kind: str, named: str, facts: Facts) -> str:
    if kind == "sequence":
        return statement(
            "CREATE SEQUENCE {} {}",
            named,
            " ".join((say(facts[key]) for key, say in _SEQUENCE.items() if key in facts)),
        )
    if kind == "enum":
        return statement("CREATE TYPE {} AS ENUM ({})", named, ", ".join(map(literal, facts["values"])))
    if kind in ("function", "procedure"):
        return str(facts["definition"]).rstrip()
    between = {"domain": " AS ", "composite type": " AS ", "range": " AS RANGE ", "view": f"{_with(facts)} AS",
               "materialized view": f"{_with(facts)} AS"}.get(kind, " ")  # fmt: skip
    return statement("CREATE {} {}{}{}", word(kind), named, between, facts.get("definition", "")).rstrip()


def _granted(kind: str, named: str, facts: Facts, column: str = "") -> list[str]:
    return [access.mend(kind, named, role, may, "", column=column) for role, may in facts.get("grants", {}).items()]


def fact(kind: str, name: str, which: str, wanted: Facts, live: Facts) -> str:
    """The statement for one fact of an object that stands on both sides."""
    named, value = live.get("name", quoted(name)), wanted.get(which)
    if kind == "sequence" and which in _SEQUENCE:
        return statement("ALTER SEQUENCE {} {}", named, _SEQUENCE[which](value))
    made: dict[tuple[str, str], Callable[[], str]] = {
        (kind, "owner"): lambda: statement("ALTER {} {} OWNER TO {}", word(kind), named, quoted(str(value))),
        (kind, "comment"): lambda: f"COMMENT ON {word(kind)} {named} IS {literal(value)}",
        (kind, "options"): lambda: _options(
            statement("ALTER {} {}", word(kind), named), value or [], live.get("options", [])
        ),
        ("enum", "values"): lambda: _values(named, value or [], live["values"]),
        ("table", "row_security"): lambda: _row_security(named, value),
        ("table", "unlogged"): lambda: statement("ALTER TABLE {} SET {}", named, "UNLOGGED" if value else "LOGGED"),
        ("table", "replica_identity"): lambda: statement(
            "ALTER TABLE {} REPLICA IDENTITY {}", named, (value or "default").upper()
        ),
        ("view", "definition"): lambda: statement("CREATE OR REPLACE VIEW {}{} AS{}", named, _with(wanted), value),
        ("function", "definition"): lambda: str(value).rstrip(),
        ("procedure", "definition"): lambda: str(value).rstrip(),
        ("materialized view", "definition"): lambda: statement(
            "DROP MATERIALIZED VIEW {}; {}", named, create(kind, name, wanted)
        ),
    }
    return made.get((kind, which), lambda: BY_HAND)()


def _values(named: str, wanted: list[str], live: list[str]) -> str:
    """What brings the values of an enum to the chain's, where they only have to be added."""
    if [value for value in wanted if value in live] != live:
        return f"-- a value cannot be taken from a type: make {named} anew, and its columns with USING"
    made, stand = [], list(live)
    for at, value in enumerate(wanted):
        if value not in stand:
            where = f" AFTER {literal(wanted[at - 1])}" if at else f" BEFORE {literal(stand[0])}" if stand else ""
            made.append(statement("ALTER TYPE {} ADD VALUE {}{}", named, literal(value), where))
            stand.insert(at, value)
    return "; ".join(made)


def column(table: str, name: str, which: str, wanted: Facts, live: Facts) -> str:
    """The statement for one fact of a column."""
    at, value, kind = (
        statement("ALTER TABLE {} ALTER COLUMN {}", table, quoted(name)),
        wanted.get(which),
        wanted["type"],
    )
    if which in ("type", "collation"):
        collate = f" COLLATE {wanted['collation']}" if "collation" in wanted else ""
        return f"{at} TYPE {kind}{collate} USING {quoted(name)}::{kind}"
    made: dict[str, Callable[[], str]] = {
        "nullable": lambda: f"{at} {'DROP' if value else 'SET'} NOT NULL",
        "default": lambda: f"{at} DROP DEFAULT" if value is None else f"{at} SET DEFAULT {value}",
        "comment": lambda: f"COMMENT ON COLUMN {table}.{quoted(name)} IS {literal(value)}",
        "identity": lambda: _identity(at, value, live.get("identity")),
    }
    if which in made:
        return made[which]()
    anew = statement("ALTER TABLE {} DROP COLUMN {}; {}", table, quoted(name), add_column(table, name, wanted))
    return anew if value else f"{at} DROP EXPRESSION"


def add_column(table: str, name: str, facts: Facts) -> str:
    return "; ".join(
        [statement("ALTER TABLE {} ADD COLUMN {}", table, _column(name, facts)), *_of_column(table, name, facts)]
    )


def _of_column(table: str, name: str, facts: Facts) -> list[str]:
    at = f"{table}.{quoted(name)}"
    said = [f"COMMENT ON COLUMN {at} IS {literal(facts['comment'])}"] if "comment" in facts else []
    return said + _granted("table", table, facts, name)


def drop_table(table: str) -> str:
    return statement("DROP TABLE {} -- its rows are lost", table)


def drop_column(table: str, name: str) -> str:
    return statement("ALTER TABLE {} DROP COLUMN {} -- its values are lost", table, quoted(name))


def _identity(at: str, wanted: str | None, live: str | None) -> str:
    """From none, `serial` or an identity to another of them; a serial's sequence has to be made by name."""
    if wanted == "serial" or (wanted is None and live == "serial"):
        return (
            f"{at} DROP DEFAULT" if wanted is None else f"-- CREATE SEQUENCE … OWNED BY, then {at} SET DEFAULT nextval"
        )
    if wanted is None:
        return f"{at} DROP IDENTITY"
    if live in ("always", "by default"):
        return f"{at} SET GENERATED {wanted.upper()}"
    first = f"{at} DROP DEFAULT; " if live == "serial" else ""
    return f"{first}{at} ADD GENERATED {wanted.upper()} AS IDENTITY"


def _table(named: str, facts: Facts) -> str:
    if parent := facts.get("partition_of"):
        return statement("CREATE TABLE {} PARTITION OF {}", named, parent)
    lines = [_column(name, said) for name, said in facts["columns"].items()]
    lines += [_named(said) + text for text, said in facts["constraints"].items()]
    by = f" PARTITION BY {facts['partitioned_by']}" if "partitioned_by" in facts else ""
    made = statement(
        "CREATE{} TABLE {} ({}){}{}",
        " UNLOGGED" if facts.get("unlogged") else "",
        named,
        ", ".join(lines),
        by,
        _with(facts),
    )
    return "; ".join([made, *(st for name, said in facts["columns"].items() for st in _of_column(named, name, said))])


def _named(facts: Facts) -> str:
    return f"CONSTRAINT {quoted(facts['name'])} " if facts.get("name") else ""


def _column(name: str, facts: Facts) -> str:
    kind = str(facts["type"])
    words: list[str] = [quoted(name), _SERIALS.get(kind, kind) if facts.get("identity") == "serial" else kind]
    words += [f"COLLATE {facts['collation']}"] if facts.get("collation") else []
    words += [f"DEFAULT {facts['default']}"] if facts["default"] is not None else []
    if facts.get("identity") in ("always", "by default"):
        words += [f"GENERATED {facts['identity'].upper()} AS IDENTITY"]
    if generated := facts.get("generated"):
        how, _, expression = generated.partition(" ")
        words += [f"GENERATED ALWAYS AS ({expression}) {how.upper()}"]
    words += [] if facts["nullable"] else ["NOT NULL"]
    return " ".join(words)


def for_sqlite(statement: str) -> str:
    """SQLite alters little of a table, and builds an index no other way than at once."""
    if "ALTER COLUMN" in statement or "CONSTRAINT" in statement or "COMMENT ON" in statement:
        return "-- in a revision: op.batch_alter_table"
    return statement.replace(" CONCURRENTLY", "")


_SEQUENCE: Mapping[str, Callable[[Any], str]] = {
    "type": lambda value: f"AS {value}",
    "increment": lambda value: f"INCREMENT BY {value}",
    "minimum": lambda value: f"MINVALUE {value}",
    "maximum": lambda value: f"MAXVALUE {value}",
    "start": lambda value: f"START WITH {value}",
    "cache": lambda value: f"CACHE {value}",
    "cycle": lambda value: "CYCLE" if value else "NO CYCLE",
}


def _row_security(named: str, wanted: str | None) -> str:
    on = "ENABLE" if "enabled" in (wanted or "") else "DISABLE"
    forced = "FORCE" if "forced" in (wanted or "") else "NO FORCE"
    return statement("ALTER TABLE {} {} ROW LEVEL SECURITY, {} ROW LEVEL SECURITY", named, on, forced)


def _options(alter: str, wanted: list[str], live: list[str]) -> str:
    gone = [one.partition("=")[0] for one in live if one not in wanted]
    reset = [f"{alter} RESET ({', '.join(gone)})"] if gone else []
    return "; ".join([*reset, *([f"{alter} SET ({', '.join(wanted)})"] if wanted else [])])


def _with(facts: Facts) -> str:
    return statement(" WITH ({})", ", ".join(facts["options"])) if facts.get("options") else ""

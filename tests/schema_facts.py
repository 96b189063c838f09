"""The facts of facts/schema.yaml as data: what the two schemas are, said by nobody whose work is under test."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FACTS = yaml.safe_load((Path(__file__).parent / "facts" / "schema.yaml").read_text())

# Type as the facts say it → as PostgreSQL and SQLite print it.
TYPES = {
    "string": ("character varying", "VARCHAR"),
    "text": ("text", "TEXT"),
    "json": ("json", "JSON"),
    "datetime": ("timestamp without time zone", "DATETIME"),
    "float": ("double precision", "FLOAT"),
    "integer": ("integer", "INTEGER"),
    "boolean": ("boolean", "BOOLEAN"),
}


@dataclass(frozen=True)
class Fact:
    """One column. `default` is the value itself as text, None where there is none."""

    type: str
    null: bool
    default: str | None
    refers: str | None
    primary: bool
    index: tuple[str, bool] | None

    @classmethod
    def read(cls, spec: str) -> Fact:
        words = [word.strip() for word in spec.split(",")]
        default = next(
            (word.removeprefix("default=").strip("'") for word in words if word.startswith("default=")), None
        )
        refers = next((word.removeprefix("fk=") for word in words if word.startswith("fk=")), None)
        index = re.search(r"(unique )?index (\w+)", spec)
        named = (index[2], bool(index[1])) if index else None
        return cls(words[0], "null" in words, default, refers, "pk" in words, named)


def schema_001() -> dict[str, dict[str, Fact]]:
    return {table: _columns(columns) for table, columns in FACTS["revision_001"].items()}


def schema_002() -> dict[str, dict[str, Fact]]:
    """Table → column → fact, 001's with what 002 does to it."""
    made: dict[str, dict[str, Fact]] = {}
    before = schema_001()
    for table, said in FACTS["revision_002"].items():
        renamed = said.get("renamed", {})
        columns = {renamed.get(name, name): fact for name, fact in before.get(table, {}).items()}
        columns |= (
            _columns(said.get("new_table", {})) | _columns(said.get("retyped", {})) | _columns(said.get("added", {}))
        )
        made[table] = columns
    return made


def indexes_002() -> dict[str, tuple[str, list[str], bool]]:
    """Index → (table, columns, unique)."""
    found = {
        fact.index[0]: (table, [name], fact.index[1])
        for table, columns in schema_002().items()
        for name, fact in columns.items()
        if fact.index
    }
    for table, said in FACTS["revision_002"].items():
        found |= {name: (table, columns, False) for name, columns in said.get("indexes", {}).items()}
        found |= {name: (table, columns, True) for name, columns in said.get("unique_indexes", {}).items()}
    return found


def renamed(table: str) -> dict[str, str]:
    """Old column name → new one, the text key of audit_logs among them."""
    said = dict(FACTS["revision_002"][table].get("renamed", {}))
    return said | ({"id": "legacy_id"} if table == "audit_logs" else {})


def stored_default(fact: Fact, dialect: str) -> str | None:
    """The default of a column as `chain.rows` shows the value that a row gets from it."""
    if fact.default is None:
        return None
    if dialect == "postgresql":
        return "0" if fact.type == "float" else fact.default
    by_type = {"float": f"real {fact.default}", "integer": f"integer {fact.default}"}
    if fact.type == "boolean":
        return f"integer {int(fact.default == 'true')}"
    return by_type.get(fact.type, f"text {fact.default}")


def _columns(said: dict[str, Any]) -> dict[str, Fact]:
    return {name: Fact.read(spec) for name, spec in said.items()}

"""The models declare what facts/schema.yaml says, and know where each column comes from."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from schema_facts import FACTS, indexes_002, schema_001, schema_002

from afdb_helpers import models

TYPES = {"string": sa.String, "text": sa.Text, "json": sa.JSON, "datetime": sa.DateTime, "float": sa.Float,
         "integer": sa.Integer, "boolean": sa.Boolean}  # fmt: skip


def test_the_models_are_the_twelve_tables_of_the_facts() -> None:
    assert len(FACTS["revision_002"]) == 12
    assert set(models.metadata.tables) == set(FACTS["revision_002"])


@pytest.mark.parametrize("table", sorted(FACTS["revision_002"]))
def test_every_column_is_as_the_facts_say(table: str) -> None:
    declared, said = models.metadata.tables[table].columns, schema_002()[table]
    assert {c.name for c in declared} == set(said) | ({"legacy_id"} if table == "audit_logs" else set())
    for name, fact in said.items():
        column = declared[name]
        assert type(column.type) is TYPES[fact.type], name
        assert column.nullable == fact.null, name
        assert column.primary_key == fact.primary, name
        assert [k.target_fullname for k in column.foreign_keys] == ([fact.refers] if fact.refers else []), name
        default = column.server_default
        text = None if default is None else str(default.arg)  # type: ignore[attr-defined]
        assert text == fact.default, name


def test_every_index_is_as_the_facts_say() -> None:
    declared = {
        str(index.name): (table.name, [c.name for c in index.columns], bool(index.unique))
        for table in models.metadata.tables.values()
        for index in table.indexes
    }
    assert declared == indexes_002()


@pytest.mark.parametrize("table", sorted(FACTS["revision_002"]))
def test_the_origin_of_every_column_is_told_for_the_docs(table: str) -> None:
    before, said = schema_001().get(table, {}), FACTS["revision_002"][table]
    old = {new: old for old, new in said.get("renamed", {}).items()} | {"legacy_id": "id"}
    for column in models.metadata.tables[table].columns:
        if column.name in old:
            origin = f"renamed from {old[column.name]}"
        elif column.name in before and column.name not in said.get("retyped", {}):
            origin = "001"
        else:
            origin = "added"
        assert column.info["origin"] == origin, column.name
        assert isinstance(column.info["note"], str)


def test_every_table_tells_its_purpose() -> None:
    purposes = {name: table.info["purpose"] for name, table in models.metadata.tables.items()}
    assert purposes == {name: said["purpose"] for name, said in FACTS["revision_002"].items()}
    assert {"stricter"} == {
        key
        for name in ("workflows.definition", "blueprints.version", "api_keys.name")
        for key in models.metadata.tables[name.split(".")[0]].c[name.split(".")[1]].info
        if key == "stricter"
    }

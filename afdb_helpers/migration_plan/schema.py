"""What a plan has to look like: a JSON Schema that the package ships, asked whenever a plan is made or read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from afdb_helpers.errors import Refused


@cache
def schema() -> dict[str, Any]:
    """The schema itself, `plan.schema.json` of this package."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("plan.schema.json").read_text())
    return found


def check(content: Mapping[str, Any]) -> None:
    """Raises `Refused` naming the first thing that is not as the schema says."""
    from fastjsonschema import JsonSchemaValueException

    try:
        _validator()(dict(content))
    except JsonSchemaValueException as wrong:
        where = "/".join(map(str, wrong.path[1:])) or "it"
        raise Refused(
            "what was given is no migration plan of this afdb",
            why=f"{where} is not as the schema says: {wrong.message[:120]}",
            do="make it anew: afdb plan, or afdb prepare",
        ) from None


@cache
def _validator() -> Callable[[Any], object]:
    """Compiled in a hundredth of the time that jsonschema takes to be imported."""
    import fastjsonschema

    compiled: Callable[[Any], object] = fastjsonschema.compile(
        {"$ref": "#/$defs/content", "$defs": schema()["$defs"]}, use_default=False
    )
    return compiled

"""What a plan has to look like: a JSON Schema that the package ships, asked whenever a plan is made or read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers.errors import Refused

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator


@cache
def schema() -> dict[str, Any]:
    """The schema itself, `plan.schema.json` of this package."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("plan.schema.json").read_text())
    return found


def check(content: Mapping[str, Any]) -> None:
    """Raises `Refused` naming the first thing that is not as the schema says."""
    wrong = next(iter(_validator().iter_errors(dict(content))), None)
    if wrong is not None:
        where = "/".join(map(str, wrong.absolute_path)) or "it"
        raise Refused(
            "what was given is no migration plan of this afdb",
            why=f"{where} is not as the schema says: {wrong.message[:120]}",
            do="make it anew: afdb plan, or afdb prepare",
        )


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator({"$ref": "#/$defs/content", "$defs": schema()["$defs"]})

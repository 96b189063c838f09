"""What a manifest has to look like: a JSON Schema that the package ships, asked on every write and every read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

FORMAT = 1  # of a manifest: raised when an older reader would misunderstand a newer one


@cache
def schema() -> dict[str, Any]:
    """The schema itself, `manifest.schema.json` of this package."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("manifest.schema.json").read_text())
    return found


def check(facts: Mapping[str, Any]) -> None:
    """Raises `ValueError` naming the first thing that is not as the schema says."""
    if facts.get("format") != FORMAT:
        raise ValueError(f"its format is {facts.get('format')!r}, and this afdb reads {FORMAT}")
    wrong = next(iter(_validator().iter_errors(dict(facts))), None)
    if wrong is not None:
        where = "/".join(map(str, wrong.absolute_path)) or "it"
        raise ValueError(f"{where} is not as the schema says: {wrong.message[:120]}")


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())

"""What a manifest has to look like: a JSON Schema that the package ships, asked on every write and every read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

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
    from fastjsonschema import JsonSchemaValueException

    try:
        _validator()(dict(facts))
    except JsonSchemaValueException as wrong:
        raise ValueError(f"it is not as the schema says: {wrong.message[:160]}") from None


@cache
def _validator() -> Callable[[Any], object]:
    import fastjsonschema

    compiled: Callable[[Any], object] = fastjsonschema.compile(schema(), use_default=False)
    return compiled

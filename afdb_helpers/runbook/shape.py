"""What run.json has to look like: a JSON Schema that the package ships, asked on every write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SCHEMA = 1  # of run.json: raised when an older reader would misunderstand a newer one


@cache
def schema() -> dict[str, Any]:
    """The schema itself, `run.schema.json` of this package."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("run.schema.json").read_text())
    return found


def check(data: Mapping[str, Any]) -> None:
    """Raises `ValueError` naming the first thing that is not as the schema says."""
    if data.get("schema") != SCHEMA:
        raise ValueError(f"its schema is {data.get('schema')!r}, and this afdb reads {SCHEMA}")
    wrong = None if _accepts(data) else next(iter(_validator().iter_errors(dict(data))), None)
    if wrong is not None:
        where = "/".join(map(str, wrong.absolute_path)) or "it"
        raise ValueError(f"{where} is not as the schema says: {wrong.message[:120]}")


def _accepts(data: Mapping[str, Any]) -> bool:
    """Whether it is as the schema says, in a twentieth of the time; what is not, jsonschema has better words for."""
    from fastjsonschema import JsonSchemaValueException

    try:
        _compiled()(dict(data))
    except JsonSchemaValueException:
        return False
    return True


@cache
def _compiled() -> Callable[[Any], object]:
    import fastjsonschema

    compiled: Callable[[Any], object] = fastjsonschema.compile(schema(), use_default=False)
    return compiled


@cache
def _validator() -> Draft202012Validator:
    from afdb_helpers.runbook.kernels import FORMATS, without

    with without(*FORMATS):
        from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())

"""The price file: read, checked, and described by a JSON Schema."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing.offers import Catalogue

DATA = Path(__file__).with_name("offers.yaml")
SCHEMA = Path(__file__).with_name("offers.schema.json")


@functools.cache
def load(path: Path = DATA) -> Catalogue:
    """The price file as a Catalogue; raises ConfigError naming the offer, the field and what it must be."""
    return checked(read_yaml(path), path.name)


def checked(data: Any, name: str) -> Catalogue:
    """Plain data as a Catalogue, or ConfigError; `name` is how the message calls it."""
    try:
        return Catalogue.model_validate(data)
    except ValidationError as error:
        raise ConfigError(
            f"{name} is no valid price file: {_first(error, data)}",
            why="a bill computed from a wrong price looks like one computed from a right price",
            do="correct the field named above; offers.schema.json beside the file describes every field",
        ) from None


def read_yaml(path: Path) -> Any:
    """Plain data of a YAML file; raises ConfigError when it cannot be read or is no YAML."""
    import yaml

    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path} cannot be read as YAML", why=" ".join(str(error).split()), do="name a readable YAML file"
        ) from None


def _first(error: ValidationError, data: Any) -> str:
    """The first complaint with the offer's id, the field and what was given, and how many follow."""
    first = error.errors(include_url=False, include_context=False)[0]
    field, given = list(first["loc"]), first["input"]
    offer = ""
    if len(field) > 1 and field[0] == "offers" and isinstance(data["offers"][field[1]], dict):
        offer = f"offer {data['offers'][field[1]].get('id', f'number {field[1]}')}, "
        field = field[2:]
    name = f"{offer}{'.'.join(map(str, field))}: " if field else offer
    shown = f" (it is {given!r})" if isinstance(given, str | int | float | None) else ""
    more = f"; {error.error_count() - 1} more after this one" if error.error_count() > 1 else ""
    return f"{name}{first['msg'].removeprefix('Value error, ')}{shown}{more}"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the price file, as kept in offers.schema.json."""
    return Catalogue.model_json_schema()

"""A workload whose numbers are arrays: which inputs may vary, within which range, and the floats they meet."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel

from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing.workload import Project, Workload, bounds, limits

# What may have a value for each workload; needs and sizes are the same for all.
VARIED = frozenset(
    {"db_gb", "ram_gb", "vcpu", "changed_gb_per_day", "egress_gb", "cached_egress_gb", "mau", "file_gb"}
    | {"file_egress_gb", "file_writes", "file_reads", "realtime_connections", "realtime_messages", "function_calls"}
    | {"active_hours", "cpu_load", "engineer_hours", "engineer_rate_usd"}
)


class Columns(SimpleNamespace):
    """A workload, or a project of it, whose numbers are floats and some of them arrays."""

    def __init__(self, model: Workload | Project, varied: Mapping[str, Any]) -> None:
        given = {name: as_float(getattr(model, name)) for name in type(model).model_fields}
        super().__init__(**given | {name: values for name, values in varied.items() if name in given})

    def model_copy(self, *, update: Mapping[str, Any]) -> Columns:
        copied = Columns.__new__(Columns)
        vars(copied).update(vars(self), **as_float(update))
        if update.get("storage"):  # a model's services follow its fields, these do not
            copied.services = self.services | {"storage"}
        return copied


def checked(name: str, values: Any) -> Any:
    """The values of one input as an array of floats; ConfigError for an input that cannot vary and for wild values."""
    import numpy as np

    if name not in VARIED:
        raise ConfigError(
            f"{name} cannot have a value for each workload",
            why="it decides which offers fit and how they are billed",
            do=f"vary one of: {', '.join(sorted(VARIED))}",
        )
    found = np.asarray(values, dtype=float)
    low, high = limits(name)
    if found.ndim != 1 or not np.all(np.isfinite(found) & (found >= low) & (found <= high)):
        raise ConfigError(
            f"{name} has values that are not allowed", why="no real workload has them", do=f"give {name} {bounds(name)}"
        )
    return found


@functools.lru_cache(maxsize=8)
def floats(model: Any) -> Any:
    """The same catalogue with floats for decimals, unchecked; kept for a while."""
    return as_float(model)


def as_float(value: Any) -> Any:
    """The value with floats for its decimals, however deep; models are copied unchecked."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, BaseModel):
        return value.model_copy(update={name: as_float(getattr(value, name)) for name in type(value).model_fields})
    if isinstance(value, tuple):
        return tuple(map(as_float, value))
    if isinstance(value, Mapping):
        return {name: as_float(each) for name, each in value.items()}
    return value

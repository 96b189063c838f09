"""What an application uses in a month, and what it cannot do without.

Whatever is not stated is not used: `workload()` is one idle project. `workload(projects=3, disk_gb=[8, 8, 50])` gives
each project its own value; a single value holds for every project.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)

from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing.offers import Region, number
from afdb_helpers.report import Report

_ZERO = Decimal(0)
_Plain = BeforeValidator(number)
Gigabytes = Annotated[Decimal, _Plain, Field(ge=0, le=1_000_000)]
Count = Annotated[Decimal, _Plain, Field(ge=0, le=10**13)]
Users = Annotated[Decimal, _Plain, Field(ge=0, le=10_000_000_000)]
Ram = Annotated[Decimal, _Plain, Field(ge=0, le=24_576)]
Cores = Annotated[Decimal, _Plain, Field(ge=0, le=2_000)]
Days = Annotated[Decimal, _Plain, Field(ge=0, le=3_650)]
Hours = Annotated[Decimal, _Plain, Field(ge=0, le=744)]
Units = Annotated[Decimal, _Plain, Field(ge=0, le=1_000_000)]
Share = Annotated[Decimal, _Plain, Field(ge=0, le=1)]
Money = Annotated[Decimal, _Plain, Field(ge=0, le=10_000_000)]


def _pairs(value: object) -> object:
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


class _Inputs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Project(_Inputs):
    """One database. `None` is worked out from the rest: disk from the data, hours and size from RAM.

    `metered` states what a meter of an offer counts for this project, in place of what would be worked out.
    """

    db_gb: Gigabytes = _ZERO
    child_gb: Gigabytes = _ZERO
    ram_gb: Ram = _ZERO
    vcpu: Cores = _ZERO
    compute: str | None = None
    hours: Annotated[tuple[tuple[str, Hours], ...], BeforeValidator(_pairs)] = ()
    capacity_hours: Count | None = None
    disk_gb: Gigabytes | None = None
    disk_type: Literal["gp3", "io2"] = "gp3"
    iops: Units = _ZERO
    mbps: Units = _ZERO
    pitr_days: Days = _ZERO
    history_gb: Gigabytes | None = None
    ipv4: StrictBool = False
    read_replicas: Annotated[StrictInt, Field(ge=0, le=100)] = 0
    metered: Annotated[tuple[tuple[str, Count], ...], BeforeValidator(_pairs)] = ()


class Workload(_Inputs):
    """The needs of all projects together. A need for a service left at None follows from its usage."""

    projects: Annotated[tuple[Project, ...], Field(min_length=1, max_length=1_000)] = (Project(),)
    growth_gb: Gigabytes = _ZERO
    changed_gb_per_day: Gigabytes = _ZERO
    egress_gb: Gigabytes = _ZERO
    cached_egress_gb: Gigabytes = _ZERO
    mau: Users = _ZERO
    file_gb: Gigabytes = _ZERO
    file_egress_gb: Gigabytes = _ZERO
    file_writes: Count = _ZERO
    file_reads: Count = _ZERO
    realtime_connections: Count = _ZERO
    realtime_messages: Count = _ZERO
    function_calls: Count = _ZERO
    function_ms_each: Units = _ZERO
    active_hours: Hours = Decimal(730)
    cpu_load: Share = Decimal("0.1")
    high_availability: StrictBool = False
    backup_days: Days = _ZERO
    auth: StrictBool | None = None
    storage: StrictBool | None = None
    realtime: StrictBool | None = None
    functions: StrictBool | None = None
    production: StrictBool = False
    region: Literal["any"] | Region = "any"
    engineer_hours_low: Hours = _ZERO
    engineer_hours: Hours = _ZERO
    engineer_hours_high: Hours = _ZERO
    engineer_rate_usd: Money = _ZERO
    usage: Annotated[tuple[tuple[str, Count], ...], BeforeValidator(_pairs)] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.engineer_hours_low <= self.engineer_hours <= self.engineer_hours_high:
            raise ValueError("engineer_hours must lie between engineer_hours_low and engineer_hours_high")
        return self

    @property
    def services(self) -> frozenset[str]:
        """The services that must be there: stated, or used."""
        used = {
            "auth": (self.auth, self.mau),
            "storage": (self.storage, self.file_gb + self.file_writes + self.file_reads),
            "realtime": (self.realtime, self.realtime_connections + self.realtime_messages),
            "edge_functions": (self.functions, self.function_calls),
        }
        return frozenset(name for name, (need, use) in used.items() if (use > 0 if need is None else need))

    def but(self, **changes: Any) -> Workload:
        """The same workload with some inputs changed; a project's input changes in every project."""
        own = {name: value for name, value in changes.items() if name in Workload.model_fields}
        each = {name: value for name, value in changes.items() if name not in own}
        projects = [{**project.model_dump(exclude_unset=True), **each} for project in self.projects]
        return workload(**{**self.model_dump(exclude_unset=True), "projects": projects, **own})

    def __repr__(self) -> str:
        return repr(self.report())

    def _repr_html_(self) -> str:
        return self.report()._repr_html_()

    def report(self) -> Report:
        """Every need that differs from nothing, with its range."""
        rows = [*_stated(self), *(row for project in self.projects[:1] for row in _stated(project))]
        count = len(self.projects)
        return Report(headline=f"The workload: {count} project{'s' * (count > 1)}", rows=tuple(rows))


INPUTS = frozenset({*Workload.model_fields, *Project.model_fields})


def workload(**inputs: Any) -> Workload:
    """A checked Workload; raises ConfigError naming the field, what was given and the allowed range.

    Inputs are the fields of Workload and, for every project or as a list with one value a project, those of Project.
    `projects` is a count, or a list of mappings that add to the shared inputs.
    """
    shared = {name: inputs.pop(name) for name in list(inputs) if name in Project.model_fields}
    try:
        return Workload(**inputs | {"projects": spread(inputs.get("projects"), shared)})
    except ValidationError as error:
        raise _refusal(error) from None


def spread(projects: Any, shared: Mapping[str, Any]) -> list[Any]:
    """One mapping a project: its own keys over the shared ones, lists dealt out. `projects`: a count, a list, None."""
    lists = {name: len(value) for name, value in shared.items() if isinstance(value, list)}
    own: Sequence[Any] = projects if isinstance(projects, list | tuple) else []
    count = len(own) or (projects if isinstance(projects, int) else max(lists.values(), default=1))
    if isinstance(projects, bool) or not isinstance(projects, int | list | tuple | None) or not 1 <= count <= 1_000:
        raise ConfigError(
            f"projects = {projects!r} is no count of projects",
            why="each project is billed for its own compute and disk",
            do="give a whole number from 1 to 1,000, or a list with a mapping for each project",
        )
    for name, length in lists.items():
        if length != count:
            raise ConfigError(
                f"{name} has {length} values for {count} projects",
                why="a list holds one value for each project, in order",
                do=f"give {name} one value, or {count} values",
            )
    dealt = [{k: v[i] if isinstance(v, list) else v for k, v in shared.items()} for i in range(count)]
    return [
        {**one, **mine} if isinstance(mine, Mapping) else mine for one, mine in zip(dealt, own or dealt, strict=True)
    ]


def limits(name: str) -> tuple[float, float]:
    """The least and the largest value of a numeric input."""
    form = _schemas()[name]
    low, high = (
        form[ours] if ours in form else form[theirs] for ours, theirs in (("ge", "minimum"), ("le", "maximum"))
    )
    return float(low), float(high)


def bounds(name: str) -> str:
    """What an input may be, in words: `a number from 0 to 1,000,000`."""
    forms = [_schemas()[name]]
    for form in forms:
        forms += form.get("anyOf", ())
    limits = next((form for form in forms if {"le", "maximum"} & set(form)), None)
    if limits:
        return f"a number from 0 to {limits.get('le', limits.get('maximum')):,}"
    if any(form.get("type") == "boolean" for form in forms):
        return "true or false"
    words = [word for form in forms for word in (*form.get("enum", ()), *([form["const"]] if "const" in form else ()))]
    if words:
        return f"one of {', '.join(words)}"
    if forms[0].get("type") == "array":
        number = forms[0]["items"]["prefixItems"][1]
        return f"a mapping from name to a number from {number['ge']} to {number['le']:,}"
    return "a name"


@functools.cache
def _schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every input."""
    return {**Workload.model_json_schema()["properties"], **Project.model_json_schema()["properties"]}


def _refusal(error: ValidationError) -> ConfigError:
    """The first complaint of pydantic in our words."""
    first = error.errors(include_url=False)[0]
    named = [part for part in first["loc"] if isinstance(part, str)]
    known = sorted(INPUTS)
    name = next((part for part in reversed(named) if part in known), "")
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(named[-1], known, n=3)
        return ConfigError(
            f"the workload has no input called {named[-1]!r}",
            why="an input that nobody reads would be left out of the bill in silence",
            do=f"use one of: {', '.join(near or known)}",
        )
    if not name or name == "projects":
        return ConfigError(
            "the workload contradicts itself",
            why=first["msg"].removeprefix("Value error, "),
            do="correct the inputs named above",
        )
    given, allowed = first["input"], bounds(name)
    shown = f"{given:f}" if isinstance(given, Decimal) else given
    why = first["msg"].removeprefix("Value error, ")
    return ConfigError(
        f"{name} = {shown} is not allowed",
        why=f"{why}; no real workload has it" if "number" in allowed else "a bill cannot be computed for it",
        do=f"give {name} {allowed}",
    )


def _stated(model: Workload | Project) -> list[dict[str, Any]]:
    """A row for each input that was given, other than the projects themselves."""
    names = [name for name in type(model).model_fields if name in model.model_fields_set and name != "projects"]
    return [{"input": name, "value": _text(getattr(model, name)), "allowed": bounds(name)} for name in names]


def _text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:,f}"
    return ", ".join(f"{k} {v}" for k, v in value) if isinstance(value, tuple) else value

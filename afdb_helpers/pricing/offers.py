"""What providers sell: offers made of meters, as typed data that is checked before anything is computed from it.

The file is the only place where a provider is known. An offer is a list of meters (what is counted, the price, what is
included, how it is rounded) and a few rules (sizes, high availability, point-in-time recovery). A price or allowance of
null was not confirmed: it is never read as zero.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator

from afdb_helpers.errors import ConfigError

LARGEST = 10**15


def number(value: object) -> Decimal:
    """A Decimal of a number as it was written: 0.1 is one tenth, 2.0 is 2. Text and booleans are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"must be a number, not {type(value).__name__}")
    return Decimal(str(value)).normalize()


Number = Annotated[
    Decimal,
    BeforeValidator(number),
    Field(ge=0, le=LARGEST),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": LARGEST}),
]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="a code of ISO 4217, such as EUR")]
Region = Literal["us", "eu", "asia"]


class Strict(BaseModel):
    """Frozen; a key that is not declared is an error, so that a misspelt rule cannot be skipped in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rate(Strict):
    """What one unit of a currency is in USD, and when."""

    currency: Currency
    usd: Number = Field(gt=0)
    as_of: dt.date
    source: str


class Earlier(Strict):
    """A figure of an earlier comparison, and what it is held against today: a plan, or the cheapest of a kind."""

    what: str
    as_of: dt.date
    low: Number
    high: Number
    offer: Name | None = None
    kind: Literal["managed", "self-hosted"] | None = None
    source: str


class Tier(Strict):
    """The price of what lies below `up_to` and above the tier before; null is without end."""

    up_to: Number | None
    price: Number


class Meter(Strict):
    """One thing that is counted and paid for.

    Billed is the usage (raised to `minimum`, or to the next doubling of it) above `included`, in whole `step`s, and
    costs `price` per `each`. `replica` is the part of a primary's usage that each read replica bills again.
    """

    of: Name
    price: Number | None = Field(description="per `each`, in `currency`; null: not confirmed")
    currency: Currency = "USD"
    each: Number = Field(default=Decimal(1), gt=0)
    included: Number | None = Field(default=Decimal(0), description="null: not confirmed, so none is assumed")
    included_times: Mapping[Name, Number] = Field(default={}, description="included as a multiple of another quantity")
    minimum: Number = Decimal(0)
    doubles: bool = False
    step: Number | None = Field(default=None, gt=0)
    tiers: tuple[Tier, ...] = ()
    per: Literal["organisation", "project"] = "organisation"
    replica: Number | None = None
    replica_included: bool = False
    disk_type: str | None = None
    percent_of: Name | None = None
    must_be_stated: bool = Field(default=False, description="a bill is not settled before the workload states it")
    limit: Number | None = None
    beyond: str = "the provider sells no more on this plan"
    label: str = ""
    as_of: dt.date | None = None
    source: str = ""
    note: str = ""


class Size(Strict):
    """One compute size. Part of a month costs the hours at `hourly`, at most `price`."""

    name: Name
    price: Number
    hourly: Number | None = None
    ram_gb: Number
    vcpu: Number
    cpu: Literal["shared", "dedicated"] = "shared"
    max_db_gb: Number | None = None


class Capacity(Strict):
    """Compute that scales: one unit has `ram_gb`; sold from `least` to `most` in `step`s, billed by the hour awake."""

    unit: str
    ram_gb: Number
    least: Number
    most: Number | None = None
    step: Number = Field(gt=0)


class HighAvailability(Strict):
    """A standby: `included`; a multiple of some meters; a plan price of its own; or sold at a price not confirmed."""

    kind: Literal["included", "multiplied", "plan", "unpriced"]
    times: Number = Decimal(1)
    of: tuple[Name, ...] = ()
    price: Number | None = None
    note: str = ""


class Recovery(Strict):
    """Point-in-time recovery: up to `days` back (null: not confirmed). Meters bill it, unless it is unpriced."""

    days: Number | None
    least_size: Name | None = None
    unpriced: bool = False
    unpriced_above: Number | None = None
    own: bool = Field(default=False, description="you archive WAL yourself, to an object storage")


class Offer(Strict):
    """A plan one can order, with its source and the date on which its prices were read."""

    id: Name
    provider: str
    plan: str
    kind: Literal["platform", "managed", "self-hosted", "embedded", "addon"]
    source: str
    as_of: dt.date | None
    confidence: Literal["high", "medium", "low"]
    evidence: str
    provides: tuple[Name, ...]
    meters: tuple[Meter, ...]
    sizes: tuple[Size, ...] = ()
    credit: Number = Field(default=Decimal(0), description="against compute of primaries, once per organisation")
    commitment: Number = Field(default=Decimal(0), description="least bill: max(commitment, usage)")
    capacity: Capacity | None = None
    elastic: bool = Field(default=False, description="RAM and CPU are metered, so any amount fits")
    ram_gb: Number | None = None
    vcpu: Number | None = None
    high_availability: HighAvailability | None = None
    recovery: Recovery | None = None
    backup_days: Number | None = None
    own_backups: bool = False
    labour: Number = Field(default=Decimal(0), le=1, description="share of the engineer hours it leaves with you")
    not_for_production: str = ""
    regions: tuple[Region, ...] = ()
    requires: tuple[Name, ...] = ()
    only_with: str = ""
    unconfirmed: tuple[str, ...] = ()
    notes: str = ""

    @model_validator(mode="after")
    def _refers_to_itself(self) -> Self:
        meters = {meter.of for meter in self.meters}
        named = {m.percent_of for m in self.meters if m.percent_of}
        named |= set(self.high_availability.of) if self.high_availability else set()
        if unknown := sorted(named - meters):
            raise ValueError(f"names a meter that the offer does not have: {', '.join(unknown)}")
        if "compute" in meters and not self.sizes:
            raise ValueError("meters compute but lists no sizes")
        return self

    def size(self, name: str) -> Size:
        """The size called `name`; raises ConfigError with the sizes there are."""
        found = next((size for size in self.sizes if size.name == name), None)
        if found is None:
            known = ", ".join(size.name for size in self.sizes)
            raise ConfigError(
                f"compute = {name!r} is no size of {self.id}",
                why="a bill is computed from the sizes in the price file only",
                do=f"choose one of: {known}" if known else "leave compute out: this offer has no sizes",
            )
        return found


class Catalogue(Strict):
    """Every offer, and the rates that turn other currencies into USD."""

    researched: dt.date
    currency: Literal["USD"]
    hours_per_month: Number
    rates: tuple[Rate, ...]
    offers: tuple[Offer, ...]
    earlier: tuple[Earlier, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [offer.id for offer in self.offers]
        if twice := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"duplicate id: {', '.join(twice)}")
        used = {meter.currency for offer in self.offers for meter in offer.meters}
        if missing := sorted(used - {"USD"} - {rate.currency for rate in self.rates}):
            raise ValueError(f"no rate to USD for {', '.join(missing)}")
        return self

    def __hash__(self) -> int:
        return id(self)

    def offer(self, name: str) -> Offer:
        """The offer with that id; raises ConfigError naming the nearest ones."""
        found = next((offer for offer in self.offers if offer.id == name), None)
        if found is None:
            import difflib

            near = difflib.get_close_matches(name, [offer.id for offer in self.offers], n=3, cutoff=0.3)
            raise ConfigError(
                f"no offer is called {name!r}",
                why=f"the price file holds {len(self.offers)} offers, each with an id",
                do=f"choose one of them, for example: {', '.join(near) or self.offers[0].id}",
            )
        return found

    def with_rate(self, currency: str, usd: object, as_of: object, source: str = "as stated") -> Catalogue:
        """The same offers with another rate for a currency; raises ConfigError unless rate and date are ones."""
        stated = {"currency": currency, "usd": Decimal(str(usd)) if _numeric(usd) else usd, "as_of": as_of}
        try:
            rate = Rate.model_validate(stated | {"source": source})
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            raise ConfigError(
                f"{first['loc'][0]} = {first['input']!r} is not allowed in a rate",
                why=first["msg"].removeprefix("Value error, "),
                do=f"give a code such as EUR, what one of it is in USD (above 0, at most {LARGEST:,}), and the date",
            ) from None
        others = tuple(each for each in self.rates if each.currency != currency)
        return self.model_copy(update={"rates": (*others, rate)})

    def rate(self, currency: str) -> Rate | None:
        """The rate to USD, or None for USD itself."""
        return next((rate for rate in self.rates if rate.currency == currency), None)

    def providing(self, service: str, kind: str = "addon") -> Iterable[Offer]:
        return (offer for offer in self.offers if offer.kind == kind and service in offer.provides)


def _numeric(text: object) -> bool:
    try:
        return Decimal(str(text)).is_finite()
    except ArithmeticError:
        return False

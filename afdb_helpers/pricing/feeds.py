"""Prices out of a provider's machine-readable price file, from a file or an address that the operator names.

feeds.yaml says for each such file where our figures stand in it. A file in the form of our own price file is read too.
"""

from __future__ import annotations

import datetime as dt
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import Field

from afdb_helpers.errors import ConfigError, Unavailable
from afdb_helpers.pricing.offers import LARGEST, Catalogue, Currency, Name, Number, Strict
from afdb_helpers.pricing.pricefile import checked, read_yaml

FEEDS = Path(__file__).with_name("feeds.yaml")
_LARGEST_FILE = 512 * 1024 * 1024
_TIMEOUT = 60.0


class Wanted(Strict):
    """One of our figures, and which row of the file it is."""

    offer: Name
    meter: Name
    where: Mapping[str, str]


class Join(Strict):
    """Rows elsewhere in the file that belong to the same key."""

    rows: str
    key: str


class Feed(Strict):
    """A provider's file, as feeds.yaml describes it."""

    id: Name
    about: str
    rows: str
    price: str
    currency: Currency
    prices: tuple[Wanted, ...] = Field(min_length=1)
    join: Join | None = None
    as_of: str = ""
    times: Number = Decimal(1)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a file says of one meter. `price` None: the row is not in it."""

    offer: str
    meter: str
    disk_type: str | None
    price: Decimal | None
    currency: str
    as_of: dt.date | None


def fetch(source: str) -> Any:
    """The data of a JSON or YAML file, or of an http(s) address; raises Unavailable where it cannot be got."""
    if "://" in source and not source.startswith(("http://", "https://")):
        raise ConfigError(f"{source} cannot be read", why="it is no http or https address", do="name a file or a URL")
    if not source.startswith(("http://", "https://")):
        return read_yaml(Path(source)) if not source.endswith(".json") else _json(_bytes_of(Path(source)), source)
    shown = urllib.parse.urlsplit(source)._replace(query="", fragment="").geturl().rpartition("@")[2]
    try:
        with urllib.request.urlopen(source, timeout=_TIMEOUT) as answer:  # noqa: S310 (http and https alone)
            content = answer.read(_LARGEST_FILE + 1)
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise Unavailable(
            f"{shown} cannot be fetched", why=str(error), do="check the address, or save it as a file"
        ) from None
    if len(content) > _LARGEST_FILE:
        raise Unavailable(
            f"{shown} is too large", why=f"it has more than {_LARGEST_FILE:,} bytes", do="save a part of it"
        )
    return _json(content, shown)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read", why=str(error), do="name a readable file") from None


def _json(content: bytes, source: str) -> Any:
    try:
        return json.loads(content, parse_float=Decimal)
    except ValueError as json_error:
        import yaml

        try:
            data = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        except yaml.YAMLError:
            data = None
        if not isinstance(data, dict | list):
            raise ConfigError(
                f"{source} is neither JSON nor YAML", why=str(json_error), do="name a provider's price file"
            ) from None
        return data


def feeds() -> tuple[Feed, ...]:
    """Every file that is known how to read."""
    return tuple(Feed.model_validate(entry) for entry in read_yaml(FEEDS))


def read(data: Any, catalogue: Catalogue) -> tuple[str, tuple[Found, ...]]:
    """Which file it is, and what it says of our meters. Raises ConfigError where it is none that is known."""
    if isinstance(data, Mapping) and "offers" in data:
        return "a price file of our own form", tuple(_ours(checked(data, "that file"), catalogue))
    known = feeds()
    for feed in known:
        if isinstance(data, Mapping) and feed.rows.partition(".")[0] in data and _joined(feed, data):
            return feed.about, tuple(_found(feed, data, catalogue))
    raise ConfigError(
        "it is no price file that is known",
        why=f"it has {', '.join(map(str, list(data)[:5])) if isinstance(data, Mapping) else 'no names'} at the top",
        do="name one of: " + "; ".join(feed.about for feed in known) + "; or a file of our own form",
    )


def _joined(feed: Feed, data: Mapping[str, Any]) -> bool:
    return feed.join is None or feed.join.rows.partition(".")[0] in data


def _ours(other: Catalogue, catalogue: Catalogue) -> Iterator[Found]:
    """Every priced meter of the other file that our file has too."""
    ids = {offer.id for offer in catalogue.offers}
    for offer in other.offers:
        if offer.id in ids:
            for meter in offer.meters:
                there = any(
                    m.of == meter.of and m.disk_type == meter.disk_type for m in catalogue.offer(offer.id).meters
                )
                if there and meter.price is not None and not meter.tiers:
                    yield Found(
                        offer=offer.id, meter=meter.of, disk_type=meter.disk_type, price=meter.price,
                        currency=meter.currency, as_of=meter.as_of or offer.as_of,
                    )  # fmt: skip


def _found(feed: Feed, data: Mapping[str, Any], catalogue: Catalogue) -> Iterator[Found]:
    rows = list(_rows(data, feed.rows.split("."), {}))
    if feed.join:
        key = feed.join.key
        extra = {row[key]: row for row in _rows(data, feed.join.rows.split("."), {}) if key in row}
        rows = [{**extra.get(row.get(key), {}), **row} for row in rows]
    ids = {offer.id for offer in catalogue.offers}
    for wanted in feed.prices:
        if wanted.offer not in ids:
            continue
        of = [row for row in rows if all(str(row.get(name)) == value for name, value in wanted.where.items())]
        prices = {_price(feed, wanted, row) for row in of}
        if len(prices) > 1:
            raise ConfigError(
                f"the file has {len(prices)} prices for {wanted.offer}",
                why=f"rows with {_named(wanted.where)} say {', '.join(map(str, sorted(prices)))}",
                do="have feeds.yaml name one of them more closely",
            )
        date = _date(of[0].get(feed.as_of)) if of and feed.as_of else None
        price = next(iter(prices), None)
        yield Found(
            offer=wanted.offer, meter=wanted.meter, disk_type=None, price=price, currency=feed.currency, as_of=date
        )


def _rows(data: Any, path: list[str], above: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The mappings at the end of a path, each with the plain values of those it stands in."""
    here = (
        {**above, **{k: v for k, v in data.items() if not isinstance(v, dict | list)}}
        if isinstance(data, dict)
        else above
    )
    if not path:
        if isinstance(data, dict):
            yield {**here, **data}
        return
    first, rest = path[0], path[1:]
    if first == "*":
        for each in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
            yield from _rows(each, rest, above)
    elif isinstance(data, dict) and first in data:
        yield from _rows(data[first], rest, here)


def _price(feed: Feed, wanted: Wanted, row: Mapping[str, Any]) -> Decimal:
    value: Any = row
    for part in feed.price.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    try:
        price = Decimal(str(value)) * feed.times
    except InvalidOperation:
        price = Decimal("NaN")
    if isinstance(value, bool) or not price.is_finite() or not 0 <= price <= LARGEST:
        raise ConfigError(
            f"{feed.price} of {wanted.offer} is {value!r}",
            why=f"in {feed.about}, in the row with {_named(wanted.where)}",
            do=f"a price is a number from 0 to {LARGEST:,}: check the file",
        )
    return price.normalize()


def _named(where: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in where.items())


def _date(value: Any) -> dt.date | None:
    try:
        return dt.date.fromisoformat(str(value)[:10])
    except ValueError:
        return None

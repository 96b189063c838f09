"""A price file brought up to date from a provider's own: the difference is shown, and written only when asked.

Only a meter's price, its date and its source change; comments, order and every other line stay as they are.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.pricing import feeds
from afdb_helpers.pricing.feeds import Found
from afdb_helpers.pricing.offers import Meter, Offer
from afdb_helpers.pricing.pricefile import DATA, checked, load
from afdb_helpers.report import Report, Row, count

_PLAUSIBLE = 5  # a price that changes by more than this factor is more likely another unit


_UNCHANGED = ("same", "not in the file", "older than ours")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One meter's new price, read on a day from a source."""

    offer: str
    meter: str
    disk_type: str | None
    price: Decimal
    as_of: dt.date
    source: str


def refresh(source: str, *, prices: Path = DATA, write: bool = False, today: dt.date | None = None) -> Report:
    """What the file or address says of our prices, against ours; with `write` the price file is changed.

    Raises ConfigError for a file that is not known or holds no usable price, Unavailable where it cannot be fetched,
    and Refused when a price to be written changed so much that its unit may be another one.
    """
    catalogue = load(prices)
    about, found = feeds.read(feeds.fetch(source), catalogue)
    shown = source.partition("?")[0].rpartition("@")[2] if "://" in source else source
    rows: list[Row] = []
    edits: list[Edit] = []
    for each in found:
        meter = _meter(catalogue.offer(each.offer), each)
        row = _row(each, meter)
        if each.price is not None and meter is not None and meter.currency == each.currency:
            date = each.as_of or today or dt.date.today()
            if (meter.as_of or catalogue.offer(each.offer).as_of or dt.date.min) > date:
                row |= {"change": "older than ours"}
            else:
                edits.append(Edit(**_key(each), price=each.price, as_of=date, source=shown))
        rows.append(row)
    changed = [row for row in rows if row["change"] not in _UNCHANGED]
    if write:
        _plausible(rows)
        _write(prices, edits)
    done = f"written to {prices}" if write else "nothing is written"
    return Report(
        headline=f"{about}: {count(len(changed), 'price')} of {len(rows)} changed; {done}",
        rows=tuple(rows),
        remedy="" if write or not edits else f"afdb costs refresh {source} --write",
    )


def edited(text: str, edits: Sequence[Edit]) -> str:
    """The price file's text with other prices; every character outside of them stays."""
    import yaml

    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    cuts: list[tuple[int, int, str]] = []
    nodes = {_value(offer, "id").value: offer for offer in _value(root, "offers").value}
    for edit in edits:
        for meter in _value(nodes[edit.offer], "meters").value:
            kind = _value(meter, "disk_type")
            if _value(meter, "of").value == edit.meter and (kind.value if kind else None) == edit.disk_type:
                cuts += _cuts(meter, edit)
    for start, end, new in sorted(cuts, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _cuts(meter: Any, edit: Edit) -> Iterator[tuple[int, int, str]]:
    """What to put where: values in place of old ones, or as further keys behind the price."""
    behind = ""
    gap = ", " if meter.flow_style else "\n" + " " * meter.start_mark.column
    for name, new in (("price", f"{edit.price:f}"), ("as_of", str(edit.as_of)), ("source", json.dumps(edit.source))):
        node = _value(meter, name)
        if node is None:
            behind += f"{gap}{name}: {new}"
        elif name != "price":
            yield node.start_mark.index, node.end_mark.index, new
    price = _value(meter, "price")
    yield price.start_mark.index, price.end_mark.index, f"{edit.price:f}{behind}"


def _value(mapping: Any, name: str) -> Any:
    return next((value for key, value in mapping.value if key.value == name), None)


def _key(each: Found) -> dict[str, Any]:
    return {"offer": each.offer, "meter": each.meter, "disk_type": each.disk_type}


def _meter(offer: Offer, each: Found) -> Meter | None:
    return next((m for m in offer.meters if m.of == each.meter and m.disk_type == each.disk_type), None)


def _row(each: Found, meter: Meter | None) -> dict[str, Any]:
    was = meter.price if meter else None
    change = "not in the file"
    if meter and each.price is not None and meter.currency != each.currency:
        change = f"in {each.currency}, ours is in {meter.currency}"
    elif each.price is not None and was == each.price:
        change = "same"
    elif each.price is not None:
        change = f"{(each.price / was - 1) * 100:+.1f} %" if was else "now known" if was is None else "no longer free"
    return {
        "offer": each.offer,
        "meter": each.meter,
        "was": None if was is None else f"{was:f}",
        "is": None if each.price is None else f"{each.price:f}",
        "change": change,
        "currency": each.currency,
        "as of": each.as_of,
    }


def _plausible(rows: Sequence[Row]) -> None:
    for row in rows:
        if row["was"] and row["is"] and Decimal(row["was"]) and row["change"].endswith("%"):
            ratio = Decimal(row["is"]) / Decimal(row["was"])
            if not Decimal(1) / _PLAUSIBLE <= ratio <= _PLAUSIBLE:
                raise Refused(
                    f"{row['meter']} of {row['offer']} would go from {row['was']} to {row['is']}",
                    why=f"more than {_PLAUSIBLE} times as much, or as little, is rather another unit than a new price",
                    do="look at the provider's page; if it is so, change the price file by hand",
                )


def _write(path: Path, edits: Sequence[Edit]) -> None:
    """The file whole or not at all, and only when what comes out is a valid price file."""
    import yaml

    text = edited(path.read_text(encoding="utf-8"), edits)
    checked(yaml.safe_load(text), path.name)
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(file.name, path.stat().st_mode & 0o777)
        os.replace(file.name, path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written", why=str(error), do="copy it, and name the copy with --prices"
        ) from None
    load.cache_clear()

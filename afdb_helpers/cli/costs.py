"""`afdb costs`: bills for a workload, worked bills checked, prices refreshed from a provider's own file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from afdb_helpers.cli.show import say
from afdb_helpers.errors import ConfigError
from afdb_helpers.report import Report, columns

if TYPE_CHECKING:
    from afdb_helpers.pricing import Catalogue, Workload

_FORMAT = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True,
    help="How to print it; CSV is the rows alone.",
)  # fmt: skip
_PRICES = click.option("--prices", metavar="FILE", help="Another price file than the package's.")


@click.group(invoke_without_command=True)
@click.pass_context
@click.option(
    "-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="An input of the workload; may be repeated."
)
@click.option(
    "--from-record", default="none", metavar="ID", help="A discovery whose measured size, growth and users are taken."
)
@click.option("--offer", "offers", multiple=True, metavar="ID", help="That offer's bill line by line; may be repeated.")
@click.option("--advice", is_flag=True, help="Which offer to take, and what would change that.")
@click.option(
    "--rate", "rates", nargs=3, multiple=True, metavar="CODE USD DATE", help="What one unit of a currency is in USD."
)
@click.option("--currency", default="USD", metavar="CODE", help="Totals in that currency too, at its rate.")
@_PRICES
@_FORMAT
def costs(
    ctx: click.Context, pairs: Any, from_record: str, offers: Any, advice: bool, rates: Any, currency: str,
    prices: str | None, form: str,
) -> None:  # fmt: skip
    """What a month on each host would cost, cheapest first; exits with 3 when no offer meets every need.

    Inputs are the parameters of `afdb run cost_comparison` with its defaults, and every other input of a workload.
    """
    if ctx.invoked_subcommand:
        return
    from afdb_helpers import pricing

    catalogue = _catalogue(prices, rates)
    used = _workload(pairs, from_record)
    if advice:
        found = pricing.recommend(used, catalogue=catalogue)
    elif offers:
        found = pricing.itemised(used, offers, catalogue=catalogue)
    else:
        found = pricing.compare(used, catalogue=catalogue, currency=currency)
    _print(found, form)
    found.raise_unless_ok()


@costs.command()
@click.argument("file", metavar="FILE")
@_PRICES
@_FORMAT
def check(file: str, prices: str | None, form: str) -> None:
    """Compute worked bills anew: expected and computed. Exits with 3 when one is missed by more than its tolerance."""
    from afdb_helpers import pricing

    found = pricing.check_bills(file, catalogue=_catalogue(prices, ()))
    _print(found, form)
    found.raise_unless_ok()


@costs.command()
@click.argument("source", metavar="FILE_OR_URL")
@click.option("--write", is_flag=True, help="Change the price file; without it the difference is only shown.")
@_PRICES
@_FORMAT
def refresh(source: str, write: bool, prices: str | None, form: str) -> None:
    """Compare our prices with a provider's own file. It is a machine-readable one, or a newer one of our own form.

    Known are the answers of Hetzner's and DigitalOcean's APIs and the AWS price list of RDS; a further one is an
    entry in feeds.yaml. Only a meter's price, date and source change.
    """
    from afdb_helpers.pricing import pricefile, refreshing

    path = Path(prices).resolve() if prices else pricefile.DATA
    _print(refreshing.refresh(source, prices=path, write=write), form)


def _catalogue(path: str | None, rates: Any) -> Catalogue:
    from afdb_helpers import pricing

    catalogue = pricing.load(Path(path).resolve()) if path else pricing.load()
    for code, usd, date in rates:
        catalogue = catalogue.with_rate(code, usd, date)
    return catalogue


def _workload(pairs: Any, from_record: str) -> Workload:
    """The cost runbook's defaults, what a discovery measured over them, and what was given over both."""
    from afdb_helpers import pricing, targets
    from afdb_helpers.runbook import catalogue, record, records

    book = catalogue.read(catalogue.find("cost_comparison"))
    inputs: dict[str, Any] = {p.name: p.default for p in book.parameters if p.name in pricing.INPUTS}
    where = record.root(targets.environment())
    inputs |= pricing.measured(records.history(where, "discovery", from_record, "usage.json")).inputs
    if twice := sorted({name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1}):
        raise ConfigError(f"{twice[0]} is given twice", why="only one of them can be meant", do="give it once")
    return pricing.workload(**inputs | {name.replace("-", "_"): _plain(text) for name, text in pairs})


def _plain(text: str) -> Any:
    """Text as the number, the truth value or the name that it says."""
    from decimal import Decimal, InvalidOperation

    if text.lower() in ("true", "yes", "false", "no"):
        return text.lower() in ("true", "yes")
    try:
        return int(text) if text.lstrip("+-").isdecimal() else Decimal(text)
    except InvalidOperation:
        return text


def _print(found: Report, form: str) -> None:
    if form == "json":
        click.echo(json.dumps(_numbers(found), indent=2, ensure_ascii=False))
    elif form == "csv":
        _csv(found)
    else:
        say(found)


def _numbers(found: Report) -> dict[str, Any]:
    """The report as plain data in which amounts are numbers."""
    from decimal import Decimal

    rows = [
        {k: float(v) if isinstance(v, Decimal) else v if v is None or isinstance(v, bool | int | float) else str(v)
         for k, v in row.items()}
        for row in found.rows
    ]  # fmt: skip
    return found.as_dict() | {"rows": rows, "parts": [_numbers(part) for part in found.parts]}


def _csv(found: Report) -> None:
    """Every row of the report and of its parts, each with the columns of all."""
    import csv

    rows = [*found.rows, *(row for part in found.parts for row in part.rows)]
    writer = csv.DictWriter(sys.stdout, columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)

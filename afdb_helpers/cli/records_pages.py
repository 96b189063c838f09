"""`afdb records site`, `diff`, `export`: records for people to read."""

from __future__ import annotations

from pathlib import Path

import click

from afdb_helpers.cli.show import say


@click.command()
@click.option("--anew", is_flag=True, help="Make every page anew, also of records that have not changed.")
def site(anew: bool) -> None:
    """Bring the pages over all records up to date. They are index.html and one for each target; no record changes."""
    from afdb_helpers import targets
    from afdb_helpers.runbook import record
    from afdb_helpers.runbook import site as pages

    say(pages.update(record.root(targets.environment()), anew=anew))


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
def diff(first: str, second: str) -> None:
    """What differs between two records, in words. Parameters, plan, before and after, durations."""
    from afdb_helpers import targets
    from afdb_helpers.runbook import comparing, record, records

    where = record.root(targets.environment())
    say(comparing.compare(records.find(where, first), records.find(where, second)))


@click.command()
@click.argument("record_id", metavar="ID")
@click.option("--into", type=click.Path(file_okay=False), default=".", help="The folder to write to. [default: here]")
def export(record_id: str, into: str) -> None:
    """Write a record as one HTML page and one zip, for a ticket. Refuses one that is not as its run left it."""
    from afdb_helpers import targets
    from afdb_helpers.runbook import exporting, record, records

    say(exporting.export(records.find(record.root(targets.environment()), record_id), Path(into)))

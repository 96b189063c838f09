"""`afdb records`: what runs have left."""

from __future__ import annotations

import click

from afdb_helpers.cli.show import say


@click.group()
def records() -> None:
    """List and show what runs have left."""


@records.command("list")
def list_() -> None:
    """Every record, the newest first; one without an end is shown as interrupted."""
    from afdb_helpers import targets
    from afdb_helpers.runbook import record
    from afdb_helpers.runbook import records as kept

    say(kept.table(record.root(targets.environment())))


@records.command()
@click.argument("record_id", metavar="ID")
def show(record_id: str) -> None:
    """One record's facts, and whether its files are still what the run left. ID may be a unique part of it."""
    from afdb_helpers import targets
    from afdb_helpers.runbook import record
    from afdb_helpers.runbook import records as kept

    shown = kept.show(kept.find(record.root(targets.environment()), record_id))
    say(shown)
    shown.raise_unless_ok()

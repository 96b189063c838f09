"""How commands speak: reports through rich in a terminal, as plain text elsewhere; progress on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from afdb_helpers.report import Report

if TYPE_CHECKING:
    from afdb_helpers.targets import Target

QUIET = 2.0  # seconds after which something is said about what goes on


def say(report: Report) -> None:
    """Print a report."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(report)
    else:
        click.echo(str(report))


def new_records() -> None:
    """Say where records go when that folder is not there yet: the command may stand in the wrong one."""
    from afdb_helpers import targets
    from afdb_helpers.runbook import record

    if not (where := record.root(targets.environment())).exists():
        click.echo(f"records go to {where}, a new folder", err=True)


def naming(target: Target) -> dict[str, str]:
    """What a plan says of its target beside what is approved: name, address without secrets, and the time."""
    return {"name": target.name, "label": target.label, "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}


def journal() -> Callable[..., None]:
    """A journal for commands that leave no record: what is tried again, and of what takes its time the last statement
    before each commit: the result lists them all."""
    started = time.monotonic()

    def note(event: str, **facts: Any) -> None:
        if event == "retry":
            click.echo(f"  attempt {facts['attempt']}: {facts['why']}; again in a moment", err=True)
        if event == "statements" and time.monotonic() - started > QUIET:
            *_, last = [one for one in facts["events"] if one["event"] == "statement"] or [None]
            if last:
                from afdb_helpers import revisions

                click.echo(f"  {revisions.short(last['sql'])}", err=True)

    return note

"""How commands speak: reports through rich in a terminal, as plain text elsewhere; progress on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from afdb_helpers.report import Report

QUIET = 2.0  # seconds after which something is said about what goes on


def say(report: Report) -> None:
    """Print a report."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(report)
    else:
        click.echo(str(report))


def journal() -> Callable[..., None]:
    """A journal for commands that leave no record: what is tried again, and the statements of what takes its time."""
    started = time.monotonic()

    def note(event: str, **facts: Any) -> None:
        if event == "retry":
            click.echo(f"  attempt {facts['attempt']}: {facts['why']}; again in a moment", err=True)
        if event == "statements" and time.monotonic() - started > QUIET:
            for one in facts["events"]:
                if one["event"] == "statement":
                    click.echo(f"  {one['sql'].strip().splitlines()[0][:100]}", err=True)

    return note

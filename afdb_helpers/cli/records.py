"""`afdb records`: what runs have left."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from afdb_helpers.cli import records_pages
from afdb_helpers.cli.show import say
from afdb_helpers.errors import Refused, Unavailable


@click.group()
def records() -> None:
    """List, show and check what runs have left."""


@records.command("list")
def list_() -> None:
    """Every record, the newest first. One without an end is shown as interrupted."""
    from afdb_helpers.runbook import records as kept

    say(kept.table(_folder()))


@records.command()
@click.argument("record_id", metavar="ID")
def show(record_id: str) -> None:
    """One record's facts, and whether it was touched. ID may be a unique part of it."""
    from afdb_helpers.runbook import records as kept

    shown = kept.show(kept.find(_folder(), record_id))
    say(shown)
    shown.raise_unless_ok()


@records.command()
@click.argument("record_id", metavar="[ID]", required=False)
def close(record_id: str | None) -> None:
    """Complete the record of a run that was killed. Without ID, of every one; the next run does it too."""
    from afdb_helpers.report import Report, count
    from afdb_helpers.runbook import closing
    from afdb_helpers.runbook import records as kept

    where = _folder()
    closed = [closing.close(kept.find(where, record_id)).id] if record_id else closing.close_all(where)
    rows = tuple({"record": run, "outcome": "interrupted"} for run in closed)
    say(Report(headline=f"{count(len(closed), 'record')} closed in {where}", rows=rows))


@records.command()
@click.argument("record_id", metavar="[ID]", required=False)
@click.option("--head", default="", metavar="NUMBER:HASH", help="The ledger's head as it was kept elsewhere.")
@click.option("--target", metavar="NAME", help="Ask this database which run changed it last; else none is contacted.")
@click.option(
    "--keys", type=click.Path(path_type=Path), metavar="FILE",
    help="Whose signatures are believed: public keys.  [default: AFDB_SIGNERS]",
)  # fmt: skip
def verify(record_id: str | None, head: str, target: str | None, keys: Path | None) -> None:
    """Whether anybody touched the records. Every byte, the chain of runs, every signature; and what cannot be told.

    Needs no database; with --target one is asked whether the newest are gone. Exit code 0: what is there was not
    touched; 3: something was, and is named.
    """
    from afdb_helpers import signing, targets
    from afdb_helpers.runbook import audit, record, shelf
    from afdb_helpers.runbook import records as kept

    settings = targets.environment()
    where = record.root(settings)
    listed = (keys or settings.get("AFDB_SIGNERS"), settings.get("AFDB_APPROVERS"))
    believed, approvers = (signing.believed(Path(one).expanduser()) if one else None for one in listed)
    with tempfile.TemporaryDirectory() as empty:
        if shelf.behind(where):
            where = shelf.copy(where, Path(empty))
        folder = kept.find(where, record_id) if record_id else None
        mark, where = _mark(target), folder.parent if folder else where
        say(checked := audit.verify(where, folder, head=head, keys=believed, approvers=approvers, mark=mark))
    if not checked.ok:
        first = " ".join(str(value) for value in checked.rows[0].values() if value)
        raise Refused(checked.headline, why=first, do=checked.remedy)


def _folder() -> Path:
    """The folder of the records; of an object store the copy here, brought up to date."""
    from afdb_helpers import targets
    from afdb_helpers.runbook import record, shelf

    return shelf.fetch(record.root(targets.environment()))


def _mark(target: str | None) -> dict[str, Any] | None:
    """What the last migration left in a database; an error where it left nothing."""
    from afdb_helpers import catalog, targets

    if target is None:
        return None
    with targets.get(target).connect() as connection:
        found = catalog.mark(connection)
    if found is None:
        raise Unavailable(
            f"target {target} names no run",
            why="no migration of ours has left its mark in it, or its role may not comment",
            do="give --head as an earlier `afdb records verify` printed it",
        )
    return found


records.add_command(records_pages.site)
records.add_command(records_pages.diff)
records.add_command(records_pages.export)

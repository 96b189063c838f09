"""`afdb keys`: the keys that sign approvals and records."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def keys() -> None:
    """Keys that sign approvals and records."""


@keys.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", required=True, metavar="NAME", help="Whose key it is, as records will show it.")
def new(file: Path, name: str) -> None:
    """Write a new private key to FILE. Its owner alone can read it; the line that makes others believe it is printed.

    The line goes into the file that AFDB_APPROVERS names; FILE into AFDB_SIGNING_KEY of whoever signs.
    """
    from afdb_helpers import signing

    click.echo(f"{'-'.join(name.split())} {signing.create(file)}")

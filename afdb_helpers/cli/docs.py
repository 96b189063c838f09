"""`afdb docs`: the documents that are made from a project's chain, written or checked."""

from __future__ import annotations

from pathlib import Path

import click

from afdb_helpers.cli.show import say
from afdb_helpers.errors import Refused
from afdb_helpers.report import Report, count


@click.command()
@click.option("--out", metavar="FOLDER", help="Where the pages are.  [default: docs beside alembic.ini]")
@click.option("--check", is_flag=True, help="Write nothing; exit code 3 where a page is out of date.")
@click.option("--alembic-ini", "ini", metavar="PATH", help="Another project's alembic.ini.")
@click.option("--python", metavar="PATH", help="That project's own interpreter.")
def docs(out: str | None, check: bool, ini: str | None, python: str | None) -> None:
    """Write backend-discovery.md and data-model-overview.md from the chain, replayed on a private server.

    Of a page that is there only the blocks between `<!-- [afdb docs: NAME] -->` and `<!-- [end of it] -->` are written.
    """
    from afdb_helpers import discovery, revisions
    from afdb_helpers.discovery import documents

    project = revisions.find(ini, python=python)
    found = discovery.project(ini=project.ini, python=python)
    folder = Path(out) if out else project.ini.parent / "docs"
    changed = documents.write(folder, documents.pages(found, project.graph(), project), check=check)
    if check and changed:
        raise Refused(f"{', '.join(changed)} is out of date", why="the chain or its files have changed", do="afdb docs")
    said = f"{count(len(changed), 'page')} written in {folder}" if changed else f"the pages in {folder} are up to date"
    say(Report(headline=said, rows=tuple({"page": name} for name in changed)))

"""The command line, `afdb`: each command is a call or two of the package, and the exit code is the error's."""

from __future__ import annotations

import sys

import click

from afdb_helpers import report
from afdb_helpers.errors import AfdbError

SECTIONS = {
    "See it": ("demo", "lab"),
    "Runbooks and records": ("run", "runbooks", "records"),
    "Backups": ("backups",),
    "The chain on a target": (
        "current",
        "history",
        "plan",
        "lint",
        "verify",
        "migrate",
        "upgrade",
        "downgrade",
        "create",
    ),
}
_HOME = {
    **dict.fromkeys(("demo", "lab"), "demo"),
    **dict.fromkeys(("run", "runbooks"), "run"),
    "records": "records",
    "backups": "backups",
    **dict.fromkeys(SECTIONS["The chain on a target"], "chain"),
    "lint": "lint",
    "migrate": "migration",
    "verify": "verify",
}


class Commands(click.Group):
    """Commands by section, each imported when it is called: `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _HOME:
            return None
        from importlib import import_module

        command: click.Command = getattr(import_module(f"afdb_helpers.cli.{_HOME[cmd_name]}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, _SHORT[name]) for name in names])


_SHORT = {
    "demo": "A 001 database discovered, backed up, rehearsed, migrated, verified, priced.",
    "lab": "JupyterLab with the runbooks, on the demo database.",
    "run": "Run a runbook; it leaves a record.",
    "runbooks": "List the runbooks, their parameters and what they mean.",
    "records": "List and show what runs have left.",
    "backups": "List, prove, restore, upload and delete backups.",
    "current": "The revision a target is stamped with.",
    "history": "The chain of revisions, newest first.",
    "plan": "What a migration of a target would do, and its digest.",
    "verify": "Schema, every value and invariants, against a backup, a record or a target.",
    "lint": "What is to be said of the statements of a migration, weighed for a target.",
    "migrate": "Show the plan, ask, run the migration runbook.",
    "upgrade": "Take an unprotected target up the chain.",
    "downgrade": "Take an unprotected target down the chain.",
    "create": "Write a new revision from the models (local databases only).",
}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="afdb-helpers", prog_name="afdb")
def afdb() -> None:
    """Take a PostgreSQL database through its Alembic chain, safely, and leave a record of it.

    A target is a database by name: DATABASE_URL is `default`, PRODUCTION_DATABASE_URL is `production`, and so on.

    Exit codes: 0 done · 2 bad request, nothing contacted · 3 refused, nothing changed · 4 could not look, nothing
    changed · 5 work began, the message says where it stands · 130, 143 interrupted.
    """


def main() -> None:
    """The entry point: an error of ours is its message and its exit code, never a traceback."""
    try:
        sys.exit(afdb(standalone_mode=False) or 0)
    except AfdbError as error:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {report.show(str(error))}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as asked:
        click.echo(asked.format_message())
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; if a migration was going on, `afdb current` says where the target stands", err=True)
        sys.exit(130)

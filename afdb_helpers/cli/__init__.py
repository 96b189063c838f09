"""The command line, `afdb`: each command is a call or two of the package, and the exit code is the error's."""

from __future__ import annotations

import gc
import sys

import click

from afdb_helpers import report
from afdb_helpers.errors import AfdbError

COMMANDS = {  # name: (section, module of this package, what it does)
    "demo": ("See it", "demo", "A 001 database discovered, backed up, rehearsed, migrated, verified, priced."),
    "lab": ("See it", "demo", "JupyterLab with the runbooks, on the demo database."),
    "run": ("Runbooks and records", "run", "Run a runbook; it leaves a record."),
    "runbooks": ("Runbooks and records", "run", "List the runbooks, their parameters and what they mean."),
    "records": ("Runbooks and records", "records", "List, show and check what runs have left."),
    "prepare": ("A protected target", "production", "Discovery, backup, rehearsal; prints the plan and its digest."),
    "approve": ("A protected target", "production", "Sign an approval of a plan's digest."),
    "apply": ("A protected target", "production", "Migrate as rehearsed and approved, then verify."),
    "keys": ("A protected target", "keys", "Keys that sign approvals and records."),
    "backups": ("Backups", "backups", "List, prove, restore, upload and delete backups."),
    "current": ("The chain on a target", "chain", "The revision a target is stamped with."),
    "history": ("The chain on a target", "chain", "The chain of revisions, newest first."),
    "plan": ("The chain on a target", "chain", "What a migration of a target would do, and its digest."),
    "lint": ("The chain on a target", "lint", "What lint finds in a migration's statements, weighed for a target."),
    "verify": ("The chain on a target", "verify", "Schema, every value and invariants, against what was before."),
    "upgrade": ("The chain on a target", "chain", "Take an unprotected target up the chain."),
    "downgrade": ("The chain on a target", "chain", "Take an unprotected target down the chain."),
    "adopt": ("The chain on a target", "adopt", "Stamp a database with the revision that its schema equals."),
    "docs": ("The chain on a target", "docs", "Write the documents that are made from the chain."),
    "create": ("The chain on a target", "chain", "Write a new revision from the models (local databases only)."),
    "costs": ("What hosting costs", "costs", "Bills for a workload, cheapest first; bills checked; prices refreshed."),
}


class Commands(click.Group):
    """Commands by section, each imported when it is called: `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing:  # a shell completes what is only half typed
                return None
            raise click.exceptions.NoSuchCommand(cmd_name, possibilities=COMMANDS, ctx=ctx)
        from importlib import import_module

        command: click.Command = getattr(import_module(f"afdb_helpers.cli.{COMMANDS[cmd_name][1]}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title in dict.fromkeys(section for section, _, _ in COMMANDS.values()):
            with formatter.section(title):
                formatter.write_dl([(name, said) for name, (section, _, said) in COMMANDS.items() if section == title])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="afdb-helpers", prog_name="afdb")
def afdb() -> None:
    """Take a PostgreSQL database through its Alembic chain, safely, and leave a record of it.

    A target is a database by name: DATABASE_URL is `default`, PRODUCTION_DATABASE_URL is `production`, and so on.
    Without --target, prepare, approve and apply take `production`, all others `default`.

    Exit codes: 0 done · 2 bad request, nothing contacted · 3 refused, nothing changed · 4 could not look, nothing
    changed · 5 work began and did not end as planned, or well: the message says where it stands · 130, 143 interrupted.
    """


def main() -> None:
    """The entry point: an error of ours is its message and its exit code, never a traceback."""
    gc.set_threshold(200_000)  # or a sixth of the start is spent looking for garbage in what is being imported
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
    finally:
        gc.freeze()  # or Python looks through all that was imported as it leaves, a tenth of a second

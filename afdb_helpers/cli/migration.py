"""`afdb migrate`: the migration runbook with a question before it; what the production script calls."""

from __future__ import annotations

import sys

import click

from afdb_helpers import migration_plan, revisions, targets
from afdb_helpers.cli.show import say
from afdb_helpers.errors import Refused
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.targets import Target


@click.command()
@click.argument("revision", default="")
@click.option("--target", default="production", show_default=True, help="The target's name.")
@click.option("--down", is_flag=True, help="Downgrade to REVISION instead of upgrading.")
@click.option("--approve", default="", metavar="DIGEST", help="The plan's digest, in place of the question.")
@click.option("--change-ref", default="", metavar="TICKET", help="The change's number in your tracker.")
@click.option("--reason", default="", metavar="WHY", help="Why this is done.")
@click.option("--drop-data", is_flag=True, help="On the way down, lose what the older schema cannot hold.")
def migrate(
    revision: str, target: str, down: bool, approve: str, change_ref: str, reason: str, drop_data: bool
) -> None:
    """Show revision and plan of a target, ask, run the migration runbook, show the revision again."""
    from afdb_helpers import runbook

    if down and not revision:
        raise click.UsageError("--down needs the REVISION to go down to")
    revision = revision or "head"
    chosen = targets.get(target)
    if not chosen.remote:
        click.echo(f"warning: target {target} is on this machine ({chosen.label})", err=True)
    direction = "downgrade" if down else "upgrade"
    plan = _plan(chosen, revision, direction)
    click.echo(f"before: {', '.join(plan.content['from']) or 'no revision is stamped'}")
    say(plan)
    if plan.empty:
        return
    if not approve:
        approve = _asked(chosen, plan)
        change_ref = change_ref or click.prompt("Number of the change")
        reason = reason or click.prompt("Reason")
    given = {"target": target, "revision": revision, "direction": direction, "approve": approve,
             "change_ref": change_ref, "reason": reason, "drop_data": str(drop_data).lower()}  # fmt: skip
    result = runbook.execute("migration", given)
    say(result)
    click.echo(f"after: {_stamped(chosen)}")
    raise SystemExit(result.exit_code)


def _plan(target: Target, revision: str, direction: str) -> MigrationPlan:
    from afdb_helpers.runbook import records

    graph, seen = revisions.find().graph(), records.rehearsed(target)
    with target.connect() as connection:
        return migration_plan.make(connection, graph, revision, direction=direction, rehearsed=seen)


def _stamped(target: Target) -> str:
    from afdb_helpers import catalog

    with target.connect() as connection:
        return ", ".join(catalog.heads(connection)) or "no revision is stamped"


def _asked(target: Target, plan: MigrationPlan) -> str:
    """The plan's digest, once somebody at a terminal has typed the database's name."""
    name = target.database.rsplit("/", 1)[-1]
    if not sys.stdin.isatty():
        raise Refused(
            "nobody is there to approve",
            why="standard input is no terminal, and no digest was given",
            do=f"read the plan above, then run again with --approve {plan.digest} --change-ref TICKET --reason WHY",
        )
    typed = click.prompt(f"To approve, type the database's name ({name})", default="", show_default=False)
    if typed.strip() != name:
        raise Refused("not approved", why="what was typed is not the database's name", do="run again when it is")
    return plan.digest

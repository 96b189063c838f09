"""`afdb lint`: what is to be said of the statements that a migration of a target would execute."""

from __future__ import annotations

import click

from afdb_helpers import revisions, targets
from afdb_helpers.cli import options
from afdb_helpers.cli.show import say
from afdb_helpers.lint import SEVERITIES, Severity


@click.command()
@options.target
@click.option("--revision", default="head", show_default=True, help="The revision to go to.")
@click.option("--threshold", type=click.Choice(SEVERITIES), default="high", show_default=True,
              help="Exit code 3 where a finding as severe as this is not waived.")  # fmt: skip
@options.project
def lint(target: str, revision: str, threshold: Severity, python: str | None, ini: str | None) -> None:
    """What lint finds in the statements of a migration, weighed for a target.

    They are those of the newest rehearsal with what it measured, where it is of this database as it is now; else those
    that `alembic upgrade --sql` prints; of a revision that reads the database it can print none, which is exit code 4.
    Findings are waived in lint-waivers.toml beside alembic.ini.
    """
    from afdb_helpers import migration_plan
    from afdb_helpers.rehearsal import linting
    from afdb_helpers.runbook import records

    chosen, project = targets.get(target), revisions.find(ini, python=python)
    unseen: tuple[str, ...] = ()
    seen = records.rehearsed(chosen, "plan.json", "rehearsal.json")
    with chosen.connect() as connection:
        plan = migration_plan.make(connection, project.graph(), revision, rehearsed=seen.get("plan.json"))
        if plan.rehearsed:
            found = linting.findings(seen["rehearsal.json"], connection, project, threshold=threshold)
        else:
            found, unseen = linting.not_rehearsed(plan, connection, project, target=target, threshold=threshold)
            click.echo("not rehearsed: the SQL is what Alembic prints, and nothing is measured", err=True)
    say(found)
    found.raise_unless_ok()
    if unseen:
        raise linting.unseen(unseen, target)

"""The chain on a target: current, history, plan, upgrade, downgrade, create."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from functools import cache
from typing import Any

import click

from afdb_helpers import revisions, targets
from afdb_helpers.cli import options
from afdb_helpers.cli.show import journal, naming, say
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.targets import Target

WHOLE = ", which prints the whole `afdb apply` command"


@click.command()
@options.target
@options.project
def current(target: str, ini: str | None, python: str | None) -> None:
    """The revision a target is stamped with."""
    from afdb_helpers import catalog

    chosen, graph = targets.get(target), revisions.find(ini, python=python).graph()
    with chosen.connect() as connection:
        stamped = catalog.heads(connection)
    known = {r.id for r in graph.revisions}
    for one in stamped:
        click.echo(
            f"{one} (head)" if one in graph.heads else one if one in known else f"{one} (unknown to this project)"
        )
    if not stamped:
        click.echo("no revision is stamped")
        way = "prepare" if chosen.protected else "upgrade"
        said = f"next: afdb {way} --target {target}; where its tables are there already: afdb adopt --target {target}"
        click.echo(said, err=True)


@click.command()
@options.project
def history(ini: str | None, python: str | None) -> None:
    """The chain of revisions, newest first."""
    graph = revisions.find(ini, python=python).graph()
    for revision in reversed(graph.revisions):
        head = " (head)" if revision.id in graph.heads else ""
        said = next(iter(revision.doc.splitlines()), "")
        click.echo(f"{', '.join(revision.down) or '<base>'} -> {revision.id}{head}, {said}")


@click.command()
@click.argument("revision", default="head")
@click.option("--down", is_flag=True, help="Downgrade to REVISION instead of upgrading.")
@click.option("--drop-data", is_flag=True, help="On the way down, lose what the older schema cannot hold.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "html", "json"]),
    default="text",
    show_default=True,
    help="How to print it; HTML is one file to send to whoever approves.",
)
@options.target
@options.project
def plan(
    revision: str, down: bool, drop_data: bool, form: str, target: str, ini: str | None, python: str | None
) -> None:
    """What a migration of a target would do, and its digest: the one that `afdb apply` asks for."""
    from afdb_helpers import migration_plan
    from afdb_helpers.migration_plan import offline

    chosen, project = targets.get(target), revisions.find(ini, python=python)
    direction, seen = "downgrade" if down else "upgrade", dict[str, Any]()
    with contextlib.ExitStack() as open_:
        connected = cache(lambda: open_.enter_context(chosen.connect()))

        def make(graph: revisions.Graph) -> migration_plan.MigrationPlan:
            from afdb_helpers.runbook import records

            seen.update(records.rehearsed(chosen, "plan.json", "rehearsal.json", "findings.json"))
            known = seen.get("plan.json")
            return migration_plan.make(
                connected(), graph, revision, direction=direction, drop_data=drop_data, rehearsed=known
            )

        made = offline.planned(project, chosen.dialect + "://", make, meanwhile=connected)
    measured, findings = (seen[n] if made.rehearsed else None for n in ("rehearsal.json", "findings.json"))
    made = made.losing(measured.get("lost", {})) if measured else made
    if form == "text" and not made.rehearsed and not made.empty:
        from afdb_helpers.migrate import gates

        wait = f"not rehearsed: the digest to approve comes with afdb prepare {gates.way(made)} --target {target}"
        say(replace(made, parts=(), remedy=wait))
    elif form == "text":
        say(made)
    elif form == "json":
        said = made.as_dict() | ({"findings": findings["rows"]} if findings else {})
        click.echo(json.dumps(said, indent=1, ensure_ascii=False))
    else:
        from afdb_helpers import pages

        click.echo(pages.plan(made.as_dict(), measured, findings, form=form, **naming(chosen)))


@click.command()
@click.argument("revision", default="head")
@options.target
@options.project
def upgrade(revision: str, target: str, ini: str | None, python: str | None) -> None:
    """Take an unprotected target up the chain; a protected one is written only by `afdb apply`."""
    from afdb_helpers import migrate

    project = revisions.find(ini, python=python)
    chosen = _unprotected(target, f"afdb prepare {revision} --target {target}{WHOLE}", project, revision)
    say(migrate.upgrade(chosen, project, revision=revision, note=journal()))


@click.command()
@click.argument("revision")
@click.option("--drop-data", is_flag=True, help="Lose what the older schema cannot hold; refused without this.")
@options.target
@options.project
def downgrade(revision: str, drop_data: bool, target: str, ini: str | None, python: str | None) -> None:
    """Take an unprotected target down the chain."""
    from afdb_helpers import migrate

    project = revisions.find(ini, python=python)
    lossy = " --drop-data" if drop_data else ""
    way = f"afdb prepare {revision} --down{lossy} --target {target}{WHOLE}"
    chosen = _unprotected(target, way, project, revision)
    say(migrate.downgrade(chosen, project, revision=revision, drop_data=drop_data, note=journal()))


@click.command()
@click.argument("message")
@click.option(
    "--empty", is_flag=True, help="Do not compare the models with the database; leave the steps to be written."
)
@options.target
@options.project
def create(message: str, empty: bool, target: str, ini: str | None, python: str | None) -> None:
    """Write a new revision from the models (local databases only)."""
    chosen = _unprotected(target, "afdb create MESSAGE with DATABASE_URL set to a local database")
    project = revisions.find(ini, python=python)
    if not empty:
        with chosen.connect():
            pass  # a database that cannot be looked at is no fault of the models
    asked = {"autogenerate": not empty}
    request = {"command": "revision", "arguments": [message], "options": asked, "url": chosen.secret_url()}
    outcome = revisions.run(project.ini, request, python=project.python)
    if outcome.error:
        raise ConfigError(
            "the revision could not be written",
            why=f"{outcome.error['kind']}: {outcome.error['message']}",
            do="bring the database to the head with `afdb upgrade` first, or write an empty one with --empty",
        )
    click.echo(outcome.printed.strip())


def _unprotected(name: str, instead: str, project: revisions.Project | None = None, revision: str = "head") -> Target:
    """The target, or `Refused` with what is to be done `instead`; of a project, `revision` is looked up first."""
    chosen = targets.get(name)
    if chosen.protected:
        if project:
            project.graph().wanted(revision)
        raise Refused(
            f"target {name} ({chosen.label}) is protected",
            why="a protected target is changed only by a run that leaves a record, with evidence and an approval",
            do=instead,
        )
    return chosen

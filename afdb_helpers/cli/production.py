"""`afdb prepare`, `afdb approve`, `afdb apply`: the guarded migration in three commands, by the same runbooks."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from afdb_helpers import migration_plan, revisions, targets
from afdb_helpers.cli import options
from afdb_helpers.cli.show import naming, new_records, say
from afdb_helpers.errors import Incomplete, Refused, Unavailable
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.report import count
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from afdb_helpers.runbook import RunResult


def _where(command: options.Command) -> options.Command:
    """The arguments that say which migration of which target is meant."""
    down = "Downgrade to REVISION instead of upgrading."
    command = click.option(
        "--drop-data", is_flag=True, help="On the way down, lose what the older schema cannot hold."
    )(command)
    command = click.option("--down", is_flag=True, help=down)(command)
    drift = "Go on although schema or applied files are not what the stamp says; the record shows it."
    command = click.option("--accept-drift", is_flag=True, help=drift)(options.project(command))
    target = click.option("--target", default="production", show_default=True, help="The target's name.")
    return click.argument("revision", default="")(target(command))


def approval(command: options.Command) -> options.Command:
    """The options that make up an approval."""
    for name, settings in reversed(_APPROVAL.items()):
        command = click.option(f"--{name}", **settings)(command)
    return command


_APPROVAL: dict[str, dict[str, Any]] = {
    "approve": {"default": "", "metavar": "DIGEST", "help": "The approved plan's digest, in place of the question."},
    "approver": {"default": "", "metavar": "NAME", "help": "Who approved it: not who runs this."},
    "approval": {
        "default": "",
        "metavar": "FILE",
        "help": "A signed approval, in place of the four around it.",
    },
    "change-ref": {"default": "", "metavar": "TICKET", "help": "The change's number in your tracker."},
    "reason": {"default": "", "metavar": "WHY", "help": "Why this is done."},
    "emergency": {"is_flag": True, "help": "Go without a second person; the record shows it."},
    "max-backup-age": {"type": float, "metavar": "HOURS", "help": "How old the rehearsed backup may be. [default: 24]"},
}


@click.command()
@_where
@click.option("--repair", is_flag=True, help="Rehearse `afdb adopt --repair`: the stamped revision once more.")
@click.option("--summary", type=click.Path(dir_okay=False), help="Append the plan as Markdown to this file.")
def prepare(
    revision: str, target: str, down: bool, repair: bool, drop_data: bool, summary: str | None, accept_drift: bool,
    ini: str | None, python: str | None,
) -> None:  # fmt: skip
    """Discovery, backup, rehearsal of a target; prints the plan and its digest, which somebody else is to approve.

    Changes nothing on the target. Leaves three records and a proven backup.
    """
    from afdb_helpers import migrate, pages
    from afdb_helpers.migrate import gates

    options.use(ini, python)
    chosen, direction = _named(target), "repair" if repair else _direction(down)
    first = planned(chosen, revision if repair else _revision(revision, down), direction, drop_data=drop_data)
    if first.empty:
        say(first)
        return
    with chosen.connect() as connection:
        migrate.sound(first, chosen, connection, revisions.find(), accept_drift=accept_drift)
    about, revision = {"target": target}, first.content["to"]
    way = {"revision": revision, "direction": direction} | ({"drop_data": "true"} if drop_data else {})
    last = run([("discovery", about), ("backup", about), ("rehearsal", about | way)])
    content = json.loads((last.folder / "plan.json").read_bytes())["content"]
    plan = migration_plan.from_content(content, {row["revision"]: row["what"] for row in first.rows})
    rehearsal, findings = (
        json.loads((last.folder / f"{name}.json").read_bytes()) for name in ("rehearsal", "findings")
    )
    plan = plan.losing(rehearsal["lost"])
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(pages.plan(plan.as_dict(), rehearsal, findings, **naming(chosen)))
    say(plan)
    if not findings["ok"]:
        click.echo(
            f"lint:   {findings['headline'].removeprefix('lint: ')}; that stops nothing, whoever approves decides:\n"
            f"        afdb plan --target {target} --format markdown"
        )
    click.echo(f"digest: {plan.digest}")
    click.echo("next:   " + "\n        ".join(gates.commands(plan, chosen)))


@click.command()
@click.argument("digest")
@click.option("--target", default="production", show_default=True, help="The target's name.")
@click.option("--change-ref", required=True, metavar="TICKET", help="The change's number in your tracker.")
@click.option("--reason", required=True, metavar="WHY", help="Why this is done.")
@click.option("--days", default=7.0, show_default=True, help="How long the approval holds.")
@click.option(
    "--file", "path", type=click.Path(dir_okay=False), help="The file to write; made from the digest if not given."
)
def approve(digest: str, target: str, change_ref: str, reason: str, days: float, path: str | None) -> None:
    """Sign an approval of a plan's digest with the key in AFDB_SIGNING_KEY. Contacts no database."""
    from afdb_helpers.migrate import approvals

    file = Path(path or f"approval-{digest.removeprefix('sha256:')[:12]}.json")
    say(approvals.write(file, target=target, digest=digest, change_ref=change_ref, reason=reason, days=days))


@click.command()
@_where
@approval
def apply(
    revision: str, target: str, down: bool, drop_data: bool, accept_drift: bool, ini: str | None, python: str | None,
    **given: Any,
) -> None:  # fmt: skip
    """Migrate a target as it was rehearsed and approved, then verify it; at a terminal, ask for what is missing.

    Exit code 5 where it was migrated and the verification found something, which is listed.
    """
    from afdb_helpers.migrate import approvals

    if given["approve"]:
        approvals.whole(given["approve"], target)
    options.use(ini, python)
    chosen = _named(target)
    if not chosen.remote:
        meant = "fine in the tutorial; where another is meant, correct its URL"
        click.echo(f"warning: target {chosen.name} is on this machine: {meant}", err=True)
    plan = planned(chosen, _revision(revision, down), _direction(down), drop_data=drop_data)
    given |= {"accept_drift": accept_drift, "drop_data": drop_data}
    carry_out(chosen, plan, given, asking=True, then=() if down else ("verification",))


def carry_out(target: Target, plan: MigrationPlan, given: dict[str, Any], *, asking: bool, then: Sequence[str]) -> None:
    """Runbook 04 with what was given of an approval, or (`asking`) what somebody at a terminal answers; `then` more."""
    click.echo(f"before: {', '.join(plan.content['from']) or 'no revision is stamped'}")
    say(plan)
    if plan.empty:
        return
    if asking and not given["approve"] and not given["approval"]:
        given |= {"approve": _asked(target, plan)} | _questions(given)
    given |= {"target": target.name, "revision": plan.content["to"], "direction": plan.content["direction"]}
    asked_for = {k: v for k, v in given.items() if v is not None and v is not False and v != ""}
    texts = {k: "true" if v is True else v for k, v in asked_for.items()}
    try:
        _insist_on_reasons(target, given)
        run([("migration", texts), *((name, {"target": target.name}) for name in then)])
    finally:
        click.echo(f"after: {_stamped(target)}")


def _insist_on_reasons(target: Target, given: Mapping[str, Any]) -> None:
    """What was left out is asked for before a run begins; whom and what an approval may approve is the run's to say."""
    from afdb_helpers.migrate import approvals, gates

    if target.protected:
        said = approvals.given(
            target=target.name, digest=given["approve"], approver=given["approver"], change_ref=given["change_ref"],
            reason=given["reason"], file=given["approval"],
        )  # fmt: skip
        gates.complete(said, emergency=given["emergency"])


def run(steps: list[tuple[str, dict[str, Any]]]) -> RunResult:
    """The runbooks one after the other; the last one's result. The first that is not well ends the command.

    Raises `Incomplete` where one that looks is not well after another has changed the target.
    """
    from afdb_helpers import runbook

    new_records()
    results = runbook.execute_many(steps)
    for result in results:
        say(result)
    *before, last = results
    changed = [one for one in before if one.changed]
    if not last.ok and changed and last.exit_code in (Refused.exit_code, Unavailable.exit_code):
        raise _migrated(changed[-1], last)
    if not last.ok:
        raise SystemExit(last.exit_code)
    return last


def _migrated(done: RunResult, last: RunResult) -> Incomplete:
    """The target was changed, and what looked at it afterwards is not content, or could not look."""
    to = ", ".join(json.loads((done.folder / "run.json").read_bytes())["revision"]["to"] or ["base"])
    things = sum(len(part.rows) or 1 for part in last.parts)
    said = f"{last.runbook} found {count(things, 'thing')}" if things else f"{last.runbook} could not be done"
    return Incomplete(f"migrated to {to}; {said}", why=last.said, do=last.remedy)


def planned(target: Target, revision: str, direction: str, *, drop_data: bool = False) -> MigrationPlan:
    """The plan as runbook 04 will make it."""
    from afdb_helpers import migrate
    from afdb_helpers.runbook import records

    project, seen = revisions.find(), records.rehearsed(target, "plan.json").get("plan.json")
    with target.connect() as connection:
        return migrate.plan(connection, project, revision, direction, drop_data=drop_data, rehearsed=seen)


def _named(name: str) -> Target:
    """The target; first of all it is said which database that is, as these commands take another one than most."""
    chosen = targets.get(name)
    click.echo(f"target: {chosen.name} ({chosen.label})")
    return chosen


def _revision(revision: str, down: bool) -> str:
    if down and not revision:
        raise click.UsageError("--down needs the REVISION to go down to")
    return revision or "head"


def _direction(down: bool) -> str:
    return "downgrade" if down else "upgrade"


def _stamped(target: Target) -> str:
    from afdb_helpers import catalog

    with target.connect() as connection:
        return ", ".join(catalog.heads(connection)) or "no revision is stamped"


def _asked(target: Target, plan: MigrationPlan) -> str:
    """The plan's digest, once somebody at a terminal has typed the database's name."""
    from afdb_helpers.migrate import gates

    name = target.database.rsplit("/", 1)[-1]
    if not sys.stdin.isatty():
        raise Refused(
            "nobody is there to approve",
            why="standard input is no terminal, and no digest was given",
            do=f"have somebody read the plan, then: {gates.asked(plan, target)}",
        )
    typed = click.prompt(f"To go ahead, type the database's name ({name})", default="", show_default=False)
    if typed.strip() != name:
        raise Refused("not approved", why="what was typed is not the database's name", do="run again when it is")
    return plan.digest


def _questions(given: dict[str, Any]) -> dict[str, Any]:
    """What an approval needs and was not given, asked for."""
    asked = {"change_ref": "Number of the change", "reason": "Reason"}
    if not given["emergency"]:
        asked = {"approver": "Who has read the plan and approved it"} | asked
    return {name: given[name] or click.prompt(question) for name, question in asked.items()}

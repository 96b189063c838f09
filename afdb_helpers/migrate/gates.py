"""What stands before a protected target is changed: a gate says yes in a report, or refuses with the next command.

On a target that is not protected, and where there is nothing to do, nothing is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from afdb_helpers import backup as backups
from afdb_helpers.backup import Backup
from afdb_helpers.errors import Refused
from afdb_helpers.migrate import approvals
from afdb_helpers.migrate.approvals import Approval
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.report import Report
from afdb_helpers.targets import Target

Note = Callable[..., Any]


def rehearsed(plan: MigrationPlan, target: Target, rehearsal: Mapping[str, Any] | None) -> Report:
    """A rehearsal of this very plan went well. `rehearsal` is its `rehearsal.json`, None where there is none."""
    if open_ := _open(plan, target):
        return open_
    if rehearsal is None or not plan.rehearsed:
        other = "the last one was of another plan: database, schema, revision or a revision's file is another by now"
        raise Refused(
            f"this plan for target {target.name} was not rehearsed",
            why=other if rehearsal else f"no rehearsal of target {target.name} has succeeded and left its record",
            do=_prepare(plan, target),
        )
    if not rehearsal["ok"]:
        raise Refused(
            f"the rehearsal of this plan for target {target.name} did not go well",
            why=rehearsal["headline"],
            do=f"mend what it says, then {_prepare(plan, target)}",
        )
    return Report(headline=f"rehearsed: {rehearsal['headline']}")


def backed_up(
    plan: MigrationPlan,
    target: Target,
    rehearsal: Mapping[str, Any] | None,
    *,
    max_age: float,
    note: Note = lambda *_, **__: None,
) -> Report:
    """The backup that was rehearsed on is proven, untouched, of this database as it stands, and younger than `max_age`.

    `max_age` is in hours, from the moment the backup speaks of. Every file of a backup in a folder is hashed; of one in
    an object store the sizes and the manifest's seal are looked at, and a restore hashes what it fetches.
    """
    if open_ := _open(plan, target):
        if rehearsal is not None:
            note("evidence", kind="rehearsed backup", id=rehearsal["backup"])  # named for the record, not looked at
        return open_
    if rehearsal is None:
        raise _unsafe(plan, target, "none was rehearsed on")
    found = backups.find(rehearsal["backup"])
    if wrong := _amiss(found, plan, max_age):
        raise _unsafe(plan, target, f"backup {found.id} {wrong}")
    note("evidence", kind="backup", id=found.id, sha256=found.seal.removeprefix("sha256:"))
    return Report(headline=f"backed up: {found.headline}, {_age(found):.1f} h old")


def approval(
    plan: MigrationPlan,
    target: Target,
    given: Approval,
    *,
    actors: Iterable[str | None] = (),
    emergency: bool = False,
    note: Note = lambda *_, **__: None,
) -> Report:
    """Somebody else approved the digest of this very plan, made anew just now, under a change number and for a reason.

    `actors` are the names of whoever runs it: none of them may be the approver, unless it is an emergency.
    """
    if open_ := _open(plan, target):
        return open_
    if given.digest != plan.digest:
        said = f"approved was {given.digest}" if given.digest else "no digest was given"
        raise Refused(
            f"this plan for target {target.name} is not approved",
            why=f"{said}; the plan, made anew from the database and the files, is {plan.digest}",
            do=f"have somebody read `afdb plan --target {target.name}`; then: {_apply(plan, target)}",
        )
    needed = {"--approver": given.approver or emergency, "--change-ref": given.change_ref, "--reason": given.reason}
    if missing := [name for name, value in needed.items() if not value]:
        raise Refused(
            f"{' and '.join(missing)} not given",
            why="whoever reads the record in a year has to learn who wanted this done, and why",
            do=f"run again with {' and '.join(missing)}",
        )
    if not emergency and (self_ := approvals.same_person(given.approver, actors)):
        raise Refused(
            f"{self_} cannot approve what {self_} runs",
            why="a plan is read by a second person before it changes a protected target",
            do="have somebody else approve it; or --emergency, which the record will show",
        )
    note("approval", **approvals.as_facts(given), emergency=emergency)
    by = f"in an emergency, by {given.approver or 'nobody else'}" if emergency else f"by {given.approver}"
    signed = "signed" if given.signed else "not signed"
    return Report(headline=f"approved {by} ({signed}): {plan.digest} ({given.change_ref}: {given.reason})")


def _open(plan: MigrationPlan, target: Target) -> Report | None:
    """Why nothing is asked for, if so."""
    if not target.protected:
        return Report(headline=f"target {target.name} is not protected: not asked for")
    return Report(headline="nothing to do: not asked for") if plan.empty else None


def _amiss(found: Backup, plan: MigrationPlan, max_age: float) -> str:
    """What keeps a backup from covering this plan, or nothing."""
    if found.state != "proven":
        return f"is {found.state}"
    if found.manifest["identity"] != plan.content["target"]:
        return "is of another database or server"
    if [found.manifest["revision"], found.manifest["catalogue"]] != [plan.content["from"], plan.content["schema"]]:
        return "is of another revision or schema: the target was changed since"
    if _age(found) > max_age:
        return f"is {_age(found):.1f} h old; the limit is {max_age:g} h (--max-backup-age)"
    if not found.url and (changed := backups.differences(found)):
        return f"was altered since it was proven: {changed[0]['object']} ({changed[0]['differs']})"
    return ""


def _age(found: Backup) -> float:
    """Hours since the moment that the backup speaks of."""
    moment = (found.manifest.get("snapshot") or {}).get("taken") or found.manifest["made"]
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() / 3600


def _unsafe(plan: MigrationPlan, target: Target, why: str) -> Refused:
    return Refused(f"target {target.name} has no proven backup to go back to", why=why, do=_prepare(plan, target))


def _prepare(plan: MigrationPlan, target: Target) -> str:
    return f"afdb prepare {_way(plan)} --target {target.name}"


def _apply(plan: MigrationPlan, target: Target) -> str:
    said = f"--approve {plan.digest} --approver NAME --change-ref TICKET --reason WHY"
    return f"afdb apply {_way(plan)} --target {target.name} {said}"


def _way(plan: MigrationPlan) -> str:
    return f"{plan.content['to']}{' --down' if plan.content['direction'] == 'downgrade' else ''}"

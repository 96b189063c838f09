"""What stands before a protected target is changed: a gate says yes in a report, or refuses with the next command.

On a target that is not protected, and where there is nothing to do, nothing is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from afdb_helpers import backup as backups
from afdb_helpers import catalog, drift, hazards, targets
from afdb_helpers.backup import Backup
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.migrate import approvals, outcomes
from afdb_helpers.migrate.adoption import differences
from afdb_helpers.migrate.approvals import Approval
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.report import Aside, Report
from afdb_helpers.revisions import Project
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection

Note = Callable[..., Any]
GATES = ("sound", "rehearsed", "backed_up", "approval")


@dataclass(frozen=True, kw_only=True, repr=False)
class Opened(Report):
    """A gate that said yes, and to which plan."""

    gate: str
    digest: str


class NotAsked(Opened, Aside):
    """A gate at which nothing was asked for."""


def sound(
    plan: MigrationPlan,
    target: Target,
    connection: Connection,
    project: Project,
    *,
    accept_drift: bool = False,
    note: Note = lambda *_, **__: None,
) -> Opened:
    """The target is what its stamp says: no applied revision's file was edited, the schema is the chain's, and nothing
    that would hold a migration up is there. `accept_drift` goes on in spite of the first two, which is noted."""
    if open_ := _open(plan, target, "sound"):
        return open_
    hazards.present(connection).raise_unless_ok()
    if plan.content["direction"] in ("adopt", "repair"):
        return _opened(plan, "sound", "sound: nothing is in the way; what the stamp says is what this is about")
    if accept_drift:
        note("waiver", waiver="accept_drift", target=target.name)
        return _opened(
            plan, "sound", "sound: nothing is in the way; whether the schema is what the stamp says was not asked"
        )
    if edited := outcomes.edited(connection, project.graph()):
        raise Refused(
            f"the file of revision {', '.join(edited)} was edited after it was applied to target {target.name}",
            why="the last run left another hash of it in the database: what stands there is not what the file makes",
            do="restore the file, and write a new revision for the change; or --accept-drift, which the record shows",
        )
    if len(stamped := plan.content["from"]) == 1:
        live = catalog.snapshot(connection)
        compared = drift.against(live, project, project.graph(), stamped[0])
        if not compared.ok:
            raise Refused(
                f"the schema of target {target.name} is not what the chain makes at {stamped[0]}",
                why=differences(compared.rows),
                do="mend it by a revision, or afdb adopt; go on with it, after a run that died or for a reason of"
                " yours, by --accept-drift, which the record will show",
            )
    return _opened(
        plan, "sound", f"sound: the schema is what the chain makes at {', '.join(stamped) or 'its beginning'}"
    )


def rehearsed(plan: MigrationPlan, target: Target, rehearsal: Mapping[str, Any] | None) -> Opened:
    """A rehearsal of this very plan went well. `rehearsal` is its `rehearsal.json`, None where there is none."""
    if open_ := _open(plan, target, "rehearsed"):
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
    return _opened(plan, "rehearsed", f"rehearsed: {rehearsal['headline']}")


def backed_up(
    plan: MigrationPlan,
    target: Target,
    rehearsal: Mapping[str, Any] | None,
    *,
    max_age: float,
    note: Note = lambda *_, **__: None,
) -> Opened:
    """The backup that was rehearsed on is proven, untouched, of this database as it stands, and younger than `max_age`.

    `max_age` is in hours, from the moment the backup speaks of. Every file of a backup in a folder is hashed; of one in
    an object store the sizes and the manifest's seal are looked at, and a restore hashes what it fetches.
    """
    if open_ := _open(plan, target, "backed_up"):
        if rehearsal is not None:
            note("evidence", kind="rehearsed backup", id=rehearsal["backup"])  # named for the record, not looked at
        return open_
    if rehearsal is None:
        raise _unsafe(plan, target, "none was rehearsed on")
    try:
        found = backups.find(rehearsal["backup"])
    except ConfigError as gone:  # the rehearsal named it, not whoever asks
        raise _unsafe(plan, target, f"{gone.what}: the one that was rehearsed on") from None
    if wrong := _amiss(found, plan, max_age):
        raise _unsafe(plan, target, f"backup {found.id} {wrong}")
    note("evidence", kind="backup", id=found.id, sha256=found.seal.removeprefix("sha256:"))
    return _opened(plan, "backed_up", f"backed up: {found.headline}, {_age(found):.1f} h old")


def complete(given: Approval, *, emergency: bool = False) -> None:
    """Raises `Refused` where it is not said who approved, under which change number, or why."""
    needed = {"--approver": given.approver or emergency, "--change-ref": given.change_ref, "--reason": given.reason}
    if missing := [name for name, value in needed.items() if not value]:
        raise Refused(
            f"{' and '.join(missing)} not given",
            why="whoever reads the record in a year has to learn who wanted this done, and why",
            do=f"run again with {' and '.join(missing)}",
        )


def approval(
    plan: MigrationPlan,
    target: Target,
    given: Approval,
    *,
    actors: Iterable[str | None] = (),
    emergency: bool = False,
    note: Note = lambda *_, **__: None,
    keep: Note = lambda *_: None,
) -> Opened:
    """Somebody else approved the digest of this very plan, made anew just now, under a change number and for a reason.

    `actors` are the names of whoever runs it: none of them may be the approver, unless it is an emergency. What was
    signed is handed to `keep`, so that the record shows it to whoever has the approver's public key.
    """
    if open_ := _open(plan, target, "approval"):
        return open_
    if given.digest != plan.digest:
        said = f"approved was {given.digest}" if given.digest else "no digest was given"
        raise Refused(
            f"this plan for target {target.name} is not approved",
            why=f"{said}; the plan, made anew from the database and the files, is {plan.digest}",
            do=f"have somebody read `afdb plan {_read(plan)}--target {target.name}`; then: {asked(plan, target)}",
        )
    complete(given, emergency=emergency)
    if not emergency and (self_ := approvals.same_person(given.approver, actors)):
        raise Refused(
            f"{self_} cannot approve what {self_} runs",
            why="a plan is read by a second person before it changes a protected target",
            do="have somebody else approve it; or --emergency, which the record will show",
        )
    if given.signed:
        keep(approvals.NAME, given.envelope)
    note("approval", **approvals.as_facts(given), emergency=emergency)
    by = f"in an emergency, by {given.approver or 'nobody else'}" if emergency else f"by {given.approver}"
    signed = "signed" if given.signed else "not signed"
    return _opened(plan, "approval", f"approved {by} ({signed}): {plan.digest} ({given.change_ref}: {given.reason})")


def insist(plan: MigrationPlan, target: Target, opened: Iterable[Opened]) -> None:
    """Every gate was opened for this very plan: what changes a protected target asks for it by itself, whatever the
    notebook left out. Raises `Refused`."""
    if not target.protected or plan.empty:
        return
    shut = [gate for gate in GATES if not any(one.gate == gate and one.digest == plan.digest for one in opened)]
    if shut:
        raise Refused(
            f"target {target.name} is not changed: {' and '.join(shut)} was not asked, or of another plan",
            why="a protected target is changed after every gate was opened for the plan that is carried out",
            do=f"run the runbook as it is shipped: {asked(plan, target)}",
        )


def _opened(plan: MigrationPlan, gate: str, headline: str) -> Opened:
    return Opened(headline=headline, gate=gate, digest=plan.digest)


def _open(plan: MigrationPlan, target: Target, gate: str) -> NotAsked | None:
    """Why nothing is asked for, if so."""
    why = "nothing to do" if plan.empty else ""
    if plan.content["direction"] == "adopt" and gate in ("rehearsed", "backed_up"):
        why = "only the stamp is written, and the schema was verified"
    if not target.protected:
        why = f"target {target.name} is not protected"
    return NotAsked(headline=f"{why}: not asked for", gate=gate, digest=plan.digest) if why else None


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
    return f"afdb prepare {way(plan)} --target {target.name}"


def asked(plan: MigrationPlan, target: Target) -> str:
    """What does as the plan says, in one line."""
    return "; then: ".join(commands(plan, target))


def commands(plan: MigrationPlan, target: Target) -> tuple[str, ...]:
    """The command that does what the plan says, with an approval's parts to be filled in; where keys are listed, the
    approver's before it."""
    verb = "adopt" if plan.content["direction"] in ("adopt", "repair") else "apply"
    asked, why = f"afdb {verb} {way(plan)} --target {target.name}", "--change-ref TICKET --reason WHY"
    if not targets.environment().get(approvals.APPROVERS):
        return (f"{asked} --approve {plan.digest} --approver NAME {why}",)
    signed = f"afdb approve {plan.digest} --target {target.name} {why} --file approval.json"
    return signed, f"{asked} --approval approval.json"


def _read(plan: MigrationPlan) -> str:
    return f"{way(plan)} " if plan.content["direction"] in ("upgrade", "downgrade") else ""


def way(plan: MigrationPlan) -> str:
    """Where to, as the commands take it."""
    said = {"upgrade": "{}", "downgrade": "{} --down", "adopt": "--revision {}", "repair": "--repair"}
    lossy = " --drop-data" if plan.content.get("drop_data") else ""
    return said[plan.content["direction"]].format(plan.content["to"]) + lossy

"""What stands before a protected target is changed: a gate says yes in a report, or refuses with the next command."""

from __future__ import annotations

from afdb_helpers.errors import Refused
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.report import Report
from afdb_helpers.targets import Target


def approval(plan: MigrationPlan, target: Target, *, approve: str, change_ref: str, reason: str) -> Report:
    """The approved digest is the digest of this plan, made anew just now; and why and under which number is said."""
    if not target.protected:
        return Report(headline=f"target {target.name} is not protected: no approval needed")
    if plan.empty:
        return Report(headline="nothing to do: no approval needed")
    if approve != plan.digest:
        given = f"approved was {approve}" if approve else "no digest was given"
        raise Refused(
            f"this plan for target {target.name} is not approved",
            why=f"{given}; the plan, made anew from the database and the files, is {plan.digest}",
            do=f"read it with `afdb plan --target {target.name}`; then: afdb run migration --target {target.name}"
            f" --approve {plan.digest} --change-ref TICKET --reason WHY",
        )
    missing = [name for name, value in (("--change-ref", change_ref), ("--reason", reason)) if not value.strip()]
    if missing:
        raise Refused(
            f"{' and '.join(missing)} not given",
            why="whoever reads the record in a year has to learn why this was done",
            do=f"run again with {' and '.join(missing)}",
        )
    return Report(headline=f"approved: {approve} ({change_ref}: {reason})")

"""Upgrade and downgrade a target under guard. This package changes targets.

What is true when the process dies at each step of `upgrade` and `downgrade`:

    lock            nothing changed; the server frees the lock with its connection
    look (before)   nothing changed
    change.intent   nothing changed; the journal says that a change was about to begin
    child runs      what it committed stands, the rest is rolled back by the server within two seconds; on SQLite by the
                    next reader, from its rollback journal
    look (after)    changed, and the journal lacks `change.result`: the next run looks and goes on from there
    change.result   changed, and said so
"""

from __future__ import annotations

from collections.abc import Iterable

from afdb_helpers.migrate.adoption import converged, plan
from afdb_helpers.migrate.apply import under_lock
from afdb_helpers.migrate.approvals import Approval
from afdb_helpers.migrate.approvals import given as approved
from afdb_helpers.migrate.gates import Opened, approval, backed_up, insist, rehearsed, sound
from afdb_helpers.migrate.journal import Note
from afdb_helpers.migrate.outcomes import Migration, State, standing, state
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.revisions import Project
from afdb_helpers.targets import Target

__all__ = [
    "Approval",
    "Migration",
    "State",
    "approval",
    "approved",
    "backed_up",
    "carry_out",
    "downgrade",
    "plan",
    "rehearsed",
    "sound",
    "standing",
    "state",
    "upgrade",
]


def upgrade(
    target: Target,
    project: Project,
    *,
    revision: str = "head",
    note: Note = lambda *_, **__: None,
    run_id: str = "local",
) -> Migration:
    """Take the target up to `revision`, under the migration lock; where nothing is left to do, nothing changes.

    Locks are those of the revisions' statements, each waited for at most a second and retried a few times; before the
    first change the intent is noted, afterwards what stands is read on a fresh connection.
    """
    return under_lock(target, project, "upgrade", revision, note=note, run_id=run_id)


def downgrade(
    target: Target,
    project: Project,
    *,
    revision: str,
    drop_data: bool = False,
    note: Note = lambda *_, **__: None,
    run_id: str = "local",
) -> Migration:
    """Take the target down to `revision`. What the older schema cannot hold is refused, unless `drop_data` says so."""
    x = ["allow_data_loss=true"] if drop_data else []
    return under_lock(target, project, "downgrade", revision, note=note, run_id=run_id, x=x)


def carry_out(
    target: Target,
    project: Project,
    made: MigrationPlan,
    opened: Iterable[Opened] = (),
    *,
    note: Note = lambda *_, **__: None,
    run_id: str = "local",
) -> Migration:
    """Do what the plan says, if target and revision files still are what it was made for; else `Refused`.

    A protected target is changed only with every gate `opened` for this plan.
    An adoption stamps what the plan has verified, as long as the schema is the same under the lock; after a repair the
    schema is the revision's own, or `Incomplete` says what still differs.
    """
    insist(made, target, opened)
    going = made.content
    x = ["allow_data_loss=true"] if going.get("drop_data") else []
    expected = {"revisions": list(going["from"]), "schema": going["schema"], "target": going["target"]}
    expected["files"] = {step["id"]: step["sha256"] for step in going["revisions"]}
    done = under_lock(
        target, project, going["direction"], going["to"], note=note, run_id=run_id, x=x, expected=expected,
        plan=made.digest,
    )  # fmt: skip
    if going["direction"] == "repair":
        converged(target, project, going["to"])
    return done

"""`afdb backups`: what the store holds, proven again, restored into a target, uploaded, deleted."""

from __future__ import annotations

from typing import Any

import click

from afdb_helpers.cli.show import say

_ID = click.argument("backup_id", metavar="ID", default="latest")


@click.group()
def backups() -> None:
    """List, prove, restore, upload and delete backups; `afdb run backup` makes them."""


@backups.command("list")
def list_() -> None:
    """Every backup with its state, the newest first. No dump is downloaded."""
    from afdb_helpers import backup

    say(backup.listing())


@backups.command()
@_ID
@click.option("--jobs", default=2, show_default=True, help="Tables restored at the same time.")
def prove(backup_id: str, jobs: int) -> None:
    """Hash a backup, restore it into a private server, compare. Ends with 0 only when it is proven, else with 3.

    From an object store it is read anew, so that what is proven is what stands there now.
    """
    from afdb_helpers import backup

    found = backup.find(backup_id)
    backup.fetch(found, anew=True)
    proof = backup.prove(found, jobs=jobs)
    say(proof)
    stands = backup.find(found.id)
    raise SystemExit(0 if proof.ok and stands.state == "proven" else 3)


@backups.command()
@_ID
@click.option("--target", default="default", show_default=True, help="The target's name; it has to be empty.")
@click.option("--approve", default="", metavar="SEAL", help="The backup's seal; needed for a protected target.")
@click.option("--change-ref", default="", metavar="TICKET", help="The change's number in your tracker.")
@click.option("--reason", default="", metavar="WHY", help="Why this is done.")
@click.option("--create-roles", is_flag=True, help="Make the roles that the target's server lacks, without login.")
@click.option("--jobs", default=2, show_default=True, help="Tables restored at the same time.")
def restore(
    backup_id: str, target: str, approve: str, change_ref: str, reason: str, create_roles: bool, jobs: int
) -> None:
    """Restore a proven backup into an empty target. Schema and every value are compared; it leaves a record."""
    from afdb_helpers import backup, runbook, targets

    chosen, found = targets.get(target), backup.find(backup_id)
    given: dict[str, Any] = {"approve": approve, "change_ref": change_ref, "reason": reason}
    given |= {"create_roles": create_roles, "jobs": jobs}
    look = chosen.dialect == "postgresql"  # a file that is not there yet cannot be looked at
    named = {"backup": found.id, "target": chosen.name, **given}
    with runbook.recorded("restore", chosen, look=look, given=named) as run:
        done = run.close(backup.restore(found, chosen, **given, note=run.note))
    say(done)


@backups.command()
@click.argument("backup_id", metavar="ID")
def upload(backup_id: str) -> None:
    """Upload a backup that was made here. Only what the object store lacks is sent."""
    from afdb_helpers import backup

    say(backup.upload(backup.find(backup_id)))


@backups.command()
@click.option("--keep", type=int, help="Proven ones to keep of each database.  [default: AFDB_KEEP, or 7]")
@click.option("--days", type=int, help="Keep all that are younger.  [default: AFDB_KEEP_DAYS, or 30]")
@click.option("--unfinished", is_flag=True, help="Also what was never finished, a day after it was begun.")
@click.option("--yes", is_flag=True, help="Delete; without it, only what would be deleted is shown.")
def prune(keep: int | None, days: int | None, unfinished: bool, yes: bool) -> None:
    """Show which backups can go; with --yes delete them.

    The last proven one of each database always stays, and nothing goes while a newer one is not proven.
    """
    from afdb_helpers import backup

    say(backup.prune(keep=keep, days=days, unfinished=unfinished, yes=yes))

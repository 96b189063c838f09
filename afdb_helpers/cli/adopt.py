"""`afdb adopt`: a database without a true stamp, brought under the chain by what its schema is, not by what is said."""

from __future__ import annotations

from typing import Any

import click

from afdb_helpers import targets
from afdb_helpers.cli import options, production


@click.command()
@options.target
@click.option("--revision", default="", metavar="ID", help="The revision that the schema is to equal.")
@click.option("--repair", is_flag=True, help="Run the stamped revision again, until the schema is its own.")
@options.project
@production.approval
def adopt(target: str, revision: str, repair: bool, ini: str | None, python: str | None, **given: Any) -> None:
    """Stamp a database with the revision that its schema equals, found by replaying the chain on a private server.

    Where it equals none, the differences to the nearest are said and nothing is stamped. Leaves a record; a protected
    target needs an approval of the digest that is printed, and for --repair a rehearsal: afdb prepare --repair.
    """
    options.use(ini, python)
    chosen = targets.get(target)
    plan = production.planned(chosen, revision, "repair" if repair else "adopt")
    production.carry_out(chosen, plan, given, asking=chosen.protected, then=("verification",) if repair else ())

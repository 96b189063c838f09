"""Whether a revision has arrived where it says. Only reads."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from afdb_helpers.errors import Incomplete
from afdb_helpers.online.abandoned import prepared_back
from afdb_helpers.online.catalogue import look
from afdb_helpers.online.change import Change, Here
from afdb_helpers.online.contents import Content, refuse_other
from afdb_helpers.online.differences import deviating, lacking


def missing(connection: sa.Connection, change: Change) -> list[str]:
    """What the revision brings and the database lacks, and what of a way back is left; empty where it is finished."""
    found = lacking(look(connection, change.tables.tables), change.tables, connection.dialect)
    return found + prepared_back(connection, change)


def finish(here: Here, declared: sa.MetaData, *, keeping: Mapping[str, Content]) -> None:
    """Look again, and do not believe the steps: raise `Incomplete` unless everything stands as declared, and `Refused`
    unless the tables hold what they held (`keeping`, from `contents`)."""
    if here.connection is None:
        return
    wrong = deviating(look(here.connection, declared.tables), declared, here.connection.dialect)
    if wrong:
        raise Incomplete(
            "the revision did not arrive at the schema it declares; its transaction was rolled back",
            why="; ".join(wrong),
            do="report this as a bug with the output of `afdb run discovery`",
        )
    refuse_other(here, keeping)

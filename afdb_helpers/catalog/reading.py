"""The schema of a database as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afdb_helpers.catalog.schema import Catalog
from afdb_helpers.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection


def snapshot(connection: Connection) -> Catalog:
    """The schema as it is now, by a number of queries that does not grow with the tables. Takes ACCESS SHARE."""
    from sqlalchemy.exc import DBAPIError

    from afdb_helpers.catalog import postgresql, sqlite

    try:
        return sqlite.read(connection) if connection.dialect.name == "sqlite" else postgresql.read(connection)
    except DBAPIError as error:
        raise Unavailable(
            "the schema cannot be read",
            why=str(error.orig).strip().splitlines()[0],
            do="where an object was dropped meanwhile, run again; else grant the role USAGE and SELECT",
        ) from None

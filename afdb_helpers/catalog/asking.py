"""Asking the server: a question as it stands in a file, under settings that its answer does not depend on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

QUESTIONS = Path(__file__).parents[1] / "sql"
SETTINGS = {"DateStyle": "ISO, YMD", "IntervalStyle": "postgres", "TimeZone": "UTC", "extra_float_digits": "3",
            "bytea_output": "hex", "xmloption": "content", "lc_monetary": "C",
            "quote_all_identifiers": "off"}  # fmt: skip


@cache
def question(name: str) -> str:
    """A catalogue question, as it stands in sql/<name>.sql."""
    return (QUESTIONS / f"{name}.sql").read_text()


def rows(connection: Connection, name: str) -> list[dict[str, Any]]:
    """The answer to a question without parameters, a dictionary a row."""
    found = connection.exec_driver_sql(question(name), execution_options={"no_parameters": True})
    return [dict(row) for row in found.mappings()]


@contextlib.contextmanager
def settled(connection: Connection, settings: Mapping[str, str]) -> Iterator[None]:
    """Fix these settings of the session, and give back what they were."""
    from sqlalchemy import func, select
    from sqlalchemy.exc import DBAPIError

    before = connection.execute(select(*(func.current_setting(name) for name in settings))).one()
    configure(connection, settings)
    yield
    with contextlib.suppress(DBAPIError):  # a connection that broke meanwhile has no settings any more
        configure(connection, dict(zip(settings, before, strict=True)))


def configure(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set these settings of the session."""
    from sqlalchemy import func, select

    connection.execute(select(*(func.set_config(name, value, False) for name, value in settings.items()))).one()

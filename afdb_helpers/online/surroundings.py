"""PostgreSQL: what stands around the tables and makes this a bad moment, or the change impossible. Only reads.

What the server knows to depend on a renamed column follows it: views, materialized views, rules, policies, checks,
functions with a body of SQL-standard form. What would have to be dropped with a column, a table or the old key does
not, and is refused. A function whose body is text is read when it is called: one that names an old column beside its
table, or as the table's trigger, would fail from the swap on, a trigger with every write of the application. So it is
refused by name too, and since words in a text are no proof, who knows better names it in `AFDB_FUNCTIONS_FOLLOW`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

from afdb_helpers import hazards
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.online.catalogue import ask
from afdb_helpers.online.change import Here

log = logging.getLogger("alembic.runtime.migration")
OLDEST = "AFDB_OLDEST_TRANSACTION"
SLOT_LAG = "AFDB_SLOT_LAG"
FOLLOW = "AFDB_FUNCTIONS_FOLLOW"
_OURS = {"invalid index"}  # dropped and built again on the way
_DEFAULTS = {OLDEST: "60", SLOT_LAG: "1024"}  # seconds, MB


def refuse_surroundings(here: Here, *, down: bool = False) -> None:
    """Refuse with everything found: first the moment, which passes, then what has to be mended."""
    if here.connection is None or not here.postgresql:
        return
    if hidden := ask(here.connection, "hidden_sessions")[0][0]:
        log.warning("%s sessions of other roles do not show how old their transactions are", hidden)
    hazards_now = hazards.present(here.connection, seconds=_number(OLDEST), behind=int(_number(SLOT_LAG) * 1048576))
    found = [
        f"{row['hazard']}: {row['what']}; {row['remedy']}" for row in hazards_now.rows if row["hazard"] not in _OURS
    ]
    if found:
        raise Refused(
            "this is a bad moment for the revision; nothing was changed",
            why="\n       ".join(found),
            do="end what is named, or wait for it; then run the same command again",
        )
    looks = (_hidden_rows, _identity, _dropped if down else _key_users)
    if found := [*(problem for look in looks for problem in look(here)), *_functions(here, down)]:
        raise Refused(
            "something depends on what the revision changes; nothing was changed",
            why="\n       ".join(found),
            do="drop it or change it, and make it again afterwards; then run the same command again",
        )


def _hidden_rows(here: Here) -> Iterator[str]:
    """Rows that a policy hides would be neither counted nor numbered."""
    assert here.connection is not None
    for (table,) in ask(here.connection, "row_security", names=sorted(here.tables)):
        yield f"row level security of {table} may hide rows from the role that migrates; it needs BYPASSRLS"


def _identity(here: Here) -> Iterator[str]:
    """The old key's index goes, and a subscriber could not tell the rows apart any more."""
    assert here.connection is not None
    for table in sorted(here.tables):
        for column in (here.change.key(table) or {}).values():
            for (index,) in ask(here.connection, "identity_indexes", table=table, column=column):
                yield f"index {index} is the replica identity of {table}, and its column {column} stops being a key"
        for (name,) in ask(here.connection, "publication_lists", table=table) if here.change.key(table) else ():
            yield f"publication {name} names columns or rows of {table}, whose new key they do not cover"


def _key_users(here: Here) -> Iterator[str]:
    """What groups by the old primary key, say, and so depends on it."""
    for table in sorted(here.tables):
        if here.change.key(table):
            yield from _depending(here, table, [""], key=True)


def _dropped(here: Here) -> Iterator[str]:
    created = [table.name for table in here.change.created()]
    for table in sorted(here.tables):
        key = here.change.key(table)
        columns = [
            *here.change.dropped(table),
            *([key["column"]] if key and key["kept"] in here.tables[table].columns else []),
        ]
        if table in created:
            yield from _depending(here, table, [], gone=created)
        elif columns:
            yield from _depending(here, table, columns, key=key is not None)


def _depending(
    here: Here, table: str, columns: list[str], *, key: bool = False, gone: list[str] | None = None
) -> Iterator[str]:
    assert here.connection is not None
    what = "its primary key" if columns == [""] else ", ".join(columns) or "it"
    for (name,) in ask(here.connection, "dependents", table=table, columns=columns, key=key, gone=gone or []):
        yield f"{name} depends on {table}, of which {what} goes"


def _functions(here: Here, down: bool) -> Iterator[str]:
    assert here.connection is not None
    known = {name.strip() for name in os.environ.get(FOLLOW, "").split(";")}
    for table in sorted(here.tables):
        renamed = here.change.renamed(table)
        there = set(here.tables[table].columns)
        gone = [*renamed.values(), *here.change.dropped(table)] if down else list(renamed)
        columns = sorted(set(gone) & there)
        for name, named in ask(here.connection, "functions_naming", table=table, columns=columns) if columns else ():
            if name not in known:
                yield (
                    f"function {name} seems to use {named} of {table}, which it would not find afterwards;"
                    f" if it works under both names, set {FOLLOW}='{name}' (several: with ; between)"
                )


def _number(setting: str) -> float:
    said = os.environ.get(setting, "") or _DEFAULTS[setting]
    try:
        return float(said)
    except ValueError:
        default = _DEFAULTS[setting]
        raise ConfigError(f"{setting} is {said!r}", why="it is a number", do=f"set {setting}={default}") from None

"""Advice: each a catalogue question of its own, sql/advice_<name>.sql, whose head says why it is asked and what helps.

A question's answer has the columns object, detail, bytes, remedy, and severity where it weighs its answers itself. A
remedy is SQL that is shown and never run. A question that could not be asked is an error and never a pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from afdb_helpers import catalog, targets
from afdb_helpers.errors import Unavailable
from afdb_helpers.report import Report, count

if TYPE_CHECKING:
    from sqlalchemy import Connection

SEVERITIES = ("low", "medium", "high")
LARGE, SMALL = 1e9, 10e6  # bytes: one level more from the one on, one less below the other
SETTING = "AFDB_EXPOSED_SCHEMAS"
PROVIDERS = (  # schemas that Supabase keeps; what stands in them is not the operator's to change
    "auth", "cron", "extensions", "graphql", "graphql_public", "net", "pgbouncer", "pgmq", "pgmq_public", "pgsodium",
    "pgsodium_masks", "realtime", "repack", "storage", "supabase_functions", "supabase_migrations", "vault",
)  # fmt: skip
_SQL = catalog.QUESTIONS


@dataclass(frozen=True)
class Question:
    """One question as its file says it. `asks`: what has to be known before an empty answer means anything."""

    name: str
    title: str
    severity: str
    by_size: bool
    asks: str
    linter: str
    why: str
    remedy: str
    sql: str


@dataclass(frozen=True)
class Api:
    """What PostgREST, Supabase's API, serves of a database; `wrong` says why that cannot be known."""

    roles: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    wrong: str = ""

    @property
    def there(self) -> bool:
        return bool({"anon", "authenticated"} & set(self.roles))


@dataclass(frozen=True, kw_only=True, repr=False)
class Advice(Report):
    """Not ok where something is severe, or where a question could not be asked: `unasked` names those."""

    unasked: tuple[str, ...] = ()

    def raise_unless_ok(self) -> Self:
        """As every report; that it could not be looked is `Unavailable`, since nothing is known then."""
        if self.unasked:
            why = next(row["why"] for part in self.parts for row in part.rows if row.get("asked") == "could not be")
            raise Unavailable(self.headline, why=why, do=self.remedy)
        return super().raise_unless_ok()


@cache
def questions() -> tuple[Question, ...]:
    """Every question there is, by name."""
    return tuple(_read(path) for path in sorted(_SQL.glob("advice_*.sql")))


def api(connection: Connection, environ: Mapping[str, str] | None = None) -> Api:
    """What the API serves: as AFDB_EXPOSED_SCHEMAS says, else as PostgREST's own settings in the database do."""
    row = connection.exec_driver_sql(catalog.question("exposed_schemas")).mappings().one()
    roles = tuple(row["roles"] or ())
    said = targets.environment(environ).get(SETTING) or row["schemas"] or ""
    schemas = tuple(name.strip().strip('"') for name in said.split(",") if name.strip())
    hosted = re.search(r"supabase\.(co|com)$", connection.engine.url.host or "")
    return Api(roles, schemas, _wrong(roles, schemas, row["present"], hosted=bool(hosted)))


def advice(connection: Connection, *, environ: Mapping[str, str] | None = None) -> Advice:
    """Ask every question, whatever the number of tables one query each; the gravest answers first. Only looks."""
    if connection.dialect.name == "sqlite":
        return Advice(headline="no advice: the questions are about a server")
    served = api(connection, environ)
    rows, notes = [], []
    for one in questions():
        why = _unaskable(one, served)
        if why is None:
            try:
                rows += list(ask(connection, one, served))
            except Unavailable as error:
                why = ("could not be", error.why)
        if why is not None:
            notes.append({"advice": one.name, "asked": why[0], "why": why[1]})
    rows.sort(key=lambda row: (-SEVERITIES.index(row["severity"]), -(row["bytes"] or 0), row["advice"], row["object"]))
    return _told(rows, notes, served)


def ask(connection: Connection, one: Question, served: Api) -> Iterator[dict[str, Any]]:
    """The answers to one question. Raises `Unavailable` where the server refuses it."""
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    known = {"exposed": list(served.schemas), "theirs": list(PROVIDERS if served.there else ())}
    wanted = {name: value for name, value in known.items() if f":{name}" in one.sql}
    try:
        found = [dict(row) for row in connection.execute(text(one.sql), wanted).mappings()]
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        said = str(error.orig).strip().splitlines()[0]
        raise Unavailable(f"{one.name} could not be asked", why=said, do="grant the role what it lacks") from None
    for row in found:
        severity = row.get("severity") or _weighed(one, row["bytes"])
        yield {"severity": severity, "advice": one.name, "object": row["object"], "what": row["detail"],
               "bytes": row["bytes"], "remedy": row["remedy"]}  # fmt: skip


def _wrong(roles: Sequence[str], schemas: Sequence[str], present: Sequence[str], *, hosted: bool) -> str:
    """Why it cannot be known what the API serves, so that an empty answer would mean nothing."""
    if not {"anon", "authenticated"} <= set(roles):
        said = "an API is said to serve this database, and the roles anon and authenticated are not both there"
        return said if roles or hosted or schemas else ""
    if not schemas:
        return "an API's roles are there, and neither pgrst.db_schemas nor the settings say what is served"
    absent = sorted(set(schemas) - set(present))
    return f"schema {', '.join(absent)} is said to be served, and is not in this database" if absent else ""


def _weighed(one: Question, size: int | None) -> str:
    """The question's own severity, one level up on a large table and one down on a small one."""
    if not one.by_size or size is None:
        return one.severity
    level = SEVERITIES.index(one.severity) + (size >= LARGE) - (size < SMALL)
    return SEVERITIES[max(0, min(2, level))]


def _unaskable(one: Question, served: Api) -> tuple[str, str] | None:
    """Why an empty answer to a question would mean nothing: `could not be` asked, or there is nothing to ask about."""
    if not one.asks:
        return None
    if served.wrong:
        return "could not be", served.wrong
    return None if served.there else ("need not be", "no API serves this database: no role is anon or authenticated")


def _told(rows: Sequence[dict[str, Any]], notes: Sequence[dict[str, Any]], served: Api) -> Advice:
    by = [(level, sum(row["severity"] == level for row in rows)) for level in reversed(SEVERITIES)]
    said = ", ".join(f"{number:,} {level}" for level, number in by if number) or "nothing to say"
    unasked = tuple(note["advice"] for note in notes if note["asked"] == "could not be")
    asked = count(len(questions()) - len(notes), "question")
    headline = f"advice: {said}, from {asked}"
    if unasked:
        headline += f"; {count(len(unasked), 'more question')} could not be asked"
    elif served.schemas:
        headline += f"; the API serves {', '.join(served.schemas)}"
    remedy = "see the remedies; none of them was run" if rows else ""
    if unasked:
        unnamed = f"say what the API serves: {SETTING}=public, or ALTER ROLE authenticator SET pgrst.db_schemas = …"
        remedy = unnamed if served.wrong else "grant the role what it lacks, then run again"
    parts = (Report(headline="not asked", ok=not unasked, rows=tuple(notes)),) if notes else ()
    severe = any(row["severity"] == "high" for row in rows)
    return Advice(
        headline=headline, ok=not (unasked or severe), rows=tuple(rows), remedy=remedy, parts=parts, unasked=unasked
    )


def _read(path: Path) -> Question:
    """The head of a question's file: its title, then lines of `-- key: value`."""
    sql = path.read_text()
    lines = [line[3:] for line in sql.splitlines() if line.startswith("-- ")]
    facts = dict(line.split(": ", 1) for line in lines[1:] if re.match(r"(severity|asks|linter|why|remedy): ", line))
    severity, _, by = facts["severity"].partition(", ")
    return Question(
        name=path.stem.removeprefix("advice_"), title=lines[0], severity=severity, by_size=by == "by size",
        asks=facts.get("asks", ""), linter=facts.get("linter", ""), why=facts["why"], remedy=facts["remedy"], sql=sql,
    )  # fmt: skip

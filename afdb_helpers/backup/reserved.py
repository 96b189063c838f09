"""Schemas that a provider keeps (Supabase's): left out of a dump by name, with all that cannot come back without them.

A copy on a private server gets stand-ins, their structure without a row, so that policies, functions and views which
name them can be restored. A target has to have the schemas itself: a new project of the same provider does.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.backup import client
from afdb_helpers.catalog import Catalog
from afdb_helpers.errors import Unavailable
from afdb_helpers.fingerprint import reading
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection

STAND_INS = "reserved.dump"
SCHEMAS = (  # not `extensions`: the user's own extensions live in it
    "auth", "cron", "graphql", "graphql_public", "net", "pgbouncer", "pgmq_public", "pgsodium", "pgsodium_masks",
    "realtime", "storage", "supabase_functions", "supabase_migrations", "vault", "_analytics", "_realtime",
    "_supavisor",
)  # fmt: skip
_WHY = {
    "schema": "the provider keeps it; a project of its own has it",
    "extension": "it lives in a schema of the provider's",
    "foreign key": "it refers to rows of the provider's, which are not in the dump",
    "trigger": "it is on a table of the provider's",
    "policy": "it is on a table of the provider's",
}
Rows = Sequence[Mapping[str, Any]]


def found(connection: Connection) -> list[dict[str, Any]]:
    """The manifest's `excluded`: kind, name, schema, why; `entry` is what the archive calls what it holds, too."""
    from sqlalchemy import text

    rows = connection.execute(text(catalog.question("reserved")), {"names": list(SCHEMAS)}).mappings().all()
    return [
        {key: value for key, value in row.items() if value is not None} | {"why": _WHY[row["kind"]]} for row in rows
    ]


def schemas(excluded: Rows) -> list[str]:
    """The names of the schemas that were left out."""
    return [row["name"] for row in excluded if row["kind"] == "schema"]


def words(option: str, excluded: Rows) -> list[str]:
    """`--exclude-schema="auth"` for each; quoted, the pattern is the name."""
    return [f'--{option}="{name}"' for name in schemas(excluded)]


def tables(connection: Connection, excluded: Rows) -> list[str] | None:
    """The tables whose content is compared; None for all of them."""
    theirs = set(schemas(excluded))
    return [name for name, one in reading.tables(connection).items() if one.schema not in theirs] if theirs else None


def without(schema: Catalog, excluded: Rows) -> Catalog:
    """A schema without what was left out."""
    theirs = schemas(excluded)
    if not theirs:
        return schema
    marks = [mark for name in theirs for mark in (f"→ {name}.", f"REFERENCES {name}.")]
    data = schema.as_dict()
    for kind, found in data.get("objects", {}).items():
        gone = {row["name"] for row in excluded if row["kind"] == kind}
        data["objects"][kind] = {name: facts for name, facts in found.items() if name not in gone}
    return Catalog.from_dict(_pruned(data, tuple(f"{name}." for name in theirs), marks))


def _pruned(data: Any, starts: tuple[str, ...], marks: list[str]) -> Any:
    """Without names in those schemas, and without constraints, by their text, that refer to one."""
    if isinstance(data, Mapping):
        kept = {key: value for key, value in data.items() if not key.startswith(starts)}
        return {k: _pruned(v, starts, marks) for k, v in kept.items() if not any(mark in k for mark in marks)}
    if isinstance(data, list | tuple):
        said = [one for one in data if not (isinstance(one, str) and any(mark in one for mark in marks))]
        return [_pruned(one, starts, marks) for one in said]
    return data


def dump_stand_ins(target: Target, folder: Path, tools: client.Client, excluded: Rows, snapshot: str) -> list[str]:
    """The structure of what was left out beside the dump; else what is then not covered, and why."""
    if not schemas(excluded):
        return []
    arguments = ["--format=custom", f"--file={folder / STAND_INS}", "--schema-only", "--section=pre-data", "--no-owner",
                 "--no-privileges", f"--snapshot={snapshot}", *words("schema", excluded)]  # fmt: skip
    try:
        with client.running(tools.program("pg_dump"), arguments, target) as run:
            run.finish()
    except Unavailable as error:  # the role may not look at all of it
        (folder / STAND_INS).unlink(missing_ok=True)
        return [f"{STAND_INS}: {error.why}"]
    return []


def stand_in(program: Path, backup: Path, copy: Target) -> None:
    """Put the stand-ins into an empty copy, as far as they go: what lacks then is named by the restore itself."""
    if (backup / STAND_INS).is_file():
        with contextlib.suppress(Unavailable), client.running(program, [str(backup / STAND_INS)], copy) as run:
            run.finish()


@contextlib.contextmanager
def chosen(program: Path, archive: Path, excluded: Rows) -> Iterator[list[str]]:
    """The option that has pg_restore take all of the archive but what was left out."""
    entries = {row["entry"] for row in excluded if "entry" in row}
    if not entries:
        yield []
        return
    names = {row["name"] for row in excluded if row["kind"] == "extension"}
    kept = [line for line in client.contents(program, archive) if not _is_one(line, entries, names)]
    with tempfile.NamedTemporaryFile("w", prefix="afdb-", suffix=".list") as file:
        file.write("\n".join(kept) + "\n")
        file.flush()
        yield [f"--use-list={file.name}"]


def _is_one(line: str, entries: set[str], extensions: set[str]) -> bool:
    """`3456; 2606 16400 FK CONSTRAINT public profiles profiles_id_fkey postgres`; a comment has no numbers."""
    _, _, rest = line.partition("; ")
    numbers, said = " ".join(rest.split(" ")[:2]), rest.split(" ")[2:]
    return numbers in entries or (said[:3] == ["COMMENT", "-", "EXTENSION"] and said[3].strip('"') in extensions)

"""The project, without a database: its framework, its chain, how it finds its database, what makes tables past it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from afdb_helpers import drift, revisions
from afdb_helpers.discovery import frameworks, reading
from afdb_helpers.errors import AfdbError, ConfigError
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Graph, Project, Revision


@dataclass(frozen=True, kw_only=True, repr=False)
class Found(Report):
    """What was found in a folder; `project` is None where it holds no Alembic project that can be read."""

    project: Project | None = None
    graph: Graph | None = None


def project(
    folder: Path | None = None, *, ini: str | Path | None = None, python: str | Path | None = None,
    before: Mapping[str, Any] | None = None,
) -> Found:  # fmt: skip
    """What this folder is. Reads files and runs none of the project's code but its revisions' modules.

    `before` is what an earlier run kept: revision → hash of those that were applied then. Not ok where there are
    several heads, where an applied revision was edited, and where no Alembic project can be read.
    """
    here = folder or Path.cwd()
    try:
        found = _find(folder, ini, python)
        root, graph = found.ini.parent, found.graph()
    except ConfigError as error:
        paths = frameworks.files(here)
        others = frameworks.of_files(paths)
        named = ", ".join(one["framework"] for one in others if one["framework"] != "Alembic")
        said = f"{error.what}; {f'migrated by {named}' if named else 'no migration framework is recognised'}"
        return Found(headline=said, ok=False, rows=tuple(others), remedy=error.do, parts=(_why(error),))
    paths = frameworks.files(root)
    rows = tuple(_row(one, graph, (before or {}).get(one.id)) for one in graph.revisions)
    edited = [row["revision"] for row in rows if row.get("edited")]
    parts = (_others(paths, found), _url(found), _create_all(root, paths))
    return Found(
        headline=_headline(graph, rows, edited),
        ok=len(graph.heads) == 1 and not edited,
        rows=rows,
        remedy=_remedy(graph, edited),
        parts=parts,
        project=found,
        graph=graph,
    )


def models(found: Project | None, *, major: int | None = None) -> Report:
    """The models against what the chain makes: `alembic check` on a private server that has replayed the chain.

    Runs the project's env.py, in a process of its own, unless none of its files has changed since that was done; not ok
    where the models say something else than the chain. `major` is the live server's version, so that what is made here
    need not be made again for the state.
    """
    if found is None:
        return Report(headline="models: no project to compare")
    kept = _cache() / f"{_content(found)}.json"
    with contextlib.suppress(OSError, ValueError, TypeError):
        told = json.loads(kept.read_text())
        return Report(headline=told["headline"], ok=told["ok"], rows=tuple(told["rows"]), remedy=told["remedy"])
    try:
        compared = _compare(found, major)
    except AfdbError as error:
        return Report(headline=f"models: {error.what}: {error.why}", ok=False, remedy=error.do)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not truth
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(compared.as_dict()))
        partial.rename(kept)
    return compared


def _compare(found: Project, major: int | None) -> Report:
    graph = found.graph()
    with drift.replayed(found, graph, graph.head(), major=major) as (url, look):
        request = {"command": "check", "url": url, "throwaway": True}
        outcome = revisions.run(found.ini, request, python=found.python, meanwhile=look)
    if outcome.error:
        return _models_wrong(outcome.error)
    return Report(headline="models: what the chain makes is what the models declare")


def _content(found: Project) -> str:
    """The hash of every Python file of the project, its ini, and what it is run with."""
    root, whole = found.ini.parent, hashlib.sha256()
    for path in frameworks.files(root):
        if path.endswith(".py") or path == found.ini.name:
            whole.update(path.encode() + b"\0" + hashlib.sha256((root / path).read_bytes()).digest())
    versions = [str(found.python), *(version(name) for name in ("alembic", "sqlalchemy"))]
    return hashlib.sha256(whole.digest() + repr(versions).encode()).hexdigest()


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afdb" / "models"
    with contextlib.suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
    return home


def applied(graph: Graph | None, stamped: tuple[str, ...]) -> dict[str, str]:
    """Revision → hash of its file, of those that a database stamped so has gone through."""
    if graph is None:
        return {}
    known = {one.id for one in graph.revisions}
    done = set().union(*(graph.ancestors(one) for one in stamped if one in known)) if stamped else set()
    return {one.id: one.sha256 for one in graph.revisions if one.id in done}


def _find(folder: Path | None, ini: str | Path | None, python: str | Path | None) -> Project:
    """The project of `ini`, else of the nearest alembic.ini in the folder or above it."""
    if ini is not None or folder is None:
        return revisions.find(ini, python=python)
    for place in (folder.absolute(), *folder.absolute().parents):
        if (place / "alembic.ini").is_file():
            return revisions.find(place / "alembic.ini", python=python)
    raise ConfigError(
        "no Alembic project here",
        why=f"neither {folder} nor a folder above it holds an alembic.ini",
        do="change to the project's folder, or name it with --alembic-ini PATH",
    )


def _row(one: Revision, graph: Graph, before: str | None) -> dict[str, Any]:
    follow = [r.id for r in graph.revisions if one.id in r.down]
    row: dict[str, Any] = {
        "revision": one.id,
        "after": ", ".join(one.down),
        "what": one.doc.split("\n")[0],
        "file": one.path.name,
        "sha256": one.sha256[:12],
    }
    row |= reading.revision(one.path)
    row["reads data"] = row["reads data"] or one.resumes  # it looks what is there before each step
    row["branches"] = ", ".join(follow) if len(follow) > 1 else None
    row["edited"] = before is not None and before != one.sha256
    return row


def _headline(graph: Graph, rows: tuple[dict[str, Any], ...], edited: list[str]) -> str:
    said = f"{count(len(rows), 'revision')}, head {', '.join(graph.heads) or 'none'}"
    reads = sum(row["reads data"] for row in rows)
    kept = sum(row["undone by"].startswith("nothing") for row in rows)
    said += f"; {count(reads, 'reads', 'read')} data" if reads else ""
    said += f"; {kept} cannot be undone" if kept else ""
    return said + (f"; edited since applied: {', '.join(edited)}" if edited else "")


def _remedy(graph: Graph, edited: list[str]) -> str:
    if len(graph.heads) > 1:
        return "alembic merge -m merge heads"
    if not graph.heads:
        return "afdb create MESSAGE"
    return (
        f"restore the files of {', '.join(edited)} as they were applied; put changes into a new revision"
        if edited
        else ""
    )


def _others(paths: tuple[str, ...], found: Project) -> Report:
    """Further frameworks, and further alembic.ini files: two chains on one database get in each other's way."""
    rows = [row for row in frameworks.of_files(paths) if row["framework"] != "Alembic"]
    inis = [path for path in paths if path.split("/")[-1] == "alembic.ini"]
    rows = [{"framework": "Alembic", "by": path, "files": None} for path in inis] + rows
    headline = f"migrated by {', '.join(dict.fromkeys(row['framework'] for row in rows))}"
    if len(inis) > 1:
        headline += f"; {len(inis)} alembic.ini, and {found.ini.name} of {found.ini.parent.name} is looked at"
    remedy = "name the one you mean: --alembic-ini PATH" if len(inis) > 1 else ""
    beside = [path for path in inis if path.count("/") == 0] != inis[:1]
    return Report(headline=headline, ok=not beside, rows=tuple(rows), remedy=remedy if beside else "")


def _url(found: Project) -> Report:
    from configparser import ConfigParser

    config = ConfigParser(interpolation=None)
    config.read(found.ini)
    location = config.get("alembic", "script_location", fallback="").replace("%(here)s", str(found.ini.parent))
    script = found.ini.parent / location
    rows = reading.url(found.ini, script / "env.py")
    written = [row["where"] for row in rows if "with a password" in row["what"]]
    said = "its database's URL: " + (
        "; ".join(f"{r['what']} ({r['where']})" for r in rows) or "nothing says where from"
    )
    remedy = f"take the password out of {', '.join(written)}, and change it: it is in the repository" if written else ""
    where = {"where": "script_location", "what": location}
    return Report(headline=said, ok=not written, rows=(where, *rows), remedy=remedy)


def _create_all(root: Path, paths: tuple[str, ...]) -> Report:
    rows = reading.create_all(root, paths)
    if not rows:
        return Report(headline="no create_all: tables are made by the chain alone")
    headline = f"{count(len(rows), 'call')} of create_all, past the chain: {', '.join(row['file'] for row in rows[:3])}"
    return Report(
        headline=headline, rows=tuple(rows), remedy="see that none of them runs against a database that is migrated"
    )


def _models_wrong(error: Mapping[str, Any]) -> Report:
    said = str(error["message"]).strip()
    if said.startswith("New upgrade operations detected"):
        found = said.partition(": ")[2]
        return Report(
            headline="models: they declare something else than the chain makes", ok=False,
            rows=({"difference": found[:2000]},), remedy="afdb create MESSAGE writes the revision that is missing",
        )  # fmt: skip
    if "MetaData" in said:
        return Report(headline="models: env.py names no metadata to compare with (target_metadata)")
    first = said.splitlines()[0] if said else ""
    return Report(
        headline=f"models: `alembic check` fails: {error['kind']}: {first}", ok=False,
        remedy="mend env.py or what it imports; see what `alembic check` says",
    )  # fmt: skip


def _why(error: AfdbError) -> Report:
    return Report(headline=error.why, ok=False)

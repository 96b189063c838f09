"""Documents made from what was found: backend-discovery.md and data-model-overview.md, of any Alembic project.

A page is blocks between two comments; whoever keeps it adds prose around them, and only the blocks are written anew.
Everything comes from the project's files and from replaying its chain: no time, no path of a machine, no row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from afdb_helpers import catalog, drift
from afdb_helpers.catalog import Catalog
from afdb_helpers.discovery import diagram
from afdb_helpers.discovery.chain import Found
from afdb_helpers.errors import ConfigError
from afdb_helpers.revisions import Graph, Project

MOST = 40  # revisions that are replayed one by one to tell where each column comes from
PAGES = {  # page → its title, and the blocks that a new one has, each under its heading
    "backend-discovery.md": ("What discovery finds", {
        "chain": "The chain", "frameworks": "Frameworks", "url": "Where the URL comes from",
        "create_all": "Tables made past the chain",
    }),
    "data-model-overview.md": ("The data model", {
        "counts": "", "tables": "The tables", "diagram": "Diagram", "status": "Migration status",
        "columns": "Table by table", "patterns": "Design patterns",
    }),
}  # fmt: skip
_BLOCK = re.compile(r"(<!-- \[afdb docs: (\w+)\] -->\n)(.*?)(<!-- \[end of it\] -->)", re.DOTALL)
PATTERNS = {  # pattern → (columns by name, columns by type)
    "Tenancy: a column says whose a row is": (
        r"^(tenant|org|organi[sz]ation|account|workspace|company)_?(id|uuid)$",
        "",
    ),
    "Soft deletion: a row is marked, not deleted": (r"^(is_)?(deleted|archived|active|enabled|disabled)(_at)?$", ""),
    "JSON columns": ("", r"^JSONB?$"),
    "Timestamps without time zone": ("", r"^(TIMESTAMP|DATETIME)( WITHOUT TIME ZONE)?(\(\d\))?$"),
    "Timestamps with time zone": ("", r"^TIMESTAMP(\(\d\))? WITH TIME ZONE"),
    "Who and when: created_at, updated_at, created_by": (r"^(created|updated|modified)_(at|by|on)$", ""),
    "Floating point numbers": ("", r"^(FLOAT|REAL|DOUBLE PRECISION)"),
    "Lists of values as a type of their own": ("", r"^ENUM"),
}


def pages(found: Found, graph: Graph, project: Project) -> dict[str, dict[str, str]]:
    """Page → block → Markdown. Replays the chain on a private server, or takes what was made from the same files."""
    snapshots = _snapshots(project, graph)
    head = snapshots[-1][1] if snapshots else Catalog("postgresql", {})
    others, url, made = found.parts
    return {
        "backend-discovery.md": {
            "chain": _chain(found),
            "frameworks": _table(["Framework", "Known by"], ([r["framework"], f"`{r['by']}`"] for r in others.rows)),
            "url": _table(["Where", "What"], ([f"`{r['where']}`", r["what"]] for r in _places(url, project))),
            "create_all": _table(["Where", "Call"], ([f"`{r['file']}`", f"`{r['call']}`"] for r in made.rows))
            or "None: tables are made by the chain alone.\n",
        },
        "data-model-overview.md": {
            "counts": _counts(head),
            "tables": _tables(head, snapshots),
            "diagram": diagram.entities(head).markdown,
            "status": _status(found, graph),
            "columns": _columns(head, graph, snapshots),
            "patterns": patterns(head),
        },
    }


def write(folder: Path, made: Mapping[str, Mapping[str, str]], *, check: bool = False) -> list[str]:
    """Write the blocks of the pages that are there, and whole pages where none is; the names of those that changed.

    With `check` nothing is written. Raises `ConfigError` for a page of that name that has no block of ours.
    """
    changed = []
    for name, blocks in made.items():
        path = folder / name
        before = path.read_text() if path.is_file() else None
        after = _whole(name, blocks) if before is None else _replaced(path, before, blocks)
        if after != before:
            changed.append(name)
            if not check:
                folder.mkdir(parents=True, exist_ok=True)
                path.write_text(after)
    return changed


def patterns(live: Catalog) -> str:
    """Which designs are found in a schema, by names and types of columns."""
    rows = []
    for said, (name, kind) in PATTERNS.items():
        found = [
            (table, column)
            for table, facts in live.tables.items()
            for column, one in facts["columns"].items()
            if (name and re.search(name, column, re.IGNORECASE))
            or (kind and re.search(kind, _type(live, one["type"]), re.IGNORECASE))
        ]
        if found:
            names = sorted({column for _, column in found})
            listed = ", ".join(f"`{one}`" for one in names[:8]) + (
                f" and {len(names) - 8} more" if len(names) > 8 else ""
            )
            rows.append([said, str(len({table for table, _ in found})), str(len(found)), listed])
    return _table(["Pattern", "Tables", "Columns", "Names"], rows) or "None that is known by names or types.\n"


def _type(live: Catalog, name: str) -> str:
    return "ENUM" if name in {one.get("name", key) for key, one in live.objects.get("enum", {}).items()} else name


def _snapshots(project: Project, graph: Graph) -> list[tuple[str, Catalog]]:
    """The schema after each revision, the oldest first; of a long chain the head alone."""
    wanted = [one.id for one in graph.revisions] if len(graph.revisions) <= MOST else [graph.head()]
    return [(one, drift.reference(project, graph, one)) for one in wanted]


def _chain(found: Found) -> str:
    heads = ["Revision", "After", "What", "Reads data", "Undone by", "Locks", "File"]
    rows = (
        [f"`{r['revision']}`", r["after"] or "nothing", r["what"], "yes" if r["reads data"] else "no", r["undone by"],
         r["locks"] or "none that its text shows", f"`{r['file']}`"]
        for r in found.rows
    )  # fmt: skip
    heads_said = ", ".join(found.graph.heads) if found.graph else "none"
    return _table(heads, rows) + f"\nHead: {heads_said}.\n"


def _places(url: Any, project: Project) -> Iterable[dict[str, Any]]:
    root = str(project.ini.parent)
    return ({**row, "what": str(row["what"]).replace(root, ".")} for row in url.rows)


def _counts(head: Catalog) -> str:
    columns = sum(len(table["columns"]) for table in head.tables.values())
    foreign = sum(len(catalog.keys.foreign_keys(table)) for table in head.tables.values())
    indexes = sum(len(table["indexes"]) for table in head.tables.values())
    return f"{len(head.tables)} tables, {columns} columns, {foreign} foreign keys, {indexes} indexes beside the keys.\n"


def _tables(head: Catalog, snapshots: Sequence[tuple[str, Catalog]]) -> str:
    rows = (
        [f"[`{n}`](#{_anchor(n)})", _since(n, None, snapshots), str(len(t["columns"]))] for n, t in head.tables.items()
    )
    return _table(["Table", "Since", "Columns"], rows)


def _status(found: Found, graph: Graph) -> str:
    where = f"The chain's head is {', '.join(graph.heads)}; `afdb run discovery` says where a database stands."
    return f"{found.headline}.\n\n{where}\n"


def _columns(head: Catalog, graph: Graph, snapshots: Sequence[tuple[str, Catalog]]) -> str:
    out = []
    for name, table in head.tables.items():
        rows = [
            [f"`{column}`{_key(table, column)}", facts["type"], "yes" if facts["nullable"] else "no",
             f"`{facts['default']}`" if facts["default"] is not None else "", origin(name, column, graph, snapshots)]
            for column, facts in table["columns"].items()
        ]  # fmt: skip
        refers = [f"`{key}`" for key in catalog.keys.foreign_keys(table)]
        others = [f"`{t}.{c}`" for t, c, referred, _ in diagram.relations(head) if referred == name]
        indexes = [
            f"{'unique ' if unique else ''}`{index}` ({', '.join(f'`{c}`' for c in columns)})"
            for index, (unique, columns) in ((name, catalog.keys.index(one)) for name, one in table["indexes"].items())
        ]
        out += [f"### {name}", "", _table(["Column", "Type", "Null", "Default", "Origin"], rows)]
        for title, items in (("Refers to", refers), ("Referred to by", others), ("Indexes", indexes)):
            out += [f"{title}: {', '.join(items) or 'none'}.", ""]
    return "\n".join(out)


def origin(table: str, column: str, graph: Graph, snapshots: Sequence[tuple[str, Catalog]]) -> str:
    """The revision that a column comes from: with its table, added, or renamed, as the revision declares it."""
    since = _since(table, column, snapshots)
    renamed = {}
    if any(one.id == since for one in graph.revisions):
        renamed = ((graph.get(since).mapping or {}).get(table) or {}).get("renamed", {})
    old = next((old for old, new in renamed.items() if new == column), None)
    if old:
        return f"renamed from `{old}` in {since}"
    return since if since == _since(table, None, snapshots) else f"added in {since}"


def _since(table: str, column: str | None, snapshots: Sequence[tuple[str, Catalog]]) -> str:
    for revision, there in snapshots:
        if table in there.tables and (column is None or column in there.tables[table]["columns"]):
            return revision
    return ""


def _key(table: dict[str, Any], column: str) -> str:
    return " **PK**" if column in catalog.keys.primary_key(table) else ""


def _whole(name: str, blocks: Mapping[str, str]) -> str:
    title, headings = PAGES[name]
    out = [f"# {title}", "", "Made by `afdb docs`; what stands between its comments is written anew each time.", ""]
    for block, heading in headings.items():
        out += [f"## {heading}", ""] if heading else []
        out += [f"<!-- [afdb docs: {block}] -->\n{blocks[block]}\n<!-- [end of it] -->", ""]
    return "\n".join(out)


def _replaced(path: Path, before: str, blocks: Mapping[str, str]) -> str:
    there = [match[2] for match in _BLOCK.finditer(before)]
    if not there or not set(there) <= set(blocks):
        unknown = ", ".join(sorted(set(there) - set(blocks)))
        raise ConfigError(
            f"{path} is not written",
            why=f"it has a block that afdb docs does not know: {unknown}"
            if unknown
            else "it has no block of afdb docs",
            do=f"put `<!-- [afdb docs: {next(iter(blocks))}] -->` and `<!-- [end of it] -->` where a block is to be,"
            " or move the page away",
        )
    return _BLOCK.sub(lambda match: f"{match[1]}{blocks[match[2]]}\n{match[4]}", before)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, empty without rows; a bar inside a cell is escaped."""
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ").strip() for cell in row] for row in rows]
    if not cells:
        return ""
    lines = [list(names), ["---"] * len(names), *cells]
    return "".join("|" + "".join(f" {cell} |" if cell else " |" for cell in line) + "\n" for line in lines)


def _anchor(name: str) -> str:
    return re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")

"""The generated parts of the docs: each function returns Markdown, and a cog block in a page calls it.

`make docs` writes the parts anew, `make check` fails when one of them is out of date. The output is the same on every
machine: no paths, no times, no width taken from the terminal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click
    from sqlalchemy import Column, ForeignKey, Table

    from afdb_helpers.runbook.catalogue import Runbook

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100  # of the help texts


def module_map() -> str:
    """The map that the package's docstring opens with."""
    import afdb_helpers

    return fenced("\n".join(line[4:] for line in (afdb_helpers.__doc__ or "").splitlines() if line.startswith("    ")))


def layers() -> str:
    """The import contract of pyproject.toml, top to bottom."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = next(c for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    return fenced("\n".join(contract["layers"]))


# --- Errors, settings, commands ---------------------------------------------------------------------------------------


def exit_codes() -> str:
    """One row an error class, in the order of errors.py."""
    from afdb_helpers import errors

    rows = [["0", "", "nothing, or what was asked for", "Done."]]
    for cls in errors.AfdbError.__subclasses__():
        code = "130, 143" if cls is errors.Interrupted else str(cls.exit_code)
        said = (cls.__doc__ or "").split("\n")[0].replace(" `signum` 2 gives exit code 130, 15 gives 143.", "")
        rows.append([code, f"`{cls.__name__}`", cls.changed, said])
    return table(["Exit code", "Error", "Changed", "Meaning"], rows)


def settings() -> str:
    """Every variable of .env.example with its example and the comment above it, one table a section."""
    out: list[str] = []
    for section, blocks in _settings():
        rows = [["<br>".join(f"`{line}`" for line in lines), said] for said, lines in blocks]
        out += [f"**{section}**", "", table(["Setting, example or default", "Meaning"], rows)]
    return "\n".join(out)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command of `afdb` with its full name, parents first; runbooks are listed by `runbooks`, not here."""
    from afdb_helpers.cli import afdb

    yield from _commands("afdb", afdb)


def command_help() -> str:
    """The help of every command as it is printed 100 columns wide."""
    import click

    out = []
    for name, command in commands():
        context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
        context.help_option_names = ["-h", "--help"]
        out += [f"### {name}", "", fenced(command.get_help(context))]
    return "\n".join(out)


# --- Shipped schemas -------------------------------------------------------------------------------------------------


def manifest_fields() -> str:
    """One row a field of manifest.json, from the shipped schema."""
    from afdb_helpers.backup import manifest

    schema = manifest.schema()
    return _fields(schema, schema["then"]["required"], "PostgreSQL")


def run_fields() -> str:
    """One row a field of run.json, from the shipped schema."""
    from afdb_helpers.runbook import shape

    schema = shape.schema()
    return _fields(schema, schema["allOf"][0]["then"]["required"], "not interactive")


def _fields(schema: dict[str, Any], conditional: Sequence[str], condition: str) -> str:
    rows = []
    for name, facts in schema["properties"].items():
        found = {**schema["$defs"][facts["$ref"].rpartition("/")[2]], **facts} if "$ref" in facts else facts
        choice = found.get("enum", [found.get("const")])
        kind = found.get("type") or " or ".join("null" if v is None else f"`{v}`" for v in choice)
        kind = "time or null" if "oneOf" in found else kind if isinstance(kind, str) else " or ".join(kind)
        there = "always" if name in schema["required"] else condition if name in conditional else "sometimes"
        inner = ", ".join(f"`{key}`" for key in found.get("properties", {}))
        rows.append([f"`{name}`", kind, there, f"{found['description']}{f' Holds {inner}.' if inner else ''}"])
    return table(["Field", "Type", "There", "Meaning"], rows)


# --- Runbooks and revisions -------------------------------------------------------------------------------------------


def runbooks() -> str:
    """The runbooks: what each reads and writes, as the table in its first cell says."""
    rows = []
    for book in _books():
        facts = _facts(book)
        name = f"[`{book.path.stem}`](../runbooks/{book.path.name})"
        rows.append([name, book.sentence, facts["Reads"], facts["Writes"], facts["Needs approval"]])
    return table(["Runbook", "Does", "Reads", "Writes", "Needs approval"], rows)


def runbooks_for_readme() -> str:
    """The same in short, with links from the root."""
    rows = [[f"[{b.number} {b.title}](runbooks/{b.path.name})", b.sentence, _facts(b)["Writes"]] for b in _books()]
    return table(["Runbook", "Does", "Writes"], rows)


def runbook_parameters() -> str:
    """One section a runbook, one row a parameter, from the cell tagged `parameters`."""
    out = []
    for book in _books():
        facts = [
            [f"`{p.name}`", p.type, "required" if p.required else f"`{p.default!r}`", p.help] for p in book.parameters
        ]
        out += [f"### afdb run {book.name}", "", book.sentence, ""]
        out += [table(["Parameter", "Type", "Default", "Meaning"], facts)]
    return "\n".join(out)


# --- Discovery --------------------------------------------------------------------------------------------------------


def advice_summary() -> str:
    """One row a question, in the order of the page."""
    from afdb_helpers.discovery import advising

    rows = [
        [f"[`{one.name}`](#{one.name})", one.title, one.severity + (", by size" if one.by_size else ""), one.linter]
        for one in advising.questions()
    ]
    return table(["Advice", "Found", "Severity", "Supabase's linter"], rows)


def advice() -> str:
    """One section a question, from the head of its file."""
    from afdb_helpers.discovery import advising

    out = []
    for one in advising.questions():
        file = f"advice_{one.name}.sql"
        out += [f"### {one.name}", "", f"**{one.title}.** {one.why}", "", f"What helps: {one.remedy}", ""]
        out += [f"Asked by [`{file}`](../afdb_helpers/sql/{file}).", ""]
    return "\n".join(out)


# --- The data model ---------------------------------------------------------------------------------------------------


def model_summary() -> str:
    """One row a table: where it comes from and what it is for."""
    rows = [[f"[`{t.name}`](#{t.name})", _since(t), str(len(t.columns)), t.info["purpose"]] for t in _tables()]
    return table(["Table", "Since", "Columns", "Purpose"], rows)


def model_tables() -> str:
    """One section a table: columns, what they refer to, what refers to them, indexes."""
    return "\n".join(_section(one) for one in _tables())


def model_diagram() -> str:
    """The entities with their keys, and a line for each foreign key."""
    lines = ["erDiagram"]
    for one in _tables():
        lines += [f"    {one.name} {{", *(f"        {_kind(c)} {c.name} {_keys(c)}" for c in _marked(one)), "    }"]
    for key in _foreign_keys():
        many = "o{"
        one_side = "|o" if key.parent.nullable else "||"
        lines.append(f"    {key.column.table.name} {one_side}--{many} {key.parent.table.name} : {key.parent.name}")
    return f"```mermaid\n{chr(10).join(lines)}\n```\n"


def model_changes() -> str:
    """What 002 makes of each table, as the revision itself declares it."""
    from afdb_helpers import revisions as chain

    declared = chain.find(ROOT / "alembic.ini").graph().get("002").mapping or {}
    rows = []
    for one in _tables():
        said = declared.get(one.name, {})
        renamed = [f"`{old}` → `{new}`" for old, new in said.get("renamed", {}).items()]
        lists = [[f"`{name}`" for name in said.get(kind, [])] for kind in ("added", "indexes")]
        first = "new table" if said.get("created") else ", ".join(renamed) or ("" if said else "unchanged")
        rows.append([f"`{one.name}`", first, *map(", ".join, lists)])
    return table(["Table", "Renamed", "Columns added", "Indexes added"], rows)


def model_counts() -> str:
    """The size of the schema in one sentence."""
    tables = _tables()
    old = [one for one in tables if _since(one) == "001"]
    columns = sum(len(one.columns) for one in tables)
    indexes = sum(len(one.indexes) for one in tables)
    return (
        f"{len(tables)} tables ({len(old)} from 001, {len(tables) - len(old)} new in 002), {columns} columns,"
        f" {len(list(_foreign_keys()))} foreign keys, {indexes} indexes beside the primary keys.\n"
    )


# --- Markdown ---------------------------------------------------------------------------------------------------------


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = [list(names), ["---"] * len(names), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ").strip() for cell in line] for line in lines]
    return "".join("|" + "".join(f" {cell} |" if cell else " |" for cell in line) + "\n" for line in cells)


def fenced(text: str, language: str = "text") -> str:
    return f"```{language}\n{text.strip(chr(10))}\n```\n"


# --- How they are found -----------------------------------------------------------------------------------------------


def _settings() -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Section → blocks of a comment and the variables below it."""
    found: list[tuple[str, list[tuple[str, list[str]]]]] = []
    for line in (ROOT / ".env.example").read_text().splitlines():
        blocks = found[-1][1] if found else []
        if heading := re.match(r"# --- (.*?) -+$", line):
            found.append((heading[1], []))
        elif variable := re.match(r"#?([A-Z][A-Z0-9_]*=.*)$", line):
            blocks[-1][1].append(variable[1])
        elif line.startswith("# ") and found:
            if blocks and not blocks[-1][1]:
                blocks[-1] = (f"{blocks[-1][0]} {line[2:]}", [])
            else:
                blocks.append((line[2:], []))
    return found


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    import click

    yield name, command
    if isinstance(command, click.Group) and name != "afdb run":
        context = click.Context(command, info_name=name)
        for child in command.list_commands(context):
            if found := command.get_command(context, child):
                yield from _commands(f"{name} {child}", found)


def _books() -> tuple[Runbook, ...]:
    from afdb_helpers.runbook import catalogue

    return catalogue.catalogue(ROOT / "runbooks")


def _facts(book: Runbook) -> dict[str, str]:
    """The table of the first cell: its heads and its one row."""
    opening = "".join(json.loads(book.path.read_text())["cells"][0]["source"])
    lines = [line.strip().strip("|") for line in opening.splitlines() if line.startswith("|")]
    heads, values = ([cell.strip() for cell in line.split("|")] for line in (lines[0], lines[2]))
    return dict(zip(heads, values, strict=True))


def _tables() -> list[Table]:
    """In the order of the models, which is that of schema and docs."""
    from afdb_helpers.models import metadata

    return list(metadata.tables.values())


def _since(one: Table) -> str:
    return "002" if all(column.info["origin"] == "added" for column in one.columns) else "001"


def _section(one: Table) -> str:
    heads = ["Column", "Type", "Null", "Default", "Origin", "Note"]
    own = [f"`{key.parent.name}` → `{key.target_fullname}`" for key in _foreign_keys() if key.parent.table is one]
    others = [f"`{key.parent.table.name}.{key.parent.name}`" for key in _foreign_keys() if key.column.table is one]
    indexes = [
        f"{'unique ' if index.unique else ''}`{index.name}` ({', '.join(f'`{c.name}`' for c in index.columns)})"
        for index in sorted(one.indexes, key=lambda index: str(index.name))
    ]
    out = [f"### {one.name}", "", f"{one.info['purpose']} {_origin(one)}", "", table(heads, map(_row, one.columns))]
    for title, items in (("Refers to", own), ("Referred to by", others), ("Indexes", indexes)):
        out += [f"{title}: {', '.join(items) or 'none'}.", ""]
    return "\n".join(out)


def _origin(one: Table) -> str:
    return "New in 002." if _since(one) == "002" else "Since 001."


def _row(column: Column[object]) -> list[str]:
    key = " **PK**" if column.primary_key else " FK" if column.foreign_keys else ""
    null = "yes" if column.nullable else "no"
    if column.info.get("stricter"):
        null += " ¹"
    origin = "added in 002" if column.info["origin"] == "added" else column.info["origin"]
    return [f"`{column.name}`{key}", _kind(column), null, _default(column), origin, column.info["note"]]


def _default(column: Column[object]) -> str:
    if column.server_default is None:
        counts = column.table.autoincrement_column is column
        return "the next number" if counts else ""
    text = str(getattr(column.server_default, "arg", ""))
    return f"`{text}`"


def _kind(column: Column[object]) -> str:
    return type(column.type).__name__.lower()


def _marked(one: Table) -> list[Column[object]]:
    return [column for column in one.columns if _keys(column)]


def _keys(column: Column[object]) -> str:
    unique = any(i.unique and [c.name for c in i.columns] == [column.name] for i in column.table.indexes)
    marks = {"PK": column.primary_key, "FK": bool(column.foreign_keys), "UK": unique}
    return ", ".join(mark for mark, holds in marks.items() if holds)


def _foreign_keys() -> Iterator[ForeignKey]:
    for one in _tables():
        for column in one.columns:
            yield from column.foreign_keys

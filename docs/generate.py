"""The generated parts of the docs: each function returns Markdown, and a cog block in a page calls it.

`make docs` writes the parts anew, `make check` fails when one of them is out of date. The output is the same on every
machine: no paths, no times, no width taken from the terminal.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

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


# --- The library -----------------------------------------------------------------------------------------------------


def library() -> str:
    """What the cells of the runbooks call: the sentence of each, and which runbooks."""
    used: dict[str, list[str]] = {}
    for book in _books():
        code = "\n".join(
            "".join(cell["source"])
            for cell in json.loads(book.path.read_text())["cells"]
            if cell["cell_type"] == "code"
        )
        imported = re.findall(r"\w+", " ".join(re.findall(r"^from afdb_helpers import (.*)$", code, re.MULTILINE)))
        code = re.sub(r'"[^"\n]*"', "", code)
        for name in sorted(set(re.findall(rf"\b(?:{'|'.join(imported)})\.\w+", code))):
            used.setdefault(name, []).append(book.path.stem[:2])
    rows = [[f"`{name}`", _sentence(*name.split(".")), ", ".join(used[name])] for name in sorted(used)]
    return table(["Name", "Gives", "Runbooks"], rows)


def library_for_revisions() -> str:
    """What a revision may call, `online.__all__`."""
    from afdb_helpers import online

    return table(["Name", "Does"], [[f"`online.{name}`", _sentence("online", name)] for name in online.__all__])


def _sentence(module: str, name: str) -> str:
    found = getattr(importlib.import_module(f"afdb_helpers.{module}"), name)
    paragraph = " ".join((found.__doc__ or "").strip().split("\n\n")[0].split())
    return re.split(r"(?<=[.])\s", paragraph)[0].rstrip(".")


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

"""The runbooks there are: found by name or number, read as JSON without importing anything of Jupyter."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afdb_helpers.errors import ConfigError
from afdb_helpers.report import Report
from afdb_helpers.runbook import parameters

_FILE = re.compile(r"(?P<number>\d\d)_(?P<name>[a-z][a-z0-9_]*)\.ipynb")
_ALIASES = {"costs": "cost_comparison"}


@dataclass(frozen=True)
class Runbook:
    """A notebook that can be run: what its first cell, its parameters cell and its list of steps say.

    `steps` are the cells that a success takes, in order, each with what it has to leave: `dump: backup.end`.
    """

    name: str
    number: str
    path: Path
    title: str
    sentence: str
    parameters: tuple[parameters.Parameter, ...] = field(default=())
    steps: tuple[str, ...] = field(default=())


def folder() -> Path:
    """Where the runbooks are: in the package where it was installed from a wheel, beside it in a checkout."""
    import afdb_helpers

    package = Path(afdb_helpers.__file__).resolve().parent
    packed = package / "project" / "runbooks"
    return packed if packed.is_dir() else package.parent / "runbooks"


def catalogue(where: Path | None = None) -> tuple[Runbook, ...]:
    """Every runbook in order of its number."""
    return tuple(read(path) for path in _paths(where or folder()))


def table(where: Path | None = None) -> Report:
    """The runbooks as a result to show: number, name, what it does, what it may be given."""
    rows = [
        {
            "no": book.number,
            "runbook": book.name,
            "does": book.sentence,
            "parameters": ", ".join(p.name + (" (required)" if p.required else "") for p in book.parameters),
        }
        for book in catalogue(where)
    ]
    return Report(headline=f"{len(rows)} runbooks", rows=tuple(rows), remedy="afdb run NAME --help")


def find(name_or_path: str | Path, where: Path | None = None) -> Path:
    """The file of a runbook called by name, number or path. Raises `ConfigError` naming the nearest names."""
    given = str(name_or_path)
    if given.endswith(".ipynb"):
        if Path(given).is_file():
            return Path(given)
        raise ConfigError(f"there is no file {given}", why="it was looked for from this folder", do="correct the path")
    known = {match["name"]: path for path in _paths(where or folder()) if (match := _FILE.fullmatch(path.name))}
    by_number = {path.name[:2]: path for path in known.values()}
    wanted = _ALIASES.get(given, given.replace("-", "_"))
    found = known.get(wanted) or by_number.get(given.zfill(2))
    if found is None:
        near = difflib.get_close_matches(wanted, known, n=2, cutoff=0.5)
        why = f"the nearest: {', '.join(near)}" if near else f"there are: {', '.join(known) or 'none'}"
        raise ConfigError(f"no runbook is called {given!r}", why=why, do="`afdb runbooks` lists them")
    return found


def read(path: Path) -> Runbook:
    """What a notebook says of itself. Raises `ConfigError` where it is not a notebook with one parameters cell."""
    data = load(path)
    cells = data["cells"]
    match = _FILE.fullmatch(path.name)
    text = next((source(cell) for cell in cells if cell.get("cell_type") == "markdown"), "")
    title, sentence = _opening(text)
    return Runbook(
        name=match["name"] if match else path.stem,
        number=match["number"] if match else "",
        path=path,
        title=title or path.stem,
        sentence=sentence,
        parameters=parameters.declared(source(parameters_cell(cells))),
        steps=steps(data),
    )


def steps(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The steps that a notebook lists in its metadata; where it lists none, every code cell is one."""
    listed = data.get("metadata", {}).get("afdb", {}).get("steps")
    if listed is None:
        return tuple(str(cell.get("id")) for cell in data["cells"] if cell.get("cell_type") == "code")
    return tuple(str(step) for step in listed)


def load(path: Path) -> dict[str, Any]:
    """The notebook as plain JSON. Raises `ConfigError` where it is not one of format 4."""
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read", why=error.strerror or str(error), do="correct the path") from None
    except ValueError:
        raise _no_notebook(path, "it is not JSON") from None
    cells = data.get("cells") if isinstance(data, dict) else None
    if not isinstance(cells, list) or data.get("nbformat") != 4:
        raise _no_notebook(path, "it has no cells in notebook format 4")
    if not all(isinstance(cell, dict) and cell.get("cell_type") in ("code", "markdown", "raw") for cell in cells):
        raise _no_notebook(path, "one of its cells is none")
    return dict(data)


def source(cell: dict[str, Any]) -> str:
    """A cell's text; the file may hold it as one string or as lines."""
    text = cell.get("source", "")
    return text if isinstance(text, str) else "".join(text)


def tags(cell: dict[str, Any]) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", []))


def parameters_cell(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """The one cell tagged `parameters`, which is the first code cell."""
    tagged = [cell for cell in cells if "parameters" in tags(cell)]
    code = [cell for cell in cells if cell.get("cell_type") == "code"]
    if len(tagged) != 1 or not code or tagged[0] is not code[0]:
        raise ConfigError(
            "the notebook's parameters cannot be read",
            why=f"{len(tagged)} cells are tagged `parameters`; it must be exactly one, the first code cell",
            do="tag the first code cell `parameters`, and no other",
        )
    return tagged[0]


def _opening(text: str) -> tuple[str, str]:
    """The title and the first sentence of the first cell."""
    lines = [line.strip() for line in text.splitlines()]
    title = next((line[2:].strip() for line in lines if line.startswith("# ")), "")
    prose = " ".join(line for line in _first_paragraph(lines))
    return title, prose.replace("`", "").replace("**", "")


def _first_paragraph(lines: list[str]) -> list[str]:
    taken: list[str] = []
    for line in lines:
        if line and not line.startswith(("#", "|")):
            taken.append(line)
        elif taken:
            break
    return taken


def _paths(where: Path) -> list[Path]:
    return sorted(path for path in where.glob("*.ipynb") if _FILE.fullmatch(path.name))


def _no_notebook(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{path} is not a notebook", why=why, do="name an .ipynb file; `afdb runbooks` lists ours")

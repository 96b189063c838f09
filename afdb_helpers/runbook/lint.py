"""Thin notebooks: what a committed runbook must look like, found in its JSON and in the syntax trees of its cells.

`python -m afdb_helpers.runbook.lint [FILE …]` checks the given notebooks, or all of them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from afdb_helpers.errors import AfdbError
from afdb_helpers.report import Report, count
from afdb_helpers.runbook import catalogue, parameters, request, steps

LONGEST = 10  # lines of a code cell
COLUMNS = ("Reads", "Writes", "Reversible", "Typical duration", "Needs approval")
_STATEMENTS = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr)
_LOOPS = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Await, ast.Yield, ast.NamedExpr)
_LEAVING = {"exit", "quit", "sys.exit", "os._exit", "os.abort", "os.kill"}
_EXECUTING = {"execute", "exec_driver_sql", "executemany", "text", "eval", "exec", "system", "run_cell", "get_ipython"}
_SQL = re.compile(
    r"\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s|with\s+\w+\s+as\s"
    r"|(create|alter|drop|truncate)\s+(table|index|schema|type|view|function|unique|role|database)\b)",
    re.IGNORECASE | re.DOTALL,
)
_RANDOM_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){0,3}(-[0-9a-f]{12})?")
Cell = dict[str, Any]
Found = Iterator[tuple[str, str]]


def check(path: Path) -> Report:
    """Every rule that a notebook breaks, a row each with the cell and what is wrong."""
    try:
        data = catalogue.load(path)
        found = [pair for rule in _RULES for pair in rule(path, data)]
    except AfdbError as error:
        found = [("notebook", f"{error.what}: {error.why}")]
    rows = tuple({"cell": cell, "wrong": wrong} for cell, wrong in found)
    said = "thin" if not rows else count(len(rows), "rule is", "rules are") + " broken"
    return Report(headline=f"{path.name}: {said}", ok=not rows, rows=rows, remedy="" if not rows else f"edit {path}")


def check_all(where: Path | None = None) -> Report:
    """All runbooks of a folder, each as a part; none at all is not well."""
    parts = tuple(check(book.path) for book in catalogue.catalogue(where))
    broken = sum(not part.ok for part in parts)
    headline = f"{count(len(parts), 'runbook')}, {broken or 'none'} of them not thin"
    return Report(headline=headline, ok=bool(parts) and not broken, parts=parts)


def _opening(_: Path, data: Cell) -> Found:
    first = data["cells"][0] if data["cells"] else {}
    text = catalogue.source(first) if first.get("cell_type") == "markdown" else ""
    if not re.match(r"# \S", text):
        yield "first cell", "it is not Markdown that opens with a title"
    if not re.search(r"^[^#|\s].*\.$", text, re.MULTILINE):
        yield "first cell", "it has no sentence that says what the runbook does"
    header = next((line for line in text.splitlines() if line.startswith("|")), "")
    if tuple(part.strip() for part in header.strip("|").split("|")) != COLUMNS:
        yield "first cell", f"it has no table with the columns {', '.join(COLUMNS)}"


def _parameters(_: Path, data: Cell) -> Found:
    declared = parameters.declared(catalogue.source(catalogue.parameters_cell(data["cells"])))
    for parameter in declared:
        if not parameter.help:
            yield "parameters", f"{parameter.name} has no `# help: …`"
        if parameter.required:
            yield "parameters", f"{parameter.name} has no default, and Run All runs the defaults"


def _code(_: Path, data: Cell) -> Found:
    for cell in _code_cells(data)[1:]:
        for wrong in _in_code(catalogue.source(cell)):
            yield _name(cell), wrong


def _in_code(source: str) -> Iterator[str]:
    if len(source.splitlines()) > LONGEST:
        yield f"it has {len(source.splitlines())} lines; a helper says it in at most {LONGEST}"
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        yield f"line {error.lineno} is not Python (a magic or a shell line?)"
        return
    for node in tree.body:
        if not isinstance(node, _STATEMENTS):
            yield f"line {node.lineno}: {type(node).__name__} belongs into a helper"
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        yield "its last line is no result"
    for inner in ast.walk(tree):
        yield from _in_node(inner)


def _in_node(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=function):
            called = ast.unparse(function)
            if called in _LEAVING:
                yield f"line {node.lineno}: {called} ends the kernel, not the run; raise an error in the helper"
            elif called.rpartition(".")[2] in _EXECUTING:
                yield f"line {node.lineno}: {called} runs code or SQL; a helper does that"
        case ast.Constant(value=str(text)) if _SQL.match(text):
            yield f"line {node.lineno}: SQL belongs into the package"
        case ast.Name(id="exit" | "quit" as name):
            yield f"line {node.lineno}: {name} ends the kernel, not the run"
        case _ if isinstance(node, _LOOPS):
            yield f"line {node.lineno}: {type(node).__name__} belongs into a helper"


def _order(path: Path, data: Cell) -> Found:
    cells = data["cells"]
    for before, cell in zip([{}, *cells], cells, strict=False):
        if cell["cell_type"] == "code" and before.get("cell_type") != "markdown":
            yield _name(cell), "no Markdown above it says what it does and what to do if it is wrong"
        if cell["cell_type"] == "raw":
            yield _name(cell), "it is a raw cell, which nobody sees run"
    text = "\n".join(catalogue.source(cell) for cell in cells if cell["cell_type"] == "markdown")
    headings = re.findall(r"^## +(.+?) *$", text, re.MULTILINE)
    if not headings or (headings[0], headings[-1]) != ("Preconditions", "Outcome"):
        yield "notebook", "its headings do not go from Preconditions to Outcome"
    begins = [c for c in _code_cells(data)[1:] if "runbook.begin(" in catalogue.source(c)]
    if len(begins) != 1 or begins[0] is not _code_cells(data)[1]:
        yield "notebook", "the first cell after the parameters does not begin the run, or another does too"
    if not cells or "run.close(" not in catalogue.source(cells[-1]):
        yield "notebook", "its last cell does not close the run"
    named = re.search(r"runbook\.begin\(\s*[\"']([^\"']*)", "".join(catalogue.source(c) for c in begins))
    if named and named[1] != catalogue.read(path).name:
        yield "notebook", f"it begins as {named[1]!r}, which is not what its file is called"


def _clean(_: Path, data: Cell) -> Found:
    seen: set[str] = set()
    for cell in data["cells"]:
        given = str(cell.get("id", ""))
        if not given or given in seen or _RANDOM_ID.fullmatch(given):
            yield given or "a cell", "its id is missing, taken, or random; a name stays the same in every diff"
        seen.add(given)
        if cell.get("outputs") or cell.get("execution_count") is not None:
            yield given, "it holds an output; `nbstripout FILE` removes it"
        for tag in catalogue.tags(cell):
            if tag != "parameters":
                why = request.SKIPPING.get(tag, "only the parameters cell has one")
                yield given, f"it is tagged {tag}: {why}"
    spec = data.get("metadata", {}).get("kernelspec", {}).get("name")
    if spec != request.KERNELS[0]:
        yield "notebook", f"its kernel is {spec or 'not named'}; it has to be {request.KERNELS[0]}"


def _steps(_: Path, data: Cell) -> Found:
    """The list of steps that a success takes names every code cell, in order."""
    listed, cells = list(steps.parsed(catalogue.steps(data))), [_name(cell) for cell in _code_cells(data)]
    if "steps" not in data.get("metadata", {}).get("afdb", {}):
        yield "notebook", "its metadata lists no steps (afdb.steps): what its journal has to show for a success"
    elif listed != cells:
        odd = next((a or b for a, b in zip_longest(cells, listed) if a != b), "")
        yield str(odd), "the steps in the notebook's metadata (afdb.steps) are not its code cells in their order"


_RULES: tuple[Callable[[Path, Cell], Found], ...] = (_opening, _parameters, _code, _order, _clean, _steps)


def _code_cells(data: Cell) -> list[Cell]:
    return [cell for cell in data["cells"] if cell["cell_type"] == "code"]


def _name(cell: Cell) -> str:
    return str(cell.get("id", "a cell"))


def main(files: list[str]) -> int:
    """The exit code for `make check`: 1 when a notebook is not thin."""
    parts = [check(Path(file)) for file in files] if files else [check_all()]
    sys.stdout.write("\n".join(str(part) for part in parts) + "\n")
    return 0 if all(part.ok for part in parts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The notebook linter: ours are thin, and each rule finds a notebook that breaks it and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afdb_helpers.errors import ConfigError
from afdb_helpers.runbook import catalogue, lint

Notebook = dict[str, Any]
TABLE = (
    "| Reads | Writes | Reversible | Typical duration | Needs approval |\n|---|---|---|---|---|\n| a | b | c | d | e |"
)


def thin() -> Notebook:
    """A notebook that breaks no rule."""

    def markdown(name: str, text: str) -> Notebook:
        return {"id": name, "cell_type": "markdown", "metadata": {}, "source": text}

    def code(name: str, text: str, **metadata: Any) -> Notebook:
        return {
            "id": name, "cell_type": "code", "metadata": metadata, "source": text, "outputs": [],
            "execution_count": None,
        }  # fmt: skip

    cells = [
        markdown("title", f"# Look\n\nSays what is there.\n\n{TABLE}"),
        code("parameters", 'target: str = "default"  # help: the target', tags=["parameters"]),
        markdown("preconditions", "## Preconditions\n\nThe target can be read."),
        code("begin", "from afdb_helpers import catalog, runbook\n\nrun = runbook.begin('look')\nrun"),
        markdown("about-look", "## The tables\n\nReads only."),
        code("look", "found = catalog.sizes(run.connection)\nfound"),
        markdown("outcome", "## Outcome\n\nWhat was found closes the record."),
        code("close", "run.close(found)"),
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    steps = ["parameters", "begin", "look", "close: report.json"]
    return {
        "cells": cells, "metadata": {"afdb": {"steps": steps}, "kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip


def checked(notebook: Notebook, folder: Path) -> list[str]:
    path = folder / "01_look.ipynb"
    path.write_text(json.dumps(notebook))
    return [f"{row['cell']}: {row['wrong']}" for row in lint.check(path).rows]


def test_our_runbooks_are_thin() -> None:
    report = lint.check_all()
    assert len(report.parts) == 6, "every runbook was looked at"
    assert report.ok, report


def test_a_thin_notebook_breaks_no_rule(tmp_path: Path) -> None:
    assert checked(thin(), tmp_path) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n    return 1\nf()", "FunctionDef belongs into a helper"),
        ("class A: pass\nA", "ClassDef belongs into a helper"),
        ("for x in (1, 2): x\nx", "For belongs into a helper"),
        ("while False: pass\nrun", "While belongs into a helper"),
        ("try:\n    run\nexcept Exception: pass\nrun", "Try belongs into a helper"),
        ("with run: pass\nrun", "With belongs into a helper"),
        ("if run:\n    run\nrun", "If belongs into a helper"),
        ("assert run\nrun", "Assert belongs into a helper"),
        ("del run\n1", "Delete belongs into a helper"),
        ("[x for x in (1, 2)]", "ListComp belongs into a helper"),
        ("f = lambda: 1\nf", "Lambda belongs into a helper"),
        ("await run", "Await belongs into a helper"),
        ("%time run", "is not Python (a magic or a shell line?)"),
        ("!ls", "is not Python"),
        ("get_ipython().run_line_magic('time', 'run')", "get_ipython runs code or SQL"),
        ("import sys\nsys.exit(0)", "sys.exit ends the kernel"),
        ("exit", "exit ends the kernel"),
        ("quit()", "quit ends the kernel"),
        ("import os\nos._exit(0)", "os._exit ends the kernel"),
        ("run.connection.execute(run.sql)", "run.connection.execute runs code or SQL"),
        ("run.connection.exec_driver_sql(run.sql)", "runs code or SQL"),
        ("run.query('SELECT 1 FROM t')", "SQL belongs into the package"),
        ("run.query('  drop table users')", "SQL belongs into the package"),
        ("run.query('''\nupdate users set a = 1''')", "SQL belongs into the package"),
        ("found = 1", "its last line is no result"),
        ("", "its last line is no result"),
        ("\n".join(f"a{n} = 1" for n in range(10)) + "\na0", "it has 11 lines"),
    ],
)
def test_code_that_belongs_into_a_helper_is_found(source: str, found: str, tmp_path: Path) -> None:
    notebook = thin()
    notebook["cells"][5]["source"] = source
    assert [line for line in checked(notebook, tmp_path) if line.startswith("look: ") and found in line]


@pytest.mark.parametrize(
    "source",
    [
        "report.show('select a plan')",
        "backup.create('drop it')",
        "run.note('update', of='it')\nrun",
        "f(x=1, y=[1, 2])",
    ],
)
def test_ordinary_calls_and_words_are_left_alone(source: str, tmp_path: Path) -> None:
    notebook = thin()
    notebook["cells"][5]["source"] = source
    assert checked(notebook, tmp_path) == []


def _cell(number: int, **change: Any) -> Callable[[Notebook], None]:
    return lambda notebook: notebook["cells"][number].update(change)


def _without(number: int) -> Callable[[Notebook], None]:
    return lambda notebook: notebook["cells"].pop(number)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_cell(0, source="Look"), "first cell: it is not Markdown that opens with a title"),
        (_cell(0, source=f"# Look\n\n{TABLE}"), "first cell: it has no sentence"),
        (_cell(0, source="# Look\n\nSays what is there."), "first cell: it has no table"),
        (_cell(0, source=f"# Look\n\nSays it.\n\n{TABLE.replace('Writes', 'Does')}"), "first cell: it has no table"),
        (_cell(1, metadata={}), "notebook: the notebook's parameters cannot be read"),
        (_cell(3, metadata={"tags": ["parameters"]}), "2 cells are tagged `parameters`"),
        (_cell(1, source='target: str = "a"'), "parameters: target has no `# help: …`"),
        (_cell(1, source="target: str  # help: a"), "parameters: target has no default"),
        (_cell(1, source="target = 1"), "notebook: the parameters cell cannot be read, line 1"),
        (_without(4), "look: no Markdown above it"),
        (_cell(4, cell_type="raw"), "about-look: it is a raw cell"),
        (_cell(2, source="## Before"), "notebook: its headings do not go from Preconditions to Outcome"),
        (_cell(6, source="## End"), "notebook: its headings do not go from Preconditions to Outcome"),
        (_cell(3, source="run = 1\nrun"), "notebook: the first cell after the parameters does not begin the run"),
        (_cell(3, source="run = runbook.begin('other')\nrun"), "notebook: it begins as 'other'"),
        (_cell(7, source="found"), "notebook: its last cell does not close the run"),
        (_cell(5, id="3f2a9c1e"), "3f2a9c1e: its id is missing, taken, or random"),
        (_cell(5, id="begin"), "begin: its id is missing, taken, or random"),
        (_cell(5, id=""), "a cell: its id is missing, taken, or random"),
        (_cell(5, outputs=[{"output_type": "stream"}]), "look: it holds an output"),
        (_cell(5, execution_count=2), "look: it holds an output"),
        (
            _cell(5, metadata={"tags": ["raises-exception"]}),
            "look: it is tagged raises-exception: its failure would be",
        ),
        (_cell(5, metadata={"tags": ["skip-execution"]}), "look: it is tagged skip-execution: it would be recorded"),
        (_cell(5, metadata={"tags": ["mine"]}), "look: it is tagged mine"),
        (lambda notebook: notebook["metadata"].clear(), "notebook: its kernel is not named"),
        (lambda notebook: notebook["metadata"]["kernelspec"].update(name="ir"), "notebook: its kernel is ir"),
        (lambda notebook: notebook.update(nbformat=3), "notebook: "),
    ],
)
def test_a_notebook_out_of_order_is_found(change: Callable[[Notebook], None], found: str, tmp_path: Path) -> None:
    notebook = thin()
    change(notebook)
    lines = checked(notebook, tmp_path)
    assert any(found in line for line in lines), lines


def test_the_command_says_what_is_wrong_and_ends_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "01_look.ipynb"
    path.write_text(json.dumps(thin()))
    assert lint.main([str(path)]) == 0
    notebook = thin()
    notebook["cells"][5]["source"] = "x = 1"
    path.write_text(json.dumps(notebook))
    assert lint.main([str(path)]) == 1
    assert "its last line is no result" in capsys.readouterr().out


def test_a_folder_without_runbooks_is_not_well(tmp_path: Path) -> None:
    assert not lint.check_all(tmp_path).ok


# ── the catalogue, which reads the same cells ───────────────────────────────────────────────────────────────────────


def test_a_runbook_is_found_by_name_number_alias_and_path(tmp_path: Path) -> None:
    migration = catalogue.folder() / "04_migration.ipynb"
    assert catalogue.find("migration") == catalogue.find("04") == catalogue.find("4") == migration
    assert catalogue.find("costs") == catalogue.find("cost-comparison") == catalogue.find("cost_comparison")
    assert catalogue.find(migration) == migration


@pytest.mark.parametrize(("name", "why"), [("migratoin", "the nearest: migration"), ("zzz", "there are: discovery, ")])
def test_an_unknown_runbook_is_refused_naming_the_nearest(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match="no runbook is called") as refused:
        catalogue.find(name)
    assert refused.value.why.startswith(why)


def test_the_catalogue_lists_all_six_with_title_sentence_and_parameters() -> None:
    books = catalogue.catalogue()
    assert [(book.number, book.name) for book in books] == [
        ("01", "discovery"), ("02", "backup"), ("03", "rehearsal"), ("04", "migration"), ("05", "verification"),
        ("06", "cost_comparison"),
    ]  # fmt: skip
    assert all(book.title and book.sentence.endswith(".") for book in books)
    assert all(parameter.help for book in books for parameter in book.parameters)


def test_listing_runbooks_imports_neither_papermill_nor_nbformat() -> None:
    import subprocess
    import sys

    code = "import sys\nfrom afdb_helpers.runbook import catalogue\nassert catalogue.catalogue()\n"
    code += "print(sorted({'papermill', 'nbformat', 'nbclient', 'pandas', 'sqlalchemy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": [1], "nbformat": 4}', '{"cells": [], "nbformat": 3}'])
def test_a_file_that_is_no_notebook_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "01_x.ipynb"
    path.write_text(text)
    with pytest.raises(ConfigError, match="is not a notebook"):
        catalogue.load(path)


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        (None, "its metadata lists no steps"),
        (["parameters", "begin", "close"], "look: the steps in the notebook's metadata (afdb.steps) are not"),
        (["parameters", "look", "begin", "close"], "begin: the steps in the notebook's metadata"),
        (["parameters", "begin", "look", "close", "more"], "more: the steps in the notebook's metadata"),
    ],
)
def test_the_listed_steps_are_the_code_cells_in_their_order(
    steps: list[str] | None, found: str, tmp_path: Path
) -> None:
    notebook = thin()
    notebook["metadata"]["afdb"] = {} if steps is None else {"steps": steps}
    assert any(found in wrong for wrong in checked(notebook, tmp_path)), checked(notebook, tmp_path)

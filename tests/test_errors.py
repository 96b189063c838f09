"""The tree of errors: who changed what, in three parts, with an exit code."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from afdb_helpers import errors
from afdb_helpers.errors import AfdbError, ConfigError, Incomplete, Interrupted, Refused, Unavailable

PACKAGE = Path(errors.__file__).parent
CLASSES = {"ConfigError": 2, "Refused": 3, "Unavailable": 4, "Incomplete": 5, "Interrupted": 130}


@pytest.mark.parametrize(("name", "code"), CLASSES.items())
def test_each_error_has_its_exit_code_and_can_be_found_by_name(name: str, code: int) -> None:
    cls = errors.by_name(name)
    assert cls is not None
    assert cls("it", why="because", do="this").exit_code == code


def test_the_tree_at_the_top_of_the_module_says_what_the_classes_say() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+) +(\d+)", errors.__doc__ or ""))
    assert drawn == {name: str(code) for name, code in CLASSES.items()}
    assert {cls.__name__ for cls in AfdbError.__subclasses__()} == set(CLASSES)


def test_what_is_none_of_ours_has_no_class() -> None:
    assert errors.by_name("ValueError") is None
    assert errors.by_name("") is None


@pytest.mark.parametrize("given", [{}, {"why": "because"}, {"do": "this"}])
def test_an_error_without_its_three_parts_cannot_be_made(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        ConfigError("what", **given)


def test_the_text_holds_what_why_and_what_to_do() -> None:
    said = str(Refused("no", why="the gate is shut", do="knock"))
    assert said == "no\n  why: the gate is shut\n  do:  knock"


@pytest.mark.parametrize(("cls", "changed"), [(ConfigError, "nothing"), (Refused, "nothing"), (Unavailable, "nothing"),
                                               (Incomplete, "possibly"), (Interrupted, "possibly")])  # fmt: skip
def test_each_class_says_whether_anything_was_changed(cls: type[AfdbError], changed: str) -> None:
    assert cls.changed == changed


def test_the_signal_gives_the_exit_code() -> None:
    assert Interrupted("it", why="because", do="this").exit_code == 130
    assert Interrupted("it", why="because", do="this", signum=15).exit_code == 143


def test_a_notebook_shows_the_message_and_no_variable(capsys: pytest.CaptureFixture[str]) -> None:
    from IPython.core import interactiveshell

    cell = (
        "def ask(password):\n"
        "    from afdb_helpers.errors import {0}\n"
        "    raise {0}\n"
        "ask('canary-5ab1')"
    )  # fmt: skip
    shell: Any = vars(interactiveshell)["InteractiveShell"]()
    shell.run_cell(cell.replace("raise {0}", "raise {0}('no way', why='w', do='d')").format("Refused"))
    shown = capsys.readouterr().out
    assert "Refused: no way\n  why: w\n  do:  d" in shown
    assert "canary" not in shown
    shell.run_cell("def ask(password):\n    raise ValueError('no way')\nask('canary-5ab1')")
    assert "canary" in capsys.readouterr().out, "the control: any other error shows the code that called"


def _raised() -> list[tuple[str, ast.Call]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                found.append((f"{path.relative_to(PACKAGE)}:{node.lineno}", node))
    return found


def test_no_part_of_any_error_in_the_package_is_empty() -> None:
    calls = _raised()
    assert len(calls) > 50, "the errors were not found"
    empty = [
        where
        for where, call in calls
        for part in (*call.args[:1], *(k.value for k in call.keywords if k.arg in ("why", "do")))
        if isinstance(part, ast.Constant) and not (isinstance(part.value, str) and part.value.strip())
    ]
    assert empty == []
    unsaid = [where for where, call in calls if not {"why", "do"} <= {k.arg for k in call.keywords}]
    assert unsaid == []


def test_what_to_do_is_neither_a_shrug_nor_a_full_sentence() -> None:
    said = [
        (where, k.value.value)
        for where, call in _raised()
        for k in call.keywords
        if k.arg == "do" and isinstance(k.value, ast.Constant) and isinstance(k.value.value, str)
    ]
    assert [(w, s) for w, s in said if s.endswith(".") or s[:1].isupper() or s.startswith("please")] == []

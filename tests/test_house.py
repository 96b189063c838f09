"""The repository is built as docs/house.md says: the map, the sizes, the doors, and what importing must not do."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import afdb_helpers
from afdb_helpers.runbook import lint

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "afdb_helpers"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
VAGUE = {"utils", "util", "common", "manager", "base", "misc", "helpers", "helper", "core", "lib", "tools"}
SECRETS = {  # who may ask for a password
    "targets.py", "migrate/apply.py", "backup/client.py", "backup/recovery.py", "cli/chain.py",
}  # fmt: skip
PROCESSES = {
    "revisions/process.py",
    "embedded_postgres/owner.py",
    "backup/client.py",
    "lint/squawk.py",
    "runbook/provenance.py",
    "demo/__init__.py",
}
SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|ALTER|CREATE|DROP|TRUNCATE|GRANT|REVOKE|WITH|SET|PRAGMA|LOCK)\b"
)
ROOT_HOLDS = {
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile", "mkdocs.yml",
    "pyproject.toml", "requirements.lock", "requirements-build.in",
    "alembic.ini", "lint-waivers.toml", "nbdime_config.json", ".env.example", ".gitattributes", ".gitignore",
    ".pre-commit-config.yaml", ".ci", ".github",
    "afdb_helpers", "alembic", "benchmarks", "docs", "runbooks", "scripts", "tests",
}  # fmt: skip


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()


# --- the map


def _mapped() -> list[str]:
    return re.findall(r"^    (\w+)  +\S", afdb_helpers.__doc__ or "", re.MULTILINE)


def _layers() -> list[set[str]]:
    (contract,) = (
        contract
        for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    assert contract["exhaustive"] is True
    return [set(re.split(r" \| ", layer)) for layer in contract["layers"]]


def test_the_map_is_the_directory() -> None:
    there = {p.stem for p in PACKAGE.glob("*.py")} | {p.parent.name for p in PACKAGE.glob("*/__init__.py")}
    assert len(_mapped()) > 15, "the map was not found"
    assert sorted(_mapped()) == sorted(there - {"__init__"})


def test_the_map_is_the_contract_in_the_same_order() -> None:
    mapped, layers = _mapped(), _layers()
    assert sorted(mapped) == sorted(name for layer in layers for name in layer)
    depth = {name: number for number, layer in enumerate(layers) for name in layer}
    assert [depth[name] for name in mapped] == sorted(depth[name] for name in mapped)


def test_the_line_stands_below_what_can_write_to_a_target() -> None:
    above = (afdb_helpers.__doc__ or "").partition("───")[0]
    writers = {"cli", "demo", "runbook", "rehearsal", "migrate", "backup", "online"}
    assert {name for name in _mapped() if re.search(rf"^    {name} ", above, re.MULTILINE)} == writers


@pytest.mark.parametrize("module", sorted(_mapped()))
def test_each_module_has_its_tests(module: str) -> None:
    assert list((ROOT / "tests").glob(f"test_{module}*.py")), f"tests/test_{module}.py is missing"


def test_the_root_holds_what_it_should_and_no_status_report() -> None:
    tracked = {name.partition("/")[0] for name in _tracked()}
    assert {"afdb_helpers", "tests"} <= tracked
    assert tracked - ROOT_HOLDS == set()


def test_alembics_folder_is_no_package() -> None:
    assert (ROOT / "alembic" / "env.py").is_file()
    assert not (ROOT / "alembic" / "__init__.py").exists(), "it would hide the installed alembic"


# --- sizes and names


def test_no_module_is_longer_than_300_lines_and_half_of_them_not_than_150() -> None:
    lengths = {_name(path): len(path.read_text().splitlines()) for path in MODULES}
    assert len(lengths) > 40
    assert {name: length for name, length in lengths.items() if length > 300} == {}
    assert statistics.median(lengths.values()) <= 150


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Its lines, the docstring aside."""
    said = function.body[0] if ast.get_docstring(function) else None
    docstring = (said.end_lineno or 0) - said.lineno + 1 if said else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_no_function_has_40_lines() -> None:
    lengths = {f"{_name(path)}:{f.name}": _lines(f) for path in MODULES for f in _functions(_tree(path))}
    assert len(lengths) > 300
    assert {name: length for name, length in lengths.items() if length >= 40} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [_name(path) for path in MODULES if path.stem in VAGUE or path.parent.name in VAGUE] == []


def test_every_module_opens_with_a_sentence() -> None:
    for path in MODULES:
        opening = (ast.get_docstring(_tree(path)) or "").split("\n\n")[0]
        assert re.fullmatch(r"\S.+[.:?)]", opening, re.DOTALL), f"{_name(path)}: {opening!r}"


def test_every_runbook_is_thin() -> None:
    report = lint.check_all(ROOT / "runbooks")
    assert len(report.parts) == 6
    assert report.ok, str(report)


# --- doors


def _calls(path: Path, *names: str) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr in names for node in ast.walk(_tree(path)))


def test_passwords_are_asked_for_in_few_places() -> None:
    found = {_name(path) for path in MODULES if _calls(path, "secret_url", "secret_parts")}
    assert found == SECRETS
    outside = {p.name for p in (ROOT / "alembic").rglob("*.py") if _calls(p, "secret_url", "secret_parts")}
    assert outside == {"env.py"}
    assert not any("secret_" in path.read_text() for path in (ROOT / "runbooks").glob("*.ipynb"))


def _imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_processes_are_started_in_few_places() -> None:
    assert {_name(path) for path in MODULES if "subprocess" in _imports(_tree(path))} == PROCESSES


def test_no_shell_is_started_anywhere() -> None:
    for path in MODULES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call):
                assert not any(k.arg == "shell" for k in node.keywords), _name(path)
                assert ast.unparse(node.func) not in ("os.system", "os.popen", "eval", "exec"), _name(path)


def test_papermill_has_one_door() -> None:
    doors = {_name(path).partition("/")[0] for path in MODULES if "papermill" in _imports(_tree(path))}
    assert doors == {"runbook"}


# --- SQL


def _pasted(tree: ast.AST) -> list[int]:
    """Line numbers where SQL is put together from text: f-strings, %, + and .format on a string that opens like SQL."""
    found = []
    for node in ast.walk(tree):
        first: ast.expr | None = None
        if isinstance(node, ast.JoinedStr) and any(isinstance(part, ast.FormattedValue) for part in node.values):
            first = node.values[0]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
            first = node.left
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            first = node.func.value
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and SQL.match(first.value):
            found.append(first.lineno)
    return found


def test_sql_is_never_pasted_together() -> None:
    paths = [*MODULES, *(ROOT / "alembic").rglob("*.py")]
    assert {str(path.relative_to(ROOT)): lines for path in paths if (lines := _pasted(_tree(path)))} == {}


@pytest.mark.parametrize(
    "code", ['f"SELECT {x}"', '"DELETE FROM t WHERE i = %s" % x', '"\\nALTER TABLE " + x', '"DROP {}".format(x)']
)
def test_the_control_pasted_sql_is_found(code: str) -> None:
    assert _pasted(ast.parse(code)) == [1]


def test_the_control_what_is_no_sql_or_not_pasted_is_not() -> None:
    assert _pasted(ast.parse('f"select {x}"; "SELECT 1"; f"{x}"; sql.SQL("DROP {}").format(x); f"SELECTED {x}"')) == []


# --- what importing does

CHEAP = """
import importlib, sys, threading
heavy = {"pandas", "numpy", "matplotlib", "papermill", "sqlalchemy", "alembic", "nbformat", "nbclient", "IPython",
         "bleach", "jinja2", "psycopg2", "rich", "pydantic", "jupyter_client", "fsspec", "psutil", "yaml"}
for name in sys.argv[1:]:
    importlib.import_module(name)
    print(name, *sorted(heavy & set(sys.modules)))
assert threading.active_count() == 1
"""
MAY = {"models": {"sqlalchemy"}, "online": {"sqlalchemy", "alembic"}, "pricing": {"pydantic"}}


def _imported(*names: str) -> dict[str, set[str]]:
    """The heavy packages that are there after each import, in a process of their own."""
    done = subprocess.run([sys.executable, "-c", CHEAP, *names], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {name: set(rest) for name, *rest in (line.split() for line in done.stdout.splitlines())}


def _dotted(path: Path) -> str:
    return ".".join(["afdb_helpers", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")


def test_importing_is_cheap() -> None:
    light = [_dotted(path) for path in MODULES if path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in MAY]
    assert len(light) > 30
    found = _imported(*light)
    assert {name: heavy for name, heavy in found.items() if heavy} == {}


@pytest.mark.parametrize("module", MAY)
def test_what_may_import_something_heavy_imports_no_more(module: str) -> None:
    assert _imported(f"afdb_helpers.{module}")[f"afdb_helpers.{module}"] == MAY[module]


CALLS = {"os.getenv", "time.time", "time.monotonic", "datetime.now", "datetime.utcnow", "Path.cwd", "Path.home",
         "os.getcwd", "open", "print", "create_engine", "subprocess.run", "subprocess.Popen",
         "tempfile.gettempdir"}  # fmt: skip


def _at_import(tree: ast.Module) -> set[str]:
    """What is called of `CALLS`, and whether the environment is read, outside of functions."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            continue
        used = ast.unparse(node.func if isinstance(node, ast.Call) else node) if isinstance(node, ast.expr) else ""
        if (isinstance(node, ast.Call) and used in CALLS) or used.startswith(("os.environ[", "os.environ.")):
            found.add(used)
        waiting += ast.iter_child_nodes(node)
    return found


def test_importing_reads_no_environment_no_clock_and_no_path() -> None:
    assert {_name(path): used for path in MODULES if (used := _at_import(_tree(path)))} == {}


def test_the_control_what_is_done_at_import_is_found() -> None:
    assert _at_import(ast.parse("import os\nHOME = os.environ['HOME']")) == {"os.environ['HOME']"}
    assert _at_import(ast.parse("import time\ndef f(at=time.time()): pass")) == {"time.time"}
    assert _at_import(ast.parse("import os\ndef f(x=os.environ): return os.environ['HOME']")) == set()


# --- settings, and what must not be in a repository


def test_every_setting_of_the_example_is_read_by_somebody() -> None:
    source = "\n".join(path.read_text() for path in MODULES)
    example = set(re.findall(r"^#?((?:AFDB|POSTGRES)_[A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert len(example) >= 8
    unread = {name for name in example if name not in source and f'"{name.removeprefix("POSTGRES_")}"' not in source}
    assert unread == set()


def test_no_file_names_the_machine_it_was_written_on() -> None:
    names = re.compile("|".join(["/wo" + "rk/", r"\.lib" + "rary/", "b-se" + "ed-"]))
    found = []
    for name in _tracked():
        path = ROOT / name
        if path.is_file() and path.suffix in (
            ".py",
            ".md",
            ".toml",
            ".sh",
            ".yaml",
            ".yml",
            ".ipynb",
            ".ini",
            ".txt",
            ".sql",
            "",
        ):
            found += [name] if names.search(path.read_text(errors="replace")) else []
    assert found == []


def test_the_child_of_revisions_stands_alone() -> None:
    assert not any(name.startswith("afdb_helpers") for name in _imports(_tree(PACKAGE / "revisions" / "child.py")))


@pytest.mark.xdist_group("house")
def test_tests_of_one_group_run_on_one_worker(request: pytest.FixtureRequest) -> None:
    """Under xdist a group is a suffix of the test's id; a pytest that it does not know loses it, silently."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("needs pytest-xdist's workers: run without -n 0")
    assert request.node.nodeid.endswith("@house")

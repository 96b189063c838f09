"""What the files of a project say without being run: its revisions, its env.py, its create_all calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from afdb_helpers.lint import statements

# operation → the lock that it takes and holds to the transaction's end
_LOCKS = {
    "add_column": "ACCESS EXCLUSIVE", "drop_column": "ACCESS EXCLUSIVE", "alter_column": "ACCESS EXCLUSIVE",
    "batch_alter_table": "ACCESS EXCLUSIVE", "drop_table": "ACCESS EXCLUSIVE", "rename_table": "ACCESS EXCLUSIVE",
    "drop_constraint": "ACCESS EXCLUSIVE", "create_check_constraint": "ACCESS EXCLUSIVE",
    "create_unique_constraint": "ACCESS EXCLUSIVE", "create_primary_key": "ACCESS EXCLUSIVE",
    "drop_index": "ACCESS EXCLUSIVE", "create_foreign_key": "SHARE ROW EXCLUSIVE", "create_index": "SHARE",
}  # fmt: skip
_OWNER = re.compile(r"(metadata|meta|base|model|db)$", re.IGNORECASE)  # whose create_all makes tables
_READS = {"get_bind", "scalar", "scalars", "fetchall", "fetchone", "first", "mappings", "query"}
_VERBS = {"alter": "ACCESS EXCLUSIVE", "truncate": "ACCESS EXCLUSIVE", "drop": "ACCESS EXCLUSIVE", "lock": "as it says"}


def revision(path: Path) -> dict[str, Any]:
    """Of one revision, as its text says: whether it reads data, can be undone, and what it locks strongly."""
    tree = ast.parse(path.read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    up, down = functions.get("upgrade"), functions.get("downgrade")
    calls = list(_calls(tree))
    names = {name for name, _ in calls}
    made = {_first(call) for name, call in calls if name == "create_table"}
    locks = sorted({said for name, call in _calls(up) for said in _lock(name, call, made)}) if up else []
    return {
        "reads data": bool(names & _READS) or any(re.match(r"\s*(WITH|SELECT)\b", sql, re.I) for sql in _sql(calls)),
        "undone by": _undone(down),
        "locks": ", ".join(locks),
    }


def create_all(folder: Path, paths: Sequence[str]) -> list[dict[str, Any]]:
    """Every call of create_all in the project's own Python, with its file and line: tables made past the chain."""
    found = []
    for path in paths:
        if not path.endswith(".py"):
            continue
        text = (folder / path).read_text(errors="replace")
        if "create_all" not in text:
            continue
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "create_all" and _OWNER.search(ast.unparse(node.value)):
                found.append(
                    {"file": f"{path}:{node.lineno}", "call": text.splitlines()[node.lineno - 1].strip()[:100]}
                )
    return found


def url(ini: Path, environment: Path | None) -> list[dict[str, Any]]:
    """Where the project takes its database's URL from; a URL itself is never repeated."""
    from configparser import ConfigParser

    config = ConfigParser(interpolation=None)
    config.read(ini)
    found: list[dict[str, Any]] = []
    if value := config.get("alembic", "sqlalchemy.url", fallback=""):
        kind = "Alembic's example, to be replaced" if value == "driver://user:pass@localhost/dbname" else _kind(value)
        found.append({"where": f"{ini.name}, sqlalchemy.url", "what": kind})
    if environment is None or not environment.is_file():
        return found
    try:
        tree = ast.parse(environment.read_text())
    except SyntaxError as error:
        return [*found, {"where": f"{environment.name}:{error.lineno}", "what": "cannot be read: a syntax error"}]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            place = f"{environment.name}:{node.lineno}"
            if re.match(r"[a-z0-9+]+://", node.value):
                found.append({"where": place, "what": _kind(node.value)})
            elif re.fullmatch(r"[A-Z][A-Z0-9_]*(URL|URI|DSN|HOST|PASSWORD)", node.value):
                found.append({"where": place, "what": f"the variable {node.value}"})
            elif node.value == "sqlalchemy.url":
                found.append({"where": place, "what": "the option sqlalchemy.url, as the caller or the ini sets it"})
    return list({row["what"]: row for row in found}.values())


def _kind(value: str) -> str:
    return "a URL with a password in it" if re.search(r"://[^/@:]*:[^/@]+@", value) else "a URL without a password"


def _calls(node: ast.AST | None) -> Iterator[tuple[str, ast.Call]]:
    for one in ast.walk(node) if node else ():
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute):
            yield one.func.attr, one


def _sql(calls: Sequence[tuple[str, ast.Call]]) -> Iterator[str]:
    """The literal statements that are executed."""
    for name, call in calls:
        if name not in ("execute", "exec_driver_sql", "text"):
            continue
        for node in (part for argument in call.args[:1] for part in ast.walk(argument)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def _lock(name: str, call: ast.Call, made: set[str]) -> Iterator[str]:
    """What a call locks strongly, of tables that the same revision did not make."""
    if name in _LOCKS:
        table = next((_text(k.value) for k in call.keywords if k.arg == "table_name"), "")
        if not table and call.args:
            second = name in ("create_index", "drop_constraint", "create_foreign_key", "create_check_constraint",
                              "create_unique_constraint", "create_primary_key", "drop_index")  # fmt: skip
            table = _text(call.args[min(int(second), len(call.args) - 1)])
        concurrent = any(k.arg == "postgresql_concurrently" for k in call.keywords)
        if table not in made and not concurrent:
            yield f"{_LOCKS[name]} on {table or 'a table'}"
        return
    for sql in _sql([(name, call)]):
        for one in statements.read(sql) if name in ("execute", "exec_driver_sql") and sql.strip() else ():
            if one.verb in _VERBS and one.table and one.table not in made:
                yield f"{_VERBS[one.verb]} on {one.table}"


def _undone(down: ast.FunctionDef | None) -> str:
    if down is None:
        return "nothing: it has no downgrade"
    body = [node for node in down.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    if all(isinstance(node, ast.Pass) for node in body):
        return "nothing: its downgrade is empty"
    if isinstance(body[0], ast.Raise):
        return "nothing: its downgrade refuses"
    return "its downgrade"


def _first(call: ast.Call) -> str:
    return _text(call.args[0]) if call.args else ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""

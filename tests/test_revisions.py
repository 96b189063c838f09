"""The Alembic project: its graph, and its commands in a child process that nothing of the project's can upset."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import alembic
import projects
import pytest
import sqlalchemy as sa

from afdb_helpers import revisions, targets
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.revisions import Event, Graph, Outcome, Project, Session
from afdb_helpers.revisions.process import CHILD

FIRST, SECOND = projects.FIRST, projects.SECOND


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return projects.small(tmp_path_factory.mktemp("revisions"))


@pytest.fixture(scope="module")
def graph(project: Project) -> Graph:
    return project.graph()


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project without revisions."""
    return projects.empty(tmp_path / "project")


def _upgrade(project: Project, url: str, **options: Any) -> Outcome:
    request = {"command": "upgrade", "arguments": ["head"], "url": url, "observe": True, **options.pop("request", {})}
    return revisions.run(project.ini, request, python=project.python, **options)


def _tables(url: str) -> set[str]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    return set(sa.inspect(engine).get_table_names())


def _value(url: str, question: str) -> Any:
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        return connection.exec_driver_sql(question).scalar_one()


# --- the graph


def test_the_graph_holds_each_revision_after_the_ones_it_builds_on(graph: Graph) -> None:
    assert [(r.id, r.down) for r in graph.revisions] == [(FIRST, ()), (SECOND, (FIRST,))]
    assert graph.heads == (SECOND,)
    assert graph.revisions[0].doc == "customers and invoices"
    assert graph.mapping() == projects.RENAMED


def test_an_id_that_looks_like_a_number_stays_text(graph: Graph) -> None:
    assert float(FIRST) == float("inf"), "the control: it does look like one"
    assert graph.get(FIRST).id == FIRST


def test_the_hash_is_of_the_file_as_it_stands(graph: Graph) -> None:
    for revision in graph.revisions:
        assert revision.sha256 == hashlib.sha256(revision.path.read_bytes()).hexdigest()


def test_a_revision_is_found_by_a_unique_beginning() -> None:
    one, other = (revisions.Revision(id_, (), "", Path(), "") for id_ in ("ab12", "ab13"))
    graph = Graph((one, other), ("ab12",))
    assert graph.get("ab12") is one
    with pytest.raises(ConfigError, match="'ab' is not unique"):
        graph.get("ab")
    with pytest.raises(ConfigError, match="'x' is unknown") as caught:
        graph.get("x")
    assert "ab12, ab13" in caught.value.why


def test_the_one_head_is_asked_for_and_more_or_none_are_errors(graph: Graph) -> None:
    assert graph.head() == graph.wanted("head") == SECOND
    assert graph.wanted("base") == "base"
    with pytest.raises(Refused, match="2 heads: a, b"):
        Graph((), ("a", "b")).head()
    with pytest.raises(ConfigError, match="no revision"):
        Graph((), ()).head()


def _diamond() -> Graph:
    """a ← b, a ← c, (b, c) ← d."""
    downs: dict[str, tuple[str, ...]] = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
    return Graph(tuple(revisions.Revision(k, v, "", Path(), "") for k, v in downs.items()), ("d",))


@pytest.mark.parametrize(
    ("current", "wanted", "up", "back"),
    [((), "d", "abcd", ""), (("b",), "d", "cd", ""), (("b", "c"), "d", "d", ""), (("d",), "b", "", "dc"),
     (("d",), "base", "", "dcba"), (("d",), "d", "", ""), ((), "base", "", "")],
)  # fmt: skip
def test_the_way_from_one_revision_to_another(current: tuple[str, ...], wanted: str, up: str, back: str) -> None:
    graph = _diamond()
    assert "".join(r.id for r in graph.between(current, wanted)) == up
    assert "".join(r.id for r in graph.back(current, wanted)) == back


def test_a_real_merge_has_two_parents_and_renames_of_all_branches(fresh: Project) -> None:
    projects.add(fresh, "1a", None, "pass")
    projects.add(fresh, "2b", "1a", "pass", mapping={"t": {"renamed": {"a": "b"}}})
    projects.add(fresh, "2c", "1a", "pass", mapping={"t": {"renamed": {"c": "d"}}, "u": {"renamed": {"e": "f"}}})
    forked = fresh.graph()
    assert set(forked.heads) == {"2b", "2c"}
    projects.add(fresh, "3d", ("2b", "2c"), "pass")
    merged = fresh.graph()
    assert merged.heads == ("3d",)
    assert set(merged.get("3d").down) == {"2b", "2c"}
    assert merged.mapping() == {"t": {"renamed": {"a": "b", "c": "d"}}, "u": {"renamed": {"e": "f"}}}


def test_the_chain_is_read_again_when_a_file_came_or_changed_and_only_then(
    fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fresh.graph().revisions == ()
    path = projects.add(fresh, "1a", None, "pass")
    first = fresh.graph()
    assert first.heads == ("1a",)
    path.write_text(path.read_text() + "# edited\n")
    edited = fresh.graph()
    assert edited.revisions[0].sha256 != first.revisions[0].sha256
    projects.add(fresh, "2b", "1a", "pass")
    assert fresh.graph().heads == ("2b",)
    monkeypatch.setattr(Project, "read", None)
    assert fresh.graph().heads == ("2b",), "nothing changed, and no child was started"


def test_a_file_that_is_no_python_is_named_with_its_error(fresh: Project) -> None:
    projects.add(fresh, "1a", None, "pass").write_text("revision = (")
    with pytest.raises(ConfigError) as caught:
        fresh.graph()
    assert "cannot be read" in caught.value.what
    assert "SyntaxError" in caught.value.why
    assert str(fresh.ini) in caught.value.do


def test_a_revision_that_builds_on_nothing_known_is_an_error(fresh: Project) -> None:
    projects.add(fresh, "2b", "nowhere", "pass")
    with pytest.raises(ConfigError, match="nowhere"):
        fresh.graph()


def test_reading_the_graph_runs_no_env_py(fresh: Project) -> None:
    (fresh.ini.parent / "migrations" / "env.py").write_text("raise RuntimeError('run')")
    assert fresh.graph().revisions == ()


# --- finding it


def test_the_nearest_project_is_found_from_below(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.ini.parent / "migrations" / "versions")
    assert revisions.find() == project


def test_where_there_is_none_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no Alembic project here"):
        revisions.find()
    with pytest.raises(ConfigError, match="there is no file"):
        revisions.find(tmp_path / "alembic.ini")


# --- what a project may be


def test_a_stock_project_works_as_alembic_made_it(fresh: Project, database: str) -> None:
    stock = Path(alembic.__file__).parent / "templates" / "generic" / "env.py"
    assert (fresh.ini.parent / "migrations" / "env.py").read_bytes() == stock.read_bytes()
    projects.add(fresh, "1a", None, "op.create_table('t', sa.Column('id', sa.Integer))")
    assert _upgrade(fresh, database).error is None
    assert _tables(database) == {"t", "alembic_version"}


@pytest.mark.parametrize("name", ["a%b", "100%s%%", "%(here)s"])
def test_trap_a_percent_sign_in_the_url_reaches_the_database(
    name: str, project: Project, new_database: Callable[..., str]
) -> None:
    url = new_database(name).replace("postgres@", "postgres:p%25w%40@")
    with pytest.raises(ValueError, match="%"):
        _in_process(project, url)  # the control: configparser takes it for its own
    assert _upgrade(project, url).error is None
    assert "customer" in _tables(url)


ASYNC = """
import asyncio
from alembic import context
from sqlalchemy import create_engine, pool

async def main():
    def work():
        engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
        with engine.connect() as connection:
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
    work()
    await asyncio.sleep(0)

asyncio.run(main())
"""


@pytest.mark.filterwarnings("ignore:coroutine 'main' was never awaited")
def test_trap_an_env_py_with_a_loop_of_its_own_works_inside_a_running_one(fresh: Project, database: str) -> None:
    (fresh.ini.parent / "migrations" / "env.py").write_text(ASYNC)
    projects.add(fresh, "1a", None, "op.create_table('t', sa.Column('id', sa.Integer))")

    async def as_in_a_kernel() -> Outcome:
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            _in_process(fresh, database)
        return _upgrade(fresh, database)

    assert asyncio.run(as_in_a_kernel()).error is None
    assert "t" in _tables(database)


def _in_process(project: Project, url: str) -> None:
    """What everybody does, and what fails in every kernel."""
    from alembic import command
    from alembic.config import Config

    config = Config(project.ini)
    config.set_main_option("sqlalchemy.url", url)
    command.upgrade(config, "head")


def test_what_a_project_prints_does_not_break_the_events(fresh: Project, database: str) -> None:
    env = fresh.ini.parent / "migrations" / "env.py"
    noise = (
        "import os, sys\n"
        'print(\'{"event": "error", "kind": "forged"}\')\n'
        "print('x' * 300_000)\n"
        "os.write(1, b'raw \\xff\\n'); os.write(2, b'and to the error stream\\n')\n"
    )
    env.write_text(noise + env.read_text())
    projects.add(fresh, "1a", None, "print('from the revision')\nop.create_table('t', sa.Column('id', sa.Integer))")
    outcome = _upgrade(fresh, database)
    assert outcome.error is None
    assert outcome.events[-1]["event"] == "end"
    for said in ('"forged"', "x" * 300_000, "raw ", "and to the error stream", "from the revision"):
        assert said in outcome.printed


@pytest.mark.parametrize("throwaway", [False, True])
def test_what_env_py_leaves_to_the_end_is_done_when_the_child_leaves(
    throwaway: bool, fresh: Project, database: str, tmp_path: Path
) -> None:
    env, kept = fresh.ini.parent / "migrations" / "env.py", tmp_path / "kept"
    env.write_text(f"{env.read_text()}\nimport atexit, pathlib\natexit.register(pathlib.Path({str(kept)!r}).touch)\n")
    assert _upgrade(fresh, database, request={"throwaway": throwaway}).error is None
    assert kept.exists()


RING = """
class Ring:
    def __init__(self): self.me = self
    def __del__(self, touch=__import__("pathlib").Path({!r}).touch): touch()
Ring()
"""


@pytest.mark.parametrize("throwaway", [False, True])
@pytest.mark.parametrize("ends", ["pass", "raise RuntimeError('no luck')"])
def test_objects_are_taken_apart_at_the_end_unless_the_database_is_thrown_away(
    ends: str, throwaway: bool, fresh: Project, database: str, tmp_path: Path
) -> None:
    """On SQLite a session that is not closed leaves a log beside the file; models of 2,000 tables take a second."""
    env, taken = fresh.ini.parent / "migrations" / "env.py", tmp_path / "taken"
    env.write_text(env.read_text() + RING.format(str(taken)) + ends)
    outcome = _upgrade(fresh, database, request={"throwaway": throwaway})
    assert (outcome.error is None) == (ends == "pass")
    assert taken.exists() is not throwaway


def test_arguments_after_x_arrive(fresh: Project, database: str) -> None:
    projects.add(
        fresh, "1a", None, "from alembic import context\nprint('got', context.get_x_argument(as_dictionary=True))"
    )
    outcome = _upgrade(fresh, database, request={"x": ["allow_data_loss=true"]})
    assert "got {'allow_data_loss': 'true'}" in outcome.printed


def test_the_scripts_of_the_package_are_not_in_the_projects_way(fresh: Project, database: str) -> None:
    projects.add(fresh, "1a", None, "import importlib.util\nassert importlib.util.find_spec('process') is None")
    assert _upgrade(fresh, database).error is None


# --- children that fail


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError", "no luck"),
        ("raise SystemExit(3)", "SystemExit", "3"),
        ("import os; print('about to'); os._exit(3)", "died", "ended with exit code 3: about to"),
        ("import os; os.kill(os.getpid(), 9)", "died", "ended with signal 9"),
        ("import os; os.kill(os.getpid(), 11)", "died", "ended with signal 11"),
        (projects.sql("SELECT 1/0"), "DataError", "division by zero"),
    ],
)
def test_a_child_that_fails_or_dies_is_an_error_and_nothing_stands(
    code: str, kind: str, message: str, fresh: Project, database: str
) -> None:
    projects.add(fresh, "1a", None, f"op.create_table('t', sa.Column('id', sa.Integer))\n{code}")
    outcome = _upgrade(fresh, database)
    assert outcome.error is not None
    assert outcome.error["kind"] == kind
    assert message in outcome.error["message"]
    assert "t" not in _tables(database)


def test_an_error_of_the_server_keeps_its_code(fresh: Project, database: str, tmp_path: Path) -> None:
    projects.add(fresh, "1a", None, projects.sql("SELECT * FROM nowhere"))
    outcome = _upgrade(fresh, database)
    assert outcome.error is not None
    assert outcome.error["sqlstate"] == "42P01"
    outcome = _upgrade(fresh, f"sqlite:///{tmp_path}/x.db")
    assert outcome.error is not None
    assert outcome.error["sqlstate"] == "SQLITE_ERROR"


@pytest.mark.parametrize(("python", "why"), [
    ("/bin/false", "exit code 1"), ("/bin/true", "exit code 0"),
    ("/no/such/python", "No such file"), ("/tmp", "Permission denied"),
])  # fmt: skip
def test_an_interpreter_that_is_none_is_an_error_of_ours(python: str, why: str, project: Project) -> None:
    for _ in range(3):  # whether the child dies before or after it is written to is a matter of luck
        with pytest.raises(ConfigError) as caught:
            Project(project.ini, Path(python)).graph()
        assert why in caught.value.why


def test_an_interpreter_without_alembic_is_named_as_such(project: Project, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(ConfigError) as caught:
        Project(project.ini, bare).graph()
    assert "No module named 'alembic'" in caught.value.why


# --- events


ALONE = """
op.create_table("t", sa.Column("id", sa.Integer))
with op.get_context().autocommit_block():
    op.execute("CREATE INDEX CONCURRENTLY i ON t (id)")
"""


def test_a_commit_and_a_statement_outside_a_transaction_wait_until_they_are_stored(
    fresh: Project, database: str
) -> None:
    projects.add(fresh, "1a", None, ALONE)
    seen: list[tuple[str, bool, bool]] = []

    def look(event: Event) -> None:
        if event.get("confirm"):
            indexed = bool(_value(database, "SELECT count(*) FROM pg_class WHERE relname = 'i'"))
            seen.append((str(event.get("sql", event["event"]))[:12], "t" in _tables(database), indexed))

    assert _upgrade(fresh, database, on_event=look).error is None
    assert seen, "nothing was asked"
    assert seen[0] == ("connected", False, False), "the parent sees where the connection leads before anything else"
    assert seen[1] == ("commit", False, False), "asked before the first commit: the table is not there yet"
    assert ("CREATE INDEX", True, False) in seen, "asked before the statement that commits by itself"
    assert seen[-1][0] == "commit"


def test_an_engine_that_commits_by_itself_is_told_from_one_that_does_not(fresh: Project, database: str) -> None:
    env = fresh.ini.parent / "migrations" / "env.py"
    env.write_text(
        env.read_text().replace("poolclass=pool.NullPool,", "poolclass=pool.NullPool, isolation_level='AUTOCOMMIT',")
    )
    projects.add(fresh, "1a", None, "op.create_table('t', sa.Column('id', sa.Integer))")
    outcome = _upgrade(fresh, database)
    assert outcome.error is None
    assert all(statement["alone"] for statement in outcome.statements)
    assert any(statement["sql"].startswith("CREATE TABLE t") for statement in outcome.statements)


def test_statements_come_with_rows_seconds_and_the_locks_they_took(project: Project, database: str) -> None:
    outcome = _upgrade(project, database, request={"locks": True})
    by_sql = {s["sql"].split("(")[0].strip(): s for s in outcome.statements}
    rename = by_sql["ALTER TABLE customer RENAME COLUMN name TO title"]
    assert rename["seconds"] > 0
    assert ["customer", "AccessExclusiveLock"] in by_sql["CREATE TABLE customer"]["locks"]
    assert by_sql["INSERT INTO alembic_version"]["rows"] == 1
    assert [s["n"] for s in outcome.statements] == sorted(s["n"] for s in outcome.statements)


def test_an_exception_on_the_way_ends_the_child_and_the_server_rolls_back(fresh: Project, database: str) -> None:
    slow = projects.sql("SELECT pg_sleep(60)")
    projects.add(fresh, "1a", None, f"op.create_table('t', sa.Column('id', sa.Integer))\n{slow}")
    asked: list[str] = []

    def fail(event: Event) -> None:
        if "pg_sleep" in event.get("sql", ""):
            raise OSError("the journal's disk is full")

    def cancel() -> None:
        ending = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'child'"
        with sa.create_engine(database, poolclass=sa.NullPool).connect() as connection:
            connection.exec_driver_sql(ending).all()
        asked.append("ended")

    with pytest.raises(OSError, match="disk is full"):
        _upgrade(fresh, database, on_event=fail, on_interrupt=cancel, session=Session(application_name="child"))
    assert asked == ["ended"]
    assert _value(database, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'child'") == 0
    assert "t" not in _tables(database)


@pytest.mark.parametrize(
    "handler", [signal.default_int_handler, signal.SIG_IGN], ids=["a terminal's", "a background job's"]
)
def test_the_child_is_asked_to_leave_before_it_is_made_to(fresh: Project, database: str, handler: Any) -> None:
    mark = fresh.ini.with_name("left")
    patient = "op.execute('SELECT 1')\n    __import__('time').sleep(60)"
    projects.add(fresh, "1a", None, f"try:\n    {patient}\nfinally:\n    open({str(mark)!r}, 'w').close()")

    def fail(event: Event) -> None:
        if event.get("sql") == "SELECT 1":
            raise OSError("the journal's disk is full")

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(OSError, match="disk is full"):
            _upgrade(fresh, database, on_event=fail)
    finally:
        signal.signal(signal.SIGINT, before)
    assert mark.exists(), "its `finally` blocks ran"


# --- sessions


SHOW = """
shown = [op.get_bind().exec_driver_sql("SHOW " + name).scalar_one()
         for name in ("application_name", "lock_timeout", "client_connection_check_interval", "work_mem")]
print("shown", shown)
"""


@pytest.mark.parametrize(("more", "work_mem"), [
    ("", "4MB"), ("&application_name=theirs", "4MB"), ("&options=-c%20work_mem%3D8MB%20-c%20lock_timeout%3D0", "8MB"),
])  # fmt: skip
def test_settings_reach_every_session_whatever_the_url_says(
    more: str, work_mem: str, fresh: Project, database: str
) -> None:
    projects.add(fresh, "1a", None, SHOW)
    session = Session(application_name="afdb run-1", lock_timeout=1500)
    outcome = _upgrade(fresh, database + more, session=session)
    assert outcome.error is None
    assert f"shown ['afdb run-1', '1500ms', '2s', '{work_mem}']" in outcome.printed


def test_the_operators_own_options_stay(fresh: Project, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=16MB")
    projects.add(fresh, "1a", None, SHOW)
    assert "'16MB']" in _upgrade(fresh, database, session=Session(lock_timeout=7)).printed


def _child() -> ModuleType:
    spec = importlib.util.spec_from_file_location("child", CHILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("url", "declared", "used"),
    [
        ("postgresql+psycopg2://h/d", "postgresql+asyncpg://x/y", "postgresql+asyncpg"),
        ("postgresql+psycopg2://h/d", "postgres+asyncpg://x/y", "postgresql+asyncpg"),
        ("postgresql+psycopg2://h/d", "driver://user:pass@localhost/dbname", "postgresql+psycopg2"),
        ("postgresql+psycopg2://h/d", "postgresql://x/y", "postgresql+psycopg2"),
        ("postgresql+psycopg2://h/d", "sqlite+aiosqlite:///x", "postgresql+psycopg2"),
        ("sqlite+pysqlite:////x.db", "sqlite+aiosqlite:///y.db", "sqlite+aiosqlite"),
    ],
)
def test_trap_the_driver_is_the_one_that_the_project_names(url: str, declared: str, used: str) -> None:
    assert _child().with_driver(url, "", declared) == url.replace(url.partition("://")[0], used)


def test_trap_where_psycopg2_is_not_installed_the_projects_sqlalchemy_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert _child().with_driver("postgresql+psycopg2://h/d", "") == "postgresql://h/d"
    assert sa.make_url("postgresql://h/d").get_dialect().driver == "psycopg", (
        "the control: of 2.1, which has to be there"
    )


def test_trap_the_control_a_url_without_its_driver_fails_where_psycopg2_alone_is_installed(
    fresh: Project, database: str
) -> None:
    projects.add(fresh, "1a", None, "op.create_table('t', sa.Column('id', sa.Integer))")
    with pytest.raises(ModuleNotFoundError, match="psycopg"):
        _in_process(fresh, database.replace("+psycopg2", ""))
    assert _upgrade(fresh, database).error is None


def test_the_childs_script_needs_nothing_but_alembic_and_sqlalchemy() -> None:
    found = set()
    for node in ast.walk(ast.parse(CHILD.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    assert {"alembic", "sqlalchemy"} <= found
    assert found - {"alembic", "sqlalchemy"} <= sys.stdlib_module_names


def test_ctrl_c_at_the_terminal_reaches_the_parent_alone(fresh: Project, database: str) -> None:
    projects.add(fresh, "1a", None, "import os; print('group', os.getpgrp())")
    assert f"group {os.getpgrp()}\n" not in _upgrade(fresh, database).printed


def test_a_child_whose_parent_died_is_gone_at_once(fresh: Project, database: str) -> None:
    """The watcher itself; that a killed parent takes the statement with it is among migrate's tests."""
    receiving, sending = os.pipe()
    projects.add(fresh, "1a", None, "import time; print('there', flush=True); time.sleep(60)")
    child = subprocess.Popen([sys.executable, str(CHILD), str(sending)], pass_fds=(sending,), text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    request = f'{{"command": "upgrade", "arguments": ["head"], "ini": "{fresh.ini}", "url": "{database}"}}\n'
    child.stdin.write(request)
    child.stdin.flush()
    assert "there" in child.stdout.readline()
    child.stdin.close()
    assert child.wait(5) == 70
    child.stdout.close()
    os.close(receiving)
    os.close(sending)


# --- statements


@pytest.mark.parametrize(
    ("sql", "changes"),
    [("SELECT 1", False), ("select nextval('s')", True), ("SELECT set_config('a', 'b', false)", True),
     ("SHOW x", False), ("PRAGMA foreign_keys", False), ("SAVEPOINT a", False), ("", False), ("-- only\n", False),
     ("CREATE TABLE t ()", True), ("/* hint */ UPDATE t SET a = 1", True), ("-- c\nDELETE FROM t", True),
     ("DO $$ BEGIN END $$", True), ("WITH x AS (DELETE FROM t RETURNING 1) SELECT 1", True), ("BEGIN", False),
     ("-- why?\nWITH x AS (SELECT 1) SELECT 2", False), ("WITH x AS (SELECT nextval('s')) SELECT 2", True),
     ("VACUUM", True)],
)  # fmt: skip
def test_a_statement_that_may_change_something_is_known(sql: str, changes: bool) -> None:
    assert revisions.changes(sql) is changes


def test_a_statement_is_kept_as_it_reads() -> None:
    assert revisions.tidy("\nCREATE TABLE t ( \n\tid int\n)\n\n") == "CREATE TABLE t (\n\tid int\n)"
    assert revisions.short("CREATE TABLE t (\n\tid int\n)") == "CREATE TABLE t ( id int )"
    assert revisions.short("x" * 99) == "x" * 89 + "…"


def test_stepwise_the_child_waits_at_every_event_and_puts_a_question_after_each_statement(
    project: Project, database: str
) -> None:
    request = {"stepwise": True, "ask": "SELECT count(*), current_setting('application_name') FROM pg_stat_activity"}
    outcome = _upgrade(project, database, request=request)
    seen = [event for event in outcome.events if event["event"] in ("statement", "done", "commit", "rollback")]
    assert seen
    assert all(event["confirm"] for event in seen)
    answers = [event["answer"] for event in seen if event["event"] == "done"]
    assert all(rows[0][0] >= 1 for rows in answers)


def test_the_control_what_does_not_change_anything_is_not_waited_for_otherwise(project: Project, database: str) -> None:
    events = _upgrade(project, database).events
    assert [e for e in events if e["event"] == "done"]
    assert not [e for e in events if e["event"] == "done" and (e.get("confirm") or "answer" in e)]


# --- projects as they are laid out


def test_scripts_that_are_named_from_a_folder_above_the_ini_are_found(tmp_path: Path) -> None:
    """Packages name them from the folder that their own commands run in."""
    project = projects.small(tmp_path / "pkg" / "db")
    ini = project.ini.read_text().replace(str(project.ini.parent / "migrations"), "pkg/db/migrations")
    assert "script_location = pkg/db/migrations" in ini
    project.ini.write_text(ini)
    assert [r.id for r in project.graph().revisions] == [projects.FIRST, projects.SECOND]


def test_revisions_that_are_kept_in_another_table_are_refused_before_anything_stands(
    fresh: Project, database: str
) -> None:
    projects.add(fresh, "1a", None, 'op.create_table("t", sa.Column("i", sa.Integer))')
    env = fresh.ini.parent / "migrations" / "env.py"
    env.write_text(env.read_text().replace("connection=connection,", 'connection=connection, version_table="mine",'))
    with pytest.raises(Refused, match="keeps its revisions in mine"):
        revisions.run(fresh.ini, {"command": "upgrade", "arguments": ["head"], "url": database, "observe": True})
    with targets.parse("x", database, {}).connect() as connection:
        assert not sa.inspect(connection).get_table_names()


def test_the_project_may_be_named_by_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = projects.empty(tmp_path / "named")
    monkeypatch.chdir("/")
    monkeypatch.setenv("AFDB_ALEMBIC_INI", str(project.ini))
    monkeypatch.setenv("AFDB_PYTHON", sys.executable)
    assert revisions.find() == Project(project.ini, Path(sys.executable))
    monkeypatch.setenv("AFDB_ALEMBIC_INI", str(tmp_path / "gone.ini"))
    with pytest.raises(ConfigError, match=r"there is no file .*gone\.ini") as caught:
        revisions.find()
    assert "AFDB_ALEMBIC_INI" in caught.value.why

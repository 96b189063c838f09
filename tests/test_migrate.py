"""Migrating under guard: whatever dies, and wherever, what is said of the target afterwards is true."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import commandline
import projects
import pytest
import sqlalchemy as sa

from afdb_helpers import catalog, embedded_postgres, migrate, migration_plan, revisions, targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import ConfigError, Incomplete, Refused, Unavailable
from afdb_helpers.migrate import apply, lock, outcomes
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.revisions import Project
from afdb_helpers.revisions.process import CHILD
from afdb_helpers.targets import Target

FIRST, SECOND, THIRD = projects.FIRST, projects.SECOND, "3c"
TABLE = 'op.create_table("t", sa.Column("id", sa.Integer))'
SLOW = f"{TABLE}\n{projects.sql('SELECT pg_sleep(60)')}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return projects.small(tmp_path_factory.mktemp("migrate"))


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project without revisions."""
    return projects.empty(tmp_path / "project")


@pytest.fixture
def target(database: str) -> Target:
    return targets.parse("default", database, {})


@pytest.fixture(scope="module")
def at_head(project: Project, postgres: Server) -> Iterator[str]:
    migrate.upgrade(targets.parse("x", postgres.create_database("migrate_head"), {}), project)
    yield "migrate_head"
    postgres.drop_database("migrate_head")


@pytest.fixture
def migrated(at_head: str, new_database: Callable[..., str]) -> Target:
    """A target at the head of the small project."""
    return targets.parse("default", new_database(template=at_head), {})


class Journal:
    """What was noted, in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, **facts: Any) -> None:
        self.entries.append((event, facts))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.entries]

    def last(self) -> dict[str, Any]:
        return self.entries[-1][1]


def _ask(target: Target, question: str) -> Any:
    with target.connect() as connection:
        return connection.exec_driver_sql(question).scalar()


def _tables(target: Target) -> set[str]:
    with target.connect() as connection:
        return set(sa.inspect(connection).get_table_names())


def _run(target: Target, *statements: str) -> None:
    with sa.create_engine(target.secret_url(), poolclass=sa.NullPool).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _until(condition: Callable[[], object], *, seconds: float = 20) -> float:
    """Wait for a condition; how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it never came to that"
        time.sleep(0.05)
    return time.monotonic() - started


SLEEPING = """
SELECT count(*) FROM pg_stat_activity
WHERE query LIKE '%%pg_sleep(60)%%' AND state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()
"""


def _sleeping(target: Target) -> bool:
    return bool(_ask(target, SLEEPING))


# --- up and down


def test_up_again_and_down_again(target: Target, project: Project) -> None:
    up = migrate.upgrade(target, project)
    assert up.changed
    assert up.headline.startswith(f"upgraded from nothing to {SECOND} in ")
    assert (up.before["revisions"], up.after["revisions"]) == ([], [SECOND])
    assert any(row["statement"].startswith("CREATE TABLE customer") for row in up.rows)
    again = migrate.upgrade(target, project)
    assert not again.changed
    assert again.headline == f"at {SECOND}: nothing to do"
    assert again.rows == ()
    down = migrate.downgrade(target, project, revision=FIRST)
    assert down.after["revisions"] == [FIRST]
    assert migrate.downgrade(target, project, revision="base").after["revisions"] == []
    assert _tables(target) == {"alembic_version"}


def test_what_is_noted_comes_before_what_it_is_about(target: Target, project: Project) -> None:
    journal = Journal()
    stood: dict[str, set[str]] = {}

    def note(event: str, **facts: Any) -> None:
        stood.setdefault(event, _tables(target))
        journal(event, **facts)

    migrate.upgrade(target, project, note=note)
    assert journal.events == ["change.intent", "statements", "statements", "change.result"]
    assert stood["change.intent"] == set(), "nothing was there yet"
    assert stood["statements"] == set(), "noted before the commit"
    assert stood["change.result"] >= {"customer", "invoice"}
    intent, statements, came_back, result = (facts for _, facts in journal.entries)
    assert [e["event"] for e in came_back["events"]] == ["committed"]
    assert intent["revisions"] == []
    assert (intent["command"], intent["revision"]) == ("upgrade", "head")
    assert [e["event"] for e in statements["events"]][-1] == "commit"
    assert (result["changed"], result["revisions"]) == (True, [SECOND])


def test_looking_is_not_noted_as_a_statement(target: Target, fresh: Project) -> None:
    projects.add(fresh, "1a", None, f"{projects.sql('SELECT 1')}\n{TABLE}")
    journal = Journal()
    migrate.upgrade(target, fresh, note=journal)
    noted = [e["sql"] for _, facts in journal.entries for e in facts.get("events", ()) if "sql" in e]
    assert any("CREATE TABLE t" in sql for sql in noted)
    assert not any(sql.startswith("SELECT") for sql in noted)


def test_where_nothing_is_to_be_done_nothing_is_changed_and_that_is_noted(migrated: Target, project: Project) -> None:
    journal = Journal()
    migrate.upgrade(migrated, project, note=journal)
    assert journal.last()["changed"] is False


# --- revisions that fail


def test_a_revision_that_fails_is_rolled_back_and_the_error_says_so(target: Target, fresh: Project) -> None:
    projects.add(fresh, "1a", None, f"{TABLE}\n{projects.sql('SELECT 1/0')}")
    journal = Journal()
    with pytest.raises(Incomplete) as caught:
        migrate.upgrade(target, fresh, note=journal)
    assert "rolled back" in caught.value.what
    assert "stands at nothing stamped as before" in caught.value.what
    assert "division by zero" in caught.value.why
    assert journal.last()["changed"] is False
    assert _tables(target) == set()


AFTER_A_BLOCK = """
with op.get_context().autocommit_block():
    op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS customer_note ON customer (note)")
op.get_bind().exec_driver_sql("INSERT INTO invoice SELECT 1 / count(*), 1 FROM customer")
"""


def test_a_failure_after_an_autocommit_block_says_where_it_stands_and_a_rerun_completes(
    migrated: Target, tmp_path: Path
) -> None:
    longer = projects.small(tmp_path / "longer")
    projects.add(longer, THIRD, SECOND, AFTER_A_BLOCK)
    journal = Journal()
    with pytest.raises(Incomplete) as caught:
        migrate.upgrade(migrated, longer, note=journal)
    assert "was changed, and not all of it was done" in caught.value.what
    assert f"it stands at {SECOND}" in caught.value.what
    assert "division by zero" in caught.value.why
    assert "run the same command again" in caught.value.do
    assert journal.last()["changed"] is True
    alone = [e for _, facts in journal.entries for e in facts.get("events", ()) if e.get("alone")]
    assert alone[0]["sql"].startswith("CREATE INDEX CONCURRENTLY")
    _run(migrated, "INSERT INTO customer VALUES (1, 'Ada')")  # the cause is mended
    done = migrate.upgrade(migrated, longer)
    assert done.after["revisions"] == [THIRD]
    assert _ask(migrated, "SELECT count(*) FROM invoice") == 1


def test_a_revision_that_is_none_is_said_before_anything_is_intended(migrated: Target, project: Project) -> None:
    journal = Journal()
    with pytest.raises(ConfigError, match="'nowhere' is unknown"):
        migrate.downgrade(migrated, project, revision="nowhere", note=journal)
    assert journal.entries == []


def test_trap_an_env_py_that_does_not_commit_is_found_out(target: Target, fresh: Project) -> None:
    """The trap: one statement on the connection before `context.configure`, and upgrade() returns as ever."""
    env = fresh.ini.parent / "migrations" / "env.py"
    opened = "    with connectable.connect() as connection:\n"
    assert opened in env.read_text()
    env.write_text(env.read_text().replace(opened, f'{opened}        connection.exec_driver_sql("SELECT 1")\n'))
    projects.add(fresh, "1a", None, TABLE)
    with pytest.raises(Incomplete) as caught:
        migrate.upgrade(target, fresh)
    assert "nothing of it was kept" in caught.value.what
    assert "context.configure" in caught.value.why
    assert _tables(target) == set()
    asked = {"command": "upgrade", "arguments": ["head"], "url": target.secret_url()}
    assert revisions.run(fresh.ini, asked).error is None, "the control: Alembic itself returns normally"
    assert _tables(target) == set()


LOCKS = """        from sqlalchemy import text
        connection.execute(text("SELECT pg_try_advisory_lock(1)"))
"""


@pytest.mark.parametrize("apart", [True, False])
def test_trap_the_lock_is_on_a_connection_of_its_own_so_that_autocommit_blocks_work(
    apart: bool, target: Target, fresh: Project
) -> None:
    """The control: an env.py that takes it on the migrating connection, which is then within a transaction."""
    block = 'with op.get_context().autocommit_block():\n    op.execute("CREATE TABLE u (i int)")\n'
    projects.add(fresh, "1a", None, block)
    if apart:
        migrate.upgrade(target, fresh)
        assert _tables(target) == {"u", "alembic_version"}
        return
    env = fresh.ini.parent / "migrations" / "env.py"
    opened = "    with connectable.connect() as connection:\n"
    env.write_text(env.read_text().replace(opened, opened + LOCKS))
    with pytest.raises(Incomplete) as caught:
        migrate.upgrade(target, fresh)
    assert "AssertionError" in caught.value.why


def test_trap_of_three_upgrades_at_once_none_crashes_on_the_version_table(target: Target, project: Project) -> None:
    three = [commandline.begin("upgrade", cwd=project.ini.parent, DATABASE_URL=target.secret_url()) for _ in range(3)]
    said = [one.communicate(timeout=60) for one in three]
    changed = [out for out, _ in said if f"to {SECOND}" in out]
    assert len(changed) == 1
    for one, (out, error) in zip(three, said, strict=True):  # each of the others waited, or had waited for long enough
        assert one.returncode in (0, 3), error
        assert out in changed or "nothing to do" in out or "another migration of target default is running" in error
    assert migrate.standing(target)["revisions"] == [SECOND]


def test_a_project_without_a_revision_is_said_to_be_so(target: Target, fresh: Project) -> None:
    with pytest.raises(ConfigError, match="no revision"):
        migrate.upgrade(target, fresh)
    assert _tables(target) == set()


# --- processes that die


def test_a1_a_child_that_is_killed_within_a_transaction_leaves_nothing(target: Target, fresh: Project) -> None:
    projects.add(fresh, "1a", None, f"{TABLE}\nimport os; os.kill(os.getpid(), 9)")
    journal = Journal()
    with pytest.raises(Incomplete) as caught:
        migrate.upgrade(target, fresh, note=journal)
    assert "was rolled back" in caught.value.what
    assert "signal 9" in caught.value.why
    assert journal.last()["changed"] is False
    assert _tables(target) == set()


def test_a2_a_child_that_is_killed_amid_a_statement_leaves_no_session_behind(target: Target, fresh: Project) -> None:
    projects.add(fresh, "1a", None, SLOW)

    def kill() -> None:
        _until(lambda: _sleeping(target))
        (child,) = (p for p in _children() if str(CHILD) in p[1])
        os.kill(child[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    started = time.monotonic()
    with pytest.raises(Incomplete, match="signal 9"):
        migrate.upgrade(target, fresh)
    killer.join()
    assert time.monotonic() - started < 20
    assert not _sleeping(target), "its session was ended before anything was said of the target"
    assert _tables(target) == set()


def _children() -> list[tuple[int, str]]:
    import psutil

    return [(p.pid, " ".join(p.cmdline())) for p in psutil.Process().children()]


PARENT = """
import sys
from pathlib import Path
from afdb_helpers import migrate, targets
from afdb_helpers.revisions import Project, process
process.CHILD = Path(sys.argv[3])
migrate.upgrade(targets.parse("default", sys.argv[1], {}), Project(Path(sys.argv[2])))
"""


@pytest.mark.parametrize("watching", [True, False])
def test_a2_a_parent_that_is_killed_takes_the_statement_with_it(
    watching: bool, target: Target, fresh: Project, tmp_path: Path
) -> None:
    projects.add(fresh, "1a", None, SLOW)
    script = tmp_path / "child.py"
    watcher = "    threading.Thread(target=leave_with_parent, daemon=True).start()\n"
    assert watcher in CHILD.read_text()
    script.write_text(CHILD.read_text().replace(watcher, watcher if watching else ""))
    arguments = [sys.executable, "-c", PARENT, target.secret_url(), str(fresh.ini), str(script)]
    parent = subprocess.Popen(arguments, env=commandline.settings())
    _until(lambda: _sleeping(target))
    parent.kill()
    parent.wait()
    if watching:
        assert _until(lambda: not _sleeping(target)) < 6
        assert _tables(target) == set()
        with lock.held(target, run_id="next", wait=1):
            pass  # the lock is free as well
    else:
        time.sleep(3.5)
        assert _sleeping(target), "the control: without the watcher the server goes on"
        _run(target, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(60)%%'"
                     " AND datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_a_signal_ends_it_within_seconds_and_nothing_is_changed(
    signum: int, code: int, target: Target, fresh: Project
) -> None:
    projects.add(fresh, "1a", None, SLOW)
    running = commandline.begin("upgrade", cwd=fresh.ini.parent, DATABASE_URL=target.secret_url())
    _until(lambda: _sleeping(target))
    running.send_signal(signum)
    said = running.communicate(timeout=10)[1]
    assert running.returncode == code
    assert _until(lambda: not _sleeping(target)) < (1 if signum == signal.SIGINT else 6)
    assert _tables(target) == set()
    assert "Traceback" not in said
    if signum == signal.SIGINT:
        assert "interrupted; target default is as it was" in said
        assert "it stands at nothing stamped" in said


def test_an_interrupt_after_a_commit_says_that_something_was_changed(migrated: Target, tmp_path: Path) -> None:
    longer = projects.small(tmp_path / "longer")
    block = 'with op.get_context().autocommit_block():\n    op.execute("CREATE TABLE u (i int)")\n'
    projects.add(longer, THIRD, SECOND, block + projects.sql("SELECT pg_sleep(60)"))
    running = commandline.begin("upgrade", cwd=longer.ini.parent, DATABASE_URL=migrated.secret_url())
    _until(lambda: _sleeping(migrated))
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=10)[1]
    assert running.returncode == 130
    assert "interrupted; target default was changed" in said
    assert "run the same command again" in said


def test_a_server_that_is_gone_afterwards_is_no_reason_to_say_nothing_was_changed(fresh: Project) -> None:
    projects.add(fresh, "1a", None, TABLE)
    journal = Journal()
    with embedded_postgres.start() as server:
        target = targets.parse("default", server.create_database("gone"), {})

        def note(event: str, **facts: Any) -> None:
            journal(event, **facts)
            if event == "statements" and journal.events.count(event) == 1:
                server.stop()

        with pytest.raises(Incomplete) as caught:
            migrate.upgrade(target, fresh, note=note)
    assert "where it stands now cannot be seen" in caught.value.what
    assert "afdb current --target default" in caught.value.do
    assert journal.entries[-1] == ("change.result", {"changed": None})


def test_a_journal_that_cannot_be_written_stops_the_change(target: Target, project: Project) -> None:
    def note(event: str, **facts: Any) -> None:
        if event == "statements":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        migrate.upgrade(target, project, note=note)
    assert _tables(target) == set()


# --- the migration lock


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "held", functools.partial(lock.held, wait=0.3))


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("second", ["the same", "another"])
def test_a12_of_two_migrations_the_second_is_refused_with_the_name_of_the_first(
    second: str, target: Target, fresh: Project, project: Project
) -> None:
    projects.add(fresh, "1a", None, SLOW)
    first = commandline.begin("upgrade", cwd=fresh.ini.parent, DATABASE_URL=target.secret_url())
    _until(lambda: _sleeping(target))
    journal = Journal()
    with pytest.raises(Refused) as caught:
        migrate.upgrade(target, fresh if second == "the same" else project, note=journal)
    assert caught.value.what == "another migration of target default is running"
    assert "role postgres" in caught.value.why
    assert f"from this machine (afdb lock local on {socket.gethostname()}"[:60] in caught.value.why
    assert journal.entries == [], "nothing was even intended"
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=10)


def test_the_lock_is_waited_for(target: Target, project: Project) -> None:
    with lock.held(target, run_id="first") as connection:
        assert connection is not None
        threading.Timer(1, connection.invalidate).start()
        assert migrate.upgrade(target, project).changed


def test_a12_the_lock_is_free_as_soon_as_its_holder_is_gone(target: Target) -> None:
    with lock.held(target, run_id="first") as connection:
        assert connection is not None
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with pytest.raises(Refused, match="first"), lock.held(target, run_id="second", wait=0.1):
            pass
        _run(target, f"SELECT pg_terminate_backend({pid}, 5000)")
        with lock.held(target, run_id="second", wait=0.1):
            pass
        connection.invalidate()


def test_the_lock_of_one_database_is_none_of_anothers(new_database: Callable[..., str]) -> None:
    one, other = (targets.parse("x", new_database(), {}) for _ in range(2))
    with lock.held(one, run_id="1"), lock.held(other, run_id="2", wait=0.1):
        pass


def test_the_lock_blocks_no_reader_and_no_writer(migrated: Target) -> None:
    with lock.held(migrated, run_id="1"):
        _run(migrated, "SET lock_timeout = 100", "INSERT INTO customer VALUES (1, 'x')")
        assert _ask(migrated, "SELECT count(*) FROM customer") == 1


def test_the_number_of_the_lock_is_the_one_that_the_question_looks_for() -> None:
    assert str(lock.KEY) in catalog.question("lock_holder")


def test_a12_the_control_without_the_lock_two_migrations_would_meet(
    target: Target, fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects.add(fresh, "1a", None, SLOW)
    first = commandline.begin("upgrade", cwd=fresh.ini.parent, DATABASE_URL=target.secret_url())
    _until(lambda: _sleeping(target))
    monkeypatch.setattr(lock, "held", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(outcomes, "ATTEMPTS", 1)
    monkeypatch.setattr(apply, "LOCK_TIMEOUT", 200)
    journal = Journal()
    with pytest.raises(Refused, match="a lock was not to be had"):
        migrate.upgrade(target, fresh, note=journal)
    assert "change.intent" in journal.events, "the control: it was on its way"
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=10)


# --- locks of others


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "LOCK_TIMEOUT", 100)
    monkeypatch.setattr(outcomes, "ATTEMPTS", 2)


@contextlib.contextmanager
def _idle_in_transaction(target: Target) -> Iterator[sa.Connection]:
    url = sa.make_url(target.secret_url()).update_query_dict({"application_name": "somebody's console"})
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        connection.exec_driver_sql("SELECT * FROM customer").all()
        yield connection


@pytest.mark.usefixtures("_hasty")
def test_a6_a_table_that_somebody_holds_is_given_up_with_the_blocker_named(migrated: Target, project: Project) -> None:
    journal = Journal()
    with _idle_in_transaction(migrated), pytest.raises(Refused) as caught:
        migrate.downgrade(migrated, project, revision=FIRST, note=journal)
    assert "is as it was" in caught.value.what
    assert "2 attempts" in caught.value.what
    assert "role postgres (idle in transaction" in caught.value.why
    assert "SELECT * FROM customer" in caught.value.why
    assert journal.events.count("retry") == 1
    assert journal.last()["changed"] is False
    assert migrate.downgrade(migrated, project, revision=FIRST).changed, "and when it is gone, it succeeds"


@pytest.mark.usefixtures("_hasty")
def test_a6_a_blocker_that_leaves_in_time_is_waited_out(migrated: Target, project: Project) -> None:
    with _idle_in_transaction(migrated) as blocker:

        def note(event: str, **facts: Any) -> None:
            if event == "retry":
                blocker.rollback()

        assert migrate.downgrade(migrated, project, revision=FIRST, note=note).changed


@pytest.mark.usefixtures("_hasty")
def test_a6_only_contention_is_tried_again(target: Target, fresh: Project) -> None:
    projects.add(fresh, "1a", None, projects.sql("SELECT 1/0"))
    journal = Journal()
    with pytest.raises(Incomplete):
        migrate.upgrade(target, fresh, note=journal)
    assert "retry" not in journal.events


# --- plans and gates


def _plan(target: Target, project: Project, revision: str = "head", **options: Any) -> MigrationPlan:
    with target.connect() as connection:
        return migration_plan.make(connection, project.graph(), revision, **options)


def test_a_plan_is_carried_out(target: Target, project: Project) -> None:
    done = migrate.carry_out(target, project, _plan(target, project, FIRST))
    assert done.after["revisions"] == [FIRST]
    down = _plan(target, project, "base", direction="downgrade")
    assert migrate.carry_out(target, project, down).after["revisions"] == []


@pytest.mark.parametrize("change", ["CREATE TABLE stray (i int)", "UPDATE alembic_version SET version_num = 'later'"])
def test_a_plan_for_what_the_target_was_is_refused(migrated: Target, project: Project, change: str) -> None:
    plan = _plan(migrated, project, FIRST, direction="downgrade")
    _run(migrated, change)
    journal = Journal()
    with pytest.raises(Refused, match="not what the plan was made for"):
        migrate.carry_out(migrated, project, plan, note=journal)
    assert journal.entries == []


def test_a_plan_of_a_file_that_was_edited_is_refused(target: Target, tmp_path: Path) -> None:
    ours = projects.small(tmp_path / "ours")
    plan = _plan(target, ours)
    path = ours.graph().get(SECOND).path
    path.write_text(path.read_text() + "# edited\n")
    with pytest.raises(Refused, match=f"file of revision {SECOND} was edited"):
        migrate.carry_out(target, ours, plan)
    assert _tables(target) == set()


def test_the_state_before_is_kept_as_plain_data(migrated: Target) -> None:
    _run(migrated, "INSERT INTO customer VALUES (1, 'Ada')")
    with migrated.connect(snapshot=True) as connection:
        state = migrate.state(connection)
    assert state.headline == f"at {SECOND}, 1 row"
    kept = state.as_dict()
    assert kept["revisions"] == [SECOND]
    assert kept["schema"] == migrate.standing(migrated)["schema"]
    assert kept["data"]["tables"]["customer"]["rows"] == 1


# --- SQLite


@pytest.fixture
def file(tmp_path: Path) -> Target:
    return targets.parse("default", f"sqlite:///{tmp_path}/x.db?timeout=0.1", {})


def test_a_file_is_made_migrated_and_left_without_a_lock_beside_it(file: Target, project: Project) -> None:
    assert migrate.upgrade(file, project).headline.startswith(f"upgraded from nothing to {SECOND}")
    assert migrate.upgrade(file, project).headline == f"at {SECOND}: nothing to do"
    assert migrate.downgrade(file, project, revision="base").changed
    assert [path.name for path in file.file().parent.glob("*x.db*")] == ["x.db"]


def test_a_file_that_another_process_writes_to_is_given_up_and_then_migrated(
    file: Target, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "ATTEMPTS", 2)
    migrate.upgrade(file, project, revision=FIRST)
    journal = Journal()
    with contextlib.closing(sqlite3.connect(file.file(), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Refused) as caught:
            migrate.upgrade(file, project, note=journal)
    assert "another process is writing to the file" in caught.value.why
    assert journal.events.count("retry") == 1
    assert migrate.upgrade(file, project).changed


@pytest.mark.usefixtures("_impatient")
def test_two_migrations_of_one_file_do_not_meet(file: Target, project: Project) -> None:
    with lock.held(file, run_id="first"), pytest.raises(Refused) as caught:
        migrate.upgrade(file, project)
    assert f"held by process {os.getpid()} on " in caught.value.why
    assert "run first" in caught.value.why
    assert not file.file().exists()
    assert migrate.upgrade(file, project).changed


def test_a_lock_file_that_a_killed_process_left_holds_nobody_up(file: Target, project: Project) -> None:
    left = file.file().with_name(".x.db.afdb-lock")
    left.write_text("process 1 on elsewhere")
    assert migrate.upgrade(file, project).changed
    assert not left.exists()


def test_a_failure_half_way_on_sqlite_says_that_something_was_changed(file: Target, fresh: Project) -> None:
    """The trap: a stock env.py on SQLite has no transaction around DDL."""
    projects.add(fresh, "1a", None, f"{TABLE}\n{projects.sql('SELECT nothing')}")
    with pytest.raises(Incomplete, match="was changed, and not all of it was done; it stands at nothing stamped"):
        migrate.upgrade(file, fresh)
    assert "t" in _tables(file)


def test_a_folder_that_is_not_there_or_not_writable_is_an_error_of_ours(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        migrate.upgrade(targets.parse("x", f"sqlite:///{tmp_path}/none/x.db", {}), project)
    with pytest.raises(Unavailable, match="no lock file can be made in /proc"):
        migrate.upgrade(targets.parse("x", "sqlite:////proc/x.db", {}), project)


def test_a_file_with_an_orphan_row_is_migrated_all_the_same(file: Target, project: Project) -> None:
    migrate.upgrade(file, project, revision=FIRST)
    with contextlib.closing(sqlite3.connect(file.file())) as other, other:
        other.execute("INSERT INTO invoice VALUES (1, 99)")
    assert migrate.upgrade(file, project).changed
    assert _ask(file, "SELECT customer_id FROM invoice") == 99

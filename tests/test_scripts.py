"""The two scripts as an operator runs them: real processes in a copy of the repository, on SQLite and PostgreSQL."""

from __future__ import annotations

import getpass
import json
import os
import pty
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from afdb_helpers import revisions

ROOT = Path(__file__).resolve().parents[1]
PARTS = (
    "afdb_helpers",
    "alembic",
    "runbooks",
    "scripts",
    "alembic.ini",
    "Makefile",
    "pyproject.toml",
    "requirements.lock",
)
CANARY = "c4n4ry-P@ss:word/%"
CANARY_SHAPES = (CANARY, "c4n4ry", "P%40ss", "P@ss")
TWELVE = {
    "tenants", "users", "agents", "workflows", "blueprints", "executions", "audit_logs", "api_keys",
    "projects", "plans", "subscriptions", "usage_records",
}  # fmt: skip

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The repository, copied, with the programs of the environment that runs the tests."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))  # those being written
        else:
            shutil.copy2(ROOT / name, folder)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv" / ".ready").touch()
    return folder


both = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """An empty database, on SQLite unless a test asks for `both`.

    PostgreSQL's password is read by nobody, since the server trusts whoever reaches its socket.
    """
    if getattr(request, "param", "sqlite") == "sqlite":
        return "sqlite:///./test.db"
    found = sa.make_url(request.getfixturevalue("database"))
    return found.set(drivername="postgresql", password=CANARY).render_as_string(hide_password=False)


def settings(**given: str) -> dict[str, str]:
    """The environment of a new terminal: nothing of make, nothing of the tests."""
    return {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ} | given


@pytest.fixture
def local(checkout: Path, url: str) -> Run:
    """Run the local script with the database in .env."""
    (checkout / ".env").write_text(f"DATABASE_URL='{url}'\n")
    return lambda *words, **given: script(checkout, "local", *words, **given)


@pytest.fixture(scope="module")
def at_001(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SQLite's file at 001, to be copied."""
    made = tmp_path_factory.mktemp("at_001") / "test.db"
    _upgrade(f"sqlite:///{made}")
    return made


def _upgrade(url: str) -> None:
    outcome = revisions.run(ROOT / "alembic.ini", {"command": "upgrade", "arguments": ["001"], "url": url})
    assert outcome.error is None


@pytest.fixture
def production(checkout: Path, url: str, at_001: Path) -> Run:
    """Run the production script, at 001 and without a terminal."""
    (checkout / ".env").write_text(f"PRODUCTION_DATABASE_URL='{url}'\n")
    if sa.make_url(url).get_backend_name() == "sqlite":
        shutil.copy(at_001, checkout)
    else:
        _upgrade(url)
    return lambda *words, **given: script(checkout, "prod", *words, **given)


def script(checkout: Path, which: str, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
    """From another folder, since an operator may stand anywhere."""
    command = [str(checkout / "scripts" / f"db-migrate-{which}.sh"), *words]
    done = subprocess.run(
        command, cwd="/", env=settings(**given), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert not any(shape in done.stdout + done.stderr for shape in CANARY_SHAPES), done
    return done


def looked_at(checkout: Path, url: str) -> sa.Inspector:
    """What stands in the database, read by SQLAlchemy alone."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(database=str(checkout / "test.db"))
    else:
        parsed = parsed.set(drivername="postgresql+psycopg2")
    return sa.inspect(sa.create_engine(parsed, poolclass=sa.NullPool))


def tables(checkout: Path, url: str) -> set[str]:
    return set(looked_at(checkout, url).get_table_names()) - {"alembic_version"}


# --- The local script -------------------------------------------------------------------------------------------------


@both
def test_it_goes_up_says_where_it_is_and_goes_down(local: Run, checkout: Path, url: str) -> None:
    assert tables(checkout, url) == set()
    done = local("upgrade")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("✓ upgraded from nothing to 002")
    assert tables(checkout, url) == TWELVE
    assert local("current").stdout == "002 (head)\n"
    again = local("upgrade")
    assert (again.returncode, again.stdout) == (0, "✓ at 002: nothing to do\n")
    done = local("downgrade", "001")
    assert done.stdout.startswith("✓ downgraded from 002 to 001"), done.stderr
    assert local("current").stdout == "001\n"
    assert len(tables(checkout, url)) == 8
    assert local("downgrade", "base").returncode == 0
    assert tables(checkout, url) == set()


def test_upgrade_stops_at_the_revision_that_is_named(local: Run, checkout: Path, url: str) -> None:
    assert local("upgrade", "001").returncode == 0
    assert local("current").stdout == "001\n"
    assert len(tables(checkout, url)) == 8


def test_history_shows_the_chain_the_newest_first(local: Run) -> None:
    lines = local("history").stdout.splitlines()
    assert [re.split(r",", line)[0] for line in lines] == ["001 -> 002 (head)", "<base> -> 001"]


@both
def test_create_writes_a_revision_from_the_models(local: Run, checkout: Path, url: str) -> None:
    local("upgrade")
    models = checkout / "afdb_helpers" / "models.py"
    before = models.read_text()
    line = "    hashed_password: Mapped[str] = column()\n"
    assert line in before
    models.write_text(before.replace(line, f"{line}    nickname: Mapped[str | None] = column(added=True)\n"))
    done = local("create", "users get a nickname")
    assert done.returncode == 0, done.stderr
    (made,) = set((checkout / "alembic" / "versions").glob("*.py")) - {
        checkout / "alembic" / "versions" / path.name for path in (ROOT / "alembic" / "versions").glob("*.py")
    }
    assert "users_get_a_nickname" in made.name
    text = made.read_text()
    assert "down_revision = '002'" in text.replace('"', "'")
    assert text.count("nickname") >= 2
    assert "drop_table" not in text
    assert local("upgrade").returncode == 0
    assert "nickname" in {column["name"] for column in looked_at(checkout, url).get_columns("users")}


def test_create_without_a_message_is_a_bad_request(local: Run, checkout: Path) -> None:
    before = set((checkout / "alembic" / "versions").iterdir())
    done = local("create")
    assert done.returncode == 2
    assert "MESSAGE" in done.stderr
    assert set((checkout / "alembic" / "versions").iterdir()) - before <= {checkout / "alembic/versions/__pycache__"}


def test_the_real_environment_wins_over_the_env_file(local: Run, checkout: Path, url: str) -> None:
    assert local("upgrade", DATABASE_URL="sqlite:///./other.db").returncode == 0
    assert (checkout / "other.db").is_file()
    assert tables(checkout, url) == set()


BAD = ["postgresql://u:{}@localhost:1/db", "nonsense://u:{}@h/db", "postgresql://u:{}@h:port/db"]


@pytest.mark.parametrize("bad", BAD)
def test_a_password_is_never_printed_even_when_nothing_works(checkout: Path, bad: str) -> None:
    """`script` looks for the canary in everything that is printed; here everything goes wrong."""
    word = ("current", "upgrade", "create")[BAD.index(bad)]
    for secret in ("c4n4ry-P%40ss%3Aword%2F%25", CANARY):
        done = script(checkout, "local", word, *(["x"] if word == "create" else []), DATABASE_URL=bad.format(secret))
        assert done.returncode in (2, 4), done
        assert "why:" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_canary_would_be_found(checkout: Path) -> None:
    talkative = checkout / "scripts" / "db-migrate-local.sh"
    talkative.write_text('#!/usr/bin/env bash\necho "$DATABASE_URL"\n')
    with pytest.raises(AssertionError):
        script(checkout, "local", "current", DATABASE_URL=f"postgresql://u:{CANARY}@h/db")


@pytest.mark.parametrize("which", ["local", "prod"])
def test_nonsense_gets_the_usage_and_exit_code_2(checkout: Path, which: str) -> None:
    for words in ([], ["nonsense"], ["upgradee"], ["--force"]):
        done = script(checkout, which, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"scripts/db-migrate-{which}.sh upgrade" in done.stderr
        assert f"not understood: '{''.join(words)}'" in done.stderr


@pytest.mark.parametrize("which", ["local", "prod"])
def test_help_is_the_usage_and_no_error(checkout: Path, which: str) -> None:
    done = script(checkout, which, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"scripts/db-migrate-{which}.sh downgrade REVISION" in done.stdout


def test_an_unknown_revision_is_a_bad_request_and_makes_no_file(local: Run, checkout: Path) -> None:
    for words in (["upgrade", "999"], ["downgrade"], ["upgrade", "--frobnicate"]):
        done = local(*words)
        assert done.returncode == 2, words
        assert done.stderr.strip()
    assert not (checkout / "test.db").exists()


def test_the_local_script_refuses_a_protected_target(local: Run, checkout: Path, url: str) -> None:
    for words in (["upgrade"], ["downgrade", "base"], ["create", "x"]):
        done = local(*words, AFDB_PROTECTED="default")
        assert done.returncode == 3, words
        assert "is protected" in done.stderr
    assert tables(checkout, url) == set()


# --- The production script --------------------------------------------------------------------------------------------


def digest(done: subprocess.CompletedProcess[str]) -> str:
    return str(re.findall(r"digest (sha256:[0-9a-f]{64})", done.stdout)[0])


GIVEN = ("--approver", "alice", "--change-ref", "OPS-12", "--reason", "the marketplace")


def test_without_a_terminal_and_an_approval_it_refuses_and_says_how(production: Run, checkout: Path, url: str) -> None:
    done = production("upgrade")
    assert done.returncode == 3
    assert "before: 001" in done.stdout
    assert "from 001 to 002" in done.stdout
    assert f"--approve {digest(done)} --approver NAME --change-ref TICKET --reason WHY" in done.stderr
    assert production("current").stdout == "001\n"
    assert len(tables(checkout, url)) == 8


def prepare(production: Run, checkout: Path) -> str:
    """The digest, from what is printed and from the summary; nothing was changed."""
    prepared = production("prepare", "--summary", str(checkout / "summary.md"))
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    approved = digest(prepared)
    assert f"next:   afdb apply 002 --target production --approve {approved}" in prepared.stdout
    assert re.search(r"002 +The twelve tables", prepared.stdout.rpartition("from 001 to 002")[2]), "what 002 does"
    summary = (checkout / "summary.md").read_text()
    assert f"Digest `{approved}`" in summary
    assert "CREATE TABLE" in summary
    assert prepared.stdout.startswith("target: production ("), "which database it is, first of all"
    assert production("current").stdout == "001\n"
    return approved


def migrated(said: str, checkout: Path, url: str, approved: str) -> None:
    """What is printed, the database and the records tell of a migration that alice approved."""
    assert "warning: target production is on this machine" in said
    assert said.index("before: 001") < said.index("after: 002")
    assert tables(checkout, url) == TWELVE
    every = [json.loads(path.read_text()) for path in sorted((checkout / "records").glob("*/run.json"))]
    runs = [run for run in every if run["outcome"] != "refused"]
    ended = [(run["runbook"]["name"], run["outcome"]) for run in runs]
    assert ended == [(name, "succeeded") for name in ("discovery", "backup", "rehearsal", "migration", "verification")]
    approval = runs[3]["approval"]
    assert (approval["digest"], approval["approver"], approval["signed"]) == (approved, "alice", False)
    assert (approval["change_ref"], approval["reason"]) == ("OPS-12", "the marketplace")
    assert [entry["kind"] for entry in runs[3]["evidence"]] == ["rehearsal", "rehearsal", "backup"]
    found = [path for path in checkout.rglob("*") if path.is_file() and path.name != ".env"]
    assert not [path for path in found if any(shape.encode() in path.read_bytes() for shape in (CANARY, "c4n4ry"))]


def test_prepared_and_approved_it_migrates_verifies_leaves_a_record_and_goes_down_by_approval_too(
    production: Run, checkout: Path, url: str
) -> None:
    approved = prepare(production, checkout)
    done = production("upgrade", "--approve", approved, *GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    migrated(done.stderr + done.stdout, checkout, url, approved)
    assert production("downgrade", "001").returncode == 3
    assert production("current").stdout == "002 (head)\n"
    with closing(sqlite3.connect(checkout / "test.db")) as database, database:
        database.execute("INSERT INTO plans (id, name, plan_type) VALUES ('p', 'Gold', 'pro')")
    refused = production("prepare", "001", "--down")
    said = " ".join((refused.stdout + refused.stderr).split())
    assert refused.returncode == 3
    assert "plans: 1 row" in said
    assert "stay at 002, or afdb prepare 001 --down --drop-data --target production" in said
    prepared = production("prepare", "001", "--down", "--drop-data")
    approved = digest(prepared)
    assert "what 001 cannot hold is THROWN AWAY" in prepared.stdout
    assert re.search(r"\bplans +1\b", prepared.stdout), "what is thrown away, with its rows"
    assert f"afdb apply 001 --down --drop-data --target production --approve {approved}" in prepared.stdout
    signed, keys = approve(checkout, approved), str(checkout / "approvers")
    assert production("downgrade", "001", "--approval", str(signed), AFDB_APPROVERS=keys).returncode == 3, (
        "not approved"
    )
    done = production("downgrade", "001", "--drop-data", "--approval", str(signed), AFDB_APPROVERS=keys)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.index("before: 002") < done.stdout.index("after: 001")
    (kept,) = checkout.glob("records/*/approval.json")
    assert json.loads(kept.read_bytes()) == json.loads(signed.read_bytes())
    believed = afdb(checkout, "records", "verify", AFDB_APPROVERS=str(checkout / "approvers"))
    assert believed.returncode == 0, believed.stdout + believed.stderr
    kept.write_bytes(kept.read_bytes() + b" ")
    assert afdb(checkout, "records", "verify").returncode == 3


def approve(checkout: Path, approved: str) -> Path:
    """The file with alice's signature, made as she makes it; her public key is listed in `approvers`."""
    made = afdb(checkout, "keys", "new", "alice.pem", "--name", "alice")
    (checkout / "approvers").write_text(made.stdout)
    given = ("--target", "production", *GIVEN[2:], "--file", "approval.json")
    signed = afdb(checkout, "approve", approved, *given, AFDB_SIGNING_KEY="alice.pem")
    assert signed.returncode == 0, signed.stdout + signed.stderr
    return checkout / "approval.json"


def afdb(checkout: Path, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
    """In the project's folder."""
    command = [str(Path(sys.executable).with_name("afdb")), *words]
    return subprocess.run(command, cwd=checkout, env=settings(**given), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_prepared_it_is_refused_unless_approved_and_at_a_terminal_the_databases_name_approves(
    production: Run, checkout: Path, url: str
) -> None:
    approved = prepare(production, checkout)
    for wrong, why in {
        ("--approve", f"sha256:{'0' * 64}", *GIVEN): "is not approved",
        ("--approve", approved): "--approver and --change-ref and --reason not given",
        ("--approve", approved, *GIVEN[2:], "--approver", getpass.getuser()): "cannot approve what",
    }.items():
        before = list(checkout.glob("records/*-migration-*"))
        done = production("upgrade", *wrong)
        assert done.returncode == 3
        assert why in done.stdout + done.stderr
        assert "after: 001" in done.stdout
        tried = len(list(checkout.glob("records/*-migration-*"))) - len(before)
        assert tried == ("not given" not in why), (
            "what was left out is asked for before a run begins; an attempt is kept"
        )
    assert len(tables(checkout, url)) == 8
    answers = [
        ("type the database's name", name_of(url)),
        ("Who has read the plan", "alice"),
        ("Number of the change", "OPS-12"),
        ("Reason", "the marketplace"),
    ]
    code, seen = at_terminal(checkout, answers, "upgrade")
    assert code == 0, seen
    migrated(seen, checkout, url, approved)


def test_unprepared_it_is_refused_with_the_next_command_and_nothing_changes(
    production: Run, checkout: Path, url: str
) -> None:
    done = production("upgrade", "--approve", digest(production("upgrade")), *GIVEN)
    assert done.returncode == 3
    said = " ".join((done.stdout + done.stderr).split())
    assert "was not rehearsed" in said
    assert "afdb prepare 002 --target production" in said
    assert "after: 001" in done.stdout
    assert len(tables(checkout, url)) == 8


def test_nothing_to_do_needs_no_approval(production: Run) -> None:
    done = production("upgrade", "001")
    assert done.returncode == 0
    assert "at 001: nothing to do" in done.stdout


def test_history_and_current_and_create_in_production(production: Run) -> None:
    assert production("history").stdout.startswith("001 -> 002 (head)")
    assert production("current").stdout == "001\n"
    assert production("create", "x").returncode == 2


def test_it_takes_another_target_by_name(production: Run, url: str) -> None:
    done = production("current", "--target", "staging", STAGING_DATABASE_URL=url)
    assert done.stdout == "001\n"
    asked = production("upgrade", "--target", "staging", STAGING_DATABASE_URL=url)
    assert asked.returncode == 3
    assert asked.stdout.startswith("target: staging (")
    assert "target staging is on this machine" in asked.stderr


def test_without_the_setting_it_names_it(checkout: Path) -> None:
    done = script(checkout, "prod", "upgrade")
    assert done.returncode == 2
    assert "PRODUCTION_DATABASE_URL" in done.stderr


# --- At a terminal ----------------------------------------------------------------------------------------------------


def at_terminal(checkout: Path, answers: list[tuple[str, str]], *words: str) -> tuple[int, str]:
    """The production script on a terminal of its own: each answer is typed when its question is on the screen."""
    controller, terminal = pty.openpty()
    command = [str(checkout / "scripts" / "db-migrate-prod.sh"), *words]
    with closing(os.fdopen(controller, "rb+", buffering=0)) as screen:
        process = subprocess.Popen(
            command, cwd="/", env=settings(TERM="dumb"), stdin=terminal, stdout=terminal, stderr=terminal,
            start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        seen, waiting = "", list(answers)
        for piece in printed(screen.fileno(), seconds=90):
            seen += piece
            if waiting and waiting[0][0] in seen:
                os.write(screen.fileno(), f"{waiting.pop(0)[1]}\n".encode())
        code = process.wait(10)
    assert not waiting, f"never asked {waiting[0][0]!r}:\n{seen}"
    assert not any(shape in seen for shape in CANARY_SHAPES), seen
    return code, seen


def printed(descriptor: int, *, seconds: float) -> Iterator[str]:
    deadline = time.monotonic() + seconds
    while select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # Linux: the other side was closed
            return
        if not data:
            return
        yield data.decode(errors="replace")
    raise TimeoutError(f"nothing more was printed within {seconds} s")


def name_of(url: str) -> str:
    return str(sa.make_url(url).database).rsplit("/", 1)[-1]


@both
def test_anything_but_the_databases_name_is_a_no(production: Run, checkout: Path, url: str) -> None:
    for typed in ("production", "", "y"):
        code, seen = at_terminal(checkout, [("type the database's name", typed)], "upgrade")
        assert code == 3, seen
        assert "not approved" in seen
    assert production("current").stdout == "001\n"
    assert len(tables(checkout, url)) == 8
    assert not list((checkout / "records").glob("*/run.json"))

"""Alembic's own commands with nothing but DATABASE_URL or POSTGRES_* set, and what env.py sees to."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import chain
import projects
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.util import CommandError
from chain import Maker

TWO = ["postgresql 18", "sqlite"]
SECRET = "s3cr%t/p@ss"  # percent and slash have to be encoded in a URL


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


def alembic(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command line of Alembic with no setting but these."""
    clean = {k: v for k, v in os.environ.items() if not k.endswith("DATABASE_URL")}
    program = Path(sys.executable).with_name("alembic")
    return subprocess.run(
        [str(program), *arguments], cwd=chain.ROOT, env=clean | settings, check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize("server", TWO)
def test_every_command_works_with_nothing_but_database_url(server: str, make: Maker) -> None:
    url = make(server, "at_001").replace("+psycopg2", "").replace("+pysqlite", "")
    said = [
        alembic(*line.split(), DATABASE_URL=url)
        for line in ("current", "upgrade head", "current", "check", "history", "downgrade 001", "upgrade head --sql")
    ]
    assert [done.returncode for done in said] == [0] * 7, [done.stderr for done in said]
    assert [done.stdout.strip() for done in said[:4]] == [
        "001",
        "",
        "002 (head)",
        "No new upgrade operations detected.",
    ]
    assert "001 -> 002 (head)" in said[4].stdout
    assert "CREATE TABLE usage_records" in said[6].stdout
    assert chain.stamped(make(server, "at_001")) == ("001",)


def test_the_parts_of_a_url_do_as_well(make: Maker) -> None:
    url = sa.make_url(make("postgresql 18", "empty"))
    parts = {"POSTGRES_HOST": str(url.query["host"]), "POSTGRES_USER": "postgres", "POSTGRES_DB": str(url.database)}
    done = alembic("upgrade", "head", **parts)
    assert done.returncode == 0, done.stderr
    assert alembic("current", **parts).stdout == "002 (head)\n"


def test_no_setting_at_all_is_said_without_a_traceback(tmp_path: Path) -> None:
    done = alembic("current")
    assert done.returncode != 0
    assert "ConfigError: no target is called 'default'" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "bad"),
    [
        ("current", "postgresql://x@127.0.0.1:1/db"),
        ("check", "postgresql://x@127.0.0.1:1/db"),
        ("stamp head", "postgresql://x@127.0.0.1:1/db"),
        ("downgrade 001", "postgresql://x@127.0.0.1:1/db"),
        ("upgrade head", "no such role"),
        ("upgrade head", f"mysql://u:{SECRET}@h/db"),
        ("upgrade head", f"postgresql://u:{SECRET}"),
    ],
)
def test_a_password_never_shows(arguments: str, bad: str, make: Maker) -> None:
    if bad == "no such role":
        bad = sa.make_url(make("postgresql 18", "empty")).set(username="nobody").render_as_string()
    if "s3cr" not in bad:
        bad = sa.make_url(bad).set(password=SECRET).render_as_string(hide_password=False)
    done = alembic(*arguments.split(), DATABASE_URL=bad)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in said
    assert "why:" in said
    assert not [part for part in (SECRET, "s3cr", "p@ss", "p%40ss") if part in said], said


def test_a_percent_sign_in_a_password_is_no_obstacle(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    url = sa.make_url(make("postgresql 18", "empty")).set(password=SECRET)
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
    made = chain.config("")
    command.upgrade(made, "head")
    assert chain.stamped(str(url)) == ("002",)


def test_a_command_that_looks_makes_no_file(tmp_path: Path) -> None:
    done = alembic("current", DATABASE_URL=f"sqlite:///{tmp_path}/none.db")
    assert "there is no file" in done.stdout + done.stderr
    assert not (tmp_path / "none.db").exists()


def test_trap_existing_loggers_stay_enabled(make: Maker, tmp_path: Path) -> None:
    ini = projects.empty(tmp_path).ini.rename(tmp_path / "x.ini")
    mine = logging.getLogger("an.application.of.mine")
    handlers = list(logging.getLogger().handlers)
    chain.upgrade(make("sqlite", "empty"))
    assert not mine.disabled
    assert logging.getLogger().handlers == handlers
    stock = "import logging.config as c; m = c.logging.getLogger('mine'); c.fileConfig('x.ini'); print(m.disabled)"
    said = subprocess.run([sys.executable, "-c", stock], cwd=ini.parent, capture_output=True, text=True, check=True)
    assert said.stdout == "True\n", "the control: what a stock env.py does"


@pytest.mark.parametrize("server", TWO)
def test_a_database_that_is_ahead_is_refused_by_every_command(server: str, make: Maker) -> None:
    url = make(server, "ahead")
    known = chain.catalogue(url), chain.rows(url)
    for work in (
        command.current,
        command.check,
        lambda c: command.upgrade(c, "head"),
        lambda c: command.downgrade(c, "001"),
    ):
        with pytest.raises(CommandError, match="stamped 003, which this repository does not have"):
            work(chain.config(url))
    assert (chain.catalogue(url), chain.rows(url), chain.stamped(url)) == (*known, ("003",))


@pytest.mark.parametrize("server", TWO)
def test_a_stamp_that_is_not_true_is_believed_by_all_but_upgrade(
    server: str, make: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    url = make(server, "drifted_002")
    known = chain.catalogue(url)
    command.current(chain.config(url))
    chain.upgrade(url, "001")
    assert chain.catalogue(url) == known
    assert chain.stamped(url) == ("002",)
    with pytest.raises(CommandError):  # the control: without the look at the catalogue nothing would be done
        chain.check(url)
    chain.upgrade(url)
    assert "stamped 002 but unfinished, lacking column api_keys.permissions" in caplog.text
    assert chain.catalogue(url) == make.fresh(server)


@pytest.mark.parametrize("server", TWO)
def test_a_finished_002_with_a_default_of_ones_own_is_not_opened_again(server: str, make: Maker) -> None:
    url = make(server, "at_001")
    chain.upgrade(url)
    if server != "sqlite":
        chain.execute(url, "ALTER TABLE blueprints ALTER price SET DEFAULT 1.5")
    chain.execute(url, "CREATE INDEX mine ON agents (name)")
    known = chain.catalogue(url)
    chain.upgrade(url)
    assert chain.catalogue(url) == known


@pytest.mark.parametrize("server", TWO)
@pytest.mark.parametrize("state", ["empty", "at_001", "drifted_002", "created_by_models"])
def test_a_stamp_that_would_not_be_true_is_refused(server: str, state: str, make: Maker) -> None:
    url = make(server, state)
    known = chain.catalogue(url), chain.stamped(url)
    with pytest.raises(CommandError, match="so it is not stamped 002; nothing was changed"):
        command.stamp(chain.config(url), "head", purge=True)
    assert (chain.catalogue(url), chain.stamped(url)) == known
    chain.upgrade(url)
    chain.execute(url, "DELETE FROM alembic_version")
    command.stamp(chain.config(url), "head")
    assert chain.stamped(url) == ("002",)


def test_a_file_that_somebody_is_writing_to_is_said_to_be_so(make: Maker) -> None:
    url = make("sqlite", "at_001")
    with sqlite3.connect(str(sa.make_url(url).database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CommandError, match="another process is writing to the file"):
            chain.upgrade(url)
        other.rollback()
    chain.upgrade(url)


def test_a_refused_convergence_leaves_the_stamp(make: Maker) -> None:
    url = make("postgresql 18", "drifted_002")
    chain.execute(url, "INSERT INTO api_keys (id, key_hash, user_id, tenant_id) VALUES ('k9', 'hash-1', 'u1', 't1')")
    with pytest.raises(CommandError, match="1 duplicated value in 2 rows"):
        chain.upgrade(url)
    assert chain.stamped(url) == ("002",)


@pytest.mark.parametrize("server", TWO)
@pytest.mark.parametrize("span", ["001:002", "head"])
def test_the_offline_script_does_what_upgrade_does(server: str, span: str, make: Maker) -> None:
    state = "empty" if span == "head" else "at_001"
    live, scripted = make(server, state), make(server, state)
    chain.upgrade(live)
    chain.execute(scripted, sql(scripted, span))
    assert chain.catalogue(scripted) == chain.catalogue(live)
    assert chain.rows(scripted) == chain.rows(live)
    assert "no database was looked at" in sql(scripted, span)


@pytest.mark.parametrize("server", TWO)
def test_the_offline_way_back_is_refused_unless_any_loss_is_accepted(server: str, make: Maker) -> None:
    url = make(server, "at_001")
    first = chain.rows(url)
    chain.upgrade(url)
    with pytest.raises(CommandError, match="a script cannot tell whether it would lose data"):
        sql(url, "002:001", down=True)
    chain.execute(url, sql(url, "002:001", down=True, x=["allow_data_loss=true"]))
    assert chain.rows(url) == first
    assert chain.catalogue(url) == make.fresh(server, "001")


@pytest.mark.parametrize("server", TWO)
def test_autogenerate_sees_a_real_difference_and_leaves_other_peoples_tables_alone(server: str, make: Maker) -> None:
    url = make(server, "at_001")
    chain.upgrade(url)
    chain.execute(url, "CREATE TABLE somebody_elses (id INTEGER PRIMARY KEY)")
    chain.check(url)
    chain.execute(url, "ALTER TABLE agents ADD COLUMN mine INTEGER")
    with pytest.raises(CommandError, match="remove_column"):
        chain.check(url)


@pytest.mark.parametrize(
    ("statement", "seen"),
    [
        ("ALTER TABLE blueprints ALTER definition SET DEFAULT '[]'", "modify_default"),
        ("ALTER TABLE agents ALTER model SET NOT NULL", "modify_nullable"),
        ("ALTER TABLE agents ALTER name DROP NOT NULL", "modify_nullable"),
        ("ALTER TABLE workflows ALTER definition SET NOT NULL", ""),
        ("DROP INDEX ix_api_keys_key_hash", "add_index"),
    ],
)
def test_autogenerate_sees_defaults_and_not_null(statement: str, seen: str, make: Maker) -> None:
    url = make("postgresql 18", "empty")
    chain.upgrade(url)
    chain.execute(url, statement)
    if not seen:
        return chain.check(url)
    with pytest.raises(CommandError, match=seen):
        chain.check(url)
    return None


def sql(url: str, span: str, *, down: bool = False, **settings: Any) -> str:
    """The script that --sql prints."""
    import io

    made = chain.config(url, **settings)
    made.output_buffer = io.StringIO()
    (command.downgrade if down else command.upgrade)(made, span, sql=True)
    return made.output_buffer.getvalue()

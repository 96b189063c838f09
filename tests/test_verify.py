"""`afdb verify`: exit codes and what it says, for a target, a backup and a record's "before"."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from afdb_helpers import backup, cli, revisions, targets, verification
from afdb_helpers.errors import ConfigError, Refused


def _run(url: str, *statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two SQLite databases at the head: `default`, and `staging` with the same tenant."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AFDB_BACKUPS", str(tmp_path / "backups"))
    urls = []
    for variable in ("DATABASE_URL", "STAGING_DATABASE_URL"):
        urls.append(f"sqlite:///{tmp_path}/{variable}.db")
        monkeypatch.setenv(variable, urls[-1])
        outcome = revisions.run(revisions.find().ini, {"command": "upgrade", "arguments": ["head"], "url": urls[-1]})
        assert outcome.error is None
        _run(urls[-1], "INSERT INTO tenants (id, name, slug) VALUES ('t1', 'One', 'one')")
    return urls[0], urls[1]


def test_verify_compares_a_target_with_another_and_with_a_backup(two: tuple[str, str]) -> None:
    kept = backup.dump(targets.get("default"))
    for before in ("staging", kept.id):
        done = CliRunner().invoke(cli.afdb, ["verify", "--before", before])
        assert done.exit_code == 0, done.output
        assert "data: every value preserved" in done.output
    assert CliRunner().invoke(cli.afdb, ["verify", "--before", "staging", "--now", kept.id]).exit_code == 0
    _run(two[0], "UPDATE tenants SET name = 'Secret' WHERE id = 't1'")
    done = CliRunner().invoke(cli.afdb, ["verify", "--before", "staging"])
    assert isinstance(done.exception, Refused)
    assert done.exception.exit_code == 3
    assert "t1" in done.output
    assert "Secret" not in done.output
    done = CliRunner().invoke(cli.afdb, ["verify", "--before", kept.id])
    assert isinstance(done.exception, Refused)


def test_verify_says_when_there_is_no_such_before(two: tuple[str, str]) -> None:
    done = CliRunner().invoke(cli.afdb, ["verify", "--before", "nothing"])
    assert isinstance(done.exception, ConfigError)
    assert "nothing called nothing" in str(done.exception)


def test_the_mapping_between_two_stamps_turns_round_on_the_way_down() -> None:
    graph = revisions.find().graph()
    up = verification.mapping(graph, ("001",), ("002",))
    assert up["agents"]["renamed"] == {"user_id": "created_by"}
    down = verification.mapping(graph, ("002",), ("001",))
    assert down["agents"]["renamed"] == {"created_by": "user_id"}
    assert down["plans"]["retired"] is True
    assert down["audit_logs"]["renamed"]["legacy_id"] == "id"
    assert verification.mapping(graph, ("002",), ("002",)) == {}

"""What a real run of the migration runbook leaves: the states before and after, and a mark for the ledger's tail."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import projects
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from commandline import afdb
from small_notebooks import Left

from afdb_helpers import catalog, cli, fingerprint, migrate, targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import AfdbError
from afdb_helpers.runbook.record import LEDGER

FILLED = "INSERT INTO customer (id, name) VALUES (1, 'a'), (2, 'b')"
POLICY = "CREATE POLICY own ON customer USING (id > 0)"
DROPS = 'op.execute("DROP INDEX IF EXISTS once")\nop.execute("DROP POLICY IF EXISTS own ON customer")'


@dataclass(frozen=True)
class Ran:
    """A project, its database at head, the record of the run that took it there, and what `afdb apply` said."""

    home: Path
    url: str
    left: Left
    done: subprocess.CompletedProcess[str]
    verification: Path

    def kept(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.left.folder / name).read_bytes()))


@pytest.fixture(scope="module")
def ran(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """From the first revision, filled, with an index whose build failed and a policy, to one that drops both."""
    project = projects.small(tmp_path_factory.mktemp("migration"))
    projects.add(project, "3c", projects.SECOND, DROPS)
    url, home = postgres.create_database("migration_record"), project.ini.parent
    migrate.upgrade(targets.parse("x", url, {}), project, revision=projects.FIRST)
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(FILLED)
        connection.exec_driver_sql(POLICY)
        with pytest.raises(sa.exc.IntegrityError):
            connection.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY once ON customer (balance)")
    done = afdb("apply", "--approve", f"sha256:{'0' * 64}", "--target", "default", cwd=home, DATABASE_URL=url)
    assert "after: 3c" in done.stdout, done.stdout + done.stderr
    (verification,) = (home / "records").glob("*-verification-*")
    yield Ran(home, url, Left(home / "records", "migration"), done, verification)
    postgres.drop_database("migration_record")


def test_verify_compares_with_the_before_of_a_record(ran: Ran) -> None:
    """The record is named by its id; what was so before the migration, but for the columns it renamed, is there."""
    before = ran.left.folder.name
    done = afdb("verify", "--target", "default", "--before", before, cwd=ran.home, DATABASE_URL=ran.url)
    assert "data: every value preserved" in done.stdout, done.stdout + done.stderr
    none = afdb("verify", "--before", f"{before}0", cwd=ran.home, DATABASE_URL=ran.url)
    assert (none.returncode, "nothing called" in none.stderr) == (2, True), none.stdout + none.stderr


def test_before_and_after_hold_heads_schema_fingerprints_and_invalid_indexes(ran: Ran) -> None:
    before, after = ran.kept("before.json"), ran.kept("after.json")
    assert (before["revisions"], after["revisions"]) == ([projects.FIRST], ["3c"])
    assert (before["invalid_indexes"], after["invalid_indexes"]) == (["once"], [])
    with targets.parse("x", ran.url, {}).connect() as connection:
        assert after["schema"] == catalog.snapshot(connection).digest != before["schema"]
        assert fingerprint.Fingerprint.from_dict(after["data"]) == fingerprint.take(connection)
    taken = fingerprint.Fingerprint.from_dict(before["data"])
    assert taken.counts()["customer"] == 2
    name = before["data"]["tables"]["customer"]["columns"]["name"]
    assert name[:2] == after["data"]["tables"]["customer"]["columns"]["title"][:2], "the values, renamed"
    assert {"before.json", "after.json", "plan.json"} <= {e["file"] for e in ran.left.journal if e["event"] == "kept"}


def test_a36_a_policy_that_the_migration_dropped_is_in_the_record_and_stops_the_verification(ran: Ran) -> None:
    """The chain never had it, so that the schema is well: only what was before can tell."""
    policies = [json.dumps(ran.kept(name)["rights"]).count("policy own") for name in ("before.json", "after.json")]
    assert policies == [1, 0]
    assert json.loads((ran.verification / "run.json").read_bytes())["exit_code"] == 3
    assert "customer policy own" in (ran.verification / "report.json").read_text()


def test_what_is_found_after_a_migration_is_no_refusal_and_is_listed_with_what_was_so_before(ran: Ran) -> None:
    """The policy went with the migration; the sequence was behind its rows before, and is so still."""
    assert ran.done.returncode == 5
    assert "migrated to 3c; verification found 2 things" in ran.done.stderr
    shown = CliRunner().invoke(cli.afdb, ["records", "show", str(ran.verification)]).output
    for said in (ran.done.stdout, shown):
        assert "2 violations, 1 of them so before the migration" in said
        (behind,) = (line for line in said.splitlines() if "sequence public.customer_id_seq of id" in line)
        assert "SELECT setval(" in behind
        assert "before the migration" in behind
        (policy,) = (line for line in said.splitlines() if "customer policy own" in line)
        assert "before the migration" not in policy
        assert "CREATE POLICY" in policy


@pytest.fixture
def verify(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """`afdb records verify` in this process, over a copy of the records as the migration left them, before the
    verification: its exit code, and what it said."""
    kept = shutil.copytree(ran.home / "records", tmp_path / "records")
    shutil.rmtree(kept / ran.verification.name)
    ledger = kept / LEDGER
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:-2]))
    monkeypatch.setenv("AFDB_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv("DATABASE_URL", ran.url)
    monkeypatch.chdir(ran.home)

    def asked(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli.afdb, ["records", "verify", *arguments])
        if isinstance(done.exception, AfdbError):
            return done.exception.exit_code, f"{done.output}{done.exception}"
        return done.exit_code, done.output

    return asked


def test_verify_asks_a_real_database_whether_the_ledgers_tail_was_cut(
    ran: Ran, verify: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """The control: the same cut records are well as long as nobody asks the database."""
    code, said = verify("--target", "default")
    assert code == 0, said
    assert "after the database's last migration" in said, "what even the database cannot tell is said"
    ledger = tmp_path / "records" / LEDGER
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:-1]))
    code, said = verify("--target", "default")
    assert code == 3
    assert "changed the database, and the ledger has no end of it" in said
    ledger.write_bytes(b"")
    shutil.rmtree(tmp_path / "records" / ran.left.folder.name)
    code, said = verify()
    assert code == 0, said
    assert "whether the newest are gone with the ledger's tail: give --target NAME" in said
    code, said = verify("--target", "default")
    assert code == 3
    assert f"does not hold run {ran.left.folder.name}, which the database names as its last: its tail was cut" in said


def test_a_database_that_no_run_of_ours_has_changed_cannot_tell(
    verify: Callable[..., tuple[int, str]], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    code, said = verify("--target", "default")
    assert code == 4
    assert "target default names no run" in said

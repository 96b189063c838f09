"""SIGKILL at the statements of 002 and of its way back, an application at work; the whole matrix is a benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import chain
import crashes
import pytest
from chain import Maker

from afdb_helpers import demo, embedded_postgres
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.online import numbering

pytestmark = pytest.mark.xdist_group("kills")
SAMPLES = 8


@pytest.fixture
def killer() -> Iterator[crashes.Killer]:
    with crashes.killer() as made:
        yield made


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server of our own, since the others' sessions would be reset too; it loses nothing that it acknowledged."""
    with embedded_postgres.start(settings={"synchronous_commit": "on"}) as server:
        yield server


@pytest.fixture(scope="module")
def demonstrated(mortal: Server) -> str:
    """A database at 001 on it, to be cloned."""
    return demo_at(mortal, "001")


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: object) -> Maker:
    return Maker(request, tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(("command", "revision"), [("upgrade", "002"), ("downgrade", "001")])
def test_a1_a_migration_killed_at_any_statement_is_gone_on_with_and_nothing_is_lost(
    command: str, revision: str, postgres: Server, make: Maker, killer: crashes.Killer
) -> None:
    template = demo_at(postgres, "001" if command == "upgrade" else "002")
    wanted = make.fresh("postgresql 18", revision)
    whole = crashes.kill(killer, postgres, template, command, revision, 0, "after", wanted)
    assert (whole.lost, whole.wrong) == (0, [])
    assert whole.statements > 80
    killed = written = 0
    for sample in range(SAMPLES):
        at, when = (2 * sample + 1) * whole.statements // (2 * SAMPLES), crashes.WHEN[sample % 3]
        one = crashes.kill(killer, postgres, template, command, revision, at, when, wanted)
        assert (one.lost, one.wrong) == (0, []), one
        killed, written = killed + one.killed, written + one.written
    assert killed == SAMPLES
    assert written > SAMPLES
    postgres.drop_database(template)


@pytest.mark.parametrize("how", ["terminate", "cut", "backend", "stop"])
def test_a5_a_session_or_a_server_that_is_lost_is_gone_on_with(
    how: str, mortal: Server, demonstrated: str, make: Maker, killer: crashes.Killer
) -> None:
    template, wanted = demonstrated, make.fresh("postgresql 18")
    one = crashes.kill(killer, mortal, template, "upgrade", "002", 110, "during", wanted, how)
    assert one.killed
    assert (one.lost, one.wrong) == (0, []), one
    assert one.written


def test_a5_a_server_that_crashes_while_rows_are_numbered_numbers_them_anew(
    mortal: Server, demonstrated: str, make: Maker, killer: crashes.Killer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of numbers is not logged: a crash empties it, and half of the rows may keep theirs."""
    url, wanted = mortal.create_database("crashed", template=demonstrated), make.fresh("postgresql 18")
    postmaster = int((mortal.data / "postmaster.pid").read_text().split()[0])
    how: dict[str, Any] = {"how": "stop", "postmaster": postmaster, "words": "UPDATE audit_logs AS a"}
    assert killer.run(url, "upgrade", "002", 6, "after", **how)["status"]
    crashes.up_again(mortal, url)
    chain.execute(url, "INSERT INTO audit_logs (id, event_type) VALUES ('meanwhile', 'load')")
    again = mortal.create_database("crashed_again", template="crashed")
    chain.upgrade(url)
    assert crashes.amiss(url, "002", wanted) == []
    monkeypatch.setattr(numbering, "_filled", lambda *_: True)  # the control: believed, the empty list numbers nothing
    chain.upgrade(again)
    assert "numbers are not in order" in crashes.amiss(again, "002", wanted)
    for name in ("crashed", "crashed_again"):
        mortal.drop_database(name)


def demo_at(server: Server, revision: str) -> str:
    """A database with the demonstration's rows at a revision, to be cloned."""
    url = demo.create(server)
    if revision != "001":
        chain.upgrade(url)
    return demo.DATABASE


def test_a1_a5_the_control_what_a_kill_could_leave_is_seen(make: Maker) -> None:
    """The control: each of the things that are looked for is found where it is."""
    url = make("postgresql 18", "at_001")
    chain.upgrade(url)
    wanted = make.fresh("postgresql 18")
    assert crashes.amiss(url, "002", wanted) == []
    chain.execute(url, "CREATE TABLE afdb_map_audit_logs (place tid)", "CREATE SEQUENCE afdb_other")
    chain.execute(url, "UPDATE audit_logs SET id = id + 100 WHERE id = 3")
    found = crashes.amiss(url, "002", wanted)
    assert {"relation afdb_map_audit_logs", "relation afdb_other", "the schema is another"} <= set(found)
    assert "numbers are not in order" in found

"""SQLite files in use: killed at any moment, read and written meanwhile, reached by other names, damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chain
import crashes
import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from chain import Maker

from afdb_helpers.online import sqlite

MANY = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})
INSERT INTO audit_logs (id, event_type, metadata) SELECT printf('many-%06d', i), 'many', '{{"i": ' || i || '}}' FROM n
"""


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


@pytest.fixture(scope="module")
def killer() -> Iterator[crashes.Killer]:
    with crashes.killer() as made:
        yield made


def file(url: str) -> Path:
    return Path(str(sa.make_url(url).database))


@contextlib.contextmanager
def opened(url: str, **settings: Any) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file(url), isolation_level=None, **settings)) as session:
        yield session


def copied(make: Maker, url: str, journal: str) -> str:
    copy = make.clone("sqlite", url)
    with opened(copy) as session:
        session.execute(f"PRAGMA journal_mode = {journal}")
    return copy


@pytest.mark.parametrize(("command", "journal"), [("upgrade", "delete"), ("downgrade", "wal")])
def test_a15_killed_at_any_statement_the_old_file_stands_and_a_rerun_succeeds(
    command: str, journal: str, make: Maker, killer: crashes.Killer
) -> None:
    revision, start = "002" if command == "upgrade" else "001", make("sqlite", "at_001")
    if command == "downgrade":
        chain.upgrade(start)
    before, whole = (chain.rows(start), chain.catalogue(start)), copied(make, start, journal)
    statements = killer.run(whole, command, revision)["statements"]
    after = chain.rows(whole), chain.catalogue(whole)
    assert statements > 100
    for n, at in enumerate(range(1, statements, statements // 4)):
        url = copied(make, start, journal)
        assert killer.run(url, command, revision, at, crashes.WHEN[n % 3])["killed"]
        assert (chain.rows(url), chain.catalogue(url)) == before
        assert killer.run(url, command, revision)["status"] == 0
        assert (chain.rows(url), chain.catalogue(url)) == after
    url = copied(make, start, journal)
    assert killer.run(url, command, revision, statements, "after")["killed"], "the last is the COMMIT"
    assert (chain.rows(url), chain.catalogue(url)) == after


def test_a15_killed_while_it_writes_the_file_the_old_content_comes_back(
    request: pytest.FixtureRequest, on_disk: Path, killer: crashes.Killer
) -> None:
    make = Maker(request, on_disk)  # in memory it is written before a kill can come
    start, halves = make("sqlite", "at_001"), 0
    chain.execute(start, MANY.format(8_000))
    before, whole = chain.rows(start), make.clone("sqlite", start)
    commit = killer.run(whole, "upgrade", "002")["statements"]
    after = chain.rows(whole)
    for delay in (0.001, 0.002, 0.005, 0.015):
        url = make.clone("sqlite", start)
        assert killer.run(url, "upgrade", "002", commit, "during", delay=delay)["killed"]
        halves += file(url).with_name(file(url).name + "-journal").exists()
        assert chain.rows(url) in (before, after)
        assert killer.run(url, "upgrade", "002")["status"] == 0
        assert chain.rows(url) == after
    assert halves, "the control: none of the kills found the file half written"


def test_a_writer_meanwhile_waits_and_loses_nothing(make: Maker) -> None:
    url, said, over = make("sqlite", "at_001"), list[str](), threading.Event()
    chain.execute(url, MANY.format(5_000))

    def write() -> None:
        with opened(url, timeout=60) as session:  # a connection of before: it sees the new names on the same file
            for n in range(100_000):
                if over.is_set():
                    return
                session.execute("INSERT INTO tenants (id, name, slug) VALUES (?, 'w', ?)", (f"w{n}", f"w{n}"))
                said.append(f"w{n}")
                time.sleep(0.01)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        chain.upgrade(url)
        upgraded = len(said)
        while len(said) < upgraded + 5:
            time.sleep(0.01)
    finally:
        over.set()
        writing.join()
    assert {name for name in chain.rows(url)["tenants"] if name.startswith("w")} == set(said)
    assert upgraded
    assert chain.stamped(url) == ("002",)


@pytest.mark.parametrize(
    ("journal", "harm"),
    [("delete", "the application cannot write"), ("wal", "the file is damaged"), ("memory", "the write is lost")],
)
def test_a_copy_renamed_into_place_would_harm_whoever_has_the_file_open(journal: str, harm: str, make: Maker) -> None:
    """The control of the choice: why the file itself is changed, in one transaction."""
    renamed, ours = (copied(make, make("sqlite", "at_001"), journal) for _ in range(2))
    copy = make.clone("sqlite", renamed)
    chain.upgrade(copy)
    assert written_meanwhile(renamed, journal, lambda: file(copy).replace(file(renamed))) == harm
    assert written_meanwhile(ours, journal, lambda: chain.upgrade(ours)) == "nothing"
    assert chain.stamped(ours) == ("002",)


def written_meanwhile(url: str, journal: str, migrate: Callable[[], object]) -> str:
    """What befalls an application that has the file open before and writes after; "nothing" is what should."""
    with opened(url) as application:
        application.execute(f"PRAGMA journal_mode = {journal}")
        application.execute("UPDATE tenants SET is_active = 1")
        migrate()
        try:
            application.execute("INSERT INTO tenants (id, name, slug) VALUES ('new', 'x', 'new')")
            there = "new" in chain.rows(url)["tenants"] and chain.stamped(url) == ("002",)
        except sqlite3.OperationalError:
            return "the application cannot write"
        except sa.exc.DatabaseError:
            return "the file is damaged"
    return "nothing" if there else "the write is lost"


def test_a_reader_that_stays_is_named_at_the_commit_and_in_wal_not_waited_for(make: Maker) -> None:
    url = make("sqlite", "at_001")
    before = chain.rows(url), chain.catalogue(url)
    with opened(url) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM agents").fetchone()
        with pytest.raises(CommandError, match="rolled back at its COMMIT; the file is as it was"):
            chain.upgrade(url)
        reader.execute("COMMIT")
        assert (chain.rows(url), chain.catalogue(url)) == before
        reader.execute("PRAGMA journal_mode = wal")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM agents").fetchone()
        chain.upgrade(url)
        assert reader.execute("SELECT count(user_id) FROM agents").fetchone(), "it still reads what it began with"
    assert chain.stamped(url) == ("002",)


def test_the_file_stays_the_same_file(make: Maker, tmp_path: Path) -> None:
    url = make("sqlite", "at_001")
    real, link, twin = file(url), tmp_path / "link.db", tmp_path / "twin.db"
    link.symlink_to(real)
    os.link(real, twin)
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 12345, 12345)
    known = real.stat()
    chain.upgrade(url.replace(real.name, link.name))
    now = real.stat()
    assert link.is_symlink()
    assert (now.st_ino, stat.S_IMODE(now.st_mode), now.st_uid) == (known.st_ino, 0o640, known.st_uid)
    assert chain.stamped(url.replace(real.name, twin.name)) == ("002",)
    assert {path.name for path in tmp_path.iterdir()} == {real.name, link.name, twin.name}, "nothing is left beside it"


def test_a_damaged_file_is_refused_before_anything_is_written(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    url = make("sqlite", "at_001")
    chain.execute(url, MANY.format(2_000))
    with opened(url) as session:
        size, pages = (session.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count"))
    with file(url).open("r+b") as damaged:
        damaged.seek(size * (pages // 2) + 8)
        damaged.write(b"\x00" * 64)
    known = file(url).read_bytes()
    with pytest.raises(CommandError, match="the file is damaged; nothing was changed"):
        chain.upgrade(url)
    assert file(url).read_bytes() == known
    monkeypatch.setattr(sqlite, "refuse_damaged", lambda *_: None)  # the control: it goes further without being asked
    with pytest.raises((CommandError, sa.exc.DBAPIError)) as later:
        chain.upgrade(url)
    assert "the file is damaged" not in str(later.value)


def test_a12_two_plain_runs_on_one_file_are_one_after_the_other(make: Maker, killer: crashes.Killer) -> None:
    url, ends = make("sqlite", "at_001"), list[int]()
    with crashes.killer() as other:
        both = [
            threading.Thread(target=lambda k=k: ends.append(k.run(url, "upgrade", "002")["status"]))
            for k in (killer, other)
        ]
        for one in both:
            one.start()
        for one in both:
            one.join()
    assert ends == [0, 0]
    assert chain.stamped(url) == ("002",)
    assert chain.catalogue(url) == make.fresh("sqlite")

"""Rows numbered page by page, in passes: most of them stay on their page, and the table hardly grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chain
import pytest
import sqlalchemy as sa
from chain import Maker

from afdb_helpers.online import batches, concurrently

MANY = """INSERT INTO audit_logs (id, event_type, action, created_at)
SELECT md5(n::text)::uuid::text, 'many', 'run', timestamp '2024-04-01' + hashint4(n) % 1000 * interval '1 minute'
FROM generate_series(1, 20000) n"""


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


def size(url: str) -> int:
    with chain.connected(url) as connection:
        return int(connection.execute(sa.text("SELECT pg_relation_size('audit_logs')")).scalar_one())


def grown(url: str) -> float:
    chain.execute(url, MANY)
    before = size(url)
    chain.upgrade(url)
    return size(url) / before


def numbers(url: str) -> list[tuple[int, str]]:
    """Number and old key of the rows, in the order that they must have."""
    with chain.connected(url) as connection:
        order = 'ORDER BY created_at NULLS LAST, legacy_id COLLATE "C"'
        return [tuple(row) for row in connection.execute(sa.text(f"SELECT id, legacy_id FROM audit_logs {order}"))]


def test_the_table_hardly_grows_while_its_rows_are_numbered(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    assert grown(url) < 1.5
    assert [number for number, _ in numbers(url)] == list(range(1, len(numbers(url)) + 1))


def test_in_one_pass_it_would_be_twice_as_large(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PASSES", 1)
    url = make("postgresql 18", "at_001")
    assert grown(url) > 1.8
    assert [number for number, _ in numbers(url)] == list(range(1, len(numbers(url)) + 1))


TOUCHED = """SELECT seq_tup_read + coalesce(idx_tup_fetch, 0), n_tup_ins + n_tup_upd + n_tup_del
FROM pg_stat_xact_user_tables WHERE relname = 'audit_logs'"""


@pytest.mark.parametrize("checked", [True, False])
def test_a10_under_the_last_locks_no_row_of_the_trail_is_read_or_written_however_many_there_are(
    checked: bool, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the time under them does not grow with the table; the control: without the valid CHECK, NOT NULL reads all."""
    url, seen = make("postgresql 18", "at_001"), dict[str, tuple[int, int]]()
    chain.execute(url, MANY)
    if not checked:
        monkeypatch.setattr(concurrently, "validate", lambda *_: None)

    def count(sql: str, connection: Any) -> None:
        if sql.startswith(("LOCK TABLE", "UPDATE alembic_version")):
            with connection.connection.dbapi_connection.cursor() as cursor:
                cursor.execute(TOUCHED)
                seen[sql.split(maxsplit=1)[0]] = cursor.fetchone()

    for work in (chain.upgrade, chain.downgrade):
        with chain.observed(after=count):
            work(url)
        read, written = (end - begun for begun, end in zip(seen["LOCK"], seen["UPDATE"], strict=True))
        assert written == 0
        assert read <= 2 if checked else read > 20_000  # the two: the largest number, by its index

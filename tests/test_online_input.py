"""Rows that a migration could bend, and two operators at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import chain
import psycopg2
import pytest
import sqlalchemy as sa
from chain import Maker

DEEP = "[" * 500 + "]" * 500
JSONS = [
    '{"a": 1, "a": 2}',
    '{"b":1,  "a" : 1.10}',
    DEEP,
    '"\\u00e9 é \U0001f600"',
    "null",
    '{"n": 1e400}',  # bare, SQLite would store a number: a column declared JSON has numeric affinity
    '"\\ud83d\\ude00"',
]
ODD = (
    "INSERT INTO audit_logs (id, event_type, success, metadata, created_at)"
    " VALUES ('{}', 'odd', NULL, {}, '2024-03-03 00:00:00.000000')"
)


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


@pytest.mark.parametrize("server", ["postgresql 18", "postgresql 15", "sqlite"])
def test_a11_json_stays_byte_for_byte_and_equal_times_are_told_apart_by_the_old_key(server: str, make: Maker) -> None:
    url = make(server, "at_001")
    if server == "postgresql 15":  # which has ICU: the column's own order is not that of its bytes
        chain.execute(url, 'ALTER TABLE audit_logs ALTER id TYPE varchar COLLATE "und-x-icu"')
    keys = ["odd-B", "odd-b", "odd-A", "odd-a", "odd-é", "odd-1", "odd-0"]  # differing in case only, too
    texts = dict(zip(keys, JSONS, strict=True))
    chain.execute(url, *(ODD.format(key, f"'{text}'") for key, text in texts.items()), ODD.format("odd-null", "NULL"))
    chain.execute(url, "INSERT INTO audit_logs (id, event_type) VALUES ('odd-no-time', 'odd')")
    before = chain.rows(url)["audit_logs"]
    chain.upgrade(url)
    after = {str(row["legacy_id"]).removeprefix("text "): row for row in chain.rows(url)["audit_logs"].values()}
    prefix = "text " if server == "sqlite" else ""
    assert {key: after[key]["details"] for key in keys} == {key: prefix + text for key, text in texts.items()}
    assert {k: (row["details"], row["success"]) for k, row in after.items()} == {
        k: (row["metadata"], row["success"]) for k, row in before.items()
    }
    number = {key: int(str(row["id"]).removeprefix("integer ")) for key, row in after.items()}
    assert sorted(number.values()) == list(range(1, len(after) + 1))
    odd = sorted([*keys, "odd-null"], key=str.encode)
    assert [number[key] for key in odd] == list(range(number[odd[0]], number[odd[0]] + len(odd)))
    assert number["odd-no-time"] > max(number[key] for key in odd)
    if server != "sqlite":  # the control: jsonb would have kept one of two keys
        with chain.connected(url) as connection:
            bent = connection.execute(sa.text("SELECT CAST(:text AS jsonb)::text"), {"text": JSONS[0]}).scalar_one()
        assert bent != JSONS[0]
        assert json.loads(JSONS[0]) == json.loads(bent)
    chain.downgrade(url)
    assert chain.rows(url)["audit_logs"] == before


def test_a12_of_two_processes_one_runs_and_the_other_names_it(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    where = sa.make_url(url)
    programs = [
        [str(Path(sys.executable).with_name("alembic")), "upgrade", "head"],
        [str(Path(sys.executable).with_name("afdb")), "upgrade"],
    ]
    blocker = psycopg2.connect(host=str(where.query["host"]), user="postgres", dbname=str(where.database))
    blocker.cursor().execute("SELECT id FROM agents")  # so that whoever is first stays at work
    running = [
        subprocess.Popen(
            program, cwd=chain.ROOT, env={"DATABASE_URL": url, "PATH": "/usr/bin:/bin"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for program in programs
    ]  # fmt: skip
    while all(one.poll() is None for one in running):
        time.sleep(0.1)
    left = next(n for n, one in enumerate(running) if one.poll() is not None)
    blocker.rollback()
    blocker.close()
    said = [one.communicate(timeout=120)[0] for one in running]
    assert "another migration of target default is running" in said[left], said
    assert "of role postgres" in said[left]
    assert running[left].returncode != 0
    assert running[1 - left].returncode == 0, said
    assert chain.stamped(url) == ("002",)

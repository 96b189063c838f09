"""Records in an object store over real HTTP: each uploaded once, one gapless chain whoever writes, nothing lost."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import objectstore
import pytest
from click.testing import CliRunner
from objectstore import ObjectStore
from recorded import whole
from small_notebooks import small

from afdb_helpers import cli, ledger, runbook
from afdb_helpers.backup.remote import Remote
from afdb_helpers.errors import ConfigError, Refused, Unavailable
from afdb_helpers.runbook import audit, record, records, shelf

pytestmark = pytest.mark.xdist_group("objects")
_numbers = itertools.count()


@pytest.fixture
def store(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An empty bucket that AFDB_RECORDS names, with a cache of the test's own."""
    made = ObjectStore(endpoint, f"records-{next(_numbers)}")
    made.client().create_bucket(Bucket=made.bucket)
    for name, value in settings(made, tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return made


def settings(store: ObjectStore, cache: Path) -> dict[str, str]:
    """The settings of a machine with that cache."""
    return store.settings() | {"AFDB_RECORDS": store.url, "AFDB_RECORDS_CACHE": str(cache)}


def here(store: ObjectStore, cache: Path) -> Path:
    """The folder of records on the machine with that cache."""
    return record.root(settings(store, cache))


def versions(store: ObjectStore) -> dict[str, int]:
    """How often each object was written."""
    counted: dict[str, int] = {}
    for one in store.client().list_object_versions(Bucket=store.bucket).get("Versions", []):
        name = one["Key"].removeprefix("backups/")
        counted[name] = counted.get(name, 0) + 1
    return counted


def test_a_run_is_in_the_store_each_file_written_once_and_another_machine_reads_and_checks_it(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.client().put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    result = runbook.execute(small(tmp_path, "run.keep('a.json', {'n': n})"))
    assert result.ok, result
    files = ("run.json", "journal.jsonl", "notebook.ipynb", "report.html", "report.json", "a.json", "SHA256SUMS")
    entries = [f"ledger/{number:08d}.json" for number in range(3)]
    assert versions(store) == dict.fromkeys([*entries, *(f"{result.id}/{name}" for name in files)], 1)
    monkeypatch.setenv("AFDB_RECORDS_CACHE", str(tmp_path / "another machine"))
    assert result.id in CliRunner().invoke(cli.afdb, ["records", "list"]).output
    store.flip(f"{result.id}/a.json")
    found = CliRunner().invoke(cli.afdb, ["records", "verify"])
    assert isinstance(found.exception, Refused)
    assert re.search(r"a\.json +is changed since the record was sealed", found.output), (
        "the store is read anew, not the copy"
    )
    store.flip(f"{result.id}/a.json")
    assert audit.verify(shelf.copy(here(store, tmp_path / "cache"), _new(tmp_path / "now"))).ok, "and it was the byte"


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


WRITES = """import sys
from afdb_helpers import targets
from afdb_helpers.runbook import record, shelf
where = record.root(targets.environment())
for n in range(7):
    shelf.append(where, {"event": "test", "by": sys.argv[1], "n": n})"""


def test_several_machines_that_append_at_once_leave_one_gapless_chain(store: ObjectStore, tmp_path: Path) -> None:
    def machine(number: int) -> subprocess.Popen[bytes]:
        environment = dict(os.environ) | settings(store, tmp_path / f"machine-{number}")
        return subprocess.Popen([sys.executable, "-c", WRITES, str(number)], env=environment, cwd=tmp_path)

    assert [one.wait(120) for one in [machine(number) for number in range(2)]] == [0, 0]
    where = shelf.fetch(here(store, tmp_path / "reader"))
    entries = ledger.read(where / "ledger.jsonl")
    assert [entry["seq"] for entry in entries] == list(range(1, 15))
    assert sorted((entry["by"], entry["n"]) for entry in entries) == [(str(m), n) for m in range(2) for n in range(7)]
    assert ledger.check(where / "ledger.jsonl").ok


def test_who_comes_second_chains_to_the_first(store: ObjectStore, tmp_path: Path) -> None:
    one, two = here(store, tmp_path / "one"), here(store, tmp_path / "two")
    shelf.append(one, {"event": "a"})
    shelf.append(two, {"event": "b"})
    assert shelf.append(one, {"event": "c"})["seq"] == 3
    name = "ledger/00000003.json"
    assert not Remote(store.url).create(name, b"{}"), "the store says no to an entry that is there"
    held = store.client().get_object(Bucket=store.bucket, Key=f"backups/{name}")["Body"].read()
    assert json.loads(held)["event"] == "c"


def test_a_store_that_writes_over_what_is_there_is_refused(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(self: Remote, name: str, data: bytes) -> bool:
        store.client().put_object(Bucket=store.bucket, Key=f"backups/{name}", Body=data)
        return True

    monkeypatch.setattr(Remote, "create", careless)
    with pytest.raises(Unavailable, match="cannot hold a ledger"):
        shelf.append(here(store, tmp_path / "one"), {"event": "a"})


def test_a_store_that_is_away_stops_the_run_before_it_starts(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objectstore.ask_once(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="the store of the records") as away:
        runbook.execute(small(tmp_path, "import pathlib\npathlib.Path('ran').touch()"))
    assert "AFDB_RECORDS" in away.value.do
    assert objectstore.SECRET not in str(away.value)
    assert not (tmp_path / "ran").exists()


def test_a_record_that_cannot_be_uploaded_is_no_success_stays_here_and_goes_with_the_next(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, put = here(store, tmp_path / "cache"), Remote.put

    def away(self: Remote, path: Path, name: str, count: Any) -> None:
        raise Unavailable("the store of the records cannot be written", why="the line was cut", do="run again")

    monkeypatch.setattr(Remote, "put", away)
    result = runbook.execute(small(tmp_path))
    assert (result.exit_code, result.cause) == (4, "record not written")
    assert records.read(result.folder)["outcome"] == "failed_unchanged"
    assert records.check(result.folder).ok, "sealed here"
    assert [entry["event"] for entry in ledger.read(where / "ledger.jsonl")] == ["intent"]
    monkeypatch.setattr(Remote, "put", put)
    assert shelf.send_rest(where) == [result.id]
    assert shelf.send_rest(where) == []
    report = audit.verify(shelf.copy(where, _new(tmp_path / "clean")))
    assert report.ok, report
    assert "1 record" in report.headline


def test_a_url_with_a_password_is_refused_without_quoting_it() -> None:
    with pytest.raises(ConfigError, match="the URL of the store of the records cannot be used") as refused:
        record.root({"AFDB_RECORDS": "s3://key:canary-7f3a@bucket/records"})
    assert "canary" not in str(refused.value)


def test_a_folder_needs_no_store(tmp_path: Path) -> None:
    kept = whole(tmp_path)
    assert shelf.behind(tmp_path) is None
    assert shelf.fetch(tmp_path) == tmp_path
    assert records.check(kept.folder).ok

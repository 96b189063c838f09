"""The pages over all records: kept up to date at the cost of what is new, whatever stands in the folder."""

from __future__ import annotations

import itertools
import json
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bs4
import pytest
from commandline import afdb
from recorded import begun, ended

from afdb_helpers import pages
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.runbook import comparing, exporting, record, records, site


def _leave(
    where: Path, runbook: str = "backup", target: str | None = "staging", *, seal: bool = True, **more: Any
) -> Path:
    """A record as a run leaves it; without `seal`, of a run that was killed."""
    kept = record.begin(where, runbook=runbook, target=target, data=begun(runbook, target) | more)
    kept.note("cell.end", cell="dump", status="completed", seconds=more.get("seconds", 1.5))
    kept.release()
    if seal:
        kept.data |= ended() | more
        (kept.folder / "report.html").write_text(pages.record(kept.data, {}))
        kept.seal()
    else:
        kept.data["runner"] |= {"pid": 2**22 + 1}
        kept.save()
    return kept.folder


def _rows(where: Path) -> list[str]:
    read = bs4.BeautifulSoup((where / "index.html").read_text(), "html.parser")
    return [row.get_text(" ", strip=True) for row in read.select("#records tbody tr")]


def test_one_more_record_is_the_only_one_read_and_stands_first(tmp_path: Path) -> None:
    old = [_leave(tmp_path, headline=f"number {n}") for n in range(3)]
    assert "3 records, 3 of them read anew" in site.update(tmp_path).headline
    for folder in old:
        (folder / "run.json").unlink()  # the control: were it read again, it would be corrupt
    _leave(tmp_path, headline="number 3")
    assert "4 records, 1 of them read anew" in site.update(tmp_path).headline
    assert [row.rpartition("number ")[2] for row in _rows(tmp_path)] == ["3", "2", "1", "0"]
    assert "0 of them" in site.update(tmp_path).headline
    assert "corrupt" in " ".join(_rows(tmp_path) if site.update(tmp_path, anew=True) else []).lower()


def test_a_run_without_an_end_is_looked_at_again_until_it_has_one(tmp_path: Path) -> None:
    kept = record.begin(tmp_path, runbook="backup", target="staging", data=begun())
    site.update(tmp_path)
    assert "Running" in _rows(tmp_path)[0]
    kept.release()
    kept.data |= ended("refused")
    kept.seal()
    site.update(tmp_path)
    assert len(_rows(tmp_path)) == 1
    assert "Refused" in _rows(tmp_path)[0]


def test_a_record_that_was_cut_off_gets_a_page_in_the_sites_own_folder(tmp_path: Path) -> None:
    folder = _leave(tmp_path, seal=False)
    site.update(tmp_path)
    assert "Interrupted" in _rows(tmp_path)[0]
    assert f'href="./site/{folder.name}.html"' in (tmp_path / "index.html").read_text()
    assert "it left no notebook" in (tmp_path / "site" / f"{folder.name}.html").read_text()
    assert {path.name for path in folder.iterdir()} == {"run.json", "journal.jsonl"}, "nothing is written into a record"


DAMAGE = {"empty": b"", "cut": b"{", "a list": b"[1]", "no text": b"\xff\xfe", "deep": b"[" * 100_000,
          "other types": b'{"id": 7, "target": [2]}'}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_corrupt_record_is_listed_as_such_and_stops_nobody(tmp_path: Path, damage: bytes) -> None:
    (_leave(tmp_path) / "run.json").write_bytes(damage)
    _leave(tmp_path, headline="well")
    site.update(tmp_path)
    assert [("Corrupt" in row, "well" in row) for row in _rows(tmp_path)] == [(False, True), (True, False)]


def test_a_record_that_is_gone_leaves_the_pages(tmp_path: Path) -> None:
    gone = _leave(tmp_path, target="elsewhere")
    _leave(tmp_path)
    site.update(tmp_path)
    assert (tmp_path / "site" / "target-elsewhere.html").is_file()
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    site.update(tmp_path)
    assert len(_rows(tmp_path)) == 1
    assert not (tmp_path / "site" / "target-elsewhere.html").exists()


@pytest.mark.parametrize("name", ["state.json", "names.txt", "../index.html", "target-staging.json"])
@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[]", b'{"version": 1}', None])
def test_damaged_pages_are_made_anew(tmp_path: Path, name: str, damage: bytes | None) -> None:
    _leave(tmp_path, headline="first")
    site.update(tmp_path)
    path = tmp_path / "site" / name
    path.unlink() if damage is None else path.write_bytes(damage)
    _leave(tmp_path, headline="second")
    site.update(tmp_path)
    assert ["second" in row for row in _rows(tmp_path)] == [True, False]
    assert "second" in (tmp_path / "site" / "target-staging.html").read_text()


def test_killed_between_any_two_writes_it_is_made_good_by_the_next_call(tmp_path: Path) -> None:
    """Each write in turn is the last one of a process: then the pages become what they are when made from scratch."""
    for last in itertools.count(1):
        where = tmp_path / str(last)
        kept = record.begin(where, runbook="backup", target="staging", data=begun())
        site.update(where)
        kept.release()
        kept.data |= ended("refused")
        kept.seal()
        _leave(where, headline="new")
        if (pid := os.fork()) == 0:
            site._write = _deadly(last)
            site.update(where)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        site.update(where)
        found = _pages(where)
        site.update(where, anew=True)
        assert found == _pages(where), f"killed after write {last}"
        if status == 0:
            break
    assert last > 5, "the control: it was killed, and more than once"


def _deadly(last: int) -> Callable[..., None]:
    write, done = site._write, itertools.count(1)

    def one(path: Path, *data: bytes) -> None:
        write(path, *data)
        if next(done) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return one


def _pages(where: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (where / "index.html", *where.glob("site/*.html"))}


def test_pages_of_another_version_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _leave(tmp_path)
    site.update(tmp_path)
    monkeypatch.setattr(pages, "version", lambda: "another")
    assert "1 of them read anew" in site.update(tmp_path).headline


def test_a_target_has_its_page_with_its_runs_and_no_other(tmp_path: Path) -> None:
    moved: dict[str, Any] = {"revision": {"from": ["001"], "to": ["002"]}, "changed": True}
    _leave(tmp_path, "migration", "staging", headline="up", **moved)
    _leave(tmp_path, "backup", "production", headline="elsewhere")
    site.update(tmp_path)
    read = (tmp_path / "site" / "target-staging.html").read_text()
    assert "001 → 002" in read
    assert "elsewhere" not in read
    links = bs4.BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser").select("header a")
    assert [link["href"] for link in links] == ["./site/target-production.html", "./site/target-staging.html"]


def test_every_link_of_every_page_leads_somewhere(tmp_path: Path) -> None:
    _leave(tmp_path, target="a b/c")
    _leave(tmp_path, seal=False)
    _leave(tmp_path, "cost_comparison", None)
    site.update(tmp_path)
    found = 0
    for page in tmp_path.rglob("*.html"):
        for link in bs4.BeautifulSoup(page.read_text(), "html.parser").select("a[href]"):
            path = str(link["href"]).partition("#")[0]
            found += 1
            assert not path or (page.parent / path).is_file(), f"{page.name}: {path}"
    assert found > 8


def test_a_folder_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        site.update(tmp_path / "none")


# --- diff


def _two(tmp_path: Path) -> tuple[Path, Path]:
    made = []
    for number, rows in ((1, 10), (2, 12)):
        given = {"parameters": {"target": "staging", "revision": f"00{number}"}, "seconds": 2.0 * number**3}
        kept = record.begin(tmp_path, runbook="migration", target="staging", data=begun("migration") | given)
        kept.note("cell.end", cell="migrate", status="completed", seconds=1.0 * number**3)
        sql = ["CREATE TABLE a (x int)", f"ALTER TABLE a ADD y{number} int"]
        plan = {"digest": f"sha256:{number}", "content": {"from": ["001"], "to": "002", "revisions": [], "sql": sql}}
        column = {"x": [rows, str(number), "text", "text"]}
        state: dict[str, Any] = {"revisions": ["001"], "schema": f"sha256:{number:064}"}
        state |= {"data": {"tables": {"a": {"rows": rows, "columns": column}}}}
        for name, data in (("plan.json", plan), ("before.json", state)):
            (kept.folder / name).write_text(json.dumps(data))
        kept.release()
        kept.data |= ended() | {"seconds": given["seconds"]}
        kept.seal()
        made.append(kept.folder)
    return made[0], made[1]


def test_diff_says_in_words_what_differs(tmp_path: Path) -> None:
    first, second = _two(tmp_path)
    said = str(comparing.compare(first, second))
    assert "parameters, the plan, before, durations differ" in said
    for line in (r"revision 001 002", "statement ALTER TABLE a ADD y1 int", "statement ALTER TABLE a ADD y2 int",
                 "rows of a 10 12", "values of a these others",
                 "all of it 2.0 s 16.0 s B took 14.0 s longer (8.0 times)",
                 "step migrate 1.0 s 8.0 s B took 7.0 s longer (8.0 times)"):  # fmt: skip
        assert line in " ".join(said.split()), line
    assert "CREATE TABLE a" not in said, "what both have is no difference"


def test_a_record_differs_in_nothing_from_itself(tmp_path: Path) -> None:
    first, _ = _two(tmp_path)
    found = comparing.compare(first, first)
    assert found.headline.endswith("nothing differs")
    assert found.ok


def test_diff_of_a_record_that_was_touched_says_so(tmp_path: Path) -> None:
    first, second = _two(tmp_path)
    (second / "before.json").write_text("{}")
    found = comparing.compare(first, second)
    assert not found.ok
    assert "before.json is changed since the record was sealed" in str(found)
    (second / "before.json").write_text("{")
    with pytest.raises(ConfigError, match=r"before\.json of .* cannot be read"):
        comparing.compare(first, second)


# --- export


def test_export_makes_a_page_that_stands_alone_and_a_zip_that_can_be_checked(tmp_path: Path) -> None:
    folder, out = _leave(tmp_path / "records"), tmp_path / "out"
    exporting.export(folder, out)
    page = bs4.BeautifulSoup((out / f"{folder.name}.html").read_text(), "html.parser")
    assert not page.select("a[href^='.'], img[src^='.'], link, script[src]")
    with zipfile.ZipFile(out / f"{folder.name}.zip") as packed:
        packed.extractall(tmp_path / "there")
    assert records.check(tmp_path / "there" / folder.name).ok
    before = (out / f"{folder.name}.zip").read_bytes()
    exporting.export(folder, out)
    assert (out / f"{folder.name}.zip").read_bytes() == before, "the same record, the same bytes"


def test_a_record_that_was_changed_or_goes_on_is_not_exported(tmp_path: Path) -> None:
    folder = _leave(tmp_path)
    (folder / "report.html").write_text("a nicer story")
    with pytest.raises(Refused, match="is not what its run left"):
        exporting.export(folder, tmp_path / "out")
    going = record.begin(tmp_path, runbook="backup", target="staging", data=begun())
    with pytest.raises(Refused, match="goes on"):
        exporting.export(going.folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_record_that_was_never_searched_for_secrets_is_searched_before_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _leave(tmp_path, seal=False)
    assert "never sealed" in exporting.export(folder, tmp_path / "out").headline, "the control: without one it leaves"
    monkeypatch.setenv("STAGING_DATABASE_URL", "postgresql://u:canary-7f3a@localhost/db")
    (folder / "notebook.ipynb").write_text('{"cells": [], "x": "canary-7f3a"}')
    with pytest.raises(Refused, match="holds a secret") as caught:
        exporting.export(folder, tmp_path / "other")
    assert "notebook.ipynb" in caught.value.why
    assert "canary" not in str(caught.value)
    assert not (tmp_path / "other").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder, out = _leave(tmp_path / "records"), tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(ConfigError, match="cannot be written"):
        exporting.export(folder, out)


def test_the_commands_work_on_the_folder_of_the_settings(tmp_path: Path) -> None:
    where = str(tmp_path / "records")
    first, second = _two(Path(where))
    made = afdb("records", "site", cwd=tmp_path, AFDB_RECORDS=where)
    assert (made.returncode, made.stdout.split()[:2]) == (0, ["✓", "2"]), made.stderr
    assert "durations" in afdb("records", "diff", first.name, second.name, cwd=tmp_path, AFDB_RECORDS=where).stdout
    sent = afdb("records", "export", first.name, "--into", "out", cwd=tmp_path, AFDB_RECORDS=where)
    assert sent.returncode == 0, sent.stderr
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".html", ".zip"}
    unknown = afdb("records", "diff", "nothing", second.name, cwd=tmp_path, AFDB_RECORDS=where)
    assert (unknown.returncode, "does not name one record" in unknown.stderr) == (2, True)

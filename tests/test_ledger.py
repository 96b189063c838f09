"""Entries keep order, numbers and chain, whoever writes at the same time and whatever dies meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afdb_helpers import ledger
from afdb_helpers.errors import Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_an_entry_is_returned_as_it_was_written_with_number_time_and_the_hash_before(path: Path) -> None:
    first = ledger.append(path, {"event": "intent", "run": "one"})
    second = ledger.append(path, {"event": "end", "run": "one"})
    lines = path.read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == [first, second] == ledger.read(path)
    assert (first["seq"], first["prev"]) == (1, "0" * 64)
    assert (second["seq"], second["prev"]) == (2, hashlib.sha256(lines[0]).hexdigest())
    assert first["at"].endswith("+00:00")
    assert ledger.check(path).ok


def test_an_entry_cannot_choose_its_own_number_or_hash(path: Path) -> None:
    assert ledger.append(path, {"seq": 9, "prev": "x", "event": "e"}) | {"at": ""} == {
        "seq": 1, "prev": "0" * 64, "event": "e", "at": "",
    }  # fmt: skip


def test_threads_and_processes_that_append_at_once_leave_one_gapless_chain(path: Path) -> None:
    code = "import sys; from pathlib import Path; from afdb_helpers import ledger\n"
    code += "for n in range(40): ledger.append(Path(sys.argv[1]), {'by': sys.argv[2], 'n': n})"
    others = [subprocess.Popen([sys.executable, "-c", code, str(path), str(number)]) for number in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: ledger.append(path, {"by": "thread", "n": n}), range(40)))
    assert [process.wait(60) for process in others] == [0, 0]
    assert [entry["seq"] for entry in ledger.read(path)] == list(range(1, 121))
    assert ledger.check(path).ok


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda lines: [lines[0].replace(b"one", b"two"), *lines[1:]], 2),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], 2),
        (lambda lines: [*lines[:2], b"not json", lines[3]], 3),
        (lambda lines: [*lines, lines[3]], 5),
        (lambda lines: [*lines[:3], lines[3].replace(b'"prev": "', b'"prev": "0')], 4),
    ],
    ids=["changed", "deleted", "swapped", "garbage", "repeated", "hash"],
)
def test_a_damaged_chain_is_found_and_its_first_broken_line_named(damage: object, line: int, path: Path) -> None:
    for _ in range(4):
        ledger.append(path, {"run": "one"})
    assert ledger.check(path).ok, "whole before the damage"
    path.write_bytes(b"\n".join(damage(path.read_bytes().splitlines())) + b"\n")  # type: ignore[operator]
    report = ledger.check(path)
    assert not report.ok
    assert f"line {line} is broken" in report.headline


def test_a_line_cut_short_by_a_crash_is_passed_over_then_cut_off_and_told(path: Path) -> None:
    ledger.append(path, {"run": "one"})
    with path.open("ab") as file:
        file.write(b'{"seq": 2, "ru')
    assert [entry["run"] for entry in ledger.read(path)] == ["one"]
    ledger.append(path, {"run": "two"})
    recovered = ledger.read(path)[1]
    assert (recovered["event"], recovered["torn_bytes"]) == ("ledger.recovered", 14)
    assert [entry.get("run") for entry in ledger.read(path)] == ["one", None, "two"]
    assert ledger.check(path).ok


def test_a_writer_killed_at_any_moment_leaves_a_chain_that_goes_on(path: Path) -> None:
    code = "import sys; from pathlib import Path; from afdb_helpers import ledger\n"
    code += "while True: ledger.append(Path(sys.argv[1]), {'text': 'x' * 20000})"
    for _ in range(5):
        size = path.stat().st_size if path.exists() else 0
        process = subprocess.Popen([sys.executable, "-c", code, str(path)])
        while not path.exists() or path.stat().st_size < size + 100_000:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        ledger.append(path, {"after": "the kill"})
        assert ledger.check(path).ok


def test_a_full_disk_leaves_the_chain_as_it_was(path: Path) -> None:
    ledger.append(path, {"run": "one"})
    before = path.read_bytes()
    code = "import resource, signal, sys; from pathlib import Path; from afdb_helpers import ledger\n"
    code += f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 50}, {len(before) + 50}))\n"
    code += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    code += "try: ledger.append(Path(sys.argv[1]), {'text': 'x' * 5000})\n"
    code += "except OSError as error: sys.exit(error.errno)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == __import__("errno").EFBIG
    assert path.read_bytes() == before


def test_nothing_is_chained_to_a_line_that_is_no_entry(path: Path) -> None:
    path.write_text("edited by hand\n")
    with pytest.raises(Unavailable, match="its last line is not an entry"):
        ledger.append(path, {"run": "one"})
    with pytest.raises(Unavailable, match="line 1 is not an entry"):
        ledger.read(path)
    assert path.read_text() == "edited by hand\n"


def test_a_missing_ledger_is_not_an_empty_one(path: Path) -> None:
    for look in (ledger.read, ledger.check):
        with pytest.raises(Unavailable, match="cannot be read"):
            look(path)


def test_long_entries_are_chained_like_short_ones(path: Path) -> None:
    for size in (0, 70_000, 200_000, 3):
        ledger.append(path, {"text": "ä" * size})
    assert ledger.check(path).ok
    assert [len(entry["text"]) for entry in ledger.read(path)] == [0, 70_000, 200_000, 3]


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.booleans() | st.none())))
def test_whatever_is_written_is_read_back(entries: list[dict[str, object]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        file = Path(folder) / "l.jsonl"
        written = [ledger.append(file, {"x": entry}) for entry in entries]
        assert [entry["x"] for entry in written] == entries
        assert not entries or ledger.read(file) == written

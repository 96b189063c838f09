"""A34: whatever is done to records is named, by files alone; each guard finds what the one before it does not."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandline import afdb
from recorded import chain_anew, edit, sum_anew, whole
from securesystemslib.signer import CryptoSigner

from afdb_helpers import ledger, signing
from afdb_helpers.errors import ConfigError
from afdb_helpers.migrate import approvals
from afdb_helpers.report import Report
from afdb_helpers.runbook import attestation, audit, checking, exporting, records
from afdb_helpers.runbook.record import LEDGER, SUMS, Record

Keys = dict[str, str]


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> CryptoSigner:
    path = tmp_path_factory.mktemp("key") / "ann.pem"
    signing.create(path)
    return signing.load(str(path))


@pytest.fixture(scope="module")
def keys(signer: CryptoSigner) -> Keys:
    return {signing.public(signer): "ann"}


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "records"


@pytest.fixture
def three(where: Path, signer: CryptoSigner) -> list[Record]:
    return [whole(where, signer=signer) for _ in range(3)]


def wrong(report: Report) -> list[tuple[str, str, str]]:
    return [(row["record"], row["file"], row["what"]) for row in report.rows]


def unknown(report: Report) -> str:
    return " / ".join(row["what"] for part in report.parts for row in part.rows)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# ── nothing was touched ─────────────────────────────────────────────────────────────────────────────────────────────


def test_untouched_records_are_well_and_what_could_not_be_checked_is_said(
    three: list[Record], where: Path, keys: Keys
) -> None:
    report = audit.verify(where, keys=keys, head=audit.read(where).head)
    assert report.ok, report
    assert "3 records" in report.headline
    assert "3 signed by a believed key" in report.headline
    assert not report.parts, "with a head and keys nothing is left unchecked"
    bare = audit.verify(where)
    assert bare.ok
    assert "who signed it: no keys are listed" in unknown(bare)
    assert "whether the newest are gone with the ledger's tail: give --target NAME, or --head" in unknown(bare)


def test_a_record_is_well_by_itself_too(three: list[Record], where: Path, keys: Keys) -> None:
    assert audit.verify(where, three[1].folder, keys=keys).headline.startswith("1 record")


# ── any byte of any file ────────────────────────────────────────────────────────────────────────────────────────────


def test_one_flipped_bit_anywhere_in_a_record_is_named(three: list[Record], where: Path, keys: Keys) -> None:
    folder = three[1].folder
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["SHA256SUMS", "attestation.json", "before.json", "journal.jsonl", "notebook.ipynb", "report.html",
                     "run.json"]  # fmt: skip
    held = audit.read(where)
    for name in files:
        whole_ = (folder / name).read_bytes()
        for at in range(0, len(whole_), 1 if name in (SUMS, "before.json") else 13):
            (folder / name).write_bytes(flipped(whole_, at))
            found = checking.record(folder, held.runs[folder.name], held.hashes, keys)
            assert found.wrong, f"byte {at} of {name}"
            assert name in {file for file, _ in found.wrong} | {SUMS}, f"byte {at} of {name}: {found.wrong}"
        (folder / name).write_bytes(whole_)
    assert not checking.record(folder, held.runs[folder.name], held.hashes, keys).wrong, "whole again"


def test_one_flipped_bit_anywhere_in_the_ledger_is_found(three: list[Record], where: Path, keys: Keys) -> None:
    head = audit.read(where).head
    whole_ = (where / LEDGER).read_bytes()
    for at in range(0, len(whole_), 11):
        (where / LEDGER).write_bytes(flipped(whole_, at))
        assert not audit.verify(where, keys=keys, head=head).ok, f"byte {at}"


# ── a forger who knows more and more: each guard finds what the one before it cannot ────────────────────────────────


def test_a_changed_file_is_found_by_the_sums_new_sums_by_the_ledger_a_new_ledger_by_the_signature(
    three: list[Record], where: Path, keys: Keys
) -> None:
    folder = three[1].folder
    edit(folder / "before.json", rows=4)
    assert wrong(audit.verify(where)) == [(folder.name, "before.json", "is changed since the record was sealed")]
    sum_anew(folder)
    assert records.check(folder).ok, "the sums alone no longer see it"
    assert (folder.name, SUMS, "is not what the ledger holds of this run: it was written anew") in wrong(
        audit.verify(where)
    )
    chain_anew(where)
    held = audit.verify(where)
    assert [file for _, file, _ in wrong(held)] == [], "the ledger alone no longer sees it"
    assert "who signed it" in unknown(held), "and that is said"
    found = wrong(audit.verify(where, keys=keys))
    assert (folder.name, "attestation.json", "was signed for another run or other files") in found


def test_without_a_key_a_forged_ledger_is_found_by_the_head_kept_elsewhere(where: Path) -> None:
    made = [whole(where) for _ in range(3)]
    head = audit.read(where).head
    edit(made[1].folder / "run.json", headline="all was well")
    sum_anew(made[1].folder)
    chain_anew(where)
    assert audit.verify(where).ok, "nothing but the head, or a signature, can tell"
    report = audit.verify(where, head=head)
    assert "does not hold the head" in wrong(report)[0][2]


def test_a_signature_that_was_taken_away_with_all_its_traces_is_missed_by_those_around_it(
    three: list[Record], where: Path, keys: Keys
) -> None:
    folder = three[1].folder
    (folder / "attestation.json").unlink()
    assert wrong(audit.verify(where)) == [
        (folder.name, "attestation.json", "is missing, and the ledger says that the record was signed")
    ]
    entries = ledger.read(where / LEDGER)
    for entry in entries:
        if entry.get("run") == folder.name:
            entry.pop("attestation", None)
    chain_anew(where, entries)
    assert audit.verify(where).ok, "without keys nobody can tell"
    said = wrong(audit.verify(where, keys=keys))
    assert (folder.name, "attestation.json", audit.UNSIGNED) in said
    assert any("was signed for another ledger" in what for _, _, what in said)


def test_a_run_without_a_key_after_signed_ones_is_not_called_tampering_once_a_head_covers_it(
    three: list[Record], where: Path, keys: Keys
) -> None:
    """Unsigned by mistake and unsigned by a forger of the ledger's tail look the same, until a head vouches for it."""
    late = whole(where)
    report = audit.verify(where, keys=keys, head=f"6:{audit.read(where).hashes[6]}")
    assert wrong(report) == [(late.id, "attestation.json", audit.UNSIGNED)], "a head before it vouches for nothing"
    head = audit.read(where).head
    assert report.remedy.endswith(f"where their runs had no key, set it, and from then on: --head {head}")
    whole(where)
    (after,) = wrong(audit.verify(where, keys=keys, head=head))
    assert after[0] != late.id, "the next one is again for the reader to look at"
    well = audit.verify(where, keys=keys, head=audit.read(where).head)
    assert well.ok
    assert "it is not signed, as others before it are: its run had no key" in unknown(well)
    (late.folder / "attestation.json").write_text("{}")
    assert not audit.verify(where, keys=keys, head=head).ok


def test_a_signed_record_that_was_changed_does_not_lack_its_signature_as_well(
    three: list[Record], where: Path, keys: Keys
) -> None:
    edit(three[2].folder / "run.json", headline="all was well")
    said = wrong(audit.verify(where, keys=keys))
    assert said == [(three[2].id, "run.json", "is changed since the record was sealed")]


def test_a_record_that_was_handed_on_alone_is_verified_by_its_sums_and_signature(
    three: list[Record], where: Path, keys: Keys, tmp_path: Path
) -> None:
    exporting.export(three[2].folder, tmp_path / "ticket")
    shutil.unpack_archive(tmp_path / "ticket" / f"{three[2].id}.zip", tmp_path / "unpacked")
    listed, folder = tmp_path / "signers", tmp_path / "unpacked" / three[2].id
    listed.write_text("".join(f"{name} {key}\n" for key, name in keys.items()))
    command = ("records", "verify", str(folder), "--keys", str(listed))
    well = afdb(*command, cwd=tmp_path)
    assert well.returncode == 0, well.stderr
    assert "1 signed by a believed key" in well.stdout
    assert "· could not be checked" in well.stdout
    assert "whether it is in the ledger" in well.stdout
    bare = afdb("records", "verify", cwd=tmp_path, AFDB_RECORDS=str(folder.parent))
    assert bare.returncode == 3, "a store of records that has lost its ledger"
    assert bare.stdout.count("ledger.jsonl  ") == 2, bare.stdout
    assert "a record handed on without it is verified by its path" in bare.stdout
    edit(folder / "before.json", rows=4)
    sum_anew(folder)
    bad = afdb(*command, cwd=tmp_path)
    assert bad.returncode == 3
    assert "was signed for another run or other files" in bad.stdout
    (where / LEDGER).unlink()
    assert wrong(audit.verify(where, three[2].folder, keys=keys))[0][:2] == (LEDGER, LEDGER), "others stand beside it"


def test_a_record_signed_with_a_key_that_is_not_listed_is_named(where: Path, signer: CryptoSigner, keys: Keys) -> None:
    mallory = CryptoSigner.generate_ed25519()
    kept = whole(where, signer=mallory)
    assert audit.verify(where).ok, "without a list any key would do"
    said = wrong(audit.verify(where, keys=keys))
    assert said == [
        (kept.id, "attestation.json", "a signature is not believed: none of the keys of ann signed this content")
    ]
    assert audit.verify(where, keys={signing.public(mallory): "mallory"}).ok


def test_a_record_signed_anew_with_an_unlisted_key_is_named_even_in_a_forged_ledger(
    three: list[Record], where: Path, keys: Keys
) -> None:
    folder = three[1].folder
    edit(folder / "before.json", rows=4)
    sum_anew(folder)
    files = dict.fromkeys(("run.json", SUMS), "0" * 64)
    run = json.loads((folder / "run.json").read_bytes())
    raw = attestation.make(run, files, CryptoSigner.generate_ed25519(), signed={})
    (folder / "attestation.json").write_bytes(raw)
    chain_anew(where)
    said = wrong(audit.verify(where, keys=keys))
    assert any(file == "attestation.json" and "not believed" in what for _, file, what in said)


# ── deleted, cut, reordered, replayed ───────────────────────────────────────────────────────────────────────────────


def test_a_deleted_record_is_named(three: list[Record], where: Path) -> None:
    shutil.rmtree(three[1].folder)
    assert wrong(audit.verify(where)) == [(three[1].id, "", "the record is gone: the ledger says that it was there")]


def test_a_cut_tail_is_found_by_the_head_and_otherwise_said_to_be_unseen(three: list[Record], where: Path) -> None:
    head = audit.read(where).head
    shutil.rmtree(three[2].folder)
    lines = (where / LEDGER).read_bytes().splitlines(keepends=True)
    (where / LEDGER).write_bytes(b"".join(lines[:4]))
    without = audit.verify(where)
    assert without.ok
    assert "whether the newest are gone with the ledger's tail" in unknown(without)
    (found,) = wrong(audit.verify(where, head=head))
    assert found[2].endswith("its tail was cut, or it is another ledger")
    assert not audit.verify(where, head=head.partition(":")[2]).ok, "the hash alone is enough"


def test_a_cut_tail_is_found_by_the_mark_in_the_database(three: list[Record], where: Path) -> None:
    mark = {"run": three[2].id, "ledger": three[2].data["ledger"]}
    assert audit.verify(where, mark=mark).ok
    lines = (where / LEDGER).read_bytes().splitlines(keepends=True)
    (where / LEDGER).write_bytes(b"".join(lines[:5]))
    assert (three[2].id, LEDGER, "changed the database, and the ledger has no end of it") in wrong(
        audit.verify(where, mark=mark)
    )
    shutil.rmtree(three[2].folder)
    (where / LEDGER).write_bytes(b"".join(lines[:4]))
    assert audit.verify(where).ok
    assert "which the database names as its last: its tail was cut" in wrong(audit.verify(where, mark=mark))[0][2]
    unrecorded = audit.verify(where, mark={"run": "local"})
    assert "was last changed by a command that leaves no record" in unknown(unrecorded)


def test_a_record_whose_end_was_cut_off_the_ledger_is_named(three: list[Record], where: Path) -> None:
    lines = (where / LEDGER).read_bytes().splitlines(keepends=True)
    (where / LEDGER).write_bytes(b"".join(lines[:5]))
    said = wrong(audit.verify(where))
    assert said == [(three[2].id, SUMS, "the record is sealed, and the ledger has no end of the run: its tail was cut")]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda lines: [lines[0], *lines[2:4], lines[1], *lines[4:]], "line 2 is broken"),
        (lambda lines: [*lines, lines[-1]], "line 7 is broken"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3 is broken"),
    ],
    ids=["reordered", "repeated", "deleted"],
)
def test_entries_moved_repeated_or_deleted_are_named(
    damage: Callable[[list[bytes]], list[bytes]], found: str, three: list[Record], where: Path
) -> None:
    lines = (where / LEDGER).read_bytes().splitlines(keepends=True)
    (where / LEDGER).write_bytes(b"".join(damage(lines)))
    assert wrong(audit.verify(where))[0][2].startswith(found)


def test_a_journals_tail_and_order_are_of_the_record(three: list[Record], where: Path) -> None:
    path = three[0].folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (lines[:-1], [lines[1], lines[0], *lines[2:]]):
        path.write_bytes(b"".join(damaged))
        assert (three[0].id, "journal.jsonl", "is changed since the record was sealed") in wrong(audit.verify(where))
    sum_anew(three[0].folder)
    chain_anew(where)
    (found,) = wrong(audit.verify(where))
    assert found[1] == "journal.jsonl"
    assert "the chain is broken: its number is 2, not 1" in found[2], "and the sums alone would not see it"


def test_another_runs_record_in_its_place_is_named(three: list[Record], where: Path, keys: Keys) -> None:
    shutil.rmtree(three[1].folder)
    shutil.copytree(three[0].folder, three[1].folder)
    said = wrong(audit.verify(where))
    assert said == [(three[1].id, "run.json", f"it is the record of {three[0].id}: another run's, replayed")]
    edit(three[1].folder / "run.json", id=three[1].id)
    sum_anew(three[1].folder)
    chain_anew(where)
    found = wrong(audit.verify(where, keys=keys))
    assert (three[1].id, "attestation.json", "was signed for another run or other files") in found


def test_an_older_copy_of_a_record_under_a_new_name_is_not_of_this_ledger(three: list[Record], where: Path) -> None:
    copied = where / three[0].id.replace("staging", "another")
    shutil.copytree(three[0].folder, copied)
    edit(copied / "run.json", id=copied.name)
    sum_anew(copied)
    said = [what for run, _, what in wrong(audit.verify(where)) if run == copied.name]
    assert said[0] == "the ledger does not know this run: it was added, or the ledger lost it"


def test_a_run_that_begins_or_ends_twice_is_named(three: list[Record], where: Path) -> None:
    ledger.append(where / LEDGER, {"event": "end", "run": three[0].id, "outcome": "succeeded", "exit_code": 0})
    ledger.append(where / LEDGER, {"event": "intent", "run": three[0].id})
    ledger.append(where / LEDGER, {"event": "end", "run": "20261128T120000Z-x-0000", "outcome": "succeeded"})
    said = [what for _, _, what in wrong(audit.verify(where))]
    assert f"entry 7 ends run {three[0].id}, a second time" in said
    assert f"entry 8 begins run {three[0].id} a second time" in said
    assert "entry 9 ends run 20261128T120000Z-x-0000, which never began" in said


def test_evidence_that_is_another_file_now_is_named(where: Path) -> None:
    first = whole(where)
    cited = {"kind": "backup", "id": first.id, "file": "before.json", "sha256": checking._sha256(
        str(first.folder / "before.json"))}  # fmt: skip
    second = whole(where, evidence=[cited])
    assert audit.verify(where).ok
    edit(first.folder / "before.json", rows=4)
    sum_anew(first.folder)
    chain_anew(where)
    found = wrong(audit.verify(where))
    assert found == [(second.id, "run.json", f"went by before.json of {first.id}, which is another file now")]


# ── not a success ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", ["look", "close"])
def test_a30_a_success_whose_journal_lacks_a_step_is_none(step: str, where: Path) -> None:
    """A30."""
    kept = whole(where, skip=step)
    assert wrong(audit.verify(where)) == [
        (kept.id, "journal.jsonl", f"is not that of a success: the journal lacks step {step}")
    ]


def test_a30_a_success_of_a_notebook_that_is_not_the_committed_one_is_none(where: Path) -> None:
    """A30."""
    kept = whole(where)
    book = kept.data["runbook"]
    other = whole(where, runbook=book | {"committed": False})
    assert [(run, file) for run, file, _ in wrong(audit.verify(where))] == [(other.id, "notebook.ipynb")]
    unsure = whole(where / "b", runbook=book | {"committed": None})
    assert "whether its notebook is the committed one" in unknown(audit.verify(where / "b", unsure.folder))
    trial = whole(where / "c", runbook=book | {"committed": False}, mode="trial")
    assert "not an audit record" in unknown(audit.verify(where / "c", trial.folder))


def test_a_record_that_is_not_as_the_schema_says_is_named_although_it_is_sealed(where: Path) -> None:
    kept = whole(where)
    edit(kept.folder / "run.json", surprise=1)
    sum_anew(kept.folder)
    chain_anew(where)
    (found,) = wrong(audit.verify(where))
    assert found[1] == "run.json"
    assert "is not as the schema says" in found[2]


# ── damaged, unfinished, elsewhere ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'"x"', b"\xff\xfe", b"[" * 100_000, None],
    ids=["empty", "list", "cut", "text", "bytes", "deep", "gone"],
)
def test_a_corrupt_record_stops_neither_the_list_nor_the_check(
    content: bytes | None, three: list[Record], where: Path
) -> None:
    path = three[1].folder / "run.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    for _ in range(2):
        shown = {row["record"]: row["outcome"] for row in records.table(where).rows}
        assert shown == {three[0].id: "succeeded", three[1].id: "corrupt", three[2].id: "succeeded"}
    assert [run for run, _, _ in wrong(audit.verify(where))] == [three[1].id]


def test_a_ledger_that_is_gone_is_named(three: list[Record], where: Path) -> None:
    (where / LEDGER).unlink()
    (found,) = wrong(audit.verify(where))
    assert found[2].startswith("cannot be read")


def test_a_clock_that_went_back_is_said_and_the_order_is_the_ledgers(where: Path) -> None:
    """A35: order by sequence, not time."""
    made = [whole(where) for _ in range(3)]
    entries = ledger.read(where / LEDGER)
    lines, previous = [], ledger.FIRST
    for entry, at in zip(entries, ("09", "09", "08", "08", "10", "10"), strict=True):
        entry |= {"at": f"2026-11-28T{at}:00:00.000000+00:00", "prev": previous}
        lines.append(ledger.line(entry))
        previous = ledger._sha256(lines[-1])
    (where / LEDGER).write_bytes(b"\n".join(lines) + b"\n")
    renamed = {}
    for kept, at in zip(made, ("09", "08", "10"), strict=True):
        renamed[kept.id] = f"20261128T{at}0000Z-backup-staging-{kept.id[-4:]}"
        kept.folder.rename(where / renamed[kept.id])
        edit(where / renamed[kept.id] / "run.json", id=renamed[kept.id])
    text = (where / LEDGER).read_text()
    for old, new in renamed.items():
        text = text.replace(old, new)
    (where / LEDGER).write_text(text)
    order = [renamed[kept.id] for kept in reversed(made)]
    assert [row["record"] for row in records.table(where).rows] == order
    assert [one["id"] for one in records.each(where)] == order
    assert sorted(order, reverse=True) != order, "by their names, which are times, it would be another"


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_needs_no_database_and_its_exit_code_tells(
    three: list[Record], where: Path, keys: Keys, tmp_path: Path
) -> None:
    listed = tmp_path / "signers"
    listed.write_text("".join(f"{name} {key}\n" for key, name in keys.items()))
    well = afdb("records", "verify", "--head", audit.read(where).head, cwd=tmp_path, AFDB_SIGNERS=str(listed))
    assert well.returncode == 0, well.stderr
    assert "those present are as they were sealed; 3 signed by a believed key" in well.stdout
    assert "keep the head elsewhere: 6:" in well.stdout
    edit(three[1].folder / "before.json", rows=4)
    bad = afdb("records", "verify", three[1].id, "--keys", str(listed), cwd=tmp_path)
    assert bad.returncode == 3
    assert bad.stdout.count("before.json  is changed since the record was sealed") == 1
    assert f"why: {three[1].id} before.json is changed since the record was sealed" in bad.stderr
    assert "1 thing is not as the runs left them" in bad.stderr


def test_a_head_that_is_none_is_refused(three: list[Record], where: Path) -> None:
    with pytest.raises(ConfigError, match="'abc' is no head"):
        audit.verify(where, head="abc")


def test_the_recipe_of_the_docs_checks_a_record_by_itself_and_says_what_the_keyid_is(
    three: list[Record], keys: Keys, tmp_path: Path
) -> None:
    docs = (Path(__file__).parents[1] / "docs" / "keys.md").read_text()
    (recipe,) = re.findall(r"```python\n(.*?)```", docs, re.DOTALL)
    folder, (public,) = three[0].folder, keys

    def run(key: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-c", recipe, str(folder), key]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert three[0].id in run(public).stdout
    assert run(public).returncode == 0
    assert "InvalidSignature" in run(signing.public(CryptoSigner.generate_ed25519())).stderr
    preimage = re.search(r"`(\{\"keytype.*\})`", docs)
    assert preimage
    keyid = hashlib.sha256(preimage[1].replace("3f…", public).encode()).hexdigest()
    assert keyid == attestation.keyid(folder)
    edit(folder / "before.json", rows=4)
    assert "AssertionError" in run(public).stderr


def test_show_names_approver_and_signer_and_each_evidence_once(
    where: Path, signer: CryptoSigner, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cited = [{"kind": "rehearsal", "id": "R-1", "file": name, "sha256": "0" * 64} for name in ("a", "b")]
    approval = {"digest": "sha256:1", "approver": "alice", "signed": True, "change_ref": "OPS-1", "reason": "why"}
    kept = whole(where, signer=signer, approval=approval, evidence=cited)

    def said() -> dict[str, str]:
        return {row["fact"]: row["value"] for row in records.show(kept.folder).rows}

    assert (said()["approved by"], said()["evidence"]) == ("alice (signed)", "R-1")
    keyid = attestation.keyid(kept.folder)
    assert said()["signed by"] == f"key {keyid}, which AFDB_SIGNERS does not list"
    (tmp_path / "signers").write_text("".join(f"{name} {key}\n" for key, name in keys.items()))
    monkeypatch.setenv("AFDB_SIGNERS", str(tmp_path / "signers"))
    assert said()["signed by"] == f"ann (key {keyid[:16]}…)"


def test_a_signed_approval_in_a_record_is_checked_by_the_approvers_keys(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = (signing.create(tmp_path / name) for name in ("alice.pem", "bob.pem"))
    first, second = ("sha256:" + digit * 64 for digit in "12")
    approval = {"digest": first, "approver": "alice", "signed": True, "change_ref": "OPS-1", "reason": "why"}
    old = whole(where, approval=approval)
    assert f"was made before records kept that ({old.id})" in unknown(audit.verify(where, approvers={alice: "alice"}))

    def left(signer: str, digest: str, target: str, days: int) -> Record:
        monkeypatch.setenv("AFDB_SIGNING_KEY", str(tmp_path / signer))
        file = tmp_path / f"{len(list(where.iterdir()))}.json"
        approvals.write(file, target=target, digest=digest, change_ref="OPS-1", reason="why", days=days)
        return whole(where, approval=approval, files={approvals.NAME: file.read_text()})

    good = left("alice.pem", first, "staging", 7)
    assert f"who signed its approval: no keys are listed (AFDB_APPROVERS) ({good.id})" in unknown(audit.verify(where))
    keys = {alice: "alice", bob: "bob"}
    assert audit.verify(where, approvers=keys).ok
    assert not audit.verify(where, approvers={bob: "bob"}).ok, "her key is not listed"
    lies = [
        left("bob.pem", first, "staging", 7),
        left("alice.pem", second, "staging", 7),
        left("alice.pem", first, "production", 7),
        left("alice.pem", first, "staging", -1),
    ]
    said = wrong(audit.verify(where, approvers=keys))
    assert {(run, file) for run, file, _ in said} == {(one.id, approvals.NAME) for one in lies}
    assert sorted(what.partition(": ")[2].split()[1] for *_, what in said) == ["approver", "digest", "expired", "is"]
    odd = whole(
        where, approval=approval, files={approvals.NAME: (good.folder / approvals.NAME).read_text()}, target=None
    )
    report = audit.verify(where, odd.folder, approvers=keys)
    assert wrong(report) == [(odd.id, approvals.NAME, "cannot be held against run.json: TypeError")]


OTHER_PROGRAM = """
import hashlib, json, pathlib, sys
from in_toto.models.metadata import Metadata
from securesystemslib.signer import SSlibKey
folder, public = pathlib.Path(sys.argv[1]), sys.argv[2]
assert "afdb_helpers" not in sys.modules
envelope = Metadata.load(str(folder / "attestation.json"))
(keyid,) = envelope.signatures
envelope.verify_signature({"keyid": keyid, "keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
statement = json.loads(envelope.payload)
assert statement["_type"] == "https://in-toto.io/Statement/v1"
assert statement["predicateType"] == "urn:afdb:run:v1"
names = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
assert set(names) == {path.name for path in folder.iterdir()} - {"attestation.json"}
assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in names.items())
"""


def test_a_separate_program_checks_a_record_with_the_public_key_alone(
    three: list[Record], keys: Keys, tmp_path: Path
) -> None:
    """in-toto's own verifier, in a process without afdb."""

    def run(public: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-c", OTHER_PROGRAM, str(three[0].folder), public]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    (public,) = keys
    assert run(public).returncode == 0, run(public).stderr
    other = signing.public(CryptoSigner.generate_ed25519())
    assert "SignatureVerificationError" in run(other).stderr
    edit(three[0].folder / "before.json", rows=4)
    assert "AssertionError" in run(public).stderr


def test_the_statement_says_which_run_which_ledger_and_when_it_was_signed(three: list[Record], keys: Keys) -> None:
    kept: dict[str, Any] = three[0].data
    files, predicate, name = attestation.read((three[0].folder / "attestation.json").read_bytes(), keys)
    assert name == "ann"
    assert (predicate["id"], predicate["outcome"], predicate["ledger"]) == (kept["id"], "succeeded", kept["ledger"])
    assert predicate["signed"]["runner"] > kept["started"]
    assert SUMS in files

"""A protected target is changed by what was rehearsed, backed up and approved by somebody else."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import projects
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from afdb_helpers import backup, migrate, migration_plan, rehearsal, signing, targets
from afdb_helpers.cli import production
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.migrate import approvals, gates, outcomes
from afdb_helpers.migrate.gates import GATES, Opened, insist
from afdb_helpers.migration_plan import MigrationPlan
from afdb_helpers.revisions import Project
from afdb_helpers.targets import Target

pytestmark = pytest.mark.xdist_group("gates")  # what they share is made once
DAY = 24.0


class Prepared(NamedTuple):
    """A protected target with its plan, rehearsed on a proven backup in `store`."""

    target: Target
    project: Project
    plan: MigrationPlan
    rehearsed: dict[str, Any]
    store: Path


@pytest.fixture(scope="module")
def made(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    folder = tmp_path_factory.mktemp("gates")
    url, project = postgres.create_database("gates"), projects.small(folder / "project")
    migrate.upgrade(targets.parse("default", url, {}), project, revision=projects.FIRST)
    target = targets.parse("production", url, {})
    backup.prove(backup.dump(target, store=folder / "store")).raise_unless_ok()
    tried = rehearsal.rehearse(backup.find(store=folder / "store"), project)
    with target.connect() as connection:
        plan = rehearsal.plan(tried, connection, project)
    yield Prepared(target, project, plan, json.loads(json.dumps(tried.as_dict())), folder / "store")
    postgres.drop_database("gates")


@pytest.fixture
def prepared(made: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """The same with a store that a test may spoil."""
    shutil.copytree(made.store, tmp_path / "store")
    monkeypatch.setenv("AFDB_BACKUPS", str(tmp_path / "store"))
    return made._replace(store=tmp_path / "store")


def _other(plan: MigrationPlan, **content: Any) -> MigrationPlan:
    return dataclasses.replace(plan, content={**plan.content, **content})


# --- Rehearsed --------------------------------------------------------------------------------------------------------


def test_a_rehearsal_of_this_plan_that_went_well_opens_the_gate(made: Prepared) -> None:
    assert migrate.rehearsed(made.plan, made.target, made.rehearsed).headline.startswith("rehearsed: rehearsal on 20")


@pytest.mark.parametrize("why", ["none", "of another plan", "that failed"])
def test_without_a_good_rehearsal_of_this_plan_it_is_refused(made: Prepared, why: str) -> None:
    plan = _other(made.plan, sql=[]) if why == "of another plan" else made.plan
    failed = {**made.rehearsed, "ok": False, "headline": "failed at statement 2"}
    given = {"none": None, "of another plan": made.rehearsed, "that failed": failed}[why]
    with pytest.raises(Refused) as caught:
        migrate.rehearsed(plan, made.target, given)
    assert {"none": "no rehearsal of", "of another plan": "of another plan", "that failed": "failed at"}[
        why
    ] in caught.value.why
    assert f"afdb prepare {projects.SECOND} --target production" in caught.value.do


# --- Backed up --------------------------------------------------------------------------------------------------------


def test_the_proven_backup_that_was_rehearsed_on_opens_the_gate_and_is_noted(prepared: Prepared) -> None:
    noted: list[dict[str, Any]] = []
    said = migrate.backed_up(
        prepared.plan, prepared.target, prepared.rehearsed, max_age=DAY, note=lambda _, **facts: noted.append(facts)
    )
    assert "proven" in said.headline
    assert [(fact["kind"], fact["id"]) for fact in noted] == [("backup", prepared.rehearsed["backup"])]


def _spoil(prepared: Prepared, how: str) -> MigrationPlan:
    """Make the backup unfit in one way; the plan to ask for."""
    (folder,) = prepared.store.iterdir()
    dumped = next(path for path in sorted((folder / "dump").iterdir()) if path.suffix == ".gz" or path.stat().st_size)
    raw = dumped.read_bytes()
    match how:
        case "gone":
            folder.rename(prepared.store / "elsewhere")
        case "unproven":
            (folder / "proof.json").unlink()
        case "altered":
            dumped.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        case "of another database":
            return _other(prepared.plan, target={**prepared.plan.content["target"], "oid": 1})
        case "of another schema":
            return _other(prepared.plan, schema="sha256:0")
    return prepared.plan


SPOILT = {
    "gone": "the one that was rehearsed on",
    "unproven": "is unproven",
    "altered": "was altered since it was proven",
    "of another database": "is of another database or server",
    "of another schema": "is of another revision or schema",
}


@pytest.mark.parametrize("how", SPOILT)
def test_a27_a_backup_that_would_not_help_is_refused(prepared: Prepared, how: str) -> None:
    plan = _spoil(prepared, how)
    with pytest.raises(Refused, match="no proven backup to go back to") as caught:
        migrate.backed_up(plan, prepared.target, prepared.rehearsed, max_age=DAY)
    assert SPOILT[how] in caught.value.why


def test_a27_a_backup_that_is_too_old_is_refused(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=25)

    monkeypatch.setattr(gates, "datetime", Later)
    with pytest.raises(Refused) as caught:
        migrate.backed_up(prepared.plan, prepared.target, prepared.rehearsed, max_age=DAY)
    assert "is 25.0 h old; the limit is 24 h (--max-backup-age)" in caught.value.why
    assert migrate.backed_up(prepared.plan, prepared.target, prepared.rehearsed, max_age=26).ok


def test_a27_the_control_without_the_look_at_the_backup_each_of_these_would_go_through(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the two above."""
    plan = _spoil(prepared, "altered")
    monkeypatch.setattr(gates, "_amiss", lambda *_: "")
    assert migrate.backed_up(plan, prepared.target, prepared.rehearsed, max_age=DAY).ok


# --- Approved ---------------------------------------------------------------------------------------------------------


def _approve(
    made: Prepared, actors: tuple[str, ...] = ("bob",), emergency: bool = False, kept: Any = None, **given: Any
) -> Any:
    keep = ({} if kept is None else kept).__setitem__
    asked = {"digest": made.plan.digest, "approver": "alice", "change_ref": "OPS-12", "reason": "because", **given}
    approved = migrate.approved(target="production", **asked)
    return migrate.approval(made.plan, made.target, approved, actors=actors, emergency=emergency, keep=keep)


def test_the_digest_of_this_plan_by_somebody_else_with_number_and_reason_opens_the_gate(made: Prepared) -> None:
    said = _approve(made)
    assert said.headline == f"approved by alice (not signed): {made.plan.digest} (OPS-12: because)"


@pytest.mark.parametrize("digest", ["", "sha256:0", "upper", "space"])
def test_another_digest_is_no_approval(made: Prepared, digest: str) -> None:
    digest = {"upper": made.plan.digest.upper(), "space": f"{made.plan.digest} "}.get(digest, digest)
    with pytest.raises(Refused, match="not approved") as caught:
        _approve(made, digest=digest)
    assert f"--approve {made.plan.digest}" in caught.value.do


@pytest.mark.parametrize("missing", ["approver", "change_ref", "reason"])
def test_name_number_and_reason_have_to_be_given(made: Prepared, missing: str) -> None:
    with pytest.raises(Refused, match=f"--{missing.replace('_', '-')} not given"):
        _approve(made, (), False, **dict.fromkeys([missing], "  "))


@pytest.mark.parametrize("actor", ["alice", "ALICE"])
def test_nobody_approves_what_they_run_themselves_unless_in_an_emergency(made: Prepared, actor: str) -> None:
    with pytest.raises(Refused, match="cannot approve what"):
        _approve(made, actors=("root", actor))
    assert "in an emergency, by alice" in _approve(made, actors=(actor,), emergency=True).headline
    with pytest.raises(Refused, match="--reason not given"):
        _approve(made, actors=(actor,), emergency=True, reason="")


@pytest.fixture
def alice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Her key signs, and is the only one that is believed."""
    key = signing.create(tmp_path / "alice.pem")
    (tmp_path / "approvers").write_text(f"alice {key}\n")
    monkeypatch.setenv("AFDB_SIGNING_KEY", str(tmp_path / "alice.pem"))
    monkeypatch.setenv("AFDB_APPROVERS", str(tmp_path / "approvers"))
    return tmp_path / "approval.json"


def _write(path: Path, made: Prepared, *, target: str = "production", **other: Any) -> None:
    said = {"digest": made.plan.digest, "change_ref": "OPS-12", "reason": "because", **other}
    approvals.write(path, target=target, **said)


def test_a_signed_file_names_its_signer(made: Prepared, alice: Path) -> None:
    _write(alice, made)
    kept: dict[str, Any] = {}
    said = _approve(made, file=str(alice), approver="mallory", kept=kept)
    assert said.headline.startswith("approved by alice (signed)")
    assert kept == {"approval.json": json.loads(alice.read_bytes())}, "the record can show what she signed"


def test_where_keys_are_listed_a_digest_alone_is_not_enough(made: Prepared, alice: Path) -> None:
    with pytest.raises(Refused, match="is not signed") as caught:
        _approve(made)
    assert f"afdb approve {made.plan.digest}" in caught.value.do


def test_a_file_of_an_unlisted_key_is_refused(
    made: Prepared, alice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing.create(tmp_path / "mallory.pem")
    monkeypatch.setenv("AFDB_SIGNING_KEY", str(tmp_path / "mallory.pem"))
    _write(alice, made)
    with pytest.raises(Refused, match="not believed"):
        _approve(made, file=str(alice))


def test_a_file_about_another_target_or_plan_or_out_of_date_is_refused(made: Prepared, alice: Path) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "target": {"target": "staging"},
        "late": {"days": -1},
        "plan": {"digest": f"sha256:{'0' * 64}"},
    }
    for name, other in wrong.items():
        file = alice.with_name(name)
        _write(file, made, **other)
        with pytest.raises(Refused, match=r"does not approve this run|is not approved"):
            _approve(made, file=str(file))


def test_a_file_that_cannot_be_checked_or_is_none_is_a_bad_request(
    made: Prepared, alice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.write_text("{")
    with pytest.raises(ConfigError, match="is no approval file"):
        _approve(made, file=str(alice))
    monkeypatch.delenv("AFDB_APPROVERS")
    with pytest.raises(ConfigError, match="cannot be checked"):
        _approve(made, file=str(alice))


def test_the_commands_that_are_handed_out_are_those_that_will_count(
    made: Prepared, alice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where keys are listed, a digest and a name on the command line would be refused as not signed."""
    target = dataclasses.replace(made.target, protected=True)
    signed, applied = gates.commands(made.plan, target)
    assert signed.startswith(f"afdb approve {made.plan.digest} --target {target.name} --change-ref TICKET")
    assert signed.endswith(" --file approval.json")
    assert applied.endswith(f" --target {target.name} --approval approval.json")
    monkeypatch.delenv("AFDB_APPROVERS")
    (alone,) = gates.commands(made.plan, target)
    assert f"--approve {made.plan.digest} --approver NAME" in alone


@pytest.mark.parametrize(
    "digest", ["sha256:abc", "sha256:7631…", f"sha256:{'A' * 64}", f"{'a' * 64}", f"sha256:{'a' * 65}"]
)
def test_a_digest_that_is_not_whole_is_not_signed(alice: Path, digest: str) -> None:
    with pytest.raises(ConfigError, match="is not a plan's digest") as caught:
        approvals.write(alice, target="production", digest=digest, change_ref="OPS-12", reason="because")
    assert "64 hexadecimal digits" in caught.value.why
    assert "afdb prepare --target production" in caught.value.do
    assert not alice.exists()


def test_what_was_signed_is_said_whole(alice: Path) -> None:
    """With the name that the key has where keys are listed: the name that the record will show."""
    digest = f"sha256:{'a' * 64}"
    words = [digest, "--target", "production", "--change-ref", "OPS-12", "--reason", "because", "--file", str(alice)]
    done = CliRunner().invoke(production.approve, words, catch_exceptions=False)
    said = dict(re.findall(r"^ *(\w+)  +(.+?) *$", done.output, re.MULTILINE))
    assert (said["digest"], said["target"], said["change"]) == (digest, "production", "OPS-12: because")
    assert said["approver"].startswith("alice (key ")
    assert datetime.fromisoformat(said["expires"]) > datetime.now(UTC) + timedelta(days=6)
    assert said["file"] == str(alice)


def test_without_a_key_nothing_is_signed(made: Prepared, alice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFDB_SIGNING_KEY")
    with pytest.raises(ConfigError, match="AFDB_SIGNING_KEY is not set") as caught:
        _write(alice, made)
    assert "afdb keys new FILE --name NAME" in caught.value.do


# --- Where nothing is asked for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["not protected", "nothing to do"])
def test_nothing_is_asked_for_where_nothing_is_at_stake(made: Prepared, why: str) -> None:
    target = dataclasses.replace(made.target, protected=False) if why == "not protected" else made.target
    plan = made.plan if why == "not protected" else _other(made.plan, revisions=[])
    answers = [
        migrate.rehearsed(plan, target, None),
        migrate.backed_up(plan, target, None, max_age=DAY),
        migrate.approval(plan, target, migrate.Approval()),
    ]
    assert [why in answer.headline for answer in answers] == [True] * 3
    assert {str(answer)[0] for answer in answers} == {"·"}, "nobody looked, so nothing is well"


def test_an_approval_expires_at_its_time(made: Prepared, alice: Path) -> None:
    _write(alice, made, days=7)
    payload = json.loads(alice.read_text())
    said, name = signing.opened(payload, approvals.KIND, signing.believed(alice.with_name("approvers")))
    left = datetime.fromisoformat(said["expires"]) - datetime.now(UTC)
    assert (name, timedelta(days=6.9) < left < timedelta(days=7.1)) == ("alice", True)


def test_a_downgrade_is_rehearsed_like_an_upgrade(made: Prepared, postgres: Server, tmp_path: Path) -> None:
    target = targets.parse("default", postgres.create_database("gates_down", template="gates"), {})
    migrate.upgrade(target, made.project)
    backup.prove(backup.dump(target, store=tmp_path / "store")).raise_unless_ok()
    tried = rehearsal.rehearse(
        backup.find(store=tmp_path / "store"), made.project, revision=projects.FIRST, direction="downgrade"
    )
    assert tried.ok, tried.headline
    assert tried.after == (projects.FIRST,)
    with target.connect() as connection:
        plan = rehearsal.plan(tried, connection, made.project)
        again = migration_plan.make(
            connection, made.project.graph(), projects.FIRST, direction="downgrade", rehearsed=plan.as_dict()
        )
    assert (plan.rehearsed, again.digest) == (True, plan.digest)
    postgres.drop_database("gates_down")


# --- Sound ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def standing(postgres: Server, tmp_path: Path) -> Iterator[tuple[Target, Project]]:
    """A protected target at the first revision, migrated by us, with the project beside it."""
    url, project = postgres.create_database("gates_sound"), projects.small(tmp_path / "project")
    migrate.upgrade(targets.parse("default", url, {}), project, revision=projects.FIRST)
    yield targets.parse("production", url, {}), project
    postgres.drop_database("gates_sound")


def _sound(target: Target, project: Project, **more: Any) -> Opened:
    with target.connect() as connection:
        plan = migrate.plan(connection, project, "head", "upgrade")
        return migrate.sound(plan, target, connection, project, **more)


def _do(target: Target, statement: str) -> None:
    with sa.create_engine(target.secret_url(), poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql(statement)


def test_a14_drift_is_refused_with_what_differs_unless_it_is_accepted_on_the_record(
    standing: tuple[Target, Project],
) -> None:
    target, project = standing
    assert "is what the chain makes" in _sound(target, project).headline, "the control: without drift it is open"
    _do(target, "ALTER TABLE customer ADD stray int")
    with pytest.raises(Refused, match=f"not what the chain makes at {projects.FIRST}") as caught:
        _sound(target, project)
    assert "customer.stray (absent in the chain, integer here)" in caught.value.why
    assert "--accept-drift" in caught.value.do
    notes: list[tuple[str, dict[str, Any]]] = []
    assert _sound(target, project, accept_drift=True, note=lambda event, **facts: notes.append((event, facts))).ok
    assert notes == [("waiver", {"waiver": "accept_drift", "target": "production"})]


def test_trap_a_file_that_was_edited_after_it_was_applied_is_refused(
    standing: tuple[Target, Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap: an applied revision file edited, unnoticed by Alembic. No record is needed: the database remembers."""
    target, project = standing
    path = project.graph().get(projects.FIRST).path
    applied = path.read_text()
    path.write_text(f"{applied}# edited\n")
    with pytest.raises(Refused, match=f"file of revision {projects.FIRST} was edited after it was applied") as caught:
        _sound(target, project)
    assert "restore the file" in caught.value.do
    with monkeypatch.context() as blind:
        blind.setattr(outcomes, "edited", lambda *_: ())
        assert _sound(target, project).ok, "the control: nothing else notices"
    later = project.graph().get(projects.SECOND).path
    path.write_text(applied)
    later.write_text(later.read_text() + "# edited\n")
    assert _sound(target, project).ok, "the control: one that was not applied yet may be edited"


def test_a7_a_hazard_is_refused_by_the_gate(standing: tuple[Target, Project]) -> None:
    target, project = standing
    _do(target, "INSERT INTO customer VALUES (1, 'a'), (2, 'a')")
    engine = sa.create_engine(target.secret_url(), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY one ON customer (name)")
    with pytest.raises(Refused, match="invalid index") as caught:
        _sound(target, project, accept_drift=True)
    assert "REINDEX INDEX CONCURRENTLY one" in caught.value.do


# --- All of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("without", ["sound", "rehearsed", "backed_up", "approval", "another plan"])
def test_a27_a30_what_writes_asks_for_every_gate_by_itself(made: Prepared, without: str) -> None:
    """A notebook without a gate's cell changes nothing."""
    plan = _other(made.plan, to="x") if without == "another plan" else made.plan
    opened = [Opened(headline="", gate=gate, digest=plan.digest) for gate in GATES if gate != without]
    with pytest.raises(Refused, match="target production is not changed") as caught:
        migrate.carry_out(made.target, made.project, made.plan, opened)
    assert "afdb apply" in caught.value.do
    if without != "another plan":
        assert f"{without} was not asked" in caught.value.what
    assert migrate.standing(made.target)["revisions"] == [projects.FIRST]
    insist(made.plan, made.target, [Opened(headline="", gate=gate, digest=made.plan.digest) for gate in GATES])

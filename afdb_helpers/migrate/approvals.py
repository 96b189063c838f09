"""An approval: somebody else says of a plan's digest that it may run. Signed where keys are listed, else asserted.

`AFDB_APPROVERS` names a file of believed public keys. With it, only an approval file signed by one of them counts, and
the approver is the name of that key. Without it a digest and a name are taken at their word, and the record says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from afdb_helpers import signing, targets
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.report import Report

KIND = "application/vnd.afdb.approval+json"
APPROVERS = "AFDB_APPROVERS"
NAME = "approval.json"  # in the record of the run that went by it
_WHOLE = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Approval:
    """Who says that which digest may run, under which change number and why; `signed` says whether that is proven."""

    digest: str = ""
    approver: str = ""
    change_ref: str = ""
    reason: str = ""
    signed: bool = False
    envelope: Mapping[str, Any] = field(default_factory=dict)  # what was signed, as the file had it


def write(path: Path, *, target: str, digest: str, change_ref: str, reason: str, days: float = 7) -> Report:
    """Sign an approval of `digest` with the key in AFDB_SIGNING_KEY into a new file, valid for `days`.

    What was signed, by whose key. Raises `ConfigError`, and signs nothing, where the digest is not a whole one.
    """
    whole(digest, target)
    setting = targets.environment().get(signing.SETTING)
    if not setting:
        raise ConfigError(
            f"{signing.SETTING} is not set",
            why="an approval file is signed",
            do="`afdb keys new FILE --name NAME`, then set it",
        )
    now = datetime.now(UTC).replace(microsecond=0)
    said = {"target": target, "digest": digest, "change_ref": change_ref, "reason": reason, "approved": now.isoformat(),
            "expires": (now + timedelta(days=days)).isoformat()}  # fmt: skip
    signer = signing.load(setting)
    key, listed = signing.public(signer), targets.environment().get(APPROVERS)
    name = signing.believed(Path(listed).expanduser()).get(key) if listed else None
    envelope = signing.sign(json.dumps(said, sort_keys=True).encode(), KIND, signer)
    try:
        with path.open("x") as file:
            file.write(json.dumps(envelope, indent=1) + "\n")
    except OSError as error:
        raise ConfigError(f"{path} was not written", why=error.strerror or str(error), do="name a new file") from None
    facts = {"digest": digest, "target": target, "approver": f"{name} (key {key[:16]}…)" if name else f"key {key}",
             "change": f"{change_ref}: {reason}", "expires": said["expires"], "file": str(path)}  # fmt: skip
    return Report(headline="signed", rows=tuple({"fact": fact, "value": value} for fact, value in facts.items()))


def whole(digest: str, target: str) -> None:
    """Raises `ConfigError` where what was given is not a digest, or only a part of one."""
    if not _WHOLE.fullmatch(digest):
        raise ConfigError(
            f"{digest!r} is not a plan's digest",
            why="a digest is sha256: and 64 hexadecimal digits; pages show it shortened, and only the whole one counts",
            do=f"copy the line `digest:` that `afdb prepare --target {target}` printed",
        )


def given(*, target: str, digest: str, approver: str, change_ref: str, reason: str, file: str = "") -> Approval:
    """The approval that a run was given: a signed file where one is named, else what was said.

    Raises `Refused` when keys are listed and there is no file, when no listed key signed it, when it is about another
    target, or has expired.
    """
    listed = targets.environment().get(APPROVERS)
    if not file and not listed:
        return Approval(digest, approver.strip(), change_ref.strip(), reason.strip())
    if not listed:
        raise ConfigError(
            "the approval file cannot be checked",
            why=f"{APPROVERS} is not set, so nobody's key is believed",
            do=f"set {APPROVERS} to a file of public keys, a name and 64 hexadecimal digits a line",
        )
    if not file:
        raise Refused(
            f"the approval of target {target} is not signed",
            why=f"{APPROVERS} is set, so a digest counts only in a file signed by one of its keys",
            do=f"let an approver run: afdb approve {digest or 'DIGEST'} --target {target} --change-ref TICKET"
            " --reason WHY; then give --approval FILE",
        )
    return _read(Path(file), signing.believed(Path(listed).expanduser()), target, datetime.now(UTC))


def check(file: Path, keys: Mapping[str, str], run: Mapping[str, Any]) -> None:
    """Whether the signed approval that a record keeps is what its run.json, `run`, says of it.

    Raises `Refused` where none of `keys` signed it, it was out of date when the run began, or says something else.
    """
    target = run["target"]["name"]
    given = _read(file, keys, target, datetime.fromisoformat(run["started"]))
    for fact, value in as_facts(given).items():
        if run["approval"].get(fact) != value:
            raise _unfit(file, f"its {fact} is {value}, and run.json says {run['approval'].get(fact)}", target)


def same_person(approver: str, actors: Iterable[str | None]) -> str:
    """The actor that the approver is, by name and whatever the case; nothing when it is somebody else."""
    return next((actor for actor in actors if actor and actor.casefold() == approver.casefold()), "")


def _read(path: Path, keys: Mapping[str, str], target: str, at: datetime) -> Approval:
    try:
        envelope = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} is no approval file", why=str(error), do="name the file `afdb approve` wrote"
        ) from None
    said, name = signing.opened(envelope, KIND, keys)
    if said["target"] != target:
        raise _unfit(path, f"it is about target {said['target']}", target)
    if datetime.fromisoformat(said["expires"]) < at:
        raise _unfit(path, f"it expired {said['expires']}", target)
    return Approval(said["digest"], name, said["change_ref"], said["reason"], signed=True, envelope=envelope)


def _unfit(path: Path, why: str, target: str) -> Refused:
    return Refused(f"{path} does not approve this run on target {target}", why=why, do="have the plan approved anew")


def as_facts(approval: Approval) -> dict[str, Any]:
    """What the record keeps of an approval."""
    return {"digest": approval.digest or None, "approver": approval.approver or None, "signed": approval.signed,
            "change_ref": approval.change_ref or None, "reason": approval.reason or None}  # fmt: skip

"""A command that has no notebook, recorded as a runbook's run is: in the ledger, sealed, signed, with a page.

A process that dies within the block leaves a record without an end, which the next run on that machine completes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import errors, targets
from afdb_helpers.errors import Incomplete, Unavailable
from afdb_helpers.runbook import attestation, closing, leaks, outcome, provenance, record, running
from afdb_helpers.runbook.outcome import Failure
from afdb_helpers.runbook.record import Record
from afdb_helpers.runbook.session import Run
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner


@contextmanager
def recorded(name: str, target: Target, *, look: bool, given: Mapping[str, Any]) -> Iterator[Run]:
    """The run of command `name` on a target, for a block that closes it with its result.

    With `look` the server is asked first who it is. `given` are the command's parameters; `approve`, `change_ref` and
    `reason` of them are its approval. What the block raises is how the run ended, and goes on. Raises `Incomplete`
    where the target may be changed and the record cannot be sealed, `Unavailable` where it was not.
    """
    where = record.root(targets.environment())
    signer = running.make_ready(where)
    kept = record.begin(where, runbook=name, target=target.name, data=_begun(name, target, given))
    started, failure = time.monotonic(), None
    try:
        run = Run(name, kept, target, recorded=True)
        if look:
            run.look()
        yield run
    except BaseException as error:
        failure = _failure(error)
        raise
    finally:
        _end(kept, failure, round(time.monotonic() - started, 3), signer)


def _begun(name: str, target: Target, given: Mapping[str, Any]) -> dict[str, Any]:
    approval = {"digest": given.get("approve"), "change_ref": given.get("change_ref"), "reason": given.get("reason")}
    return {
        "mode": "command",
        "runbook": {"name": name},
        "who": provenance.who(),
        "runner": provenance.runner(),
        "git": provenance.git(Path(__file__)),
        "versions": provenance.versions(),
        "parameters": dict(given),
        "parameters_given": sorted(key for key, value in given.items() if value not in ("", None, False)),
        "approval": {"approver": None} | {key: value or None for key, value in approval.items()},
        "target": {"name": target.name, "label": target.label, "protected": target.protected},
        "secrets_indistinct": [],
        "started": record.now(),
        **dict.fromkeys(("ended", "outcome", "exit_code", "cause", "failing_cell")),
    }


def _failure(error: BaseException) -> Failure:
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", "it was interrupted", signum=2)
    return Failure("exception", str(error), ename=type(error).__name__)


def _end(kept: Record, failure: Failure | None, seconds: float, signer: CryptoSigner | None) -> None:
    """Decide how the run ended, write its page, seal its record, and bring the pages of all records up to date."""
    kept.release()
    events = kept.events()
    ending = outcome.judge(events, failure or outcome.masked(events))
    closing.end(kept.data, ending, events)
    kept.data["seconds"] = seconds
    kept.data = leaks.cleaned(kept.data, leaks.known(targets.environment()))[0]
    closing.write_page(kept, {}, signer)
    try:
        closing.seal(kept, ending, signer, attestation.signed(events))
    except (OSError, errors.AfdbError) as error:
        wrong = Unavailable if ending.changed is False else Incomplete
        what, do = f"the record of this {kept.data['runbook']['name']} is not sealed", f"afdb records show {kept.id}"
        raise wrong(what, why=f"{type(error).__name__}: {error}", do=do) from None
    running.write_index(kept.folder.parent)

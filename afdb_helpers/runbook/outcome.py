"""How a run ended, decided from what is known of it: the journal, the cause, the error's name. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from afdb_helpers import errors
from afdb_helpers.runbook import steps

Event = Mapping[str, Any]
SUCCEEDED, REFUSED, UNCHANGED, CHANGED, INTERRUPTED = (
    "succeeded",
    "refused",
    "failed_unchanged",
    "failed_changed",
    "interrupted",
)
WANTING = "not as it should be"  # a result that was found; the headline says what
LEAK, RECORD = "secret in the record", "record not written"
_COULD_NOT = ("timeout", "kernel died", "kernel did not start", RECORD)


@dataclass(frozen=True)
class Failure:
    """Why the cells stopped: the cause in two words, where, and what was said. `signum` for a signal to the runner."""

    cause: str
    message: str
    cell: str | None = None
    ename: str | None = None
    signum: int | None = None


@dataclass(frozen=True)
class Ending:
    """What run.json and the exit code both say."""

    outcome: str
    exit_code: int
    changed: bool | None
    cause: str | None = None
    cell: str | None = None
    message: str = ""


def changed(events: Iterable[Event]) -> bool | None:
    """Whether a target was changed: None where an intent stands whose result nobody could tell."""
    state: bool | None = False
    for event in events:
        if event["event"] == "change.intent":
            state = None if state is False else state
        elif event["event"] == "change.result":
            state = event.get("changed") if state is not True else True
    return state


def masked(events: Iterable[Event]) -> Failure | None:
    """The failure that it is when a secret had to be masked: it makes any run fail."""
    found = next((event for event in events if event["event"] == "secret.masked"), None)
    if found is None:
        return None
    return Failure(LEAK, f"{', '.join(found['settings'])} in the {found['place']}; it was masked")


def judge(events: Iterable[Event], failure: Failure | None, required: Iterable[str] = ()) -> Ending:
    """The ending of a run whose cells all completed (`failure` None) or stopped for a cause.

    Success takes a closing event that is ok, and every step of `required` in the journal: a notebook that never closed
    its run did not succeed, whatever ran.
    """
    events = list(events)
    state = changed(events)
    close = next((event for event in reversed(events) if event["event"] == "close"), None)
    if failure is None and close is None:
        failure = Failure("not closed", "every cell ran, but none closed the run with run.close(…)")
    if failure is None and close is not None and close.get("ok") and (lack := steps.missing(required, events)):
        failure = Failure("step missing", lack)
    if failure is not None:
        outcome, code = _failed(failure, state)
        return Ending(outcome, code, state, failure.cause, failure.cell, failure.message)
    assert close is not None
    if close.get("ok"):
        return Ending(SUCCEEDED, 0, state, message=str(close.get("headline", "")))
    outcome, code = (REFUSED, 3) if state is False else (CHANGED, 5)
    return Ending(outcome, code, state, WANTING, None, str(close.get("headline", "")))


def _failed(failure: Failure, state: bool | None) -> tuple[str, int]:
    if failure.cause == "interrupted":
        return INTERRUPTED, 128 + (failure.signum or 2)
    outcome = UNCHANGED if state is False else CHANGED
    if failure.cause == LEAK:
        return outcome, 5
    if failure.cause in _COULD_NOT:
        return outcome, 4 if state is False else 5
    error = errors.by_name(failure.ename or "")
    if error is None:
        return outcome, 1
    if state is not False and error.changed == "nothing":  # the error speaks of its own step, the run did more
        return outcome, 5
    return (REFUSED if error is errors.Refused else outcome), error.exit_code

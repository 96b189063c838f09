"""The eight questions that a reader a year later asks of a record, with their answers: the page's first screen.

Who, what, where, when, why, approved by whom, on what evidence, with what result. A question without an answer in the
record says so, since silence could mean anything. Whatever run.json holds, also when it is damaged, nothing is raised.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard
from urllib.parse import quote

from afdb_helpers.pages import outcomes

SKEW = 60.0  # seconds between the clocks from which on it is pointed out
_APPROVAL = ("approver", "change_ref", "reason")  # parameters that are answers of their own
_ID = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Line:
    """One line of an answer. `code` for what is to be compared letter by letter; `href` where the reader can go on."""

    text: str
    code: bool = False
    soft: bool = False
    href: str = ""


@dataclass(frozen=True)
class Fact:
    """A question and its answer."""

    question: str
    lines: tuple[Line, ...]


def part(run: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object of run.json, empty where it is missing or something else."""
    value = run.get(name)
    return value if isinstance(value, Mapping) else {}


def facts(run: Mapping[str, Any]) -> list[Fact]:
    """The questions in order. `Line.href` leads to pages beside the record's own."""
    asked = {
        "Result": _result(run), "What": _what(run), "Where": _where(run), "When": _when(run), "Who": _who(run),
        "Why": _why(run), "Approved by": _approved(run), "Evidence": _evidence(run), "Proof": _proof(run),
    }  # fmt: skip
    return [Fact(question, tuple(line for line in lines if line.text)) for question, lines in asked.items()]


def warnings(run: Mapping[str, Any]) -> list[str]:
    """What a reader has to know before anything else."""
    out = []
    name = quote(str(part(run, "runbook").get("name") or "NAME"), safe="_-")
    target = part(run, "target").get("name")
    if run.get("mode") == "interactive":
        again = f"afdb run {name}" + (f" --target {target}" if target else "")
        out.append(f"Interactive, not an audit record. To make one: {again}")
    if run.get("mode") == "trial":
        out.append("A trial, not an audit record: the notebook was not the committed one.")
    skew = run.get("clock_skew")
    if number(skew) and abs(skew) > SKEW:
        out.append(f"The server's clock {clock(skew)}: the times on this page are this machine's.")
    if _went_back(run):
        out.append("This machine's clock went back during the run: go by the duration, which another clock measured.")
    if withheld := run.get("withheld"):
        out.append(f"Removed since it held a secret: {_joined(withheld, ', ')}.")
    return out


def _went_back(run: Mapping[str, Any]) -> bool:
    try:
        return datetime.fromisoformat(str(run.get("ended"))) < datetime.fromisoformat(str(run.get("started")))
    except (ValueError, TypeError):  # not ended, or damaged
        return False


def parameters(run: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The parameters that were given, of an older record all, without empty ones and those of the approval.

    Of a switch that is off nobody learns anything; one that was given as off is said as `no`.
    """
    values = part(run, "parameters")
    given = run.get("parameters_given")
    named = [(str(name), values.get(str(name))) for name in (given if isinstance(given, list) else values)]
    approval = part(run, "approval")
    below = [("approve", approval.get("digest")), *((key, approval.get(key)) for key in _APPROVAL)]
    listed = isinstance(given, list)
    kept = [one for one in named if one[1] not in ("", None) and one not in below and (listed or one[1] is not False)]
    return [(name, _told(value, "yes", "no") or value) for name, value in kept]


def revisions(run: Mapping[str, Any]) -> tuple[str, str] | None:
    """From which revision to which the target went, as text; None where the run set out to change none."""
    move = part(run, "revision")
    if not move:
        return None
    before, after = (_joined(move.get(end), ", ") for end in ("from", "to"))
    return before or "none", ("unknown" if move.get("to") is None else after or "none")


def title(run: Mapping[str, Any]) -> str:
    """What was run, on what: `Migration of production`."""
    name = str(part(run, "runbook").get("name") or "run").replace("_", " ")
    target = part(run, "target").get("name")
    return f"{name[:1].upper()}{name[1:]}" + (f" of {target}" if target else "")


def actor(run: Mapping[str, Any]) -> str:
    """Who ran it, in one word: whoever triggered the CI job, else the user of the machine."""
    who = part(run, "who")
    return str(who.get("ci_actor") or who.get("os_user") or "")


def moment(value: Any) -> str:
    """A time as people read it: `2026-11-22 15:42:33`, UTC."""
    try:
        return datetime.fromisoformat(str(value)).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return str(value or "")


def clock(skew: float) -> str:
    """How the server's clock compared to this machine's."""
    if abs(skew) < 1:
        return f"agreed with this machine's within {max(abs(skew), 0.01):.2f} s"
    return f"was {duration(abs(skew))} {'ahead of' if skew > 0 else 'behind'} this machine's"


def duration(seconds: float) -> str:
    """`27.0 s`, `12 min 5 s`, `3 h 0 min`."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _result(run: Mapping[str, Any]) -> list[Line]:
    code, cell = run.get("exit_code"), run.get("failing_cell")
    lines = [Line(outcomes.said(run)), Line(outcomes.change(run), soft=True)]
    if run.get("cause") == "exception":  # what was said of it stands above
        lines.append(Line(f"stopped in step {cell}" if cell else ""))
    elif run.get("cause"):
        lines.append(Line(f"Cause: {run['cause']}" + (f", in step {cell}" if cell else "")))
    return [*lines, Line(f"exit code {code}" if code is not None else "", soft=True)]


def _what(run: Mapping[str, Any]) -> list[Line]:
    given = ", ".join(f"{name} = {value}" for name, value in parameters(run))
    move = revisions(run)
    moved = Line(f"revision {move[0]} → {move[1]}") if move else Line("")
    book = part(run, "runbook")
    return [
        Line(f"{'command' if run.get('mode') == 'command' else 'runbook'} {book.get('name') or 'unknown'}"), moved,
        Line(given or "with every parameter at its default", soft=not given),
    ]  # fmt: skip


def _where(run: Mapping[str, Any]) -> list[Line]:
    target, server = part(run, "target"), part(part(run, "target"), "server")
    if not target:
        return [Line("no database", soft=True)]
    kept = _told(target.get("protected"), " (protected)", " (not protected)")
    dialect = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}.get(str(server.get("dialect")), "")
    system = server.get("system_identifier")
    return [
        Line(f"{target.get('name')}{kept}"), Line(str(target.get("label") or ""), code=True),
        Line(" ".join(str(p) for p in (dialect, server.get("version"), f"· system {system}" if system else "") if p),
             soft=True),
    ]  # fmt: skip


def _when(run: Mapping[str, Any]) -> list[Line]:
    ended, seconds, skew = run.get("ended"), run.get("seconds"), run.get("clock_skew")
    begun, end = moment(run.get("started")), moment(ended)
    end = end.removeprefix(f"{begun[:10]} ") if ended else ""
    lines = [Line(f"{begun or 'no start was recorded'} {f'to {end} UTC' if end else 'UTC, no end was recorded'}")]
    if number(seconds):
        lines.append(Line(f"took {duration(seconds)}"))
    if number(skew):
        lines.append(Line(f"the server's clock {clock(skew)}", soft=True))
    return lines


def _who(run: Mapping[str, Any]) -> list[Line]:
    who, host = part(run, "who"), part(run, "runner").get("host")
    user = who.get("os_user")
    lines = [Line(f"{user}{f' on {host}' if host else ''}" if user else "not recorded", soft=not user)]
    lines += [
        Line(f"{label} {who[key]}") for key, label in (("git_author", "git:"), ("ci_actor", "CI:")) if who.get(key)
    ]
    url = str(who.get("ci_run_url") or "")
    lines.append(Line(url, href=url if url.startswith("https://") else ""))
    return [*lines, Line(f"database role {who['database_role']}" if who.get("database_role") else "", soft=True)]


def _why(run: Mapping[str, Any]) -> list[Line]:
    approval = part(run, "approval")
    said = [str(approval[key]) for key in ("change_ref", "reason") if approval.get(key)]
    return [Line(" · ".join(said))] if said else [Line("no change number and no reason were given", soft=True)]


def _approved(run: Mapping[str, Any]) -> list[Line]:
    approval, digest = part(run, "approval"), part(run, "approval").get("digest")
    if not digest and not approval.get("approver"):
        kept = part(run, "target").get("protected")
        asked = "the target is protected" if kept else "the target is not protected, so nobody was asked"
        why = "the target was not changed" if run.get("changed") is False or not run.get("target") else asked
        return [Line(f"nobody: {why}", soft=not kept)]
    signed = _told(approval.get("signed"), " (signed)", " (not signed)")
    alone = " in an emergency, without a second person" if approval.get("emergency") else ""
    named = part(run, "parameters").get("approver")
    nobody = f"nobody yet: {named} was named" if named else "not named"
    kept = Line("what was signed: approval.json", href="approval.json") if approval.get("signed") is True else Line("")
    return [Line(f"{approval.get('approver') or nobody}{signed}{alone}"), Line(f"{digest or ''}", code=True), kept]


def _evidence(run: Mapping[str, Any]) -> list[Line]:
    seen: dict[tuple[str, str], list[str]] = {}
    for one in _several(run.get("evidence")):
        if isinstance(one, Mapping):
            files = seen.setdefault((str(one.get("kind", "")), str(one.get("id", ""))), [])
            files += [str(one["file"])] if one.get("file") else []
    lines = []
    for (kind, id_), files in seen.items():
        href = f"../{id_}/report.html" if kind != "backup" and _ID.fullmatch(id_) else ""
        lines += [Line(f"{kind} {id_}", href=href), Line(", ".join(dict.fromkeys(files)), soft=True)]
    return lines or [Line("none: this run went by nothing earlier", soft=True)]


def _proof(run: Mapping[str, Any]) -> list[Line]:
    book, git = part(run, "runbook"), part(run, "git")
    dirty = _told(git.get("dirty"), ", with changes that are not committed", "")
    of = _told(book.get("committed"), ", the committed one", ", not the committed one")
    entry, _, hashed = str(run.get("ledger") or "").partition(":")
    lines = [
        Line(f"ledger entry {entry}, {hashed[:16]}…" if hashed else "", soft=True),
        Line(f"runbook sha256:{str(book['sha256'])[:16]}…{of}" if book.get("sha256") else "", soft=True),
        Line(f"signed by key {str(run['signed_by'])[:16]}…" if run.get("signed_by") else "", soft=True),
        Line(f"commit {str(git['sha'])[:12]}{dirty}" if git.get("sha") else "", soft=True),
    ]
    id_ = str(run.get("id") or "")
    return [Line(f"afdb records verify {id_}" if _ID.fullmatch(id_) else "not to be checked: no id", code=True), *lines]


def _joined(value: Any, between: str) -> str:
    return between.join(map(str, _several(value)))


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else () if value is None else (value,)


def _told(value: Any, yes: str, no: str) -> str:
    """What is said of a yes or a no; nothing of anything else."""
    return yes if value is True else no if value is False else ""


def number(value: Any) -> TypeGuard[int | float]:
    """Whether it can be reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

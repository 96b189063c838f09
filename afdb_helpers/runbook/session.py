"""What a notebook calls: begin a run, note and keep what it finds, close it.

Under the engine the record's folder is there already (AFDB_RUN_DIR). Without it, in JupyterLab say, `begin` makes one
that is marked interactive: good for looking, not an audit record, and no way to write a protected target.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import time
import weakref
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import revisions, targets
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.report import Report
from afdb_helpers.runbook import attestation, catalogue, leaks, outcome, provenance, record, records, steps
from afdb_helpers.runbook.record import Record
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection

SKEW = 60.0  # seconds by which the server's clock may differ before it is pointed out
_OURS = {"run.json", "journal.jsonl", "notebook.ipynb", "report.html", record.SUMS, attestation.NAME}


class Run:
    """A run as its notebook sees it. Shows itself as a report."""

    def __init__(self, name: str, kept: Record, target: Target | None, *, recorded: bool) -> None:
        self.name, self.folder, self.id, self.recorded = name, kept.folder, kept.id, recorded
        self._record, self._target = kept, target
        self._open = ExitStack()
        weakref.finalize(self, self._open.close)  # a run that is never closed, in JupyterLab say, leaves in order too
        self._connection: Connection | None = None
        self._server: dict[str, Any] = {}
        self._identity: dict[str, Any] = {}
        found = leaks.known(targets.environment())
        indistinct = set(kept.data.get("secrets_indistinct") or ())
        self._secrets = leaks.Known(tuple(s for s in found.secrets if s.setting not in indistinct))

    @property
    def target(self) -> Target:
        """The database this run is about. Raises `ConfigError` where it is about none."""
        if self._target is None:
            raise ConfigError(f"{self.name} has no target", why="it was begun without one", do="begin it with target=…")
        return self._target

    @property
    def protected(self) -> bool:
        return self._target is not None and self._target.protected

    @property
    def connection(self) -> Connection:
        """A connection that can only read, opened when first asked for, and anew after a change was noted."""
        if self._connection is None:
            self._connection = self._open.enter_context(self.target.connect(application_name=self.id))
        return self._connection

    @cached_property
    def project(self) -> revisions.Project:
        """The Alembic project of this folder."""
        return revisions.find()

    @property
    def actors(self) -> tuple[str, ...]:
        """The names of whoever runs this: OS user, CI actor, git author."""
        who = self._record.data["who"]
        return tuple(who[key] for key in ("os_user", "ci_actor", "git_author") if who.get(key))

    def note(self, event: str, **facts: Any) -> None:
        """Append to the journal; durable before it returns, so a `change.intent` stands before the change."""
        self._record.note(event, **self._clean(facts, f"journal entry {event}"))
        if event.startswith("change."):
            self._disconnect()

    def keep(self, name: str, data: Any) -> None:
        """Keep data as a JSON file of the record, written in one step."""
        if name in _OURS or Path(name).name != name:
            raise ConfigError(f"{name!r} cannot be kept", why="it is a file of the engine's, or a path", do="rename it")
        content = record.as_json(self._clean(data, name))
        record.write(self.folder / name, content)
        self._record.note(steps.KEPT, file=name, sha256=hashlib.sha256(content).hexdigest())

    def evidence(self, kind: str, which: str, name: str, *, required: bool = True) -> Any:
        """A JSON file that an earlier run of runbook `kind` on this target left; journaled as this run's evidence.

        `which` is a record's id, `latest`, or `none`. Refuses a record that is not what was sealed; for a protected
        target `latest` passes over interactive runs. Without `required` what is not there is None.
        """
        folder = self._evidence_folder(kind, which)
        if not required and (folder is None or not (folder / name).is_file()):
            return None
        if folder is None:
            chosen = f" --target {shlex.quote(self._target.name)}" if self._target else ""
            command = "prepare" if kind == "migration" and self.protected else f"run {kind}"
            raise Refused(
                f"there is no {kind} to go by",
                why=f"no {kind}{' of this target' if chosen else ''} has succeeded and left its record",
                do=f"afdb {command}{chosen}",
            )
        data, sha256 = records.evidence(folder, name)
        self.note("evidence", kind=kind, id=folder.name, file=name, sha256=sha256)
        return data

    def history(self, kind: str, which: str, name: str) -> list[dict[str, Any]]:
        """What a run of runbook `kind` kept as `name`, after the oldest such of the same database; journaled.

        `which` is a record's id, `latest`, or `none`, for which it is empty. No database has to be reachable.
        """
        found = records.history(self.folder.parent, kind, which, name)
        for each in found[-1:]:
            self.note("evidence", kind=kind, id=each["id"], file=name)
        return found

    def close(self, report: Report) -> Report:
        """End the run with its result; one that is not ok makes the run's outcome `refused`.

        Returns its headline and remedy: its rows stand where it was made.
        """
        self.keep("report.json", report.as_dict())
        self.note("close", ok=report.ok, headline=report.headline)
        self._disconnect()
        if not self.recorded:
            self._finish()
        return Report(headline=report.headline, ok=report.ok, remedy=report.remedy)

    def report(self) -> Report:
        """What began: which database, as whom, and where it is recorded."""
        facts: dict[str, Any] = {"record": str(self.folder)}
        if self._target is not None:
            where = f"{self._target.name} ({self._target.label})"
            facts = {"target": where, "protected": self.protected, **self._server, **facts}
        headline = f"{self.name} has begun"
        if not self.recorded:
            headline += "; interactive, not an audit record"
        skew = self._server.get("clock skew, s")
        if isinstance(skew, float) and abs(skew) > SKEW:
            headline += f"; the server's clock is {skew:+.0f} s off this machine's"
        rows = tuple({"fact": key, "value": value} for key, value in facts.items() if value is not None)
        return Report(headline=headline, rows=rows, remedy="" if self.recorded else f"for one: {self._command()}")

    def __repr__(self) -> str:
        return repr(self.report())

    def _repr_html_(self) -> str:
        return self.report()._repr_html_()

    def look(self) -> None:
        """Ask the server who it is, and what time it has, before anything else is done."""
        from afdb_helpers import catalog

        connection = self.connection
        asked = datetime.fromisoformat(record.now())
        identity = catalog.identity(connection)
        midway = asked + (datetime.fromisoformat(record.now()) - asked) / 2
        skew = round((datetime.fromisoformat(identity.clock) - midway).total_seconds(), 3)
        server, self._identity = identity.as_dict(), identity.key()
        self._server = {"database": identity.database, "version": identity.version, "role": identity.role}
        self._server |= {"clock skew, s": skew}
        about = {"name": self.target.name, "label": self.target.label, "protected": self.protected}
        known = {"server": server, "clock_skew": skew, "monotonic": time.monotonic()}
        self.note("target", **about, dialect=self.target.dialect, **known)

    def _evidence_folder(self, kind: str, which: str) -> Path | None:
        """Where the evidence is; `Refused` when the record that was named is about another database."""
        where, name = self.folder.parent, self._target.name if self._target else None
        if which in ("", "none"):
            return None
        if which == "latest":
            return records.latest(where, kind, target=name, audited=self.protected, server=self._identity)
        folder = records.find(where, which)
        data = records.read(folder)
        if data.get("runbook", {}).get("name") != kind or not records.agrees(data, self._identity):
            raise Refused(
                f"record {folder.name} is no evidence here",
                why=f"it is not a {kind} of the database that target {name} is now",
                do=f"name the {kind} of this database, or: afdb run {kind}",
            )
        return folder

    def _clean(self, value: Any, place: str) -> Any:
        """The value with every secret masked; that there was one is journaled, and makes the run fail."""
        cleaned, found = leaks.cleaned(value, self._secrets)
        if found:
            self._record.note("secret.masked", place=place, settings=sorted(found))
        return cleaned

    def _disconnect(self) -> None:
        self._connection = None
        self._open.close()

    def _finish(self) -> None:
        """End the record of an interactive run, which no engine ends."""
        events = self._record.events()
        ending = outcome.judge(events, None)
        self._record.data |= {"ended": record.now(), "outcome": ending.outcome, "exit_code": ending.exit_code}
        self._record.data |= {"headline": ending.message, "changed": ending.changed}
        self._record.data |= facts(events)
        self._record.seal()

    def _command(self) -> str:
        chosen = f" --target {shlex.quote(self._target.name)}" if self._target else ""
        return f"afdb run {self.name}{chosen}"


def begin(name: str, *, target: str | None = None, writes: bool = False, **evidence: str) -> Run:
    """Begin the run of runbook `name`: finds its record, or makes an interactive one, and asks the server who it is.

    `writes` says that the runbook will change the target: a protected one is refused outside the engine. What else is
    given (backup=…, plan=…) is journaled as evidence.
    """
    kept = _recorded()
    here = Path.cwd()
    if kept is None and here.name == "runbooks" and (here.parent / "alembic.ini").is_file():
        os.chdir(here.parent)  # JupyterLab starts kernels beside the notebook; `afdb run` does not
    found = targets.get(target) if target else None
    if found and found.protected and writes and kept is None:
        raise Refused(
            f"target {found.name} is protected, and this notebook is not run by the engine",
            why="a protected target is only changed by a run that leaves a record of who, why, and with what outcome",
            do=f"afdb run {name} --target {shlex.quote(found.name)}",
        )
    run = Run(name, kept or _interactive(name, found), found, recorded=kept is not None)
    if found:
        run.look()
    for kind, value in evidence.items():
        if value:
            run.note("evidence", kind=kind, id=value)
    return run


def facts(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What the journal adds to run.json: the server, its clock, and the evidence the run went by."""
    found: dict[str, Any] = {}
    if target := next((event for event in events if event["event"] == "target"), None):
        keys = ("name", "label", "protected", "dialect", "server")
        found["target"] = {key: target.get(key) for key in keys}
        found["server_clock"], found["clock_skew"] = target["server"].get("clock"), target.get("clock_skew")
    if approval := next((event for event in events if event["event"] == "approval"), None):
        said = ("digest", "approver", "signed", "emergency", "change_ref", "reason")
        found["approval"] = {key: approval[key] for key in said}
    if move := _move(events):
        found["revision"] = move
    cited = [event for event in events if event["event"] == "evidence"]
    found["evidence"] = [{k: e[k] for k in ("kind", "id", "file", "sha256") if k in e} for e in cited]
    return found


def _move(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """From which revisions to which the run took its target; None where it set out to change none."""
    begun = [event["revisions"] for event in events if event["event"] == "change.intent" and "revisions" in event]
    ended = [event.get("revisions") for event in events if event["event"] == "change.result"]
    return {"from": begun[0], "to": ended[-1] if ended else None} if begun else None


def _recorded() -> Record | None:
    """The record that the engine opened for this very process, None where there is none."""
    folder = os.environ.get("AFDB_RUN_DIR")
    if not folder or not (Path(folder) / "run.json").is_file():
        return None
    data = json.loads((Path(folder) / "run.json").read_bytes())
    ours = data.get("mode") in ("engine", "trial") and data.get("ended") is None
    return Record(Path(folder), data) if ours and data.get("runner", {}).get("pid") == os.getppid() else None


def _interactive(name: str, target: Target | None) -> Record:
    where = record.root(targets.environment())
    try:
        path = catalogue.find(name)
        book = {"name": name, "path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    except ConfigError:
        book = {"name": name}
    known = {"name": target.name, "label": target.label, "protected": target.protected} if target else None
    data = {
        "mode": "interactive",
        "runbook": book,
        "who": provenance.who(),
        "runner": provenance.runner(),
        "target": known,
        "started": record.now(),
        "ended": None,
        "outcome": None,
    }
    return record.begin(where, runbook=name, target=target.name if target else None, data=data, engine=False)

"""One Alembic command in a child process, its events streamed back."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from afdb_helpers.errors import ConfigError, Refused

Event = dict[str, Any]
CHILD = Path(__file__).with_name("child.py")
VERSION_TABLE = "alembic_version"
BEAT = 1  # seconds
SHOWN = 90  # characters of a statement in a table
GRACE = 5.0  # seconds between asking the child to leave and making it


@dataclass(frozen=True, kw_only=True)
class Session:
    """What every session of the child sets. Times in milliseconds; PostgreSQL alone reads them."""

    application_name: str = "afdb"
    lock_timeout: int = 0
    statement_timeout: int = 0

    def settings(self) -> dict[str, str]:
        """What the child sets in each session before its first statement, whatever driver, URL or env.py made it.

        A server notices within two seconds that its client died, within half a minute that the network did, and ends a
        transaction idle for five minutes.
        """
        times = {
            "lock_timeout": self.lock_timeout,
            "statement_timeout": self.statement_timeout,
            "client_connection_check_interval": 2000,
            "idle_in_transaction_session_timeout": 300_000,
            "tcp_keepalives_idle": 10,
            "tcp_keepalives_interval": 5,
            "tcp_keepalives_count": 3,
        }
        return {"application_name": self.application_name, **{k: str(v) for k, v in times.items() if v}}


class Abandoned(Exception):
    """Raised in a callback to end the child at once: it is not worth asking it to leave."""


@dataclass(frozen=True)
class Outcome:
    """What the child did: its events in order, what it printed, and its error where it failed."""

    events: list[Event]
    printed: str
    error: Event | None = None
    statements: list[Event] = field(default_factory=list)


def run(
    ini: Path,
    request: Mapping[str, Any],
    *,
    python: Path | None = None,
    session: Session | None = None,
    on_event: Callable[[Event], object] = lambda event: None,
    on_interrupt: Callable[[], None] = lambda: None,
    on_quiet: Callable[[], None] = lambda: None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Outcome:
    """Run one request. `on_event` sees each event before the child goes on where the event asks to be stored first;
    what it returns for `heads` is put into the request.

    An exception in `on_event`, Ctrl-C among them, ends the child, and the server rolls back what was not committed;
    `on_interrupt` is called first, to cancel what the child waits for. `meanwhile` runs while the child starts, and
    `on_quiet` after each second without an event.
    A failing command is an `Outcome` with an error, for the caller to name; a child that does not start raises.
    """
    child, receiving = _start(_folder(ini), str(python or sys.executable))
    with (
        os.fdopen(receiving, "rb", buffering=0) as stream,
        _ended_with(child, on_interrupt),
        _printed_by(child) as printed,
    ):
        assert child.stdin is not None
        settings = session.settings() if session else {}
        _answer(child.stdin, json.dumps({"ini": str(ini.absolute()), "settings": settings, **request}))
        meanwhile()
        events = list(_relay(_lines(stream, on_quiet), child.stdin, on_event))
        child.wait()
    return _outcome(events, "".join(printed), child.returncode)


def _folder(ini: Path) -> Path:
    """Where the child works: beside the ini, or in the nearest folder above it from which `script_location` is found.

    Alembic takes a relative one from the folder that it was started in; which one that was, no setting says.
    """
    settings = configparser.RawConfigParser()
    with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):  # Alembic says what is wrong with it
        settings.read(ini, encoding="utf-8")
    scripts = Path(settings.get("alembic", "script_location", fallback="%"))
    above = ini.absolute().parents
    return next((folder for folder in above if not scripts.is_absolute() and (folder / scripts).is_dir()), above[0])


def _start(folder: Path, python: str) -> tuple[subprocess.Popen[str], int]:
    """The child, and the file descriptor on which its events arrive."""
    receiving, sending = os.pipe()
    try:
        child = subprocess.Popen(
            [python, str(CHILD), str(sending)],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            pass_fds=(sending,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",  # the project may print anything
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then decides
        )
    except OSError as error:
        os.close(receiving)
        raise _not_started(python, str(error)) from None
    finally:
        os.close(sending)
    return child, receiving


def _lines(stream: IO[bytes], on_quiet: Callable[[], None]) -> Iterator[bytes]:
    """Each line as it comes; `on_quiet` after each `BEAT` in which none does."""
    ready = select.poll()
    ready.register(stream, select.POLLIN)
    begun = b""
    while True:
        if not ready.poll(BEAT * 1000):
            on_quiet()
            continue
        if not (read := stream.read(65536)):
            return
        *whole, begun = (begun + read).split(b"\n")
        yield from whole


def _relay(lines: Iterator[bytes], answers: IO[str], on_event: Callable[[Event], object]) -> Iterator[Event]:
    for line in lines:
        event = json.loads(line)
        if event["event"] == "configured":
            _refuse_other_table(event)
        answer = on_event(event)
        if event.get("confirm"):
            _answer(answers, json.dumps(answer) if isinstance(answer, Mapping) else "")
        yield event


def _answer(answers: IO[str], line: str = "") -> None:
    with contextlib.suppress(BrokenPipeError):  # the child died meanwhile; the missing end says so
        answers.write(line + "\n")
        answers.flush()


@contextlib.contextmanager
def _ended_with(child: subprocess.Popen[str], on_interrupt: Callable[[], None]) -> Iterator[None]:
    """On the way out by an exception: ask the child to leave, then make it, also when interrupted a second time."""
    try:
        yield
    except BaseException as error:
        try:
            if not isinstance(error, Abandoned):
                child.send_signal(signal.SIGINT)
                on_interrupt()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(GRACE)
        finally:
            child.kill()
            child.wait()
        raise
    finally:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


@contextlib.contextmanager
def _printed_by(child: subprocess.Popen[str]) -> Iterator[list[str]]:
    """What the child prints, read in a thread so that it never blocks on a full pipe."""
    import threading

    printed: list[str] = []
    assert child.stdout is not None
    reader = threading.Thread(target=lambda: printed.extend(child.stdout or ()), daemon=True)
    reader.start()
    yield printed
    reader.join(GRACE)


def _outcome(events: list[Event], printed: str, code: int) -> Outcome:
    error = next((event for event in events if event["event"] == "error"), None)
    if error is None and (not events or events[-1]["event"] != "end"):
        died = f"signal {-code}" if code < 0 else f"exit code {code}"
        said = printed.strip().splitlines()
        message = said[-1] if said else "it said nothing"
        error = {"event": "error", "kind": "died", "message": f"the Alembic process ended with {died}: {message}"}
    return Outcome(events, printed, error, _statements(events))


def _statements(events: list[Event]) -> list[Event]:
    """Each statement with what came of it: n, sql, alone, seconds, rows, locks; without seconds it did not end."""
    found: dict[int, Event] = {}
    for event in events:
        if event["event"] == "statement":
            found[event["n"]] = {"n": event["n"], "sql": tidy(event["sql"]), "alone": event["alone"]}
        elif event["event"] == "done":
            found[event["n"]] |= {key: event[key] for key in ("seconds", "rows", "locks")}
    return list(found.values())


def changes(sql: str) -> bool:
    """Whether a statement may change something; those that only look begin with SELECT, WITH, SHOW, PRAGMA, …"""
    bare = re.sub(r"/\*.*?\*/|--[^\n]*", " ", sql, flags=re.S)
    words = bare.split(maxsplit=1)
    first = words[0].upper() if words else ""
    if first in ("SELECT", "WITH"):
        calls = re.search(r"\b(set_config|setval|nextval|pg_advisory\w*)\s*\(", bare, flags=re.I)
        return bool(calls) or (
            first == "WITH" and bool(re.search(r"\b(INSERT|UPDATE|DELETE|MERGE)\b", bare, flags=re.I))
        )
    return first not in ("", "SHOW", "PRAGMA", "SAVEPOINT", "RELEASE", "EXPLAIN", "BEGIN", "COMMIT", "SET")


def tidy(sql: str) -> str:
    """A statement without the blank lines and trailing space that SQLAlchemy lays out."""
    return re.sub(r"[ \t]+\n", "\n", sql.strip())


def short(sql: str) -> str:
    """A statement on one line of a table."""
    line = " ".join(sql.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def _refuse_other_table(event: Event) -> None:
    if event["schema"] in (None, "public") and event["table"] in (None, VERSION_TABLE):
        return
    table = ".".join(filter(None, (event["schema"], event["table"] or VERSION_TABLE)))
    raise Refused(
        f"the project's env.py keeps its revisions in {table}; nothing was changed",
        why=f"afdb reads {VERSION_TABLE} in the schema where a session finds it, so it would not see what is stamped",
        do="leave version_table and version_table_schema out of context.configure, or run Alembic without afdb",
    )


def _not_started(python: str, why: str) -> ConfigError:
    return ConfigError(
        f"the project's interpreter {python} cannot be started",
        why=why,
        do="name the project's own Python with --python PATH",
    )

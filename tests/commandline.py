"""The `afdb` command as an operator types it: a process of its own, with a test's settings and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

AFDB = Path(sys.executable).with_name("afdb")


def settings(**given: str) -> dict[str, str]:
    """The environment of a command: what a process needs to run, and the given settings."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME")
    return {name: os.environ[name] for name in kept if name in os.environ} | given


def afdb(*arguments: str, cwd: Path, timeout: float = 60, **given: str) -> subprocess.CompletedProcess[str]:
    """Run `afdb` in a folder and wait for it."""
    return subprocess.run(
        [str(AFDB), *arguments],
        cwd=cwd,
        env=settings(**given),
        capture_output=True,
        text=True,
        timeout=timeout,
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

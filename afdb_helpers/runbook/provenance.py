"""Who runs what: the operator, the CI job, the commit, the versions. Asks git and the environment, nothing else."""

from __future__ import annotations

import base64
import getpass
import hashlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any


def who(environ: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """OS user, git author and CI actor; the database role is added when the server has said it."""
    actor = environ.get("GITHUB_ACTOR") or environ.get("GITLAB_USER_LOGIN") or environ.get("BUILD_USER_ID")
    return {
        "os_user": _os_user(),
        "git_author": environ.get("GIT_AUTHOR_NAME") or _git("config", "--get", "user.name") or None,
        "ci_actor": actor,
        "ci_run_url": _ci_run_url(environ),
        "database_role": None,
    }


def git(path: Path) -> dict[str, Any]:
    """The commit that the file at `path` belongs to and whether the work tree differs; nulls outside a repository."""
    sha = _git("rev-parse", "HEAD", cwd=path.parent)
    changes = _git("status", "--porcelain", "--untracked-files=normal", cwd=path.parent)
    return {"sha": sha or None, "dirty": bool(changes) if changes is not None else None}


def committed(path: Path) -> bool | None:
    """Whether the file at `path` is, byte for byte, the one that HEAD holds; outside a repository, the one that was
    installed with this package. None where neither is known."""
    if not _git("rev-parse", "HEAD", cwd=path.parent):
        return _installed(path)
    held = _git("rev-parse", f"HEAD:./{path.name}", cwd=path.parent)
    return held is not None and held == _git("hash-object", "--no-filters", "--", path.name, cwd=path.parent)


def _installed(path: Path) -> bool | None:
    """Whether it has the hash that pip wrote down for it (RECORD); None for a file that it did not install."""
    try:
        listed = metadata.files("afdb-helpers") or ()
    except metadata.PackageNotFoundError:
        return None
    for one in listed:
        if one.name == path.name and one.hash and Path(str(one.locate())).resolve() == path.resolve():
            digest = hashlib.new(one.hash.mode, path.read_bytes()).digest()
            return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == one.hash.value
    return None


def versions() -> dict[str, str]:
    """Python and the packages that ours names as its dependencies, as installed."""
    found = {"python": sys.version.split()[0]}
    try:
        lines = [line for line in metadata.requires("afdb-helpers") or [] if "extra ==" not in line]
        wanted = [re.split(r"[^A-Za-z0-9_.-]", line)[0] for line in lines]
        for name in ["afdb-helpers", *wanted]:
            found[name] = metadata.version(name)
    except metadata.PackageNotFoundError as error:
        found[str(error.name)] = "not installed"
    return found


def runner() -> dict[str, Any]:
    """The process that runs the notebook, so that a reader can tell a run that goes on from one that was cut off."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": round(time.time(), 3)}


def _os_user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _ci_run_url(environ: Mapping[str, str]) -> str | None:
    if "GITHUB_RUN_ID" in environ:
        server, repository = environ.get("GITHUB_SERVER_URL", ""), environ.get("GITHUB_REPOSITORY", "")
        return f"{server}/{repository}/actions/runs/{environ['GITHUB_RUN_ID']}"
    return environ.get("CI_JOB_URL") or environ.get("BUILD_URL")


def _git(*arguments: str, cwd: Path | None = None) -> str | None:
    """What git prints, None where it fails or is not there."""
    try:
        done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

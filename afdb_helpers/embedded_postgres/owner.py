"""Whose the private servers are: the operating system's user, their folder on the disk, their processes."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from afdb_helpers import targets
from afdb_helpers.errors import ConfigError, Unavailable

OS_USER = "afdb-postgres"  # the server's user when we are root
CLOSED = Path("/var/cache/afdb")  # copies of programs that lie where the server's user cannot go
MEMORY = Path("/dev/shm")  # noqa: S108 — what is made there is one's own, and checked to be
ROOM = 4 << 30  # bytes free there, and as many again in the machine, before anything is put into memory


def scratch() -> Path:
    """The folder of this user's servers. Refused when somebody else owns it: it would hold copies of production."""
    return _own(Path(_named() or tempfile.gettempdir()))


def memory() -> Path | None:
    """The like in memory. None where that has no room to spare, and where AFDB_SCRATCH says where servers are to be."""
    import psutil

    if _named() or not MEMORY.is_dir():
        return None
    roomy = shutil.disk_usage(MEMORY).free >= ROOM and psutil.virtual_memory().available >= 2 * ROOM
    return _own(MEMORY) if roomy else None


def homes() -> list[Path]:
    """The folders of this user's servers, one each, wherever they may be."""
    places = [scratch()]
    if not _named() and (there := MEMORY / places[0].name).is_dir() and there.lstat().st_uid == os.geteuid():
        places.append(there)
    return [home for place in places for home in place.iterdir()]


def _named() -> str | None:
    return targets.environment().get("AFDB_SCRATCH")


def _own(place: Path) -> Path:
    uid = os.geteuid()
    folder = place / f"afdb-{uid}"
    folder.mkdir(mode=0o711 if uid == 0 else 0o700, parents=True, exist_ok=True)
    if folder.lstat().st_uid != uid or folder.is_symlink():
        raise ConfigError(
            f"{folder} belongs to somebody else",
            why="a private server would keep copies of a database's rows there",
            do="set AFDB_SCRATCH to a folder of your own",
        )
    closed = [parent for parent in folder.resolve().parents if not parent.stat().st_mode & stat.S_IXOTH]
    if uid == 0 and closed:
        raise ConfigError(
            f"private servers cannot live in {folder}",
            why=f"as root they run as the user {OS_USER}, to whom {closed[-1]} is closed",
            do="set AFDB_SCRATCH to a folder that everybody can reach; what is in it stays private",
        )
    return folder


def give(path: Path) -> None:
    """As root: make the server's user the owner."""
    if os.geteuid() == 0:
        owner = os_user()
        os.chown(path, owner.pw_uid, owner.pw_gid)


def os_user() -> pwd.struct_passwd:
    """The server's user, made by the first who needs it; two useradd at once give one number to two users."""
    CLOSED.mkdir(parents=True, exist_ok=True)
    with (CLOSED / ".user").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return pwd.getpwnam(OS_USER)
        except KeyError:
            command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", OS_USER]
            subprocess.run(command, check=False, capture_output=True)
            return pwd.getpwnam(OS_USER)


def run(program: Path, *arguments: object, log: Path | None = None, said: str = "") -> None:
    """Run one of PostgreSQL's own programs, as the server's user when we are root, without our PG* settings.

    `said` is its standard input. Raises `Unavailable` with its last words.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PG") and k not in ("LC_ALL", "LANG")}
    user = os_user().pw_uid if os.geteuid() == 0 else None
    quiet = subprocess.DEVNULL if log else subprocess.PIPE
    done = subprocess.run(
        [str(program), *map(str, arguments)], check=False, env=clean | {"LC_ALL": "C"}, cwd="/", user=user,
        group=os_user().pw_gid if user is not None else None, extra_groups=[] if user is not None else None,
        input=said, stdout=quiet, stderr=quiet, text=True,
    )  # fmt: skip
    if done.returncode == 0:
        return
    last = (log.read_text(errors="replace") if log and log.is_file() else done.stderr or done.stdout or "").strip()
    raise Unavailable(
        f"the private PostgreSQL could not be started or stopped ({program.name} ended with {done.returncode})",
        why=last.splitlines()[-1] if last else "it said nothing",
        do=f"check the space left in {scratch()}, or name another folder in AFDB_SCRATCH",
    )


def postmaster(data: Path) -> int | None:
    """The server that works in this folder. None also where the number it left belongs to another process by now."""
    import psutil

    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        return pid if Path(psutil.Process(pid).cwd()) == data.resolve() else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def is_running(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

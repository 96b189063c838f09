"""A backup store that is no folder: any fsspec URL (s3://…), with credentials from the environment alone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from afdb_helpers import targets
from afdb_helpers.errors import AfdbError, ConfigError, Unavailable

CHUNK = 1 << 20  # bytes read at a time
ATTEMPTS = 3  # of one request
_SECRET = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)(_|$)", re.IGNORECASE)
_S3 = {  # what .env may say; the real environment is read by the library itself, with profiles and roles
    "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token",
    "AWS_ENDPOINT_URL": "endpoint_url",
}  # fmt: skip
_FLAT = {"s3", "s3a", "gs", "gcs", "az", "abfs"}  # they have names, and no folders
Count = Callable[[int], object]


def checked(url: str, *, what: str = "backup store", setting: str = "AFDB_BACKUPS") -> str:
    """The URL without a slash at its end. Raises `ConfigError` where it holds a password or options; quotes neither."""
    parts = urlsplit(url)
    if parts.password is not None or parts.query or parts.fragment or any(ord(c) < 33 for c in url):
        raise ConfigError(
            f"the URL of the {what} cannot be used",
            why="it holds a password, options or a space; it is not repeated here",
            do=f"leave SCHEME://PLACE/FOLDER in {setting}, and give credentials by the provider's own settings, "
            "such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    return url.rstrip("/")


def cache(url: str) -> Path:
    """The folder of this machine in which that store's backups are made and restored; only its owner can enter it."""
    settings = targets.environment()
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afdb" / "backups"
    root = Path(settings.get("AFDB_BACKUPS_CACHE") or default).expanduser().absolute()
    folder = root / hashlib.sha256(url.encode()).hexdigest()[:12]
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"the cache of the backup store, {root}, cannot be written",
            why=error.strerror or str(error),
            do="name a folder that can be written to in AFDB_BACKUPS_CACHE",
        ) from None
    return folder


@dataclass(frozen=True)
class Remote:
    """The store behind a URL. Every method raises `Unavailable` where the store does not answer or says no."""

    url: str
    what: str = "backup store"
    setting: str = "AFDB_BACKUPS"

    def ids(self) -> dict[str, dict[str, int]]:
        """For every folder of the store its files with their sizes; one listing, nothing is downloaded."""
        found: dict[str, dict[str, int]] = {}
        with self._asked("listed") as (fs, root):
            for path, facts in fs.find(root, detail=True).items():
                folder, _, name = path.removeprefix(root).lstrip("/").partition("/")
                if name:
                    found.setdefault(folder, {})[name] = int(facts.get("size") or 0)
        return found

    def small(self, names: list[str]) -> dict[str, bytes]:
        """The content of small files, all at once; what is not there is left out."""
        with self._asked("read") as (fs, root):
            if not names:
                return {}
            found = fs.cat([f"{root}/{name}" for name in names], on_error="return")
            for one in found.values():
                if isinstance(one, Exception) and not isinstance(one, FileNotFoundError):
                    raise one
            read = {path: raw for path, raw in found.items() if isinstance(raw, bytes)}
            return {path.removeprefix(root).lstrip("/"): raw for path, raw in read.items()}

    def put(self, path: Path, name: str, count: Count) -> None:
        """Upload a file in one piece: it is there whole or not at all, where the store can do that (S3 can)."""
        with self._asked("written") as (fs, root):
            if self.url.partition(":")[0] not in _FLAT:
                fs.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
            fs.put_file(str(path), f"{root}/{name}", callback=_counting(count))

    def create(self, name: str, data: bytes) -> bool:
        """Write a small object unless one of that name is there, decided by the store; whether it was written."""
        with self._asked("written") as (fs, root):
            if self.url.partition(":")[0] not in _FLAT:
                fs.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
            try:
                fs.pipe_file(f"{root}/{name}", data, mode="create")
            except FileExistsError:
                return False
        return True

    def get(self, name: str, path: Path, count: Count) -> None:
        """Download a file."""
        with self._asked("read") as (fs, root):
            path.parent.mkdir(parents=True, exist_ok=True)
            fs.get_file(f"{root}/{name}", str(path), callback=_counting(count))

    def sha256(self, name: str, count: Count) -> str:
        """What stands there now, read back whole: a checksum that the store computes may be of what it was sent."""
        digest = hashlib.sha256()
        with self._asked("read back") as (fs, root), fs.open(f"{root}/{name}", "rb", block_size=8 * CHUNK) as file:
            while piece := file.read(CHUNK):
                digest.update(piece)
                count(len(piece))
        return digest.hexdigest()

    def remove(self, names: list[str]) -> None:
        """Delete files, one after the other, in this order."""
        with self._asked("deleted from") as (fs, root):
            for name in names:
                fs.rm_file(f"{root}/{name}")

    @contextlib.contextmanager
    def _asked(self, what: str) -> Iterator[tuple[Any, str]]:
        """The file system and the store's root in it; whatever the library raises becomes one of our errors."""
        try:
            yield _open(self)
        except AfdbError:
            raise
        except ImportError as error:
            raise ConfigError(
                f"the {self.what} {self.url} cannot be used here",
                why=f"the library for {self.url.partition(':')[0]} is not installed: {scrubbed(error)}",
                do="pip install 'afdb-helpers[s3]' for s3://, the provider's fsspec package for others",
            ) from None
        except Exception as error:  # each provider's library has errors of its own; not one may show its request
            raise Unavailable(
                f"the {self.what} {self.url} cannot be {what}",
                why=scrubbed(error),
                do=f"check the URL in {self.setting}, the credentials and the network, then run again",
            ) from None


def scrubbed(error: BaseException) -> str:
    """The first line of an error, without any value that a setting calls secret."""
    said = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
    for name, value in targets.environment().items():
        if len(value) >= 4 and _SECRET.search(name):
            said = said.replace(value, "***")
    return said[:300]


def _open(store: Remote) -> tuple[Any, str]:
    import fsspec

    url = store.url
    options: dict[str, Any] = {"use_listings_cache": False}
    if url.startswith(("s3:", "s3a:")):
        said = targets.environment()
        options |= {key: said[name] for name, key in _S3.items() if said.get(name)}
        options["max_concurrency"] = 2  # parts of 50 MB in memory
        options["config_kwargs"] = {"connect_timeout": targets.CONNECT_TIMEOUT, "retries": {"max_attempts": ATTEMPTS}}
    try:
        fs, root = fsspec.core.url_to_fs(url, **options)
    except ValueError as error:
        raise ConfigError(
            f"the {store.what} {url} cannot be used",
            why=scrubbed(error),
            do=f"set {store.setting} to a folder or to a URL like s3://BUCKET/FOLDER",
        ) from None
    return fs, root.rstrip("/")


def _counting(count: Count) -> Any:
    from fsspec.callbacks import Callback

    class Counting(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            count(inc)

    return Counting()

"""Secrets of the settings, found wherever they must not be: in parameters, in outputs, in the files of a record."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

SHORTEST = 6  # a shorter secret cannot be told from ordinary text
_SECRET_NAME = re.compile(r"(^|_)(KEY|APIKEY|TOKEN|SECRET|PASSWORD|PASSWD|PGPASSWORD)(_|$)", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'\"]*:(?P<password>[^\s@'\"]+)@")
_PUBLIC_NAMES = ("POSTGRES_USER", "POSTGRES_DB", "POSTGRES_HOST", "PGUSER", "PGDATABASE", "PGHOST")
_UNQUOTED = ("", "/", " +", "!$&'()*+,;=", "!$&'()*+,;=:@/?")  # what one or the other leaves as it is; " +": SQLAlchemy
_DSN = re.compile(r"\b(?:password|passwd|pwd)\s*=\s*[^\s&;]+", re.IGNORECASE)


@dataclass(frozen=True)
class Secret:
    """A secret by the setting that holds it. The value has no repr; `needles` are the shapes it may take in a file."""

    setting: str
    value: str = field(repr=False)
    needles: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True)
class Known:
    """The secrets to look for, and the settings whose secret cannot be looked for since it is also public text."""

    secrets: tuple[Secret, ...]
    indistinct: tuple[str, ...] = ()

    def within(self, data: str | bytes) -> list[str]:
        """The settings whose secret is in `data`, in any of its shapes."""
        raw = data if isinstance(data, bytes) else data.encode(errors="surrogatepass")
        found = (secret.setting for secret in self.secrets if any(needle in raw for needle in secret.needles))
        return list(dict.fromkeys(found))

    def mask(self, text: str) -> str:
        """`text` with every secret replaced by the name of its setting."""
        for secret in self.secrets:
            for needle in secret.needles:
                text = text.replace(needle.decode(errors="surrogatepass"), f"[{secret.setting}]")
        return text

    def files(self, folder: Path) -> dict[Path, list[str]]:
        """Every file under `folder` that holds a secret, with the settings concerned."""
        found = {path: self.within(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()}
        return {path: settings for path, settings in found.items() if settings}


def known(settings: Mapping[str, str], public: str = "") -> Known:
    """The secrets that `settings` resolve to: passwords in URLs, and values whose name says key, token, secret.

    One that also is a user, host or database name, or a word of the `public` text, tells nothing when it is found:
    it is not looked for, and its setting is listed as indistinct.
    """
    found: list[tuple[str, str]] = []
    names = ["postgresql", *(settings.get(name, "") for name in _PUBLIC_NAMES)]
    for setting, value in settings.items():
        passwords, others = _of_url(value)
        names.extend(others)
        if passwords:
            found.extend((f"{setting} (password)", password) for password in passwords)
        elif _SECRET_NAME.search(setting) and not os.path.exists(value):  # a key's file name is no key
            found.append((setting, value))
    long = [(setting, value) for setting, value in found if len(value) >= SHORTEST]
    indistinct = {setting for setting, value in long if any(value in text for text in (public, *names))}
    secrets = [Secret(s, value, shapes(value)) for s, value in long if s not in indistinct]
    return Known(tuple(secrets), tuple(sorted(indistinct)))


def looks_secret(value: str) -> str | None:
    """Why a value must not be written down although no setting holds it: it is a URL or a DSN with a password."""
    if _URL.search(value):
        return "it is a URL with a password"
    if "://" in value and any(key.lower() in ("password", "passwd", "pwd") for key, _ in _query(value)):
        return "it is a URL with a password among its options"
    if _DSN.search(value):
        return "it holds a password"
    return None


def _of_url(value: str) -> tuple[set[str], list[str]]:
    """The passwords a URL holds, as written and decoded, and its names that are no secret."""
    match = _URL.search(value)
    if match is None and "://" not in value:
        return set(), []
    query = _query(value)
    passwords = {text for key, text in query if key.lower() in ("password", "passwd", "pwd")}
    if match:
        passwords |= {match["password"], unquote(match["password"])}
    bare = _URL.sub("x://", value)
    try:
        parts = urlsplit(bare)
        names = [parts.hostname or "", parts.path.strip("/"), unquote(parts.path.strip("/"))]
    except ValueError:
        names = []
    user = re.match(r"[^:]*://([^\s/:@]*)[:@]", value)
    names += [user[1], unquote(user[1])] if user else []
    return {password for password in passwords if password}, [name for name in names if name]


def _query(value: str) -> list[tuple[str, str]]:
    return parse_qsl(value.partition("?")[2])


def shapes(value: str) -> tuple[bytes, ...]:
    """The secret raw, URL-encoded, escaped as JSON, HTML and Python do, and in base64 at each of its three offsets."""
    quoted = {quote_plus(value), *(quote(value, safe=safe) for safe in _UNQUOTED)}
    texts = {value, html.escape(value), repr(value)[1:-1], *quoted, *(q.replace("%2F", "/") for q in quoted)}
    texts |= {re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), text) for text in quoted}
    texts |= {json.dumps(text, ensure_ascii=ascii_)[1:-1] for text in list(texts) for ascii_ in (True, False)}
    needles = {text.encode(errors="surrogatepass") for text in texts} | set(_base64(value.encode(errors="replace")))
    return tuple(sorted(needles, key=len, reverse=True))


def _base64(value: bytes) -> Iterator[bytes]:
    """The characters of each alignment that the neighbouring bytes cannot change, in both alphabets."""
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + value)
        sure = text[-(-offset * 8 // 6) : (offset + len(value)) * 8 // 6]
        yield from (sure, sure.replace(b"+", b"-").replace(b"/", b"_"))


def cleaned(value: Any, secrets: Known) -> tuple[Any, set[str]]:
    """Plain data with every secret in its texts masked, and the settings whose secret was found."""
    if isinstance(value, str):
        found = set(secrets.within(value))
        return (secrets.mask(value) if found else value), found
    if isinstance(value, Mapping):
        pairs = {key: cleaned(item, secrets) for key, item in value.items()}
        return {k: item for k, (item, _) in pairs.items()}, set().union(*(found for _, found in pairs.values()))
    if isinstance(value, list | tuple):
        items = [cleaned(item, secrets) for item in value]
        return [item for item, _ in items], set().union(*(found for _, found in items))
    if value is None or isinstance(value, bool | int | float):
        return value, set()
    return cleaned(str(value), secrets)

"""What a key says of a record: an in-toto Statement about its files in a DSSE envelope, to be checked without afdb.

The subjects are the record's files by their SHA-256, the predicate says which run that was and where in the ledger it
began. So it can neither be moved to another record, nor to another ledger.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import ledger, signing
from afdb_helpers.errors import Refused

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

NAME = "attestation.json"
KIND = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:afdb:run:v1"
_KEYID = re.compile(r'"keyid": "([0-9a-f]{64})"')
_SAID = ("id", "mode", "outcome", "exit_code", "started", "ended", "ledger")


def make(run: Mapping[str, Any], files: Mapping[str, str], signer: CryptoSigner, *, signed: Mapping[str, Any]) -> bytes:
    """The signed statement that these files (name to SHA-256) are what run `run` left.

    `signed` is the time of signing by this machine's clock and, where a server was asked, by the server's.
    """
    predicate = {key: run.get(key) for key in _SAID}
    predicate |= {"runbook": {key: run["runbook"].get(key) for key in ("name", "sha256", "committed")}}
    predicate |= {"target": (run.get("target") or {}).get("name"), "signed": dict(signed)}
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(files.items())],
        "predicateType": PREDICATE,
        "predicate": predicate,
    }
    envelope = signing.sign(json.dumps(statement, sort_keys=True).encode(), KIND, signer)
    return (json.dumps(envelope, indent=1) + "\n").encode()


def signed(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The time of signing: by this machine's clock, and by the server's where one was asked, which nobody here sets."""
    now: dict[str, Any] = {"runner": ledger.clock().isoformat(timespec="milliseconds"), "server": None}
    said = next((event for event in events if event["event"] == "target" and "monotonic" in event), None)
    if said is not None:
        since = timedelta(seconds=time.monotonic() - said["monotonic"])
        now["server"] = (datetime.fromisoformat(said["server"]["clock"]) + since).isoformat(timespec="milliseconds")
        now["skew"] = said.get("clock_skew")
    return now


def keyid(folder: Path) -> str:
    """The id of the key that a record says it is signed by, which nobody has checked; empty where it is not signed."""
    try:
        said = _KEYID.search((folder / NAME).read_text(errors="replace"))
    except FileNotFoundError:
        return ""
    return said[1] if said else "unknown"


def read(raw: bytes, keys: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any], str]:
    """The files it is about, its predicate, and the name of the believed key that signed it.

    Raises `Refused` where no believed key signed it, or it is a statement of another kind.
    """
    try:
        envelope = json.loads(raw)
    except ValueError:
        envelope = {}
    statement, name = signing.opened(envelope, KIND, keys)
    if statement.get("_type") != STATEMENT or statement.get("predicateType") != PREDICATE:
        kind = statement.get("predicateType")
        raise Refused("a signature is for something else", why=f"it is a {kind}", do=f"give a {PREDICATE}")
    files = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    return files, dict(statement["predicate"]), name

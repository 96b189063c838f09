"""Ed25519 signatures in DSSE envelopes: who said this, checkable with the public key alone.

A private key is a PEM file that only its owner can read, or the PEM text itself in a setting. Public keys that are
believed stand in a text file, one a line: a name, a space, 64 hexadecimal digits; `#` begins a comment.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import targets
from afdb_helpers.errors import ConfigError, Refused

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

SETTING = "AFDB_SIGNING_KEY"
_LINE = re.compile(r"(\S+)\s+([0-9a-f]{64})")


def create(path: Path) -> str:
    """Write a new private key to `path` (mode 0600, never over a file that is there); returns the public key in hex."""
    from securesystemslib.signer import CryptoSigner

    made = CryptoSigner.generate_ed25519()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(
            f"no key was written to {path}", why=error.strerror or str(error), do="name a file that is not there yet"
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(made.private_bytes)
        os.fsync(file.fileno())
    return public(made)


def load(setting: str) -> CryptoSigner:
    """The private key that a setting holds as PEM text, or names as a file. Raises `ConfigError`, never quoting it."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        text = setting if "-----BEGIN" in setting else Path(setting).expanduser().read_text()
        signer = CryptoSigner(load_pem_private_key(text.encode(), None))
        if signer.public_key.keytype != "ed25519":
            raise ValueError
    except OSError as error:
        why = f"the file cannot be read: {error.strerror}"
    except (ValueError, TypeError):
        why = "it is no Ed25519 private key in PEM without a passphrase"
    else:
        return signer
    raise ConfigError(f"{SETTING} cannot be used", why=why, do="`afdb keys new FILE --name NAME` makes one") from None


def own() -> CryptoSigner | None:
    """The key in `AFDB_SIGNING_KEY`, None where it is not set. Raises `ConfigError` where it cannot be used."""
    setting = targets.environment().get(SETTING)
    return load(setting) if setting else None


def public(signer: CryptoSigner) -> str:
    """A signer's public key, as a file of believed keys has it."""
    return str(signer.public_key.keyval["public"])


def believed(path: Path) -> dict[str, str]:
    """Public key → name, from a file of believed keys."""
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    except OSError as error:
        raise ConfigError(
            f"the keys in {path} cannot be read", why=error.strerror or str(error), do="name a file of public keys"
        ) from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if line and not (match := _LINE.fullmatch(line)):
            raise ConfigError(
                f"line {number} of {path} is no key",
                why="a line is a name, a space and 64 hexadecimal digits",
                do="copy the line that `afdb keys new` printed",
            )
        if line:
            found[match[2]] = match[1]  # type: ignore[index]
    return found


def sign(payload: bytes, kind: str, signer: CryptoSigner) -> dict[str, Any]:
    """A DSSE envelope around `payload` of media type `kind`."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, kind, {})
    envelope.sign(signer)
    return dict(envelope.to_dict())


def opened(envelope: Mapping[str, Any], kind: str, keys: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The JSON inside an envelope of media type `kind`, and the name of the believed key that signed it.

    Raises `Refused` when it is of another type, no believed key signed it, or one byte of it is another.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError

    try:
        read = Envelope.from_dict(json.loads(json.dumps(envelope)))
        signers = read.verify([_key(digits) for digits in keys], 1) if keys else {}
        name = next((keys[str(key.keyval["public"])] for key in signers.values()), None)
        if name is None:
            raise VerificationError
        if read.payload_type != kind:
            raise Refused("a signature is for something else", why=f"it is a {read.payload_type}", do=f"give a {kind}")
        return dict(json.loads(read.payload)), name
    except (VerificationError, KeyError, ValueError, TypeError, AttributeError):
        have = ", ".join(sorted(set(keys.values()))) or "nobody"
        raise Refused(
            "a signature is not believed",
            why=f"none of the keys of {have} signed this content",
            do="have it signed with a key that is listed, or list the key",
        ) from None


@cache
def _key(digits: str) -> SSlibKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.signer import SSlibKey

    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(digits)))

"""Files that say of themselves what they are: sealed JSON, and the size and SHA-256 of everything beside it.

A seal is the SHA-256 of a JSON file's content, written into it; the file's bytes have to be exactly what the content
gives when written again, so a flipped byte anywhere in it is found.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from afdb_helpers import catalog, durable

MANIFEST, PROOF, PARTIAL = "manifest.json", "proof.json", ".partial"


def write(path: Path, data: Mapping[str, Any], *, via: Path | None = None) -> None:
    """A sealed JSON file, on disk when this returns. It appears under its name complete or not at all."""
    partial = via or path.with_name(f"{path.name}{PARTIAL}")
    with partial.open("wb") as file:
        file.write(seal(data))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    durable.sync(path.parent)


def seal(data: Mapping[str, Any]) -> bytes:
    content = {key: value for key, value in data.items() if key != "seal"}
    return (json.dumps({**content, "seal": catalog.digest(content)}, indent=1, sort_keys=True) + "\n").encode()


def unseal(raw: bytes) -> dict[str, Any]:
    """The content of a sealed file. Raises `ValueError` when one byte of it is another."""
    data = json.loads(raw)
    if not isinstance(data, dict) or seal(data) != raw:
        raise ValueError("its content is not what its seal says")
    return data


def files(folder: Path, *, sync: bool = False) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file of a backup but manifest and proof; what is no plain file has neither."""
    from concurrent.futures import ThreadPoolExecutor

    paths = list(entries(folder))
    with ThreadPoolExecutor(2) as two:  # hashing and reading leave the interpreter to others
        found = two.map(partial(_hash, sync=sync), paths)
        return {path.relative_to(folder).as_posix(): facts for path, facts in zip(paths, found, strict=True)}


def sizes(folder: Path) -> dict[str, int]:
    """The size of every file of a backup but manifest and proof."""
    return {path.relative_to(folder).as_posix(): path.lstat().st_size for path in entries(folder)}


def entries(folder: Path) -> Iterator[Path]:
    """Everything in a backup's folder that is no folder, but manifest and proof; links are not followed."""
    own = folder / MANIFEST, folder / PROOF
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if Path(where, name).is_symlink()]
        yield from (path for path in (Path(where, name) for name in sorted([*names, *links])) if path not in own)


def _hash(path: Path, *, sync: bool) -> dict[str, Any]:
    if path.is_symlink() or not path.is_file():
        return {"size": None, "sha256": None}
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if sync:
            os.fsync(file.fileno())
        return {"size": os.fstat(file.fileno()).st_size, "sha256": digest}

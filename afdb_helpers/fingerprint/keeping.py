"""Ranges that are finished, kept in a file, so that a long reading goes on where a killed one stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from afdb_helpers import catalog
from afdb_helpers.errors import ConfigError
from afdb_helpers.fingerprint.prints import FORMAT, Sums
from afdb_helpers.fingerprint.reading import Wanted

Blocks = tuple[int, int | None] | None


class Kept:
    """A file of one JSON line a finished range. Each is on disk before the next range is begun.

    What was read before the kill was read at an earlier moment: over rows that were written in between, the sums are of
    no moment at all. `earlier` counts such ranges, so that this can be said.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.earlier = path, 0
        self._known: dict[str, list[Any]] = {}
        try:
            for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
                if line.endswith(b"\n"):  # the last line of a killed process may be half a line
                    said = json.loads(line)
                    self._known[said["range"]] = said["sums"]
            self._file = path.open("ab")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path} does not hold the ranges of a fingerprint",
                why=getattr(error, "strerror", None) or "it is another file, or was altered",
                do="name a new file with --resume, to begin anew",
            ) from None
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            self._file.write(b"\n")

    def get(self, wanted: Wanted, blocks: Blocks) -> Sums | None:
        """What an earlier process found in the range, None where none finished it."""
        found = self._known.get(_name(wanted, blocks))
        if found is None:
            return None
        self.earlier += 1
        return Sums(found[0], int(found[1]), [(a, int(b)) for a, b in found[2]])

    def put(self, wanted: Wanted, blocks: Blocks, sums: Sums) -> None:
        name = _name(wanted, blocks)
        if name not in self._known:
            said = [sums.rows, str(sums.row_sum), [[a, str(b)] for a, b in sums.columns]]
            self._known[name] = said
            self._file.write(json.dumps({"range": name, "sums": said}).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _name(wanted: Wanted, blocks: Blocks) -> str:
    """A range of a table's file: a table that was rewritten meanwhile has another file, and is read anew."""
    table = wanted.table
    columns = [[name, source.name, source.type, source.kind, source.was] for name, source in wanted.columns.items()]
    said = [FORMAT, table.shown, table.file, columns, wanted.part, wanted.unwritten_since, blocks]
    return catalog.digest(said)

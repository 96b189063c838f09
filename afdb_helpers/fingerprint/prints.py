"""What a fingerprint says, as plain data that can be kept: per table its rows, per column its values and their hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from afdb_helpers.errors import Refused

FORMAT = 2  # of the hash: one of another format cannot be compared
WHOLE = 1.0


class Column(NamedTuple):
    """Values that are not NULL, the sum of their hashes (decimal text), how they were hashed, their declared type."""

    nonnull: int
    total: str
    kind: str
    type: str


@dataclass(frozen=True)
class Print:
    """One table's: rows, sum of row hashes, columns by name. `unknown`: columns of a type nobody here can vouch for."""

    rows: int
    row_sum: str
    columns: Mapping[str, Column]
    unknown: tuple[str, ...] = ()
    key: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Fingerprint:
    """Every table's print. `moment`: the server's snapshot when reading began, by which rows written since are known.

    `sample`: the part of the rows that was read, 1.0 for all of them.
    """

    dialect: str
    tables: Mapping[str, Print]
    moment: str = field(default="", compare=False)
    sample: float = WHOLE

    def as_dict(self) -> dict[str, Any]:
        tables = {
            name: {"rows": p.rows, "row_sum": p.row_sum, "columns": {k: list(v) for k, v in p.columns.items()},
                   "unknown": list(p.unknown), "key": list(p.key)}
            for name, p in self.tables.items()
        }  # fmt: skip
        return {"format": FORMAT, "dialect": self.dialect, "moment": self.moment, "sample": self.sample,
                "tables": tables}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fingerprint:
        """Raises `Refused` for one that another version of this package took, whose hashes are others."""
        if data.get("format") != FORMAT:
            raise Refused(
                "the fingerprint taken before cannot be compared",
                why=f"it is of format {data.get('format', 1)}, this version of afdb takes format {FORMAT}",
                do="take it anew: make a new backup with afdb run backup, or verify with the version that took it",
            )
        tables = {
            name: Print(p["rows"], p["row_sum"], {k: Column(*v) for k, v in p["columns"].items()},
                        tuple(p["unknown"]), tuple(p["key"]))
            for name, p in data["tables"].items()
        }  # fmt: skip
        return cls(data["dialect"], tables, data["moment"], data["sample"])

    def counts(self) -> dict[str, int]:
        """Rows per table."""
        return {name: p.rows for name, p in self.tables.items()}


@dataclass
class Sums:
    """What one pass over some rows adds up to; passes over other rows of the table are added to it."""

    rows: int
    row_sum: int
    columns: list[tuple[int, int]]

    def add(self, other: Sums) -> None:
        self.rows += other.rows
        self.row_sum += other.row_sum
        pairs = zip(self.columns, other.columns, strict=True)
        self.columns = [(a + c, b + d) for (a, b), (c, d) in pairs]

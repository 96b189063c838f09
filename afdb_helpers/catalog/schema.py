"""A schema as plain data, and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from afdb_helpers.errors import Refused

SHAPE = 3  # of a snapshot: one of another shape cannot be compared
Facts = dict[str, Any]


@dataclass(frozen=True)
class Catalog:
    """A schema as plain data. The version table and what belongs to extensions is left out.

    `tables`: name → facts of the whole (owner, grants, comment, row_security, partition_of, …) and, each a mapping,
    `columns`, `constraints` (by the server's own text of them), `indexes`, `triggers`, `rules`, `policies`.
    `objects`: kind → name → facts: sequences (one that counts for a column goes by the column's name), enums, domains,
    composite types, ranges, views, functions, procedures, aggregates, extensions, schemas.
    A fact that is not said is as the server has it by default.
    `major` is the server's; it is no part of the digest.
    """

    dialect: str
    tables: Mapping[str, Facts]
    objects: Mapping[str, Mapping[str, Facts]] = field(default_factory=dict)
    major: int | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over canonical JSON: the same for the same schema on every machine and in every run.

        Names of constraints and of sequences behind columns, and versions of extensions, are no part of it.
        """
        tables = {name: _nameless(facts) | _parts(facts) for name, facts in self.tables.items()}
        objects = {
            kind: {name: _nameless(said) for name, said in found.items()}
            for kind, found in self.objects.items()
            if found
        }
        return digest({"dialect": self.dialect, "tables": tables, "objects": objects})

    def as_dict(self) -> dict[str, Any]:
        return {"shape": SHAPE, "dialect": self.dialect, "major": self.major, "tables": dict(self.tables),
                "objects": {kind: dict(found) for kind, found in self.objects.items()}}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Catalog:
        """Raises `Refused` where another version of this program wrote it."""
        if data.get("shape") != SHAPE:
            raise Refused(
                "a schema that was kept cannot be compared",
                why=f"it has shape {data.get('shape', 'none')}, this version of afdb reads {SHAPE}",
                do="make a new backup or record with this version",
            )
        return cls(data["dialect"], data["tables"], data["objects"], data["major"])


def digest(data: Any) -> str:
    """`sha256:…` over JSON with sorted keys and no space."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _parts(facts: Facts) -> Facts:
    return {part: {key: _nameless(said) for key, said in facts[part].items()} for part in ("constraints", "indexes")}


def _nameless(facts: Facts) -> Facts:
    return {key: value for key, value in facts.items() if key not in ("name", "version")}

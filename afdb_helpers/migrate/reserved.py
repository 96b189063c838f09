"""What belongs to the provider, before and after a migration: lint looks at the statements, this at what they did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, waivers
from afdb_helpers.backup import reserved
from afdb_helpers.drift import waived
from afdb_helpers.drift.comparing import ABSENT, Difference
from afdb_helpers.errors import Incomplete
from afdb_helpers.lint.rules import ROLES
from afdb_helpers.revisions import Project
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection

Seen = Mapping[str, str]


def seen(connection: Connection) -> Seen:
    """Each object in the provider's schemas, and each of its roles, with all that is said of it; nothing where the
    provider's roles are not, since a schema called auth may be anybody's."""
    if connection.dialect.name == "sqlite":
        return {}
    schemas = reserved.schemas(reserved.found(connection))
    if not schemas:
        return {}
    found = catalog.snapshot(connection)
    said = dict(_tables({name: facts for name, facts in found.tables.items() if _in(name, schemas)}))
    for kind, objects in found.objects.items():
        said |= {f"{kind} {name}": _text(facts) for name, facts in objects.items() if _in(name, schemas)}
    for row in connection.exec_driver_sql(catalog.question("roles")).mappings():
        if ROLES.fullmatch(row["name"]):
            said[f"role {row['name']}"] = _text(dict(row))
    return said


def changed(before: Seen, after: Seen, project: Project) -> list[Difference]:
    """What differs and drift-waivers.toml does not accept; empty where the provider was not there before."""
    if not before:
        return []
    found = [
        Difference(name, before.get(name, ABSENT), after.get(name, ABSENT))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    accepted, on = waived(project), waivers.today()
    return [one for one in found if not waivers.waived(one, accepted, on)]


def trespassed(target: Target, revisions: Sequence[str], found: Sequence[Difference]) -> Incomplete:
    named = ", ".join(one.object for one in found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    return Incomplete(
        f"target {target.name} stands at {', '.join(revisions) or 'nothing stamped'}, and what belongs to the provider"
        f" is another than before: {named}",
        why="a statement of the migration changed it, or the provider did meanwhile; it changes it as it needs",
        do="take it back by a revision; or accept it in drift-waivers.toml beside alembic.ini, by these names, with a"
        " reason and a day",
    )


def _tables(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, facts in tables.items():
        parts = {key: said for key, said in facts.items() if isinstance(said, Mapping) and key != "grants"}
        yield f"table {name}", _text({key: said for key, said in facts.items() if key not in parts})
        for part, found in parts.items():
            for key, said in found.items():
                yield f"{name} {part} {key}", _text(said)


def _in(name: str, schemas: Sequence[str]) -> bool:
    return any(name == schema or name.startswith(f"{schema}.") for schema in schemas)


def _text(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(facts.items()) if key != "name")

"""The configuration: every setting of .env.example, where its value comes from, what is missing, what contradicts.

A secret is shown as set or not set, a URL as the place it leads to. Contacts nothing.
"""

from __future__ import annotations

import base64
import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from afdb_helpers import hazards, targets
from afdb_helpers.errors import AfdbError
from afdb_helpers.report import Report, count

_EXAMPLE = re.compile(r"^#?\s?([A-Z][A-Z0-9_]*)=(.*)$")
_SECRET = re.compile(r"PASSWORD|KEY|SECRET|TOKEN|PEM")
_OURS = re.compile(r"(AFDB|POSTGRES|SUPABASE)_|.*DATABASE_URL$")


def configuration(folder: Path | None = None, environ: Mapping[str, str] | None = None) -> Report:
    """One row a setting. Not ok where settings contradict each other, or where no database is named at all."""
    real = dict(os.environ if environ is None else environ)
    file = _nearest(".env", folder or Path.cwd())
    written = _read(file) if file else {}
    example = _examples(folder or Path.cwd())
    settings = written | real
    names = dict.fromkeys([*example, *(name for name in settings if _OURS.match(name))])
    rows = tuple(_row(name, real, written, file, example) for name in names)
    wrong = [*_contradictions(settings), *_misspelt(settings, example), *_overridden(real, written)]
    missing = (
        [] if targets.names(settings) else [{"what": "no database is named", "do": "set DATABASE_URL, or POSTGRES_*"}]
    )
    there = sum(row["value"] is not None for row in rows)
    said = f"{there} of {count(len(rows), 'setting')} are set"
    if found := [*missing, *wrong]:
        said += f"; {found[0]['what']}" + (f", and {len(found) - 1} more" if len(found) > 1 else "")
    parts = (Report(headline="missing, or in contradiction", ok=False, rows=tuple(found)),) if found else ()
    return Report(headline=said, ok=not found, rows=rows, remedy=found[0]["do"] if found else "", parts=parts)


def _row(
    name: str, real: Mapping[str, str], written: Mapping[str, str], file: Path | None, example: Mapping[str, str]
) -> dict[str, Any]:
    source = (
        "the environment" if name in real else str(file) if name in written else "default" if example.get(name) else ""
    )
    value = real.get(name) or written.get(name)
    return {"setting": name, "value": _shown(name, value), "from": source if value else "not set"}


def _shown(name: str, value: str | None) -> str | None:
    if not value:
        return None
    if name.endswith("DATABASE_URL"):
        try:
            return targets.parse(name.removesuffix("_DATABASE_URL") or "default", value, {}).label
        except AfdbError:
            return "set, and no URL that can be used"
    if _SECRET.search(name):
        return "set"
    return re.sub(r"://[^/@]*@", "://***@", value)


def _contradictions(settings: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """What does not fit together, each with what to do about it."""
    places: dict[str, str] = {}
    for name in targets.names(settings):
        variable = "DATABASE_URL" if name == "default" else f"{name.upper()}_DATABASE_URL"
        try:
            target = targets.get(name, settings)
        except AfdbError as error:
            yield {"what": f"{variable} cannot be used: {error.why}", "do": error.do}
            continue
        try:
            hazards.way(target, settings)
        except AfdbError as error:
            yield {"what": f"{variable}: {error.what.replace(f' ({target.label})', '')}", "do": error.do}
        if target.label in places:
            yield {"what": f"targets {places[target.label]} and {name} are the same database, {target.label}",
                   "do": f"correct {variable}, or take one of them out"}  # fmt: skip
        places[target.label] = name
        yield from _of_supabase(variable, target, settings)
    if settings.get("DATABASE_URL") and (settings.get("POSTGRES_HOST") or settings.get("POSTGRES_DB")):
        default, parts = _label(settings), _label({k: v for k, v in settings.items() if k != "DATABASE_URL"})
        if default != parts:
            yield {"what": f"DATABASE_URL leads to {default} and POSTGRES_* to {parts}; DATABASE_URL counts",
                   "do": "take one of them out"}  # fmt: skip
    both = targets.listed(settings, "AFDB_PROTECTED") & targets.listed(settings, "AFDB_UNPROTECTED")
    if both:
        yield {"what": f"AFDB_PROTECTED and AFDB_UNPROTECTED both list {', '.join(sorted(both))}; protected counts",
               "do": "take it out of one of them"}  # fmt: skip
    for variable in ("AFDB_PROTECTED", "AFDB_UNPROTECTED", hazards.WAIVER):
        if unknown := targets.listed(settings, variable) - set(targets.names(settings)):
            yield {"what": f"{variable} lists {', '.join(sorted(unknown))}, and no target is called so",
                   "do": "correct the name, or set NAME_DATABASE_URL"}  # fmt: skip
    yield from _keys(settings)


def _of_supabase(variable: str, target: targets.Target, settings: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """SUPABASE_URL against the database's host, which names its project too."""
    said = re.match(r"https?://([a-z0-9]+)\.supabase\.(co|in)", settings.get("SUPABASE_URL", ""))
    parts = target.parts()
    host = re.match(r"db\.([a-z0-9]+)\.supabase\.(co|in)$", parts.get("host", ""))
    user = re.match(r"\w+\.([a-z0-9]+)$", parts.get("user", "")) if "pooler.supabase" in parts.get("host", "") else None
    project = (host or user)[1] if host or user else None  # type: ignore[index]
    if said and project and said[1] != project:
        yield {"what": f"SUPABASE_URL is of project {said[1]}, and {variable} of project {project}",
               "do": "correct the one that is wrong before anything is migrated"}  # fmt: skip


def _keys(settings: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Supabase's keys say, in their open part, which role and project they are for; that part holds no secret."""
    said = re.match(r"https?://([a-z0-9]+)\.supabase\.(co|in)", settings.get("SUPABASE_URL", ""))
    for variable, role in (("SUPABASE_ANON_KEY", "anon"), ("SUPABASE_SERVICE_ROLE_KEY", "service_role")):
        claims = _claims(settings.get(variable, ""))
        if claims.get("role") not in (None, role):
            yield {"what": f"{variable} is a key of role {claims['role']}",
                   "do": "put each key where it belongs; change a service_role key that was handed out"}  # fmt: skip
        if said and claims.get("ref") not in (None, said[1]):
            yield {"what": f"{variable} is of project {claims['ref']}, and SUPABASE_URL of project {said[1]}",
                   "do": "take both from the same project's settings"}  # fmt: skip


def _claims(key: str) -> dict[str, Any]:
    """The open part of a JSON Web Token; empty where the key is none."""
    parts = key.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))) if len(parts) == 3 else {}
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _misspelt(settings: Mapping[str, str], example: Mapping[str, str]) -> Iterator[dict[str, str]]:
    for name in settings:
        internal = name.startswith(("AFDB_RUN", "AFDB_KERNEL"))
        if re.match(r"(AFDB|POSTGRES|SUPABASE)_", name) and example and name not in example and not internal:
            near = difflib.get_close_matches(name, example, n=1)
            said = f"; the nearest is {near[0]}" if near else ""
            if near or name.startswith("AFDB_"):
                yield {
                    "what": f"{name} is no setting{said}",
                    "do": f"correct it to {near[0]}" if near else "take it out",
                }


def _overridden(real: Mapping[str, str], written: Mapping[str, str]) -> Iterator[dict[str, str]]:
    for name, value in written.items():
        if name in real and real[name] != value and _OURS.match(name):
            yield {"what": f"{name} is set in .env and, to something else, in the environment, which counts",
                   "do": f"unset {name}, or correct .env"}  # fmt: skip


def _label(settings: Mapping[str, str]) -> str:
    try:
        return targets.get("default", settings).label
    except AfdbError:
        return "no database"


def _nearest(name: str, folder: Path) -> Path | None:
    return next((place / name for place in (folder, *folder.parents) if (place / name).is_file()), None)


def _read(file: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    return {key: value for key, value in dotenv_values(file).items() if value is not None}


def _examples(folder: Path) -> dict[str, str]:
    """Every setting of the example file that is nearest, with its example or default."""
    beside = Path(__file__).resolve().parents[2] / ".env.example"
    file = _nearest(".env.example", folder) or (beside if beside.is_file() else None)
    found = [_EXAMPLE.match(line) for line in file.read_text().splitlines()] if file else []
    examples: dict[str, str] = {}
    for match in filter(None, found):
        examples.setdefault(match[1], match[2])
    return examples

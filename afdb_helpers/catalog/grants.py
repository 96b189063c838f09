"""Who may do what with an object, from the server's own short form of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

WORDS = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE", "D": "TRUNCATE", "x": "REFERENCES", "t": "TRIGGER",
         "X": "EXECUTE", "U": "USAGE", "C": "CREATE"}  # fmt: skip
MAINTAIN = "m"  # from 17 on; a GRANT ALL of 16 restored on 17 holds it too
ALL = {"table": "rawdDxt", "sequence": "rwU"}
_ITEM = re.compile(r'(?P<role>"(?:[^"]|"")*"|[^=]*)=(?P<privileges>[A-Za-z*]*)/')
BY_DEFAULT = {"function": {"PUBLIC": "EXECUTE"}, "type": {"PUBLIC": "USAGE"}}


def read(items: Sequence[str] | None, owner: str, kind: str) -> dict[str, str] | None:
    """Role → privileges with commas, `*` where it may grant them on; None where nobody ever changed anything.

    What the owner may do, and what everybody may do with a function or a type unless it is taken away, is not said.
    """
    found = dict(filter(None, (_item(item, owner, kind) for item in items or ())))
    return found if found != BY_DEFAULT.get(kind, {}) else None


def _item(item: str, owner: str, kind: str) -> tuple[str, str] | None:
    match = _ITEM.match(item)
    assert match is not None, item
    role = match["role"] or "PUBLIC"
    if role.startswith('"'):
        role = role[1:-1].replace('""', '"')
    if role == owner:
        return None
    held = dict(re.findall(r"([A-Za-z])(\*?)", match["privileges"]))
    whole = ALL.get(kind, "")
    if whole and set(whole) <= set(held) and len(set(held.values())) == 1:
        return role, f"ALL{next(iter(held.values()))}"
    words = sorted(WORDS[letter] + star for letter, star in held.items() if letter in WORDS)
    words += [f"MAINTAIN{held[MAINTAIN]}"] if MAINTAIN in held else []
    return role, ", ".join(words)

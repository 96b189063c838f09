"""Differences that somebody accepts: by the object, and if wanted by what is live."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any, ClassVar

from afdb_helpers import waivers
from afdb_helpers.revisions import Project

FILE = "drift-waivers.toml"


@dataclass(frozen=True, kw_only=True)
class Waiver(waivers.Waiver):
    """For the differences whose object, as it is shown, fits a pattern with `*`; and whose live side fits one, too."""

    object: str
    live: str = "*"
    EXAMPLE: ClassVar[str] = (
        'object = "customer.id identity", reason, until = 2027-06-30, and if wanted live = "serial"'
    )

    def covers(self, subject: Any) -> bool:
        return fnmatch.fnmatchcase(subject.object, self.object) and fnmatch.fnmatchcase(subject.live, self.live)

    def about(self) -> dict[str, str]:
        return {"object": self.object, "live": self.live}


def waived(project: Project) -> tuple[Waiver, ...]:
    """What a project accepts; none where it has no file. Raises `ConfigError` where one is not whole."""
    return waivers.read(project.ini.parent / FILE, Waiver)

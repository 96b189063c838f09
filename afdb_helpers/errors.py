"""Every error, sorted by one question: was anything changed?

    AfdbError
    ├── ConfigError   2   nothing was contacted
    ├── Refused       3   a gate said no; nothing changed
    ├── Unavailable   4   could not look; nothing changed
    ├── Incomplete    5   work began and did not end as planned, or well; the message says where it stands
    └── Interrupted   130 SIGINT, 143 SIGTERM

Each says what happened, why, and what to do; the number is the process's exit code.
"""

from __future__ import annotations

from typing import ClassVar


class AfdbError(Exception):
    """An error with three parts, all required, and an exit code. Its text never holds a secret."""

    exit_code: int = 1
    changed: ClassVar[str] = "unknown"

    def __init__(self, what: str, *, why: str, do: str) -> None:
        super().__init__(what, why, do)
        self.what, self.why, self.do = what, why, do

    def __str__(self) -> str:
        return f"{self.what}\n  why: {self.why}\n  do:  {self.do}"

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in a notebook: the message alone, since a traceback prints variables."""
        return [f"{type(self).__name__}: {self}"]


class ConfigError(AfdbError):
    """The request cannot be carried out as written; no database was contacted."""

    exit_code = 2
    changed = "nothing"


class Refused(AfdbError):
    """A gate said no, and nothing was changed."""

    exit_code = 3
    changed = "nothing"


class Unavailable(AfdbError):
    """What had to be looked at could not be; nothing was changed."""

    exit_code = 4
    changed = "nothing"


class Incomplete(AfdbError):
    """Work began and did not end as planned, or well; the message says where things stand and the next command."""

    exit_code = 5
    changed = "possibly"


class Interrupted(AfdbError):
    """A signal ended the work. `signum` 2 gives exit code 130, 15 gives 143."""

    exit_code = 130
    changed = "possibly"

    def __init__(self, what: str, *, why: str, do: str, signum: int = 2) -> None:
        super().__init__(what, why=why, do=do)
        self.exit_code = 128 + signum


def by_name(name: str) -> type[AfdbError] | None:
    """The error class called `name`, or None where it is none of ours (a kernel reports errors by name only)."""
    known: list[type[AfdbError]] = [AfdbError]
    for cls in known:
        known.extend(cls.__subclasses__())
    return next((cls for cls in known if cls.__name__ == name), None)

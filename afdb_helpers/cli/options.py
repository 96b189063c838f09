"""Options that several commands share: the target, and another project with its interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]
INI = "Another project's alembic.ini."
PYTHON = "That project's own interpreter."


def target(command: Command) -> Command:
    return click.option("--target", default="default", show_default=True, help="The target's name.")(command)


def project(command: Command) -> Command:
    command = click.option("--python", metavar="PATH", help=PYTHON)(command)
    return click.option("--alembic-ini", "ini", metavar="PATH", help=INI)(command)


def use(ini: str | None, python: str | None) -> None:
    """Make it the project of this process and of the kernels it starts, whatever folder they work in."""
    for setting, path in (("AFDB_ALEMBIC_INI", ini), ("AFDB_PYTHON", python)):
        if path:
            os.environ[setting] = str(Path(path).absolute()) if os.sep in path or setting != "AFDB_PYTHON" else path

"""squawk over the statements, each a file of its own, so that one it cannot read hides no other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from afdb_helpers.errors import Unavailable
from afdb_helpers.lint.tokens import without_parameters

NOT_READ = "syntax-error"
# Taste, or what is done here already: timeouts are set for every session, a died run is gone on with, transactions are
# Alembic's, and a concurrent index within one fails in the rehearsal.
LEFT_OUT = (
    "prefer-text-field", "prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity",
    "prefer-timestamp-tz", "prefer-robust-stmts", "prefer-repack", "ban-char-field", "identifier-too-long",
    "require-timeout-settings", "require-lock-timeout", "require-statement-timeout", "require-table-schema",
    "transaction-nesting", "ban-uncommitted-transaction", "ban-concurrent-index-creation-in-transaction",
)  # fmt: skip


@dataclass(frozen=True)
class Remark:
    """What squawk says of the statement of that number."""

    number: int
    rule: str
    level: str
    message: str
    help: str


def run(statements: Sequence[str], version: int | None = None) -> list[Remark]:
    """What squawk says of each statement, `version` being the server's major. Raises `Unavailable` without squawk."""
    with tempfile.TemporaryDirectory(prefix="afdb-lint-") as folder:
        files = []
        for number, sql in enumerate(statements):
            files.append(Path(folder, f"{number}.sql"))
            files[-1].write_text(without_parameters(sql) + ";\n")
        if not files:
            return []
        server = [f"--pg-version={version}"] if version else []
        arguments = ["--reporter=json", f"--exclude={','.join(LEFT_OUT)}", *server, *map(str, files)]
        done = subprocess.run([_program(), *arguments], capture_output=True, text=True, check=False, cwd=folder)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise _not_run(said[-1] if said else f"it ended with {done.returncode} and said nothing") from None
    return [_remark(one) for one in found]


def _remark(one: dict[str, str]) -> Remark:
    number = int(Path(one["file"]).stem)
    return Remark(number, one["rule_name"], one["level"], one["message"], one.get("help") or "")


def _program() -> str:
    """The program that the wheel put beside this interpreter, else the one on PATH."""
    found = shutil.which("squawk", path=str(Path(sys.executable).parent)) or shutil.which("squawk")
    if not found:
        raise _not_run("there is no squawk beside this interpreter nor on PATH")
    return found


def _not_run(why: str) -> Unavailable:
    return Unavailable("the statements cannot be linted", why=why, do="pip install squawk-cli")

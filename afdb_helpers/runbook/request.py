"""What is asked to be run, judged before a kernel starts or anything is written."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import targets
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.runbook import catalogue, leaks, parameters, provenance
from afdb_helpers.runbook.kernels import FORMATS, without

if TYPE_CHECKING:
    from nbformat import NotebookNode

UNCOMMITTED = "AFDB_UNCOMMITTED"  # the setting with which an edited notebook may be tried on an unprotected target
KERNELS = ("python3", "python")
SKIPPING = {
    "raises-exception": "its failure would be taken for a success",
    "skip-execution": "it would be recorded as run",
}


@dataclass(frozen=True)
class Request:
    """A run that may begin: the notebook as it stands in its file, and the values it is to get."""

    runbook: catalogue.Runbook
    sha256: str
    notebook: NotebookNode
    given: Mapping[str, Any]
    secrets: leaks.Known
    committed: bool | None = None
    cell_timeout: float | None = None
    start_timeout: float = 60.0

    @property
    def mode(self) -> str:
        """`engine`, or `trial` for a notebook that is not the committed one: no audit record."""
        return "trial" if self.committed is False else "engine"

    @property
    def values(self) -> dict[str, Any]:
        """Every parameter's value, the defaults included."""
        return {p.name: p.default for p in self.runbook.parameters if not p.required} | dict(self.given)

    @property
    def target(self) -> str | None:
        value = self.values.get("target")
        return str(value) if value else None


def admit(
    path: Path, given: Mapping[str, Any], *, cell_timeout: float | None = None, start_timeout: float = 60.0
) -> Request:
    """Judge a request: an unexecuted notebook for this kernel, whose parameters take these values, none a secret.

    Raises `ConfigError` or `Refused`; starts and writes nothing.
    """
    data = catalogue.load(path)
    text = path.read_text(encoding="utf-8")
    _refuse_executed(path, data)
    refuse_skipping(data["cells"])
    kernel_name(data.get("metadata", {}), None)
    book = catalogue.read(path)
    secrets = leaks.known(targets.environment(), public=text)
    values = parameters.check(book.parameters, given, secrets, runbook=book.name)
    if cell_timeout is not None and cell_timeout <= 0:
        raise ConfigError("the cell timeout is not positive", why="no cell could run", do="give seconds, or none")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    committed = provenance.committed(path.absolute())
    asked = Request(book, sha256, _notebook(path, text), values, secrets, committed, cell_timeout, start_timeout)
    _refuse_another(asked)
    return asked


def kernel_name(metadata: Mapping[str, Any], asked: str | None) -> str:
    """The one kernel there is. Raises `ConfigError` where notebook or caller want another."""
    spec = metadata.get("kernelspec", {})
    wanted = asked or spec.get("name") or KERNELS[0]
    language = spec.get("language") or metadata.get("language_info", {}).get("name") or "python"
    if wanted in KERNELS and language == "python":
        return KERNELS[0]
    raise ConfigError(
        f"unknown kernel: {wanted} ({language})",
        why="a runbook runs on the interpreter that afdb is installed in, known as python3, so that its code is known",
        do="set the notebook's kernel to python3, and leave out -k",
    )


def refuse_skipping(cells: list[dict[str, Any]]) -> None:
    """Raise `Refused` on tags that make a runner pass over a cell's failure, or over the cell."""
    for number, cell in enumerate(cells):
        for tag in set(catalogue.tags(cell)) & set(SKIPPING):
            raise Refused(
                f"cell {cell.get('id', number)} is tagged {tag}", why=SKIPPING[tag], do="remove the tag from the cell"
            )


def _refuse_another(asked: Request) -> None:
    """Raise `Refused` on a notebook that is not the one that was reviewed: its record would tell of another."""
    if asked.committed:
        return
    path, protected = asked.runbook.path, _is_protected(asked.target)
    if asked.committed is None and protected and path.absolute().parent != catalogue.folder():
        raise Refused(
            f"{path.name} is in no repository, and target {asked.target} is protected",
            why="nobody can tell whether it is the notebook that was reviewed",
            do="commit it, or run the runbook itself: `afdb runbooks` lists them",
        )
    if asked.committed is False and (protected or not targets.environment().get(UNCOMMITTED)):
        trying = "" if protected else f"; to try it, set {UNCOMMITTED}=1 or run it in JupyterLab: no audit record"
        raise Refused(
            f"{path.name} is not the committed notebook",
            why="it was edited since, or never committed, so its record would show what nobody reviewed",
            do=f"commit it, or take the edit back: git checkout -- {path.name}, or pip install it anew{trying}",
        )


def _is_protected(name: str | None) -> bool:
    """Whether the target is; one that nobody configured is said to be missing by the run itself."""
    with contextlib.suppress(ConfigError):
        return name is not None and targets.get(name).protected
    return False


def _refuse_executed(path: Path, data: Mapping[str, Any]) -> None:
    """An executed notebook holds what an earlier run was given, and would silently use it again."""
    code = [cell for cell in data["cells"] if cell.get("cell_type") == "code"]
    injected = any("injected-parameters" in catalogue.tags(cell) for cell in code)
    ran = any(cell.get("outputs") or cell.get("execution_count") is not None for cell in code)
    if injected or ran or "papermill" in data.get("metadata", {}):
        held = "parameters of an earlier run" if injected else "outputs of an earlier run"
        raise Refused(
            f"{path.name} is an executed notebook",
            why=f"it holds {held}, which would be taken for this run's",
            do="run the runbook itself; outputs left in it by JupyterLab are removed with `nbstripout FILE`",
        )


def _notebook(path: Path, text: str) -> NotebookNode:
    with without(*FORMATS):
        import nbformat
    try:
        notebook: NotebookNode = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        nbformat.validate(notebook)
    except (nbformat.ValidationError, nbformat.reader.NotJSONError) as error:
        why = str(error).splitlines()[0]
        raise ConfigError(f"{path} is not a notebook", why=why, do="open it in JupyterLab and save it") from None
    return notebook

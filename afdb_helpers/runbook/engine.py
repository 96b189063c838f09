"""papermill's engine `afdb`, and `execute`, which goes through it: one way to run a notebook, whoever starts it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from afdb_helpers.errors import AfdbError, ConfigError, Interrupted
from afdb_helpers.runbook import catalogue, record, request, running
from afdb_helpers.runbook.kernels import FORMATS, Kernels, without
from afdb_helpers.runbook.outcome import Failure
from afdb_helpers.runbook.running import Running, RunResult
from afdb_helpers.runbook.signals import Signals

if TYPE_CHECKING:
    from nbformat import NotebookNode

_STORES = ("boto3", "pyarrow")  # of papermill's own stores, half of its import; a runbook is a file


def execute(
    name_or_path: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    cell_timeout: float | None = None,
    start_timeout: float = 60.0,
    kernels: Kernels | None = None,
    signals: Signals | None = None,
) -> RunResult:
    """Run a runbook in a kernel of its own and leave its record. Text values are parsed by the declared types.

    Raises `ConfigError`, `Refused` or `Unavailable` where it is not begun; a run that has begun always returns, and its
    `exit_code` is that of run.json.
    """
    asked = request.admit(
        catalogue.find(name_or_path), parameters or {}, cell_timeout=cell_timeout, start_timeout=start_timeout
    )
    with ExitStack() as stack:
        signals = signals or stack.enter_context(Signals())
        pool = kernels or stack.enter_context(Kernels())
        run = running.begin(asked, pool, signals)
        try:
            _through_papermill(run)
        finally:
            if run.result is None:
                run.end(Failure("exception", "papermill failed before the first cell"))
    assert run.result is not None
    return run.result


def execute_many(steps: Iterable[tuple[str | Path, Mapping[str, Any]]], **options: Any) -> list[RunResult]:
    """Run runbooks one after the other in this process, each kernel booting while the run before it works.

    Ends with the first run that is not ok; what is left of `steps` is not run. Raises `Interrupted` when a signal comes
    between two runs.
    """
    todo = list(steps)
    results: list[RunResult] = []
    with Signals() as signals, Kernels(len(todo)) as kernels:
        for name, parameters in todo:
            if signals.received:
                raise _between(signals.received[0], name)
            results.append(execute(name, parameters, kernels=kernels, signals=signals, **options))
            if not results[-1].ok:
                break
    return results


class Stopped(click.ClickException):
    """What papermill's command line ends with: our message alone, and our exit code. `result` is None if not begun."""

    exit_code: int = 1  # type: ignore[misc]  # click has one for each class, we have one for each run

    def __init__(self, message: str, exit_code: int, result: RunResult | None = None) -> None:
        super().__init__(message)
        self.exit_code, self.result = exit_code, result

    def show(self, file: Any = None) -> None:
        click.echo(self.message, file=file, err=True)


class AfdbEngine:
    """The engine as papermill calls it. It runs the notebook as it stands in its file, not papermill's copy of it."""

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        *,
        input_path: str,
        output_path: str | None = None,
        execution_timeout: float | None = None,
        start_timeout: float = 60.0,
        running: Running | None = None,
        **others: Any,
    ) -> NotebookNode:
        """Run it and return the executed notebook, or raise `Stopped`."""
        if running is not None:
            result = running.perform()
        else:
            try:
                given = nb.metadata["papermill"].get("parameters", {})
                source, outputs = _files(input_path, output_path)
                asked = request.admit(source, given, cell_timeout=execution_timeout, start_timeout=start_timeout)
                running, result = _alone(asked, outputs)
                click.echo(f"record: {result.folder}", err=True)
            except AfdbError as error:
                raise Stopped(str(error), error.exit_code) from None
        if not result.ok:
            raise Stopped(str(result), result.exit_code, result)
        return running.notebook

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """The one kernel there is; another is refused here, before anything is started."""
        try:
            return request.kernel_name(nb.metadata, name)
        except AfdbError as error:
            raise Stopped(str(error), error.exit_code) from None

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        return language or "python"


def _through_papermill(run: Running) -> None:
    with without(*FORMATS, *_STORES):
        import papermill
    path = str(run.request.runbook.path).replace("{", "{{").replace("}", "}}")
    try:
        papermill.execute_notebook(
            path,
            None,
            engine_name="afdb",
            kernel_name=request.KERNELS[0],
            language="python",
            progress_bar=False,
            running=run,
        )
    except Stopped as stopped:
        if stopped.result is None:
            raise


def _alone(asked: request.Request, outputs: list[Path]) -> tuple[Running, RunResult]:
    """A run that papermill's own command line began."""
    with Signals() as signals, Kernels() as pool:
        run = running.begin(asked, pool, signals)
        return run, run.perform(outputs)


def _files(input_path: str, output_path: str | None) -> tuple[Path, list[Path]]:
    """The notebook's file and where papermill wants the result; that file is then only ever written in one step."""
    from papermill.iorw import papermill_io

    base = _base()
    source = base / str(input_path)
    if not source.is_file():
        raise ConfigError(
            "the runbook is not a file", why="its hash is part of the record", do="give papermill its path"
        )
    if output_path is None:
        return source, []
    output = base / output_path
    if "://" in output_path or not output.parent.is_dir() or output.resolve() == source.resolve():
        raise ConfigError(
            f"{output_path} cannot be the output",
            why="it has to be a file in a folder that exists, and another one than the runbook",
            do="name another output file",
        )
    papermill_io.register(output_path, _InOneStep())
    return source, [output]


def _base() -> Path:
    """The folder that papermill's paths start from: where it was called, also with --cwd."""
    from papermill.iorw import papermill_io

    return Path(getattr(papermill_io.get_handler("local"), "_cwd", None) or os.getcwd())


class _InOneStep:
    """papermill's handler for local outputs: its last write, too, leaves either the old content or the new."""

    def write(self, text: str, path: str) -> None:
        record.write(_base() / path, text.encode())

    def pretty_path(self, path: str) -> str:
        return path


def _between(signum: int, name: str | Path) -> Interrupted:
    return Interrupted(
        "interrupted between two runs", why=f"a signal came before {name} had begun", do="run it again", signum=signum
    )

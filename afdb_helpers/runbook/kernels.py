"""Kernels of this very interpreter over private sockets; the next one boots while the current one works."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from afdb_helpers.errors import Unavailable

if TYPE_CHECKING:
    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

SHUTDOWN = 1.5  # seconds for a kernel to leave by itself; about one in twelve of ipykernel 7 hangs in its own exit
_NOT_FOR_CELLS = ("AFDB_RUN_DIR", "AFDB_RUN_ID", "AFDB_RUN_LEDGER", "AFDB_SIGNING_KEY")  # the engine signs, no cell
FORMATS = ("isoduration", "rfc3986_validator", "rfc3987_syntax")
_SOCKET_PATH = 100  # characters, a little under what the kernel of the operating system takes


class Kernel:
    """One kernel process with its connection file, sockets and log in a folder of their own."""

    def __init__(self) -> None:
        self.folder = _short_folder()
        self.manager: AsyncKernelManager
        self.client: AsyncKernelClient

    async def launch(self) -> None:
        """Start the process; it boots while the caller goes on."""
        from jupyter_client.manager import AsyncKernelManager

        self.manager = AsyncKernelManager(
            kernel_name="python3",
            transport="ipc",
            connection_file=str(self.folder / "k.json"),
            kernel_spec_manager=_this_interpreter(),
        )
        arguments = ["--HistoryManager.hist_file=:memory:", "--IPKernelApp.exec_PYTHONSTARTUP=False"]
        arguments += ["--IPKernelApp.log_level=50"]  # its log is shown where it dies, and is for that alone
        with (self.folder / "kernel.log").open("wb") as log:
            await self.manager.start_kernel(
                extra_arguments=arguments,
                env=_environment(self.folder),
                independent=True,  # kernel_side ties it to this process instead, and lets it roll back first
                stdout=log,
                stderr=log,
            )

    async def ready(self, folder: Path, *, timeout: float, position: str = "") -> None:
        """Wait for it, and tell it which record it works for. Raises `Unavailable` where it does not come up."""
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.allow_stdin = False
        deadline = time.monotonic() + timeout
        while (reply := await self._enter(folder, position)) is None:
            if self._process is None or self._process.poll() is not None:
                raise _not_started(f"its process ended with {self.ended_by()}", self.said())
            if time.monotonic() > deadline:
                raise _not_started(f"it did not answer within {timeout:g} s", self.said())
        if reply["content"]["status"] != "ok":
            raise _not_started(f"{reply['content'].get('ename')}: {reply['content'].get('evalue')}", self.said())

    async def _enter(self, folder: Path, position: str) -> dict[str, Any] | None:
        """Its answer, None where it is not up yet; to ask again is safe. Quicker than jupyter's own wait."""
        code = f'__import__("afdb_helpers.runbook.kernel_side", fromlist=["x"]).enter({str(folder)!r}, {position!r})'
        try:
            reply: dict[str, Any] = await self.client.execute_interactive(
                code, silent=True, store_history=False, allow_stdin=False, timeout=1.0, output_hook=lambda _: None
            )
        except (TimeoutError, Empty):
            return None
        return reply

    async def interrupt(self) -> None:
        """SIGINT to the kernel and its children: the cell ends with KeyboardInterrupt, and its `finally` blocks run."""
        with contextlib.suppress(RuntimeError):
            await self.manager.interrupt_kernel()

    def kill(self) -> None:
        """SIGKILL to the kernel and its children."""
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def ended_by(self) -> str:
        """How the process ended, for a person: `signal 9`, `exit code 1`."""
        code = self._process.poll() if self._process else None
        if code is None:
            return "it no longer answers"
        if code == -signal.SIGKILL:
            return "signal 9: it was killed, as when memory runs out"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def said(self) -> str:
        """The last line that the process itself wrote."""
        with contextlib.suppress(OSError):
            lines = (self.folder / "kernel.log").read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    async def stop(self) -> None:
        """Ask it to leave, then make it, with all that it started; remove its sockets."""
        process = self._process
        if process is not None:
            if process.poll() is None and hasattr(self, "client"):
                await self.manager.request_shutdown()
                await _gone(process, SHUTDOWN)
            self.kill()
            await _gone(process, 5.0)
        if hasattr(self, "client"):
            self.client.stop_channels()
        if hasattr(self, "manager"):
            await self.manager.cleanup_resources()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _process(self) -> Any:
        """The Popen of the process, None before it was started."""
        provisioner = getattr(getattr(self, "manager", None), "provisioner", None)
        return provisioner.process if provisioner else None


class Kernels:
    """Kernels for a number of runs in this process, the next always starting while the current one works.

    One event loop serves them all, so a kernel booted during one run can be used in the next.
    """

    def __init__(self, runs: int = 1) -> None:
        self._left = runs
        self._waiting: list[Kernel] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.runner = self._stack.enter_context(asyncio.Runner())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._stack:
            for kernel in self._waiting:
                kernel.kill()
                self.runner.run(kernel.stop())

    def start_next(self) -> None:
        """Launch the kernel of the next run, unless it is launched already."""
        if not self._waiting:
            self.runner.run(self.launch_next())

    async def launch_next(self) -> None:
        """The same from within the loop; does nothing when no further run is expected."""
        if not self._waiting and self._left > 0:
            self._left -= 1
            kernel = Kernel()
            self._waiting.append(kernel)
            await kernel.launch()

    def take(self) -> Kernel:
        """The kernel of this run, launched and perhaps ready. The caller stops it."""
        self._left = max(self._left, 0 if self._waiting else 1)
        self.start_next()
        return self._waiting.pop()


@contextlib.contextmanager
def without(*modules: str) -> Iterator[None]:
    """What the block imports finds none of these optional modules, unless they are loaded already.

    `FORMATS` are checks of jsonschema's that no schema here asks for, one of which compiles a grammar for a second.
    """
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _this_interpreter() -> Any:
    """A kernelspec manager that knows one kernel, this interpreter's, whatever specs a user has installed."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    class ThisInterpreter(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [sys.executable, "-m", "afdb_helpers.runbook.kernel_side", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    return ThisInterpreter()


def _environment(folder: Path) -> dict[str, str]:
    """This process's environment; IPython's own folder is private, so that no start-up file of a user's is run."""
    own = {"AFDB_RUNNER_PID": str(os.getpid()), "AFDB_KERNEL_DIR": str(folder), "IPYTHONDIR": str(folder / "ipython")}
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_CELLS}
    return kept | own


def _short_folder() -> Path:
    """A private folder whose sockets' paths the operating system takes."""
    wanted = [tempfile.gettempdir(), "/tmp"]  # noqa: S108 (mkdtemp makes it private)
    where = next((path for path in wanted if len(path) + len("/afdb-12345678/k-ipc-5") <= _SOCKET_PATH), wanted[-1])
    return Path(tempfile.mkdtemp(prefix="afdb-", dir=where))


async def _gone(process: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        await asyncio.sleep(0.01)


def _not_started(why: str, said: str) -> Unavailable:
    return Unavailable(
        "the kernel did not start",
        why=f"{why}; it said: {said}" if said else why,
        do=f"see what `{sys.executable} -m ipykernel_launcher` says",
    )

"""Run a notebook truthfully: typed parameters, a kernel of its own, a record that says what happened.

The modules, from what starts a run to what it is made of:

    engine        papermill's engine `afdb`, and `execute`
    running       one run from its record's first byte to its seal
    command       a command that has no notebook, recorded as a run is
    closing       what a record gets at its end, also where its process was killed
    execution     the cells, each with a status that is true
    outcome       how a run ended, decided from its journal
    request       what is asked to be run, judged before a kernel starts
    kernels       kernels over private sockets, the next one started ahead
    kernel_side   what happens inside a kernel before its first cell
    signals       signals to the runner, taken while a run goes on
    progress      which cell runs, shown after two seconds
    session       what a notebook calls: begin, note, keep, close
    audit         all records held against each other and the ledger
    checking      one record held against its sums, journal, signature and the ledger
    records       records read, found, checked
    listing       the list of all records, quick with thousands
    site          the pages over all records, kept up to date
    comparing     two records against each other, in words
    exporting     a record to hang on a ticket
    record        the folder a run leaves, written so that a crash leaves it readable
    attestation   a signed statement about a record, to be checked without afdb
    steps         the steps that a runbook lists, held against the journal
    shape         what run.json has to look like
    shelf         records in an object store
    provenance    who runs what: operator, CI job, commit, versions
    catalogue     the runbooks there are
    parameters    what a runbook may be given, from its syntax tree
    leaks         secrets of the settings, found wherever they must not be
    lint          thin cells
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from afdb_helpers.runbook.catalogue import Runbook as Runbook
    from afdb_helpers.runbook.command import recorded as recorded
    from afdb_helpers.runbook.engine import execute as execute
    from afdb_helpers.runbook.engine import execute_many as execute_many
    from afdb_helpers.runbook.running import RunResult as RunResult
    from afdb_helpers.runbook.session import Run as Run
    from afdb_helpers.runbook.session import begin as begin

_HOME = {
    "Run": "session",
    "RunResult": "running",
    "Runbook": "catalogue",
    "begin": "session",
    "execute": "engine",
    "execute_many": "engine",
    "recorded": "command",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """A public name, its module imported when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

"""What run.json of a test's own record says, as the engine would have written it."""

from __future__ import annotations

from typing import Any

from afdb_helpers.runbook import provenance, record


def begun(runbook: str = "backup", target: str | None = "staging") -> dict[str, Any]:
    """A run of the engine that has begun."""
    return {
        "mode": "engine",
        "runbook": {"name": runbook, "path": f"/{runbook}.ipynb", "sha256": "0" * 64, "committed": True, "steps": {}},
        "who": {"os_user": "ann", "git_author": None, "ci_actor": None, "ci_run_url": None, "database_role": None},
        "runner": provenance.runner(),
        "git": {"sha": None, "dirty": None},
        "versions": {"python": "3"},
        "parameters": {},
        "parameters_given": [],
        "approval": {"digest": None, "approver": None, "change_ref": None, "reason": None},
        "target": {"name": target} if target else None,
        "secrets_indistinct": [],
        "started": record.now(),
        "ended": None,
        "outcome": None,
        "exit_code": None,
        "cause": None,
        "failing_cell": None,
    }


def ended(outcome: str = "succeeded") -> dict[str, Any]:
    """What is added when it has ended."""
    code = {"succeeded": 0, "refused": 3, "failed_unchanged": 1, "failed_changed": 5, "interrupted": 130}[outcome]
    said = {"ended": record.now(), "seconds": 1.5, "outcome": outcome, "exit_code": code, "changed": False}
    return said | {"headline": "done", "evidence": [], "cause": None if code == 0 else "exception"}

"""What the tutorial and the GitHub workflow tell an operator to do is done here, line by line."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "tutorial.md"
WORKFLOW = ROOT / ".github" / "workflows" / "migrate-production.yml"
pytestmark = pytest.mark.xdist_group("walkthrough")


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A short path that a server's own user can reach."""
    with tempfile.TemporaryDirectory(prefix="afdb-walk-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def shell(tmp_path: Path, scratch: Path) -> Iterator[dict[str, str]]:
    """A terminal in the repository with its environment active; records and backups go elsewhere."""
    given = {key: os.environ[key] for key in ("HOME", "LANG") if key in os.environ}
    yield given | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "AFDB_SCRATCH": str(scratch),
        "AFDB_RECORDS": str(tmp_path / "records"), "AFDB_BACKUPS": str(tmp_path / "backups"),
    }  # fmt: skip
    subprocess.run([Path(sys.executable).with_name("afdb"), "demo", "--stop"], cwd=ROOT, check=False,
                   capture_output=True, env=given | {"AFDB_SCRATCH": str(scratch)})  # fmt: skip


def bash(script: str, environment: dict[str, str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", script], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def commands() -> str:
    """The page's shell blocks from where a production is at hand, one after the other."""
    said = PAGE.read_text().split("\n## 2. ")[1]
    return "".join(re.findall(r"```sh\n(.*?)```", said, flags=re.DOTALL)).replace("source .venv/bin/activate\n", "")


def test_the_tutorial_is_true_line_by_line(shell: dict[str, str], tmp_path: Path) -> None:
    before, protected, then = commands().partition("afdb upgrade --target production\n")
    preparing, plan, after = then.partition("afdb plan --target production --format markdown\n")
    url = re.search(r"PRODUCTION_DATABASE_URL=\$\((.*?)\)", before)
    assert url
    shell["PRODUCTION_DATABASE_URL"] = bash(url[1], shell).stdout.strip()
    assert bash(before.replace(url[0], "PRODUCTION_DATABASE_URL"), shell).stdout == "001\n"
    refused = bash(protected, shell)
    assert (refused.returncode, "is protected" in refused.stderr) == (3, True)
    prepared = bash(preparing + plan, shell)
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    digest = re.search(r"^digest: (sha256:\w{64})$", prepared.stdout, flags=re.MULTILINE)
    assert digest
    assert f"Digest `{digest[1]}`" in prepared.stdout  # the plan for the approver, in Markdown
    assert "## What lint says of the statements\n\nlint: " in prepared.stdout
    apply = next(line for line in after.splitlines() if line.startswith("afdb apply"))
    refused = bash(re.sub(r" --reason .*", "", apply).replace("sha256:…", digest[1]), shell)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "after: 001" in refused.stdout
    done = bash(after.replace("sha256:…", digest[1]), shell)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "002 (head)" in done.stdout
    runs = [json.loads(path.read_text()) for path in sorted((tmp_path / "records").glob("*/run.json"))]
    well = [run["runbook"]["name"] for run in runs if run["outcome"] == "succeeded"]
    assert well == ["discovery", "backup", "rehearsal", "migration", "verification"]
    approval = next(run for run in runs if run["outcome"] == "succeeded" and run["runbook"]["name"] == "migration")
    given = ["approve", "approver", "change_ref", "direction", "reason", "revision", "target"]
    assert approval["parameters_given"] == given, "what was left at its default was not given"
    assert (approval["approval"]["approver"], approval["approval"]["digest"]) == ("alice", digest[1])


# --- the GitHub workflow


def steps(job: str) -> list[dict[str, Any]]:
    said: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    return [step for step in said["jobs"][job]["steps"] if "run" in step]


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """A checkout as a runner has it."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("afdb_helpers", "alembic", "runbooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))  # those being written
    for name in ("alembic.ini", "lint-waivers.toml", "Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy2(ROOT / name, folder)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv" / ".ready").touch()
    return folder


def play(job: str, environment: dict[str, str], cwd: Path, **context: str) -> subprocess.CompletedProcess[str]:
    """The shell steps of a job, in order, as a runner runs them; the first that fails is the result."""
    done = subprocess.CompletedProcess("", 0, "", "")
    output = Path(environment["GITHUB_OUTPUT"])
    for step in steps(job):
        given = {
            name: context.get(re.sub(r"\W+", "_", value).strip("_"), "") for name, value in step.get("env", {}).items()
        }
        said = dict(line.split("=", 1) for line in output.read_text().splitlines())
        given |= {
            name: said[value] for name, value in (("DIGEST", "digest"), ("APPROVER", "approver")) if name in given
        }
        done = bash(step["run"], environment | given, cwd)
        if done.returncode:
            return done
    return done


@pytest.fixture
def github(shell: dict[str, str], tmp_path: Path, runner: Path) -> dict[str, str]:
    """What GitHub gives a job, and the database at 001 that stands in for production."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gh").write_text('#!/bin/sh\ntest -n "$GH_TOKEN" && printf "%s\\n" "$APPROVED_BY"\n')
    (programs / "gh").chmod(0o755)
    (tmp_path / "output").touch()
    made = bash("afdb demo --database", shell)
    assert made.returncode == 0, made.stderr
    return shell | {
        "PATH": f"{programs}:{shell['PATH']}", "GITHUB_OUTPUT": str(tmp_path / "output"), "APPROVED_BY": "alice",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "1",
        "PRODUCTION_DATABASE_URL": made.stdout.strip(), "REVISION": "head", "CHANGE_REF": "OPS-12",
        "REASON": 'the "marketplace"; $(touch pasted)', "GITHUB_ACTOR": "bob", "CI": "true",
    }  # fmt: skip


def test_the_workflow_prepares_waits_for_an_approver_and_applies(
    github: dict[str, str], runner: Path, tmp_path: Path
) -> None:
    prepared = play("prepare", github, runner)
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    assert re.fullmatch(r"digest=sha256:\w{64}\n", (tmp_path / "output").read_text())
    assert "Digest `sha256:" in (tmp_path / "summary.md").read_text()
    nobody = play("apply", github | {"APPROVED_BY": ""}, runner, github_token="t")
    assert (nobody.returncode, "nobody has approved" in nobody.stdout) == (3, True)
    himself = play("apply", github | {"APPROVED_BY": "bob"}, runner, github_token="t")
    assert himself.returncode == 3, himself.stdout + himself.stderr
    assert "cannot approve what" in himself.stdout + himself.stderr
    applied = play("apply", github, runner, github_token="t")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert "after: 002" in applied.stdout
    runs = [json.loads(path.read_text()) for path in sorted((tmp_path / "records").glob("*-migration-*/run.json"))]
    assert [run["outcome"] for run in runs] == ["refused", "succeeded"]
    assert runs[1]["approval"]["reason"] == github["REASON"]
    assert not (runner / "pasted").exists(), "an input was run as shell"
    output = tmp_path / "output"
    output.write_text("")
    again = play("prepare", github, runner)
    assert (again.returncode, output.read_text()) == (0, ""), "nothing to do gives no digest, so apply is left out"


def test_no_input_or_secret_is_pasted_into_a_script() -> None:
    found = [step["run"] for job in ("prepare", "apply") for step in steps(job)]
    assert len(found) == 5
    assert not [script for script in found if "${{" in script]
    assert "if: needs.prepare.outputs.digest != ''" in WORKFLOW.read_text()


def test_the_example_for_airflow_is_python_and_its_commands_exist() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), flags=re.DOTALL)
    ast.parse(code)
    from test_docs import wrong_with

    commands = re.findall(r"\{AFDB\} ((?:prepare|apply) [^|'\n]*)", code)
    assert len(commands) == 2
    assert [wrong for line in commands if (wrong := wrong_with(f"afdb {line}"))] == []

"""The docs are held against the code: what is on a page exists, and what exists is on a page."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from afdb_helpers.cli import afdb
from afdb_helpers.runbook import catalogue

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
REQUIRED = {
    "advice.md", "BACKEND_CONSOLIDATION_SUMMARY.md", "backend-discovery.md", "backend-options-and-costs.md",
    "data-model-overview.md",
    "house.md", "manifest.md", "migrations-workflow.md", "reference.md", "restore.md", "why.md",
}  # fmt: skip
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
# programs that are not ours, and may be shown
OTHERS = {"alembic", "papermill", "sqlite3", "psql", "export", "cp", "source"}


def everything() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None, f"{name} lists {child} and does not have it"
            yield from commands(f"{name} {child}", found)


def test_every_page_that_is_promised_is_there() -> None:
    assert {page.name for page in PAGES} >= REQUIRED | {"README.md", "CHANGELOG.md"}


def test_the_readme_fits_a_glance() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_every_command_and_option_is_on_a_page() -> None:
    text, found = everything(), list(commands("afdb", afdb))
    names = [name for name, _ in found]
    assert {"afdb demo", "afdb run migration", "afdb records show", "afdb upgrade", "afdb apply"} <= set(names)
    assert [name for name in names if name not in text] == []
    reference = (ROOT / "docs" / "reference.md").read_text()
    options = {max(p.opts, key=len) for name, c in found for p in c.params if isinstance(p, click.Option)}
    parameters = {p.name for book in catalogue.catalogue(ROOT / "runbooks") for p in book.parameters}
    lacking = {o for o in options if o not in reference and o.removeprefix("--").replace("-", "_") not in parameters}
    assert len(options) > 20
    assert lacking == set()


def test_every_setting_is_on_a_page() -> None:
    settings = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    assert {"DATABASE_URL", "POSTGRES_PASSWORD", "AFDB_RECORDS", "SUPABASE_URL"} <= set(settings)
    text = everything()
    assert [name for name in settings if f"`{name}" not in text] == []


def test_every_setting_that_the_code_reads_is_in_the_example() -> None:
    """The other way round: a setting nobody can find out about is a defect."""
    source = "\n".join(path.read_text() for path in (ROOT / "afdb_helpers").rglob("*.py"))
    read = set(re.findall(r"""["'](AFDB_[A-Z_]+)["']""", source))
    internal = {name for name in read if name.startswith(("AFDB_RUN", "AFDB_KERNEL"))}  # engine to kernel
    assert {"AFDB_RECORDS", "AFDB_BACKUPS", "AFDB_PROTECTED"} <= read
    example = (ROOT / ".env.example").read_text()
    assert {name for name in read - internal if f"{name}=" not in example} == set()


def test_every_parameter_of_every_runbook_is_on_a_page_with_its_help() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    books = catalogue.catalogue(ROOT / "runbooks")
    assert len(books) == 6
    for book in books:
        section = reference.split(f"### afdb run {book.name}\n")[1].split("\n### ")[0]
        assert [p.name for p in book.parameters if f"`{p.name}`" not in section] == []
        assert [p.name for p in book.parameters if not p.help] == []


# --- Links ------------------------------------------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*)$", FENCE.sub("", text), flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = sum(1 for one in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", one))
        found.add(f"{slug}-{number}" if slug in found else slug)
    return found


def broken_links(page: Path) -> list[str]:
    text = page.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`([^`\n]*)`", r"\1", FENCE.sub("", text)))
    broken = []
    for link in links:
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title, here\n[1](#a-title-here) [2](#gone) [3](gone.md) [`4`](page.md#a-title)\n```\n[5](x)\n```\n"
    )
    assert broken_links(page) == ["#gone", "gone.md", "page.md#a-title"]


def test_pages_link_to_each_other() -> None:
    """Every page of docs/ is reached from the README."""
    readme = (ROOT / "README.md").read_text()
    assert {name for name in REQUIRED if f"(docs/{name})" not in readme} == set()


def test_the_book_is_built_strictly_a_broken_link_or_a_page_nobody_finds_ends_it(tmp_path: Path) -> None:
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", "built"]
    (tmp_path / "docs" / "nowhere.md").write_text("# Nowhere\n\n[gone](restore.md#gone)\n")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr
    assert "#gone" in done.stderr


# --- Generated parts --------------------------------------------------------------------------------------------------


def cog_check(*pages: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cogapp", "--check", *map(str, pages)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "40"}  # narrow: no width comes from the terminal
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_the_generated_parts_are_up_to_date() -> None:
    pages = [page for page in PAGES if "[[[cog" in page.read_text()]
    assert len(pages) >= 6
    done = cog_check(*pages)
    assert done.returncode == 0, f"run `make docs`\n{done.stdout}{done.stderr}"


def test_a_generated_part_that_was_edited_would_be_seen(tmp_path: Path) -> None:
    page = Path(shutil.copy(ROOT / "docs" / "data-model-overview.md", tmp_path))
    assert cog_check(page).returncode == 0
    page.write_text(page.read_text().replace("| `slug` | string |", "| `slug` | text |"))
    assert cog_check(page).returncode != 0


# --- Commands that are shown ------------------------------------------------------------------------------------------


def shown(text: str) -> Iterator[str]:
    """Every command line of shell blocks, and every command between backticks."""
    for language, block in FENCE.findall(text):
        if language == "sh":
            yield from (line for line in block.replace("\\\n", " ").splitlines())
    yield from re.findall(r"`((?:afdb|make|(?:\./)?scripts/[^\s`]+) [^`\n]*)`", FENCE.sub("", text))


def wrong_with(line: str) -> str:
    """What of a command line does not exist here; empty when all of it does."""
    words = [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]
    if not words:
        return ""
    program, given = words[0].removeprefix("./").removeprefix(".venv/bin/"), words[1:]
    if program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        return "" if set(given) <= set(targets) else f"no target {given}"
    if program.startswith("scripts/"):
        script = ROOT / program
        return "" if script.is_file() and f"{given[0]}" in script.read_text() else f"no {program} {given[0]}"
    if program == "afdb":
        return wrong_with_options(given)
    return "" if program in OTHERS else f"unknown program {program}"


def wrong_with_options(given: list[str]) -> str:
    command: click.Command = afdb
    while isinstance(command, click.Group) and given and not given[0].startswith("-"):
        if given[0] in ("NAME", "…", "list|show"):
            return ""
        try:
            found = command.get_command(click.Context(command), given[0])
        except Exception as error:
            return str(error)
        if found is None:
            return f"no command {given[0]}"
        command, given = found, given[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [
        word for word in given if re.match(r"-\w|--\w", word) and word not in known | {"--help", "-h", "--version"}
    ]
    return f"{command.name} has no {unknown}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_shown_exist(page: Path) -> None:
    assert [f"{line}: {wrong}" for line in shown(page.read_text()) if (wrong := wrong_with(line))] == []


def test_commands_are_found_and_wrong_ones_seen() -> None:
    found = [line for page in PAGES for line in shown(page.read_text())]
    assert len(found) > 40
    assert any("db-migrate-local.sh upgrade" in line for line in found)
    for wrong in ("make nonsense", "afdb frobnicate", "afdb upgrade --force", "afdb run nonsense", "rm -rf x",
                  "./scripts/db-migrate-local.sh nonsense", "afdb run migration --nonsense"):  # fmt: skip
        assert wrong_with(wrong), wrong
    for right in ("make demo", "afdb run migration --change-ref OPS-1", "X=1 ./scripts/db-migrate-prod.sh current"):
        assert not wrong_with(right), right


# --- Messages that are quoted -----------------------------------------------------------------------------------------


def messages() -> list[re.Pattern[str]]:
    """Every text of the code, as a pattern in which what is filled in may be anything."""
    found = []
    for path in [*(ROOT / "afdb_helpers").rglob("*.py"), *(ROOT / "alembic").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [p.value if isinstance(p, ast.Constant) and isinstance(p.value, str) else None for p in parts]
            if sum(len(text or "") for text in texts) >= 8:
                found.append(re.compile("".join(".+" if text is None else re.escape(text) for text in texts)))
    return found


def quoted() -> list[str]:
    """The first column of the tables under Troubleshooting."""
    text = (ROOT / "docs" / "migrations-workflow.md").read_text().split("\n## Troubleshooting\n")[1].split("\n## ")[0]
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


def test_every_message_under_troubleshooting_is_one_that_the_code_says() -> None:
    known, said = messages(), quoted()
    assert len(said) > 30
    assert [message for message in said if not any(pattern.fullmatch(message) for pattern in known)] == []


def test_a_message_that_nobody_says_would_be_seen() -> None:
    assert not any(pattern.fullmatch("the database is on fire") for pattern in messages())

"""The documents that are made from a chain: of any project, block by block, and stale when the chain moves on."""

from __future__ import annotations

from pathlib import Path

import projects
import pytest
from click.testing import CliRunner, Result

from afdb_helpers.catalog import Catalog
from afdb_helpers.cli.docs import docs
from afdb_helpers.discovery import documents
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.revisions import Project

pytestmark = pytest.mark.xdist_group("discovery")

FIRST, SECOND = projects.FIRST, projects.SECOND


def _docs(project: Project, *options: str) -> Result:
    return CliRunner().invoke(docs, ["--alembic-ini", str(project.ini), *options])


def test_documents_of_any_project_are_made_kept_up_to_date_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = projects.small(tmp_path / "small")
    folder = project.ini.parent / "docs"
    assert isinstance(_docs(project, "--check").exception, Refused)
    assert not folder.exists(), "a check writes nothing"
    assert "2 pages written" in _docs(project).output
    model = (folder / "data-model-overview.md").read_text()
    assert f"| `title` | character varying(40) | no | | renamed from `name` in {SECOND} |" in model
    assert f"| `note` | text | yes | | added in {SECOND} |" in model
    assert f"| `balance` | numeric(12,4) | yes | `'0'::numeric` | {FIRST} |" in model
    assert "Referred to by: `invoice.customer_id`." in model
    assert "customer ||--o{ invoice" in model
    found = (folder / "backend-discovery.md").read_text()
    assert f"| `{SECOND}` | {FIRST} | a name is a title | no | its downgrade | ACCESS EXCLUSIVE on customer |" in found
    assert str(tmp_path) not in model + found
    assert "up to date" in _docs(project, "--check").output
    page = folder / "data-model-overview.md"
    page.write_text(page.read_text().replace("# The data model\n", "# Ours\n\nProse of ours.\n"))
    assert _docs(project, "--check").exit_code == 0, "prose between the blocks is nobody's business"
    projects.add(project, "3c", SECOND, "op.add_column('customer', sa.Column('deleted_at', sa.DateTime))")
    stale = _docs(project, "--check").exception
    assert isinstance(stale, Refused)
    assert stale.what == "backend-discovery.md, data-model-overview.md is out of date"
    assert stale.do == "afdb docs"
    _docs(project)
    assert "Prose of ours." in page.read_text()
    assert "| Soft deletion: a row is marked, not deleted | 1 | 1 | `deleted_at` |" in page.read_text()
    page.write_text("# A page of somebody's\n")
    refused = _docs(project).exception
    assert isinstance(refused, ConfigError)
    assert refused.why == "it has no block of afdb docs"
    assert page.read_text() == "# A page of somebody's\n"


def test_a_block_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("<!-- [afdb docs: nonsense] -->\n<!-- [end of it] -->\n")
    with pytest.raises(ConfigError, match=r"x\.md is not written") as caught:
        documents.write(tmp_path, {"x.md": {"chain": "y"}})
    assert "does not know: nonsense" in caught.value.why


def test_patterns_are_found_by_names_and_types_and_not_where_there_are_none() -> None:
    def table(**columns: str) -> dict[str, object]:
        return {"columns": {name: {"type": kind, "nullable": True, "default": None} for name, kind in columns.items()}}

    plain = Catalog("postgresql", {"a": table(id="INTEGER", tenants="TEXT", active_users="INTEGER")})
    assert documents.patterns(plain) == "None that is known by names or types.\n"
    rich = table(tenant_id="UUID", is_deleted="BOOLEAN", body="JSONB", created_at="TIMESTAMP WITH TIME ZONE",
                 at="TIMESTAMP WITHOUT TIME ZONE", price="DOUBLE PRECISION")  # fmt: skip
    said = documents.patterns(Catalog("postgresql", {"b": rich, "c": rich}))
    for name in documents.PATTERNS:
        assert (name in said) == (name != "Lists of values as a type of their own")
    assert "| JSON columns | 2 | 2 | `body` |" in said

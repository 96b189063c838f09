"""Small Alembic projects for the tests: made by `alembic init`, with revisions whose code a test writes."""

from __future__ import annotations

import contextlib
import io
import textwrap
from pathlib import Path
from typing import Any

from afdb_helpers.revisions import Project

FIRST = "1975e0837120"  # what a careless reader of parameters turns into a float
SECOND = "2b7d11a4c0de"

_FILE = '''"""{doc}"""

import sqlalchemy as sa
from alembic import op

revision = {id!r}
down_revision = {down!r}
branch_labels = None
depends_on = None
{more}

def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''

_CREATE = """
op.create_table(
    "customer",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(40), nullable=False),
    sa.Column("balance", sa.Numeric(12, 4), server_default="0"),
)
op.create_index("customer_name", "customer", ["name"])
op.create_table(
    "invoice",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False),
)
"""
_DROP = 'op.drop_table("invoice")\nop.drop_table("customer")'
RENAMED = {"customer": {"renamed": {"name": "title"}}}
_RENAME = """
op.execute("ALTER TABLE customer RENAME COLUMN name TO title")
op.add_column("customer", sa.Column("note", sa.Text))
"""
_UNRENAME = """
op.drop_column("customer", "note")
op.execute("ALTER TABLE customer RENAME COLUMN title TO name")
"""


def empty(folder: Path, *, template: str = "generic") -> Project:
    """A project as `alembic init` makes it, not one byte changed, without revisions."""
    from alembic import command
    from alembic.config import Config

    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):
        config = Config(folder / "alembic.ini", stdout=io.StringIO())
        command.init(config, str(folder / "migrations"), template=template)
    return Project(folder / "alembic.ini")


def small(folder: Path) -> Project:
    """Two tables in the first revision; in the second a column gets another name, and one is added."""
    project = empty(folder)
    add(project, FIRST, None, _CREATE, _DROP, doc="customers and invoices")
    add(project, SECOND, FIRST, _RENAME, _UNRENAME, doc="a name is a title", mapping=RENAMED)
    return project


def add(
    project: Project,
    id_: str,
    down: str | tuple[str, ...] | None,
    upgrade: str,
    downgrade: str = "pass",
    *,
    doc: str = "one more",
    mapping: dict[str, Any] | None = None,
) -> Path:
    """Write a revision. `upgrade` and `downgrade` are Python, with `op` and `sa` at hand."""
    more = f"mapping = {mapping!r}\n" if mapping else ""
    bodies = {
        "upgrade": textwrap.indent(textwrap.dedent(upgrade).strip(), "    "),
        "downgrade": textwrap.indent(textwrap.dedent(downgrade).strip(), "    "),
    }
    path = project.ini.parent / "migrations" / "versions" / f"{id_}_step.py"
    path.write_text(_FILE.format(doc=doc, id=id_, down=down, more=more, **bodies))
    return path


def sql(statement: str) -> str:
    """Revision code that executes a statement as it stands."""
    return f"op.get_bind().exec_driver_sql({statement!r})"

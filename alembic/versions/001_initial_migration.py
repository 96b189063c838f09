"""The eight tables that live databases of the platform hold.

Tables that are there already are left as they are: a database made by hand or by the platform's own create_all is taken
over, and 002 brings it into shape.

Revision ID: 001
Revises:
"""

import sqlalchemy as sa
from alembic import op

from afdb_helpers import online

revision = "001"
down_revision = None
branch_labels = None
depends_on = None

tables = sa.MetaData()
text, times = sa.String, ("created_at", "updated_at")


def table(name: str, *columns: sa.Column, times: tuple[str, ...] = times) -> None:
    """A table whose key is a text `id`, with its times last."""
    sa.Table(
        name, tables, sa.Column("id", text, primary_key=True), *columns, *(sa.Column(t, sa.DateTime) for t in times)
    )


def to(target: str, name: str, nullable: bool = True) -> sa.Column:
    """A column that refers to another table."""
    return sa.Column(name, text, sa.ForeignKey(f"{target}.id"), nullable=nullable)


table(
    "tenants",
    sa.Column("name", text, nullable=False),
    sa.Column("slug", text, nullable=False, unique=True, index=True),
    sa.Column("is_active", sa.Boolean),
    sa.Column("plan", text),
    sa.Column("resource_quota", sa.JSON),
    sa.Column("usage", sa.JSON),
)
table(
    "users",
    sa.Column("email", text, nullable=False, unique=True, index=True),
    sa.Column("hashed_password", text, nullable=False),
    sa.Column("is_active", sa.Boolean),
    sa.Column("is_superuser", sa.Boolean),
    to("tenants", "tenant_id"),
    sa.Column("roles", sa.JSON),
    sa.Column("permissions", sa.JSON),
)
table(
    "agents",
    sa.Column("name", text, nullable=False),
    sa.Column("instructions", sa.Text, nullable=False),
    sa.Column("model", text),
    sa.Column("config", sa.JSON),
    to("tenants", "tenant_id"),
    to("users", "user_id"),
)
table(
    "workflows",
    sa.Column("name", text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("definition", sa.JSON),
    to("tenants", "tenant_id"),
    to("users", "user_id"),
)
table(
    "blueprints",
    sa.Column("name", text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("version", text),
    sa.Column("author", text),
    sa.Column("category", text),
    sa.Column("tags", sa.JSON),
    sa.Column("config", sa.JSON),
    to("tenants", "tenant_id"),
    to("users", "user_id"),
)
table(
    "executions",
    sa.Column("type", text, nullable=False),
    sa.Column("entity_id", text, nullable=False),
    sa.Column("status", text, nullable=False),
    sa.Column("result", sa.JSON),
    sa.Column("error", sa.Text),
    to("tenants", "tenant_id"),
    to("users", "user_id"),
    times=("created_at", "completed_at"),
)
table(
    "audit_logs",
    sa.Column("event_type", text, nullable=False),
    to("users", "user_id"),
    to("tenants", "tenant_id"),
    sa.Column("resource_type", text),
    sa.Column("resource_id", text),
    sa.Column("action", text),
    sa.Column("success", sa.Boolean),
    sa.Column("metadata", sa.JSON),
    times=("created_at",),
)
table(
    "api_keys",
    sa.Column("key_hash", text, nullable=False),
    sa.Column("name", text),
    to("users", "user_id", nullable=False),
    to("tenants", "tenant_id", nullable=False),
    sa.Column("is_active", sa.Boolean),
    times=("last_used_at", "expires_at", "created_at"),
)

mapping = {name: {"created": True} for name in tables.tables}
change = online.Change(tables, mapping)


def upgrade() -> None:
    """Create what is not there; with it its indexes. Takes no lock on a table that is there."""
    here = online.begin(op, change)
    for each in tables.sorted_tables:
        if each.name not in here.tables:
            online.create_table(here, each)
            online.create_indexes(here, each)


def downgrade() -> None:
    """Drop the eight tables; refused while they have rows, unless -x allow_data_loss names them."""
    here = online.begin(op, change, down=True)
    online.refuse_loss(here)
    for each in reversed(tables.sorted_tables):
        online.drop_table(here, each.name)

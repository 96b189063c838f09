"""The twelve tables: marketplace, billing, a numbered audit trail.

Nothing that 001 holds is dropped: a column is renamed, or it stays. From every state that live databases are found in
this ends at one and the same schema, and a run that died is gone on with. On PostgreSQL the application reads and
writes meanwhile: what takes long is prepared beside it, then one short transaction renames and swaps, under ACCESS
EXCLUSIVE on the tables it changes. Views follow the renamed columns; functions with the old names in their text do not.

Revision ID: 002
Revises: 001
"""

import sqlalchemy as sa
from alembic import op

from afdb_helpers import online

revision = "002"
down_revision = "001"
branch_labels = None
depends_on = None

# What happens to the columns of 001; verification compares data through it.
mapping = {
    "agents": {"renamed": {"user_id": "created_by"}},
    "workflows": {"renamed": {"user_id": "created_by"}},
    "blueprints": {
        "renamed": {"user_id": "created_by"},
        "added": [
            "definition", "pricing_model", "price", "publisher_id", "is_public", "downloads", "rating", "reviews_count"
        ],
    },
    "executions": {
        "renamed": {"type": "execution_type", "entity_id": "resource_id", "result": "output_data",
                    "user_id": "created_by"},
        "added": ["input_data", "execution_time"],
    },
    "audit_logs": {
        "renamed": {"metadata": "details", "id": "legacy_id"},
        "added": ["id", "ip_address"],
        "key": {"column": "id", "kept": "legacy_id", "order_by": "created_at"},
        "indexes": ["ix_audit_logs_created_at"],
    },
    "api_keys": {"added": ["permissions", "updated_at"], "indexes": ["ix_api_keys_key_hash"]},
    "projects": {"created": True},
    "plans": {"created": True},
    "subscriptions": {"created": True},
    "usage_records": {"created": True},
}  # fmt: skip

# An older, faulty 002 copied audit_logs to this table and may have died there; the columns it copied as they were.
copies = {
    "audit_logs_new": (
        "audit_logs",
        ["event_type", "user_id", "resource_type", "resource_id", "action", "created_at"],
    )
}

tables = sa.MetaData()
text, times = sa.String, ("created_at", "updated_at")


def table(name: str, *columns: sa.Column, key: type = text, times: tuple[str, ...] = times) -> None:
    """A table whose key is `id`, with its times last."""
    sa.Table(
        name, tables, sa.Column("id", key, primary_key=True), *columns, *(sa.Column(t, sa.DateTime) for t in times)
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
    to("users", "created_by"),
)
table(
    "workflows",
    sa.Column("name", text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("definition", sa.JSON),
    to("tenants", "tenant_id"),
    to("users", "created_by"),
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
    to("users", "created_by"),
    sa.Column("definition", sa.JSON, server_default="{}", nullable=False),
    sa.Column("pricing_model", text, server_default="free"),
    sa.Column("price", sa.Float, server_default="0.0"),
    to("users", "publisher_id"),
    sa.Column("is_public", sa.Boolean, server_default=sa.false()),
    sa.Column("downloads", sa.Integer, server_default="0"),
    sa.Column("rating", sa.Float, server_default="0.0"),
    sa.Column("reviews_count", sa.Integer, server_default="0"),
)
table(
    "executions",
    sa.Column("execution_type", text, nullable=False),
    sa.Column("resource_id", text, nullable=False),
    sa.Column("status", text, nullable=False),
    sa.Column("output_data", sa.JSON),
    sa.Column("error", sa.Text),
    to("tenants", "tenant_id"),
    to("users", "created_by"),
    sa.Column("input_data", sa.JSON),
    sa.Column("execution_time", sa.Float),
    times=("created_at", "completed_at"),
)
table(
    "audit_logs",
    sa.Column("legacy_id", text),
    sa.Column("event_type", text, nullable=False),
    to("users", "user_id"),
    to("tenants", "tenant_id"),
    sa.Column("resource_type", text),
    sa.Column("resource_id", text),
    sa.Column("action", text),
    sa.Column("success", sa.Boolean),
    sa.Column("details", sa.JSON),
    sa.Column("created_at", sa.DateTime, index=True),
    sa.Column("ip_address", text),
    key=sa.Integer,
    times=(),
)
table(
    "api_keys",
    sa.Column("key_hash", text, nullable=False, unique=True, index=True),
    sa.Column("name", text),
    to("users", "user_id", nullable=False),
    to("tenants", "tenant_id", nullable=False),
    sa.Column("is_active", sa.Boolean),
    sa.Column("permissions", sa.JSON),
    times=("last_used_at", "expires_at", "created_at", "updated_at"),
)
table(
    "projects",
    sa.Column("name", text, nullable=False),
    sa.Column("project_type", text, server_default="saas_app"),
    to("tenants", "tenant_id", nullable=False),
    to("users", "created_by", nullable=False),
    sa.Column("config", sa.JSON, server_default="{}"),
    sa.Column("is_active", sa.Boolean, server_default=sa.true()),
)
table(
    "plans",
    sa.Column("name", text, nullable=False),
    sa.Column("plan_type", text, nullable=False),
    sa.Column("price_monthly", sa.Float, server_default="0.0"),
    sa.Column("price_yearly", sa.Float, server_default="0.0"),
    sa.Column("currency", text, server_default="USD"),
    sa.Column("features", sa.JSON, server_default="{}"),
    sa.Column("limits", sa.JSON, server_default="{}"),
    sa.Column("is_active", sa.Boolean, server_default=sa.true()),
)
table(
    "subscriptions",
    to("tenants", "tenant_id", nullable=False),
    to("plans", "plan_id", nullable=False),
    sa.Column("status", text, server_default="active"),
    sa.Column("billing_cycle", text, server_default="monthly"),
    sa.Column("current_period_start", sa.DateTime, nullable=False),
    sa.Column("current_period_end", sa.DateTime, nullable=False),
    sa.Column("stripe_subscription_id", text),
    sa.Column("stripe_customer_id", text),
)
table(
    "usage_records",
    to("tenants", "tenant_id", nullable=False),
    to("subscriptions", "subscription_id"),
    sa.Column("billing_unit", text, nullable=False),
    sa.Column("quantity", sa.Float, nullable=False),
    sa.Column("unit_price", sa.Float, server_default="0.0"),
    sa.Column("total_cost", sa.Float, server_default="0.0"),
    sa.Column("currency", text, server_default="USD"),
    sa.Column("period_start", sa.DateTime, nullable=False),
    sa.Column("period_end", sa.DateTime, nullable=False),
    times=("created_at",),
)

change = online.Change(tables, mapping)


def missing(connection: sa.Connection) -> list[str]:
    """What this revision brings and the database lacks. env.py asks before it believes the stamp."""
    return online.missing(connection, change)


def prepared(connection: sa.Connection) -> list[str]:
    """What of this revision stands in a database at 001. env.py asks when a downgrade has nothing else to do."""
    return online.prepared(connection, change)


def abandon() -> None:
    """Take back an upgrade that died before its last transaction and is not to be gone on with."""
    online.abandon(online.begin(op, change))


def upgrade() -> None:
    """Look, refuse what cannot end well, then do what is left to do; the slow part first, while it is the only lock."""
    online.upgrade(op, change, copies=copies)


def downgrade() -> None:
    """Back to 001. Refused with counts where 001 cannot hold what is there, unless -x allow_data_loss names it."""
    online.downgrade(op, change)

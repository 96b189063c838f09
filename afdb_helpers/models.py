"""The twelve tables of the platform, as revision 002 leaves them.

`metadata` is what autogenerate and the drift check compare a database with. A table's `info["purpose"]` and a column's
`info["note"]` and `info["origin"]` are for docs/data-model-overview.md. `info["stricter"]` marks a column that is NOT
NULL in databases made by the platform's own `create_all`; 002 leaves that alone, and so does autogenerate.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Float, ForeignKey, String, Table, Text, false, true
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, mapped_column


class Base(DeclarativeBase):
    """A class's docstring is its table's purpose."""

    type_annotation_map = {str: String, float: Float, dict[str, Any]: JSON}  # noqa: RUF012 - SQLAlchemy's spelling

    def __init_subclass__(cls, **kw: Any) -> None:
        super().__init_subclass__(**kw)
        assert isinstance(cls.__table__, Table)
        cls.__table__.info["purpose"] = cls.__doc__


metadata = Base.metadata

Json = dict[str, Any]


def column(*args: Any, was: str = "", added: bool = False, note: str = "", stricter: bool = False, **kw: Any) -> Any:
    """A column with its origin: of 001 as it is, `was` another name in 001, or `added` by 002."""
    origin = "added" if added else f"renamed from {was}" if was else "001"
    info = {"origin": origin, "note": note} | ({"stricter": True} if stricter else {})
    made: MappedColumn[Any] = mapped_column(*args, info=info, **kw)
    return made


class Tenant(Base):
    """Organisation container; every tenant-scoped row points here."""

    __tablename__ = "tenants"
    id: Mapped[str] = column(primary_key=True)
    name: Mapped[str] = column()
    slug: Mapped[str] = column(unique=True, index=True)
    is_active: Mapped[bool | None] = column()
    plan: Mapped[str | None] = column()
    resource_quota: Mapped[Json | None] = column()
    usage: Mapped[Json | None] = column()
    created_at: Mapped[datetime | None] = column()
    updated_at: Mapped[datetime | None] = column()


class User(Base):
    """User accounts within a tenant."""

    __tablename__ = "users"
    id: Mapped[str] = column(primary_key=True)
    email: Mapped[str] = column(unique=True, index=True)
    hashed_password: Mapped[str] = column()
    is_active: Mapped[bool | None] = column()
    is_superuser: Mapped[bool | None] = column()
    tenant_id: Mapped[str | None] = column(ForeignKey("tenants.id"))
    roles: Mapped[Json | None] = column()
    permissions: Mapped[Json | None] = column()
    created_at: Mapped[datetime | None] = column()
    updated_at: Mapped[datetime | None] = column()


class Agent(Base):
    """AI agent definitions."""

    __tablename__ = "agents"
    id: Mapped[str] = column(primary_key=True)
    name: Mapped[str] = column()
    instructions: Mapped[str] = column(Text)
    model: Mapped[str | None] = column()
    config: Mapped[Json | None] = column()
    tenant_id: Mapped[str | None] = column(ForeignKey("tenants.id"))
    created_by: Mapped[str | None] = column(ForeignKey("users.id"), was="user_id")
    created_at: Mapped[datetime | None] = column()
    updated_at: Mapped[datetime | None] = column()


class Workflow(Base):
    """Workflow and orchestration definitions."""

    __tablename__ = "workflows"
    id: Mapped[str] = column(primary_key=True)
    name: Mapped[str] = column()
    description: Mapped[str | None] = column(Text)
    definition: Mapped[Json | None] = column(stricter=True)
    tenant_id: Mapped[str | None] = column(ForeignKey("tenants.id"))
    created_by: Mapped[str | None] = column(ForeignKey("users.id"), was="user_id")
    created_at: Mapped[datetime | None] = column()
    updated_at: Mapped[datetime | None] = column()


class Blueprint(Base):
    """Reusable agent and workflow templates; the marketplace's items."""

    __tablename__ = "blueprints"
    id: Mapped[str] = column(primary_key=True)
    name: Mapped[str] = column()
    description: Mapped[str | None] = column(Text)
    version: Mapped[str | None] = column(stricter=True)
    author: Mapped[str | None] = column()
    category: Mapped[str | None] = column()
    tags: Mapped[Json | None] = column()
    config: Mapped[Json | None] = column()
    tenant_id: Mapped[str | None] = column(ForeignKey("tenants.id"))
    created_by: Mapped[str | None] = column(ForeignKey("users.id"), was="user_id")
    created_at: Mapped[datetime | None] = column()
    updated_at: Mapped[datetime | None] = column()
    definition: Mapped[Json] = column(server_default="{}", added=True)
    pricing_model: Mapped[str | None] = column(server_default="free", added=True, note="free, one-time, subscription")
    price: Mapped[float | None] = column(server_default="0.0", added=True)
    publisher_id: Mapped[str | None] = column(ForeignKey("users.id"), added=True)
    is_public: Mapped[bool | None] = column(server_default=false(), added=True)
    downloads: Mapped[int | None] = column(server_default="0", added=True)
    rating: Mapped[float | None] = column(server_default="0.0", added=True)
    reviews_count: Mapped[int | None] = column(server_default="0", added=True)


class Execution(Base):
    """Runs of agents and workflows."""

    __tablename__ = "executions"
    id: Mapped[str] = column(primary_key=True)
    execution_type: Mapped[str] = column(was="type", note="agent or workflow")
    resource_id: Mapped[str] = column(was="entity_id")
    status: Mapped[str] = column(note="pending, running, completed, failed")
    output_data: Mapped[Json | None] = column(was="result")
    error: Mapped[str | None] = column(Text)
    tenant_id: Mapped[str | None] = column(ForeignKey("tenants.id"))
    created_by: Mapped[str | None] = column(ForeignKey("users.id"), was="user_id")
    created_at: Mapped[datetime | None] = column()
    completed_at: Mapped[datetime | None] = column()
    input_data: Mapped[Json | None] = column(added=True)
    execution_time: Mapped[float | None] = column(added=True, note="seconds")


class AuditLog(Base):
    """Security and compliance trail."""

    __tablename__ = "audit_logs"
    id: Mapped[int] = column(primary_key=True, added=True, note="ascends in (created_at, old id) order")
    legacy_id: Mapped[str | None] = column(was="id", note="the id before 002, a UUID as text; null for rows since")
    event_type: Mapped[str] = column()
    user_id: Mapped[str | None] = column(ForeignKey("users.id"))
    tenant_id: Mapped[str | None] = column(ForeignKey("tenants.id"))
    resource_type: Mapped[str | None] = column()
    resource_id: Mapped[str | None] = column()
    action: Mapped[str | None] = column()
    success: Mapped[bool | None] = column()
    details: Mapped[Json | None] = column(was="metadata")
    created_at: Mapped[datetime | None] = column(index=True)
    ip_address: Mapped[str | None] = column(added=True)


class ApiKey(Base):
    """API authentication keys for programmatic access."""

    __tablename__ = "api_keys"
    id: Mapped[str] = column(primary_key=True)
    key_hash: Mapped[str] = column(unique=True, index=True, note="the key itself is stored nowhere")
    name: Mapped[str | None] = column(stricter=True)
    user_id: Mapped[str] = column(ForeignKey("users.id"))
    tenant_id: Mapped[str] = column(ForeignKey("tenants.id"))
    is_active: Mapped[bool | None] = column()
    last_used_at: Mapped[datetime | None] = column()
    expires_at: Mapped[datetime | None] = column()
    created_at: Mapped[datetime | None] = column()
    permissions: Mapped[Json | None] = column(added=True)
    updated_at: Mapped[datetime | None] = column(added=True)


class Project(Base):
    """Project and app containers."""

    __tablename__ = "projects"
    id: Mapped[str] = column(primary_key=True, added=True)
    name: Mapped[str] = column(added=True)
    project_type: Mapped[str | None] = column(
        server_default="saas_app", added=True, note="saas_app, blueprint_deployment, ..."
    )
    tenant_id: Mapped[str] = column(ForeignKey("tenants.id"), added=True)
    created_by: Mapped[str] = column(ForeignKey("users.id"), added=True)
    config: Mapped[Json | None] = column(server_default="{}", added=True)
    is_active: Mapped[bool | None] = column(server_default=true(), added=True)
    created_at: Mapped[datetime | None] = column(added=True)
    updated_at: Mapped[datetime | None] = column(added=True)


class Plan(Base):
    """Billing plan definitions."""

    __tablename__ = "plans"
    id: Mapped[str] = column(primary_key=True, added=True)
    name: Mapped[str] = column(added=True)
    plan_type: Mapped[str] = column(added=True, note="free, pro, enterprise")
    price_monthly: Mapped[float | None] = column(server_default="0.0", added=True)
    price_yearly: Mapped[float | None] = column(server_default="0.0", added=True)
    currency: Mapped[str | None] = column(server_default="USD", added=True)
    features: Mapped[Json | None] = column(server_default="{}", added=True)
    limits: Mapped[Json | None] = column(server_default="{}", added=True)
    is_active: Mapped[bool | None] = column(server_default=true(), added=True)
    created_at: Mapped[datetime | None] = column(added=True)
    updated_at: Mapped[datetime | None] = column(added=True)


class Subscription(Base):
    """A tenant's subscription to a plan."""

    __tablename__ = "subscriptions"
    id: Mapped[str] = column(primary_key=True, added=True)
    tenant_id: Mapped[str] = column(ForeignKey("tenants.id"), added=True)
    plan_id: Mapped[str] = column(ForeignKey("plans.id"), added=True)
    status: Mapped[str | None] = column(server_default="active", added=True, note="active, cancelled, expired")
    billing_cycle: Mapped[str | None] = column(server_default="monthly", added=True, note="monthly, yearly")
    current_period_start: Mapped[datetime] = column(added=True)
    current_period_end: Mapped[datetime] = column(added=True)
    stripe_subscription_id: Mapped[str | None] = column(added=True)
    stripe_customer_id: Mapped[str | None] = column(added=True)
    created_at: Mapped[datetime | None] = column(added=True)
    updated_at: Mapped[datetime | None] = column(added=True)


class UsageRecord(Base):
    """Metered usage, for billing and analytics."""

    __tablename__ = "usage_records"
    id: Mapped[str] = column(primary_key=True, added=True)
    tenant_id: Mapped[str] = column(ForeignKey("tenants.id"), added=True)
    subscription_id: Mapped[str | None] = column(ForeignKey("subscriptions.id"), added=True)
    billing_unit: Mapped[str] = column(added=True, note="agent_run, workflow_run, token, ...")
    quantity: Mapped[float] = column(added=True)
    unit_price: Mapped[float | None] = column(server_default="0.0", added=True)
    total_cost: Mapped[float | None] = column(server_default="0.0", added=True)
    currency: Mapped[str | None] = column(server_default="USD", added=True)
    period_start: Mapped[datetime] = column(added=True)
    period_end: Mapped[datetime] = column(added=True)
    created_at: Mapped[datetime | None] = column(added=True)

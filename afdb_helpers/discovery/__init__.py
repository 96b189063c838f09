"""What is there: the project, its configuration, the database, its state as the project sees it, advice. Only looks."""

from afdb_helpers.discovery.advising import advice
from afdb_helpers.discovery.chain import applied, models, project
from afdb_helpers.discovery.diagram import entities, graph
from afdb_helpers.discovery.replay import state
from afdb_helpers.discovery.screen import finding, look
from afdb_helpers.discovery.settings import configuration
from afdb_helpers.discovery.sizing import kept, tables, tenants
from afdb_helpers.discovery.target import blockers, server, way

__all__ = [
    "advice",
    "applied",
    "blockers",
    "configuration",
    "entities",
    "finding",
    "graph",
    "kept",
    "look",
    "models",
    "project",
    "server",
    "state",
    "tables",
    "tenants",
    "way",
]

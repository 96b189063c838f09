"""What is there: the project, the database, and the state that the one is in as the other sees it. Only looks."""

from afdb_helpers.discovery.advising import advice
from afdb_helpers.discovery.state import finding, project, server, state

__all__ = ["advice", "finding", "project", "server", "state"]

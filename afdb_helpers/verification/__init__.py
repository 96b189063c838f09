"""Is the schema what the chain makes, is every value still there, does the server vouch for it all? Only looks.

comparing     schema and data, and one verdict over all
invariants    what has to hold whatever was done
  sequences   each is ahead of the column that it gives its numbers
  orphans     no row points nowhere, declared or intended
  rights      grants, policies and row-level security are as before
models        the models against the chain, without a target
"""

from afdb_helpers.verification.comparing import data, mapping, schema, sizes, verdict
from afdb_helpers.verification.invariants import invariants, standing
from afdb_helpers.verification.models import models
from afdb_helpers.verification.rights import rights

__all__ = ["data", "invariants", "mapping", "models", "rights", "schema", "sizes", "standing", "verdict"]

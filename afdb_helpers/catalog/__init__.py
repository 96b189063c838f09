"""What the server says of itself: its identity, the stamped revisions, the schema as plain data, the tables' sizes.

asking        a question of sql/, under settings that its answer does not depend on
database      which database this is; the stamp
schema        a schema as plain data, and its digest
reading       the schema as it is now
  postgresql  by questions to its catalogue, as many whatever the tables
  sqlite      by reflection
  grants      who may do what
  keys        keys and indexes, read out of the server's words
picture       tables as bars
sizing        rows and bytes of the tables, how much they are used
"""

from afdb_helpers.catalog import keys, picture
from afdb_helpers.catalog.asking import QUESTIONS, SETTINGS, configure, question, rows, settled
from afdb_helpers.catalog.database import VERSION_TABLE, Identity, heads, identity, is_same, mark
from afdb_helpers.catalog.reading import snapshot
from afdb_helpers.catalog.schema import SHAPE, Catalog, Facts, digest
from afdb_helpers.catalog.sizing import activity, human, sizes

__all__ = [
    "QUESTIONS",
    "SETTINGS",
    "SHAPE",
    "VERSION_TABLE",
    "Catalog",
    "Facts",
    "Identity",
    "activity",
    "configure",
    "digest",
    "heads",
    "human",
    "identity",
    "is_same",
    "keys",
    "mark",
    "picture",
    "question",
    "rows",
    "settled",
    "sizes",
    "snapshot",
]

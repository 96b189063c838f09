"""Backups that are proven: dumped at one moment, restored into a private server, compared, and only then believed.

dump        one dump of one moment, with its manifest           dumping.py
prove       hashes, a real restore, schema and content equal    proving.py
open_copy   a backup restored where nobody else is              proving.py
find, listing, Backup    what stands in the store               store.py
(which pg_dump, and how it is run)                              client.py
"""

from afdb_helpers.backup.dumping import dump
from afdb_helpers.backup.proving import Proof, prove
from afdb_helpers.backup.restoring import Copy, open_copy
from afdb_helpers.backup.store import Backup, Listing, find, home, listing

__all__ = ["Backup", "Copy", "Listing", "Proof", "dump", "find", "home", "listing", "open_copy", "prove"]

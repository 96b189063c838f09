"""Backups that are proven: dumped at one moment, restored into a private server, compared, and only then believed.

dump         one dump of one moment, with its manifest                         dumping.py
prove        hashes, a real restore, schema and content equal                  proving.py
open_copy    a backup restored where nobody else is                            restoring.py
restore      a proven backup into an empty target                              recovery.py
find, listing, fetch, upload    what stands in the store, a folder or a URL    store.py
prune        what need not be kept any longer                                  retention.py
(its parts: beside.py, client.py, manifest.py, meter.py, remote.py, reserved.py, room.py, sealed.py,
states.py, transfer.py)
"""

from afdb_helpers.backup.dumping import dump
from afdb_helpers.backup.proving import Proof, prove, schema
from afdb_helpers.backup.recovery import restore
from afdb_helpers.backup.restoring import Copy, open_copy
from afdb_helpers.backup.retention import Pruning, prune
from afdb_helpers.backup.states import Backup
from afdb_helpers.backup.store import Listing, differences, fetch, find, home, listing, upload

__all__ = [
    "Backup",
    "Copy",
    "Listing",
    "Proof",
    "Pruning",
    "differences",
    "dump",
    "fetch",
    "find",
    "home",
    "listing",
    "open_copy",
    "prove",
    "prune",
    "restore",
    "schema",
    "upload",
]

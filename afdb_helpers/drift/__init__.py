"""Where a live schema differs from the one its chain of revisions makes.

The reference is made, not guessed: the chain is replayed on a private server (on SQLite: in a temporary file), and what
stands there afterwards is what should stand in the target.

    replaying     what the chain makes
    standing      which revision a live schema equals, and whether it is the one that it should be
    comparing     what differs, and which of it does not count
      access      owners and grants
    mending       the statement that would mend a difference; never run here
      parts       of what hangs on a table
      words       names as they have to be written
    waivers       differences that somebody accepts, until a day
"""

from afdb_helpers.drift.comparing import compare
from afdb_helpers.drift.replaying import chain, reference, replayed
from afdb_helpers.drift.standing import Standing, against, standing
from afdb_helpers.drift.waivers import waived

__all__ = ["Standing", "against", "chain", "compare", "reference", "replayed", "standing", "waived"]

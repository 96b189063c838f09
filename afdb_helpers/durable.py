"""What a file's own fsync leaves out: its name."""

from __future__ import annotations

import os
from pathlib import Path


def sync(folder: Path) -> None:
    """Have the names in a folder on disk: after a power cut a file that was made or renamed there is there."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

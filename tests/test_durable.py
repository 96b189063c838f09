"""Names on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from afdb_helpers import durable


def test_the_folder_itself_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        seen.append(stat.S_ISDIR(os.fstat(handle).st_mode) and os.path.samestat(os.fstat(handle), tmp_path.stat()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    opened = len(os.listdir("/proc/self/fd"))
    durable.sync(tmp_path)
    assert seen == [True]
    assert len(os.listdir("/proc/self/fd")) == opened, "its handle is closed"
    with pytest.raises(FileNotFoundError):
        durable.sync(tmp_path / "gone")

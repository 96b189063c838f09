"""Waivers: one that is not whole is refused, one whose day has passed does not count. Of lint: test_lint.py."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from afdb_helpers import drift, waivers
from afdb_helpers.drift.comparing import Difference
from afdb_helpers.errors import ConfigError
from afdb_helpers.revisions import Project

WAIVER = """
[[waiver]]
object = "*.id identity"
live = "serial"
reason = "counted the old way"
until = 2026-12-01
"""
LAST_DAY = dt.date(2026, 12, 1)


def _given(folder: Path, text: str) -> Project:
    (folder / "drift-waivers.toml").write_text(text)
    return Project(folder / "alembic.ini")


def test_what_is_waived_is_told_by_pattern_and_day(tmp_path: Path) -> None:
    given = drift.waived(_given(tmp_path, WAIVER))
    serial = Difference("invoice.id identity", "always", "serial")
    assert waivers.waived(serial, given, LAST_DAY) == "until 2026-12-01: counted the old way"
    assert waivers.waived(serial, given, LAST_DAY + dt.timedelta(days=1)) == ""
    assert waivers.waived(Difference("invoice.id identity", "always", "none"), given, LAST_DAY) == ""
    assert waivers.waived(Difference("invoice.id type", "bigint", "serial"), given, LAST_DAY) == ""
    said = waivers.report(given, [serial], LAST_DAY, of="differences")
    assert said.rows[0]["differences"] == 1
    assert drift.waived(Project(tmp_path / "elsewhere" / "alembic.ini")) == ()


@pytest.mark.parametrize(("text", "why"), [
    (WAIVER.replace("reason", "reasons"), "a key that is none of reason, until, object, live: reasons"),
    (WAIVER.replace('"*.id identity"', '""'), "object is to be a text, and not empty"),
    (WAIVER.replace("2026-12-01", '"soon"'), "until is to be a day"),
])  # fmt: skip
def test_a_waiver_that_is_not_whole_is_refused(tmp_path: Path, text: str, why: str) -> None:
    project = _given(tmp_path, text)
    with pytest.raises(ConfigError, match=r"the waivers of drift-waivers.toml cannot be read") as error:
        drift.waived(project)
    assert why in str(error.value)

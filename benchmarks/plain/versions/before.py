"""Where the measured migration starts; never run."""

revision = "001"
down_revision = None


def upgrade() -> None:
    raise AssertionError("the database is stamped 001")

"""The SELECTs that hash on a PostgreSQL server: one pass, every column hashed once, the row from the columns' hashes.

The kind of a column decides how its value is hashed, so that the text of a timestamp or a number is never made:

    integer    F(value); true and false are 1 and 0
    timestamp  F(microseconds since 2000-01-01, UTC); a date is its midnight; infinity is the bigint at that end
    float      the eight bytes; NaN is one value, -0.0 is not 0.0
    numeric    of a declared scale: its digits and its sign; 1.5 and 1.50 are the same
    uuid       its sixteen bytes
    bytes      its bytes
    text       all others: the UTF-8 bytes of the server's text under fixed settings; a numeric without scale is one

F(x) is hashint8extended(0, x): x goes in as the seed, which is not folded to 32 bits. The row's hash is a chain,
F(F(F(a) # b) # c): hash_record_extended would be no use, it is linear, and sums of it do not see values that swap rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg2.sql import Composable

    from afdb_helpers.fingerprint.reading import Source, Table, Wanted

NULL = -6148914691236517206  # stands for NULL in the hash of a row; no value's hash but by a chance of 2⁻⁶⁴
EPOCH = 946_684_800_000_000  # microseconds from 1970 to 2000
SLICES = 65536  # that a table is cut into by its keys' hashes, for samples and to find rows that differ
EXACT = ' COLLATE "C"'
_MOST, _LEAST = 2**63 - 1, -(2**63)


@dataclass(frozen=True)
class Dialect:
    """What the SQL depends on: the server's major version and the database's encoding."""

    major: int
    encoding: str


def totals(wanted: Wanted, dialect: Dialect, blocks: tuple[int, int | None] | None = None) -> Composable:
    """Rows, sum of row hashes, then for each column its values and the sum of their hashes."""
    from psycopg2.sql import SQL

    hashes = [hash_name(i) for i in range(len(wanted.columns))]
    sums = [SQL(", count({0}), coalesce(sum({0}), 0)").format(name) for name in hashes]
    return SQL("SELECT count(*), coalesce(sum({row}), 0){sums} FROM ({hashed}) AS hashed").format(
        row=chain(hashes), sums=SQL("").join(sums), hashed=hashed(wanted, dialect, blocks=blocks)
    )


def hashed(
    wanted: Wanted,
    dialect: Dialect,
    *,
    blocks: tuple[int, int | None] | None = None,
    more: Iterable[Composable] = (),
    slice_: int | None = None,
) -> Composable:
    """Every row's hashes, as h0, h1, …, after what is selected `more`. Without OFFSET 0 each would be taken twice."""
    from psycopg2.sql import SQL

    columns = [
        SQL("{} AS {}").format(value(source, dialect), hash_name(i)) for i, source in enumerate(wanted.columns.values())
    ]
    return SQL("SELECT {} FROM {}{} OFFSET 0").format(
        SQL(", ").join([*more, *columns]), place(wanted.table), _where(wanted, dialect, blocks, slice_)
    )


def chain(hashes: list[Composable]) -> Composable:
    """The hash of a row from the hashes of its columns, in their order."""
    from psycopg2.sql import SQL

    row: Composable = SQL("0")
    for i, one in enumerate(hashes):
        known = SQL("coalesce({}, {})").format(one, SQL(str(NULL)))
        row = SQL("hashint8extended(0, {})").format(SQL("{} # {}").format(row, known) if i else known)
    return row


def value(source: Source, dialect: Dialect) -> Composable:
    """The hash of a column's value, NULL for NULL."""
    from psycopg2.sql import SQL, Identifier

    name = Identifier(source.name)
    if not source.was:
        return _hash(name, source, dialect)
    cast = SQL("CAST({} AS {})").format(name, SQL(source.was))
    # What does not come back as it was is hashed with another seed: it equals no value of the old type.
    return SQL(
        "CASE WHEN CAST(CAST({cast} AS {type}) AS text) = CAST({name} AS text) THEN {back}"
        " WHEN {name} IS NOT NULL THEN hashtextextended(CAST({name} AS text), 1) END"
    ).format(cast=cast, type=SQL(source.type), name=name, back=_hash(cast, source, dialect))


def place(table: Table) -> Composable:
    """The table itself, without those that inherit from it; with its partitions."""
    from psycopg2.sql import SQL, Identifier

    return SQL("ONLY {}" if table.plain else "{}").format(Identifier(table.schema, table.name))


def slice_of(wanted: Wanted, dialect: Dialect) -> Composable:
    """Which of the slices a row falls into, by its key."""
    from psycopg2.sql import SQL

    keys = chain([value(source, dialect) for source in wanted.key])
    return SQL("({} & {})").format(keys, SQL(str(SLICES - 1)))


def _where(wanted: Wanted, dialect: Dialect, blocks: tuple[int, int | None] | None, slice_: int | None) -> Composable:
    from psycopg2.sql import SQL, Literal

    said: list[Composable] = []
    if blocks:
        first, end = blocks
        said.append(SQL("ctid >= {}::tid").format(Literal(f"({first},0)")))
        if end is not None:
            said.append(SQL("ctid < {}::tid").format(Literal(f"({end},0)")))
    if wanted.unwritten_since:
        said.append(_unwritten(wanted.unwritten_since))
    if wanted.part < 1:
        said.append(SQL("{} < {}").format(slice_of(wanted, dialect), Literal(round(wanted.part * SLICES))))
    if slice_ is not None:
        said.append(SQL("{} = {}").format(slice_of(wanted, dialect), Literal(slice_)))
    return SQL(" WHERE ") + SQL(" AND ").join(said) if said else SQL("")


def _unwritten(moment: str) -> Composable:
    """Rows whose writer that snapshot saw: not begun after it, and not under way then."""
    from psycopg2.sql import SQL, Literal

    _, newest, under_way = moment.split(":")
    low = [str(int(xid) % 2**32) for xid in [newest, *filter(None, under_way.split(","))]]
    return SQL("age(xmin) > age({}::xid) AND xmin <> ALL ({}::xid[])").format(
        Literal(low[0]), Literal("{" + ",".join(low[1:]) + "}")
    )


def _hash(value: Composable, source: Source, dialect: Dialect) -> Composable:
    from psycopg2.sql import SQL

    if source.kind == "text":
        return _text(SQL("CAST({} AS text)").format(value), dialect)
    if source.kind == "timestamp":
        return SQL("hashint8extended(0, {})").format(_microseconds(value, source.base, dialect))
    return SQL(_DIRECT[source.base if source.base == "bool" else source.kind]).format(value)


_BYTES = "hash_array_extended(ARRAY[{0}], 0)"  # 31 more than its one element's hash; there is no hashbytea before 18
_LESS_31 = f"CASE WHEN {_BYTES} < {_LEAST + 31} THEN {_BYTES} + {_MOST} + {_MOST - 29} ELSE {_BYTES} - 31 END"
_DIRECT = {
    "bool": "hashint8extended(0, CAST(CAST({0} AS integer) AS bigint))",
    "integer": "hashint8extended(0, CAST({0} AS bigint))",
    "float": "hashfloat8extended(CAST({0} AS float8), CASE WHEN {0} = 0 THEN"
    " CASE CAST({0} AS text) WHEN '-0' THEN 1 ELSE 0 END ELSE 0 END)",
    "numeric": "hash_numeric_extended({0}, CASE WHEN {0} < 0 THEN 1 ELSE 0 END)",
    "uuid": "uuid_hash_extended({0}, 0)",
    "bytes": f"CASE WHEN {{0}} IS NOT NULL THEN {_LESS_31} END",
}


def _text(value: Composable, dialect: Dialect) -> Composable:
    """Under the collation "C": under others "a" may equal "A". In another encoding than UTF-8, its UTF-8 bytes."""
    from psycopg2.sql import SQL

    if dialect.encoding in ("UTF8", "SQL_ASCII"):
        return SQL("hashtextextended({}{}, 0)").format(value, SQL(EXACT))
    return SQL(_DIRECT["bytes"]).format(SQL("convert_to({}, 'UTF8')").format(value))


def _microseconds(value: Composable, base: str, dialect: Dialect) -> Composable:
    """As the server keeps it. Before 18 nothing shows that directly; a float is exact in the years 1900 to 2040."""
    from psycopg2.sql import SQL

    if base == "date":
        value = SQL("CAST({} AS timestamp)").format(value)
    if dialect.major >= 18:
        send = SQL("timestamptz_send" if base == "timestamptz" else "timestamp_send")
        return SQL("CAST({}({}) AS bigint)").format(send, value)
    return SQL(
        "CASE WHEN {0} >= '1900-01-01' AND {0} < '2041-01-01' THEN CAST(date_part('epoch', {0}) * 1000000 AS bigint)"
        f" - {EPOCH} WHEN isfinite({{0}}) THEN CAST(extract(epoch FROM {{0}}) * 1000000 AS bigint) - {EPOCH}"
        f" WHEN {{0}} > '2000-01-01' THEN {_MOST} WHEN {{0}} < '2000-01-01' THEN ({_LEAST + 1}) - 1 END"
    ).format(value)


def hash_name(number: int) -> Composable:
    """What the hash of a wanted column is called within the statement."""
    from psycopg2.sql import Identifier

    return Identifier(f"h{number}")

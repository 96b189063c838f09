"""Reading SQLite: rows are streamed here and hashed as the PostgreSQL server would hash the same values.

The declared type of a column says which kind its values are. SQLite holds anything anywhere: a value of another storage
class than its column's kind is hashed together with its class, so that 1 and '1' stay two things.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from afdb_helpers.fingerprint import lookup3
from afdb_helpers.fingerprint.prints import Sums
from afdb_helpers.fingerprint.reading import Source, Table, Wanted
from afdb_helpers.fingerprint.server import unreadable
from afdb_helpers.fingerprint.statements import NULL, SLICES

if TYPE_CHECKING:
    from sqlalchemy import Connection

BATCH = 1000  # rows
_2000 = datetime(2000, 1, 1)


def read(connection: Connection, plan: Sequence[Wanted], note: Callable[..., object]) -> list[Sums]:
    """The sums of each wanted print."""
    sums = []
    for number, wanted in enumerate(plan, 1):
        total = Sums(0, 0, [(0, 0)] * len(wanted.columns))
        for _, columns, row_hashes in batches(connection, wanted):
            nonnull = [(int(there.sum()), _sum(hashes[there])) for hashes, there in columns]
            total.add(Sums(len(row_hashes), _sum(row_hashes), nonnull))
        sums.append(total)
        note("fingerprint", table=wanted.table.shown, done=number, of=len(plan))
    return sums


def batches(connection: Connection, wanted: Wanted) -> Iterator[tuple[list[Any], list[tuple[Any, Any]], Any]]:
    """For some rows at a time: their keys, each column's hashes with where there is a value, the rows' hashes."""
    import numpy as np

    sources, keys = list(wanted.columns.values()), list(wanted.key)
    for rows in _rows(connection, wanted.table, [*sources, *keys]):
        columns = [hashed([row[i] for row in rows], source) for i, source in enumerate(sources)]
        key_values = [row[len(sources) :] for row in rows]
        row_hashes = chain(columns, len(rows))
        if wanted.part < 1:
            cut = slices([hashed([k[i] for k in key_values], key) for i, key in enumerate(keys)], len(rows))
            chosen = cut < round(wanted.part * SLICES)
            columns = [(hashes[chosen], there[chosen]) for hashes, there in columns]
            row_hashes, key_values = row_hashes[chosen], list(itertools.compress(key_values, chosen))
        yield key_values, columns, np.asarray(row_hashes)


def chain(columns: list[tuple[Any, Any]], rows: int) -> Any:
    """The hash of each row from those of its columns, as in `statements.chain`."""
    import numpy as np

    row = np.zeros(rows, np.uint64)
    for i, (hashes, there) in enumerate(columns):
        known = np.where(there, hashes, np.uint64(NULL % 2**64))
        row = lookup3.of_integer(row ^ known if i else known)
    return row


def slices(keys: list[tuple[Any, Any]], rows: int) -> Any:
    """Which of the slices each row falls into, by its key's hashes."""
    return chain(keys, rows) & (SLICES - 1)


def _rows(connection: Connection, table: Table, sources: list[Source]) -> Iterator[list[Any]]:
    from sqlalchemy import column, literal, select
    from sqlalchemy import table as named
    from sqlalchemy.exc import DBAPIError

    where = named(table.name, *(column(name) for name in table.columns))
    chosen: list[Any] = [where.c[source.name] for source in sources] or [literal(1)]
    try:
        streamed = connection.execute(select(*chosen).select_from(where), execution_options={"yield_per": BATCH})
        yield from (list(rows) for rows in streamed.partitions())
    except DBAPIError as error:
        raise unreadable(table.shown, error) from None


def hashed(values: list[Any], source: Source) -> tuple[Any, Any]:
    """Hashes as an array of uint64, and where there is a value."""
    import numpy as np

    there = np.array([value is not None for value in values], bool)
    hashes = np.zeros(len(values), np.uint64)
    numbers: dict[int, int] = {}
    texts: dict[int, bytes] = {}
    for i, value in enumerate(values):
        if value is not None:
            _sort(i, value, source, numbers, texts, hashes)
    if numbers:
        hashes[list(numbers)] = lookup3.of_integer(np.array(list(numbers.values()), np.uint64))
    if texts:
        hashes[list(texts)] = lookup3.of_bytes(list(texts.values()))
    return hashes, there


def _sort(i: int, value: Any, source: Source, numbers: dict[int, int], texts: dict[int, bytes], hashes: Any) -> None:
    """Put a value where it will be hashed with its like, or hash it."""
    form = cast_back(value, source) if source.was else value
    number = _number(form, source.kind)
    if number is not None:
        numbers[i] = number % 2**64
    elif source.kind in ("text", "") and isinstance(form, str):
        texts[i] = form.encode()
    elif source.kind == "bytes" and isinstance(form, bytes):
        texts[i] = form
    elif source.kind == "float" and isinstance(form, int | float):
        hashes[i] = lookup3.of_float(float(form))
    elif source.kind == "numeric" and (exact := _decimal(form)) is not None:
        hashes[i] = lookup3.of_numeric(exact)
    else:
        texts[i] = b"\0" + f"{type(value).__name__}:{value!r}".encode()


def _number(value: Any, kind: str) -> int | None:
    if kind == "integer" and isinstance(value, int):
        return value
    if kind == "timestamp" and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        if moment.tzinfo:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        return (moment - _2000) // timedelta(microseconds=1)
    return None


def _decimal(value: Any) -> Decimal | None:
    """SQLite keeps a decimal as the nearest float, whose shortest text is the decimal again, up to 15 digits."""
    try:
        exact = Decimal(repr(value)) if isinstance(value, int | float) else None
    except InvalidOperation:
        return None
    return exact if exact is not None and exact.is_finite() else None


def cast_back(value: Any, source: Source) -> Any:
    """A value as the storage class it had before a declared cast, where nothing is lost by it; else as it is."""
    if source.kind == "text" and isinstance(value, int | float):
        return str(value)
    if source.kind in ("integer", "numeric", "float") and isinstance(value, str):
        try:
            number = int(value) if source.kind == "integer" else float(value)
        except ValueError:
            return value
        return number if str(number) == value else value
    if source.kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _sum(hashes: Any) -> int:
    """Of signed 64-bit numbers, without overflow: both halves are summed apart."""
    import numpy as np

    signed = hashes.astype(np.uint64).view(np.int64)
    return int((signed >> 32).sum()) * 2**32 + int((signed & 0xFFFFFFFF).sum())

"""PostgreSQL's 64-bit hash functions in Python, for what is on no PostgreSQL server: the same bits for the same value.

They are Bob Jenkins's lookup3 as in PostgreSQL's src/common/hashfn.c. Hash partitions hang on them, so they are the
same in every release; little-endian machines only. Each function takes one value or a numpy array of uint64.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

WORD, LONG = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
ALONE = 600  # bytes from which a value is hashed by itself: padding all others to its length costs more
_GOLDEN = 0x9E3779B9 + 3923095
_MIX, _FINAL = (4, 6, 8, 16, 19, 4), (14, 11, 25, 16, 4, 14, 24)
Words = Any  # an int, or an array of uint64


def signed(value: int) -> int:
    """As the server shows it: a bigint."""
    return value - (1 << 64) if value >= 1 << 63 else value


def of_integer(value: Words) -> Words:
    """hashint8extended(0, value): all 64 bits count, since the seed is not folded to 32 as the value is."""
    return _final(*_seeded(4, value))


def of_bytes(values: Sequence[bytes]) -> Any:
    """hashtextextended(value, 0) for each, as an array."""
    import numpy as np

    found = np.zeros(len(values), np.uint64)
    short = [i for i, value in enumerate(values) if len(value) < ALONE]
    if short:
        found[short] = _together([values[i] for i in short])
    for i, value in enumerate(values):
        if len(value) >= ALONE:
            found[i] = _one(value)
    return found


def of_float(value: float) -> int:
    """hashfloat8extended, with another seed for -0.0, which it takes for 0.0."""
    import math
    import struct

    if value == 0:
        return int(math.copysign(1, value) < 0)
    return _one(struct.pack("<d", math.nan if math.isnan(value) else value))


def of_numeric(value: Decimal) -> int:
    """hash_numeric_extended, with the sign as its seed: 1.5 and 1.50 are the same, -1.5 is another."""
    import struct

    if not value.is_finite():
        return 0
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    number = "".join(map(str, digits)).lstrip("0")
    seed = int(bool(sign) and number != "")
    if not number:
        return (seed - 1) & LONG
    number += "0" * (exponent % 4)
    exponent -= exponent % 4  # the digits of base 10,000 begin at multiples of four
    number = number.zfill(-(-len(number) // 4) * 4)
    groups = [int(number[i : i + 4]) for i in range(0, len(number), 4)]
    weight = len(groups) - 1 + exponent // 4
    while groups[-1] == 0:
        groups.pop()
    return _one(struct.pack(f"<{len(groups)}h", *groups), seed) ^ (weight & LONG)


def _one(data: bytes, seed: int = 0) -> int:
    import struct

    a, b, c = _seeded(len(data), seed)
    whole = len(data) - len(data) % 12
    for x, y, z in struct.iter_unpack("<III", data[:whole]):
        a, b, c = _mix(a + x & WORD, b + y & WORD, c + z & WORD)
    x, y, z = struct.unpack("<III", data[whole:].ljust(12, b"\0"))
    return int(_final(a + x & WORD, b + y & WORD, c + (z << 8) & WORD))


def _together(values: list[bytes]) -> Any:
    """All at once, each padded to the longest: block by block, where a value has that block."""
    import numpy as np

    lengths = np.array([len(value) for value in values], np.uint64)
    blocks = int(lengths.max()) // 12 + 1
    padded = b"".join(value.ljust(blocks * 12, b"\0") for value in values)
    words = np.frombuffer(padded, "<u4").reshape(len(values), blocks, 3).astype(np.uint64)
    a, b, c = _seeded(lengths, 0)
    for block in range(blocks):
        x, y, z = words[:, block, 0], words[:, block, 1], words[:, block, 2]
        there = lengths >= (block + 1) * 12
        last = ~there & (lengths >= block * 12)
        more = _mix(a + x & WORD, b + y & WORD, c + z & WORD)
        rest = a + x & WORD, b + y & WORD, c + (z << 8) & WORD
        a, b, c = (np.where(there, m, np.where(last, r, old)) for m, r, old in zip(more, rest, (a, b, c), strict=True))
    return _final(a, b, c)


def _seeded(length: Words, seed: Words) -> tuple[Words, Words, Words]:
    a = length + _GOLDEN & WORD
    if isinstance(seed, int):
        return _mix(a + (seed >> 32) & WORD, a + (seed & WORD) & WORD, a) if seed else (a, a, a)
    import numpy as np

    mixed = _mix(a + (seed >> 32) & WORD, a + (seed & WORD) & WORD, a)
    return tuple(np.where(seed == 0, a, one) for one in mixed)


def _turn(x: Words, by: int) -> Words:
    return (x << by & WORD) | (x >> (32 - by))


def _mix(a: Words, b: Words, c: Words) -> tuple[Words, Words, Words]:
    for by in _MIX:
        a = (a - c & WORD) ^ _turn(c, by)
        c = c + b & WORD
        a, b, c = b, c, a
    return a, b, c


def _final(a: Words, b: Words, c: Words) -> Words:
    for by in _FINAL:
        c = (c ^ b) - _turn(b, by) & WORD
        a, b, c = b, c, a
    return (a << 32) | b  # after seven turns the names have moved on by one: these are b and c

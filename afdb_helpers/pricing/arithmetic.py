"""The few operations of a bill's rules, on exact decimals or on arrays: each rule is written once for both.

One bill is computed in decimals, to the cent. Thousands at once are computed in arrays of floats, a value a workload.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any

_CENT = Decimal("0.01")
_NEARLY = 1e-9  # a float this much above a whole number is that number


def most(one: Any, other: Any) -> Any:
    """The larger one, element by element."""
    if _array(one) or _array(other):
        import numpy as np

        return np.maximum(one, other)
    return max(one, other)


def least(one: Any, other: Any) -> Any:
    """The smaller one, element by element."""
    if _array(one) or _array(other):
        import numpy as np

        return np.minimum(one, other)
    return min(one, other)


def ceil(value: Any) -> Any:
    """Up to the next whole number."""
    if isinstance(value, Decimal):
        return value.to_integral_value(ROUND_CEILING)
    if _array(value):
        import numpy as np

        return np.ceil(value - _NEARLY)
    return math.ceil(value - _NEARLY)


def doubled(ratio: Any) -> Any:
    """The least power of two that is not below `ratio`, 1 at the least."""
    if _array(ratio):
        import numpy as np

        return 2.0 ** np.ceil(np.log2(np.maximum(ratio, 1)) - _NEARLY)
    power = 1
    while power < ratio:
        power *= 2
    return power


def where(condition: Any, one: Any, other: Any) -> Any:
    """`one` where the condition holds, else `other`."""
    if _array(condition):
        import numpy as np

        return np.where(condition, one, other)
    return one if condition else other


def cents(amount: Any) -> Any:
    """Rounded to the cent, half a cent up."""
    if isinstance(amount, Decimal):
        return amount.quantize(_CENT, ROUND_HALF_UP)
    if _array(amount):
        import numpy as np

        return np.floor(amount * 100 + 0.5 + _NEARLY) / 100
    return math.floor(amount * 100 + 0.5 + _NEARLY) / 100


def total(values: Iterable[Any]) -> Any:
    """The sum of decimals, floats or arrays; of nothing it is 0."""
    return sum(values)


def _array(value: Any) -> bool:
    return hasattr(value, "dtype")

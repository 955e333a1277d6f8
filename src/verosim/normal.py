"""The standard normal distribution: the share below a value, and the value above a share, of whole arrays."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TINY: Final = 2.0**-54  # shares are at least this: the quantile of 0 is minus infinity

_CENTRE: Final = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_TAIL: Final = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR: Final = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)  # fmt: skip


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Floats) -> Floats:
    """One polynomial over another, highest power first."""
    over, under = (np.full_like(x, part[0]) for part in coefficients)
    for out, part in ((over, coefficients[0]), (under, coefficients[1])):
        for c in part[1:]:
            out *= x
            out += c
    over /= under
    return over


def normal_quantile(u: Floats) -> Floats:
    """The standard normal value below which a share u (n,) in (0, 1) lies: Wichura's AS 241 (1988), to 1e-15.

    >>> round(float(normal_quantile(np.array([0.975]))[0]), 6)
    1.959964
    """
    q = u - 0.5
    out = q * _ratio(_CENTRE, 0.180625 - q * q)
    outer = np.flatnonzero(np.abs(q) > 0.425)
    tail = u[outer]
    r = np.sqrt(-np.log(np.minimum(tail, 1 - tail)))
    value = _ratio(_TAIL, r - 1.6)
    far = r > 5
    if far.any():
        value[far] = _ratio(_FAR, r[far] - 5)
    out[outer] = np.where(tail < 0.5, -value, value)
    return out


_KNOTS: Final = np.linspace(-9, 9, 18 * 2048 + 1)  # so close that a straight line between them is right to 1e-8


@lru_cache(1)
def _normal_shares() -> Floats:
    return np.array([math.erfc(-z / math.sqrt(2)) / 2 for z in _KNOTS])


def normal_share(z: Floats) -> Floats:
    """The share of the standard normal distribution below z (n,), to 1e-8, inside (0, 1)."""
    shares = _normal_shares()
    place = np.minimum(np.maximum((z - _KNOTS[0]) * 2048, 0), len(_KNOTS) - 2.0)  # of few, twice as quick as np.clip
    knot = place.astype(np.int64)
    low = shares[knot]
    return np.minimum(np.maximum(low + (place - knot) * (shares[knot + 1] - low), TINY), 1 - 2.0**-53)

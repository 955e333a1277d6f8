"""Logarithm, cosine and normal numbers by plain arithmetic: the same bits on any processor, and in compiled code.

The logarithm is the one of fdlibm (Sun Microsystems, 1993: reduction to a mantissa near 1, then a polynomial), the
cosine of a part of a turn is reduced to an eighth of it, and then Taylor's. `kernel/choices.py` has both once more, for
single numbers.
"""

from __future__ import annotations

from math import factorial
from typing import Any, Final

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
LN2_HIGH: Final = 6.93147180369123816490e-01
LN2_LOW: Final = 1.90821492927058770002e-10
HALF_ROOT: Final = 0.7071067811865476
L1: Final = 6.666666666666735130e-01
L2: Final = 3.999999999940941908e-01
L3: Final = 2.857142874366239149e-01
L4: Final = 2.222219843214978396e-01
L5: Final = 1.818357216161805012e-01
L6: Final = 1.531383769920937332e-01
L7: Final = 1.479819860511658591e-01
TURN: Final = 6.283185307179586
C2, C4, C6, C8, C10, C12, C14, C16 = (1 / factorial(n) for n in range(2, 18, 2))
C3, C5, C7, C9, C11, C13, C15, C17 = (1 / factorial(n) for n in range(3, 19, 2))


def log(x: Floats) -> Floats:
    """(k,) natural logarithms of numbers above 0.

    >>> float(np.abs(log(np.array([0.001, 0.5, 1.0])) - np.log([0.001, 0.5, 1.0])).max()) < 1e-15
    True
    """
    mantissa, power = np.frexp(x)
    low = mantissa < HALF_ROOT
    mantissa, k = np.where(low, mantissa * 2, mantissa), (power - low).astype(np.float64)
    f = mantissa - 1.0
    half, s = 0.5 * f * f, f / (2.0 + f)
    z = s * s
    w = z * z
    r = w * (L2 + w * (L4 + w * L6)) + z * (L1 + w * (L3 + w * (L5 + w * L7)))
    return k * LN2_HIGH - ((half - (s * (half + r) + k * LN2_LOW)) - f)


def cosine(part: Floats) -> Floats:
    """(k,) cosines of parts of a turn, in [0, 1).

    >>> float(np.abs(cosine(np.array([0.0, 0.2, 0.9])) - np.cos(TURN * np.array([0.0, 0.2, 0.9]))).max()) < 1e-15
    True
    """
    quarter = np.floor(4.0 * part + 0.5)
    t = TURN * (part - quarter / 4.0)
    z = t * t
    even = 1.0 - z * (C2 - z * (C4 - z * (C6 - z * (C8 - z * (C10 - z * (C12 - z * (C14 - z * C16)))))))
    odd = t * (1.0 - z * (C3 - z * (C5 - z * (C7 - z * (C9 - z * (C11 - z * (C13 - z * (C15 - z * C17))))))))
    return np.select([quarter == 1, quarter == 2, quarter == 3], [-odd, -even, odd], even)


def normal(one: Floats, two: Floats) -> Floats:
    """Standard normal numbers (k,) from two uniform ones (Box and Muller, 1958)."""
    return np.sqrt(-2.0 * log(1.0 - one)) * cosine(two)

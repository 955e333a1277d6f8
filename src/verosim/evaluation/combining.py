"""Combining rules: one estimate, with its error, from the estimates of several synthetic or imputed sets.

    plain      whole rows are synthetic, drawn from one fit: T = v k/n (1 + (n/k) / m)
    proper     whole rows are synthetic, each set drawn from a fit of its own: T = v k/n (1 + (n/k + 1) / m)
    partial    only some columns are synthetic: T = v + b / m (Reiter, Inference for partially synthetic data, 2003)
    imputed    missing cells were filled: T = v + (1 + 1/m) b (Rubin, Multiple imputation for nonresponse, 1987)

v is the mean of the sets' own variances, b the variance between their estimates, n the number of real rows, k that of
rows in each set (Raab, Nowok and Dibben, Practical data synthesis for large samples, 2016, for the first two).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, isfinite, lgamma, log, sqrt
from statistics import NormalDist, fmean, variance
from typing import Final

from verosim.errors import ArgumentError, did_you_mean

METHODS: Final = ("plain", "proper", "partial", "imputed")


@dataclass(frozen=True, slots=True)
class Combined:
    """An estimate for the population that the real rows are from. interval: holds it at the level that was asked."""

    estimate: float
    error: float  # standard error
    interval: tuple[float, float]
    freedom: float  # degrees of freedom: infinite where the normal distribution was used


def combine(
    estimates: Sequence[float],
    variances: Sequence[float],
    real_rows: int | None = None,
    synthetic_rows: int | None = None,
    method: str = "plain",
    level: float = 0.95,
) -> Combined:
    """One estimate from those of m sets, each with its variance (the squared standard error that the set gave).

    real_rows, synthetic_rows: n of the real table and k of each set, for the methods plain and proper.

    >>> combine([1.0, 3.0], [0.5, 0.5], method="imputed").error ** 2  # 0.5 + 1.5 * 2
    3.5
    """
    m = _check(estimates, variances, real_rows, synthetic_rows, method, level)
    estimate, within = fmean(estimates), fmean(variances)
    between = variance(estimates) if m > 1 else 0.0
    freedom = inf
    if method in ("plain", "proper"):
        ratio = int(real_rows or 1) / int(synthetic_rows or 1)
        total = within / ratio * (1 + (ratio + (method == "proper")) / m)
    elif method == "partial":
        total = within + between / m
        freedom = (m - 1) * (1 + within / (between / m)) ** 2 if between else inf
    else:
        total = within + (1 + 1 / m) * between
        freedom = (m - 1) * (1 + within / ((1 + 1 / m) * between)) ** 2 if between else inf
    half = quantile((1 + level) / 2, freedom) * sqrt(total)
    return Combined(estimate, sqrt(total), (estimate - half, estimate + half), freedom)


def _check(
    estimates: Sequence[float], variances: Sequence[float], n: int | None, k: int | None, method: str, level: float
) -> int:
    """How many sets there are. Raises ArgumentError."""
    if method not in METHODS:
        raise ArgumentError(f"method: {did_you_mean(method, METHODS)}")
    m = len(estimates)
    if m == 0 or len(variances) != m:
        raise ArgumentError(f"as many variances as estimates were wanted, one or more, not {len(variances)} and {m}.")
    if not all(map(isfinite, estimates)) or not all(isfinite(v) and v >= 0 for v in variances):
        raise ArgumentError("estimates and variances must be finite, and no variance below 0.")
    if method in ("partial", "imputed") and m < 2:
        raise ArgumentError(f"the method {method!r} needs two sets or more: it looks at how they differ.")
    if method in ("plain", "proper") and not all(isinstance(rows, int) and rows > 0 for rows in (n, k)):
        raise ArgumentError(f"the method {method!r} needs real_rows and synthetic_rows, whole numbers above 0.")
    if not 0 < level < 1:
        raise ArgumentError(f"level: a share between 0 and 1 was wanted, such as 0.95, not {level!r}.")
    return m


@lru_cache(1_000)
def quantile(share: float, freedom: float) -> float:
    """The value below which this share of Student's t distribution lies.

    >>> round(quantile(0.975, 4), 3), round(quantile(0.975, inf), 3)
    (2.776, 1.96)
    """
    if freedom > 1e6:
        return NormalDist().inv_cdf(share)
    low, high = 0.0, 1e10
    while high - low > 1e-14 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - _tail(middle, freedom) < share else (low, middle)
    return (low + high) / 2


def _tail(t: float, freedom: float) -> float:
    """The chance of more than t >= 0: half an incomplete beta function, by its continued fraction (Lentz, 1976)."""
    x, a, b = freedom / (freedom + t * t), freedom / 2, 0.5
    if x >= 1:
        return 0.5
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x)) if x > 0 else 0.0
    if x > (a + 1) / (a + b + 2):
        return (1 - front * _fraction(b, a, 1 - x) / b) / 2
    return front * _fraction(a, b, x) / a / 2


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _far(1 - (a + b) * x / (a + 1))
    out = d
    for i in range(1, 400):
        even = i * (b - i) * x / ((a + 2 * i - 1) * (a + 2 * i))
        odd = -(a + i) * (a + b + i) * x / ((a + 2 * i) * (a + 2 * i + 1))
        for step in (even, odd):
            d, c = 1 / _far(1 + step * d), _far(1 + step / c)
            out *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return out


def _far(value: float) -> float:
    """Not so near to 0 that it cannot be divided by."""
    return value if abs(value) > 1e-300 else 1e-300

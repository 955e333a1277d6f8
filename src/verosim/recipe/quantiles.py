"""Distributions as quantile functions: a uniform number in, a value out.

One uniform a row makes all else simple: rows do not depend on each other, a truncated distribution is the same function
on a part of (0, 1), and uniforms that are correlated (a copula) give values that are, whatever their distributions.

Families whose quantile has no closed form are tabled once for each set of parameters: the continuous ones by
integrating their density over a scale on which it is smooth and falls off fast, the discrete ones by the ratios of
neighbouring probabilities. Where such a parameter differs from row to row, numpy's generator draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from verosim.errors import SchemaError
from verosim.normal import TINY, normal_quantile, normal_share

Floats = npt.NDArray[np.float64]
Quantile = Callable[[Floats], Floats]

LARGEST_MEAN: Final = 1e9  # of counts: beyond it a table of their chances would not fit in memory


# ------------------------------------------------------------------------------------------------- tables

_STEPS: Final = 8192  # evenly over the scale; and as many again, evenly over what comes
_DEPTH: Final = 42.0  # the logarithm of a density is followed this far down: uniforms are not smaller


def _table(log_density: Callable[[Floats], Floats], mode: float) -> tuple[Floats, Floats]:
    """(shares, points) of a density that falls off on both sides of its mode, on the whole line."""
    top = float(log_density(np.array([mode]))[0])
    ends = []
    for side in (-1.0, 1.0):
        step = 1e-3
        while float(log_density(np.array([mode + side * step]))[0]) > top - _DEPTH and step < 1e9:
            step *= 1.25
        ends.append(mode + side * step)
    points = np.linspace(ends[0], ends[1], _STEPS + 1)
    dense = np.interp(normal_share(np.linspace(-8, 8, _STEPS + 1)), *_integrated(log_density, top, points))
    return _integrated(log_density, top, np.unique(np.concatenate([points, dense])))


def _integrated(log_density: Callable[[Floats], Floats], top: float, points: Floats) -> tuple[Floats, Floats]:
    density = np.exp(log_density(points) - top)
    shares = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(points))])
    return shares / shares[-1], points


@lru_cache(256)
def _gamma(shape: float) -> tuple[Floats, Floats]:
    """Of the logarithm of a gamma value."""
    return _table(lambda y: shape * y - np.exp(y), math.log(shape))


@lru_cache(256)
def _beta(a: float, b: float) -> tuple[Floats, Floats]:
    """Of the log odds of a beta value."""
    return _table(lambda y: -a * np.logaddexp(0, -y) - b * np.logaddexp(0, y), math.log(a / b))


@lru_cache(256)
def _student(df: float) -> tuple[Floats, Floats]:
    """Of asinh(t / sqrt(df))."""
    return _table(lambda y: -df * np.logaddexp(y, -y), 0.0)


@lru_cache(256)
def _counts(name: str, *parameters: float) -> tuple[int, Floats]:
    """The lowest count, and the running shares from it on, by the ratio of each probability to the one before."""
    if name == "poisson":
        mean = spread = parameters[0]
        low, high = _window(mean, spread)
        k = np.arange(low + 1, high + 1, dtype=float)
        ratio = mean / k
    elif name == "binomial":
        n, p = parameters
        low, high = _window(n * p, n * p * (1 - p))
        high = min(high, int(n))
        k = np.arange(low + 1, high + 1, dtype=float)
        ratio = (n - k + 1) / k * (p / (1 - p))
    else:
        n, p = parameters
        low, high = _window(n * (1 - p) / p, n * (1 - p) / p**2)
        k = np.arange(low + 1, high + 1, dtype=float)
        ratio = (k + n - 1) / k * (1 - p)
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratio))])
    running = np.cumsum(np.exp(logs - logs.max()))
    return low, running / running[-1]


def _window(mean: float, variance: float) -> tuple[int, int]:
    """The counts that come at all: forty spreads around the mean, for skewed ones fall off as e**-k."""
    reach = 40 * math.sqrt(variance) + 40 + (40 * variance / mean if mean else 0)
    return max(0, int(mean - reach)), int(mean + reach)


def _count(name: str, u: Floats, *parameters: float) -> Floats:
    low, running = _counts(name, *(float(p) for p in parameters))
    return (low + np.searchsorted(running[:-1], u, side="right")).astype(np.float64)


_HEAD: Final = 1 << 16  # ranks of a Zipf distribution whose shares are summed one by one


@lru_cache(64)
def _zipf_head(s: float, n: float) -> tuple[Floats, float]:
    """The running weights of the first ranks, and that of all: the rest is an integral (Euler and Maclaurin)."""
    head = np.cumsum(np.arange(1, min(n, _HEAD) + 1, dtype=float) ** -s)
    return head, float(head[-1] + _zipf_between(s, _HEAD + 0.5, n + 0.5) if n > _HEAD else head[-1])


def _zipf_between(s: float, low: float, high: float) -> float:
    return math.log(high / low) if s == 1 else (high ** (1 - s) - low ** (1 - s)) / (1 - s)


def _zipf(u: Floats, s: float, n: float) -> Floats:
    """A rank 1 .. n, of weight rank ** -s."""
    head, total = _zipf_head(s, n)
    weight = u * total
    out = (1 + np.searchsorted(head[:-1] if n <= _HEAD else head, weight, side="right")).astype(np.float64)
    beyond = out > _HEAD
    if beyond.any():
        rest, low = weight[beyond] - head[-1], _HEAD + 0.5
        far = low * np.exp(rest) if s == 1 else (low ** (1 - s) + (1 - s) * rest) ** (1 / (1 - s))
        out[beyond] = np.clip(np.floor(far + 0.5), _HEAD + 1, n)
    return out


def _triangular(u: Floats, low: Any, mode: Any, high: Any) -> Floats:
    width = np.maximum(high - low, 0.0)
    turn = np.divide(mode - low, width, out=np.zeros(np.shape(width)), where=np.asarray(width) > 0)
    left = low + np.sqrt(u * width * np.maximum(mode - low, 0.0))
    return np.where(u < turn, left, high - np.sqrt((1 - u) * width * np.maximum(high - mode, 0.0)))


# ------------------------------------------------------------------------------------------------- the families


@dataclass(frozen=True, slots=True)
class Family:
    """A distribution by name: its parameters, and the quantile that they give."""

    parameters: tuple[str, ...]
    quantile: Callable[..., Floats]  # (u, *parameters): numbers, or arrays (n,) where the parameter is no shape
    check: Callable[..., Any]  # (*parameters) -> whether each row's are allowed
    wanted: str  # what `check` asks, in words
    defaults: tuple[float, ...] = ()  # of the last parameters
    whole: bool = False  # gives whole numbers
    shapes: int = 0  # so many first parameters are what a table is made for
    draw: Callable[..., Floats] | None = None  # (generator, *parameters) -> (n,), where shapes differ by row


FAMILIES: Final[dict[str, Family]] = {
    "uniform": Family(("low", "high"), lambda u, a, b: a + (b - a) * u, lambda a, b: a <= b, "low <= high", (0.0, 1.0)),
    "integer": Family(("low", "high"), lambda u, a, b: np.minimum(a + np.floor((b - a + 1) * u), b),
                      lambda a, b: a <= b, "low <= high", whole=True),
    "normal": Family(("mean", "sd"), lambda u, m, s: m + s * normal_quantile(u), lambda m, s: s >= 0, "sd >= 0",
                     (0.0, 1.0)),
    "lognormal": Family(("mu", "sigma"), lambda u, m, s: np.exp(m + s * normal_quantile(u)), lambda m, s: s >= 0,
                        "sigma >= 0 (both are of the logarithm)", (0.0, 1.0)),
    "exponential": Family(("mean",), lambda u, m: -m * np.log1p(-u), lambda m: m >= 0, "mean >= 0", (1.0,)),
    "gamma": Family(("shape", "scale"), lambda u, k, s: s * np.exp(np.interp(u, *_gamma(float(k)))),
                    lambda k, s: (k > 0) & (s >= 0), "shape > 0 and scale >= 0", (1.0,), shapes=1,
                    draw=lambda rng, k, s: rng.gamma(k, s)),
    "beta": Family(("a", "b"), lambda u, a, b: 1 / (1 + np.exp(-np.interp(u, *_beta(float(a), float(b))))),
                   lambda a, b: (a > 0) & (b > 0), "a > 0 and b > 0", shapes=2,
                   draw=lambda rng, a, b: rng.beta(a, b)),
    "student_t": Family(("df", "mean", "scale"),
                        lambda u, d, m, s: m + s * np.sqrt(d) * np.sinh(np.interp(u, *_student(float(d)))),
                        lambda d, m, s: (d > 0) & (s >= 0), "df > 0 and scale >= 0", (0.0, 1.0), shapes=1,
                        draw=lambda rng, d, m, s: m + s * rng.standard_t(d)),
    "pareto": Family(("shape", "scale"), lambda u, k, s: s * (1 - u) ** (-1 / k), lambda k, s: (k > 0) & (s >= 0),
                     "shape > 0 and scale >= 0", (1.0,)),
    "weibull": Family(("shape", "scale"), lambda u, k, s: s * (-np.log1p(-u)) ** (1 / k),
                      lambda k, s: (k > 0) & (s >= 0), "shape > 0 and scale >= 0", (1.0,)),
    "triangular": Family(("low", "mode", "high"), _triangular, lambda a, m, b: (a <= m) & (m <= b),
                         "low <= mode <= high"),
    "logistic": Family(("mean", "scale"), lambda u, m, s: m + s * (np.log(u) - np.log1p(-u)), lambda m, s: s >= 0,
                       "scale >= 0", (0.0, 1.0)),
    "laplace": Family(("mean", "scale"),
                      lambda u, m, s: m - s * np.sign(u - 0.5) * np.log1p(-2 * np.minimum(np.abs(u - 0.5), 0.5 - TINY)),
                      lambda m, s: s >= 0, "scale >= 0", (0.0, 1.0)),
    "bernoulli": Family(("p",), lambda u, p: (u < p).astype(np.float64), lambda p: (p >= 0) & (p <= 1), "0 <= p <= 1",
                        whole=True),
    "poisson": Family(("mean",), lambda u, m: _count("poisson", u, m) if m > 0 else 0 * u,
                      lambda m: (m >= 0) & (m <= LARGEST_MEAN), "0 <= mean <= 1e9", whole=True, shapes=1,
                      draw=lambda rng, m: rng.poisson(m).astype(np.float64)),
    "binomial": Family(("n", "p"),
                       lambda u, n, p: _count("binomial", u, n, p) if 0 < p < 1 else n * p + 0 * u,
                       lambda n, p: (n >= 0) & (n <= LARGEST_MEAN) & (n == np.floor(n)) & (p >= 0) & (p <= 1),
                       "a whole n from 0 to 1e9 and 0 <= p <= 1", whole=True, shapes=2,
                       draw=lambda rng, n, p: rng.binomial(n.astype(np.int64), p).astype(np.float64)),
    "geometric": Family(("p",), lambda u, p: np.ceil(np.log1p(-u) / np.log1p(-np.minimum(p, 1 - 2.0**-53))).clip(1),
                        lambda p: (p > 0) & (p <= 1), "0 < p <= 1", whole=True),
    "negative_binomial": Family(("n", "p"), lambda u, n, p: _count("negative", u, n, p) if p < 1 else 0 * u,
                                lambda n, p: (n > 0) & (p > 0) & (p <= 1) & (n * (1 - p) <= LARGEST_MEAN * p**2),
                                "n > 0 and 0 < p <= 1, with a variance of at most 1e9", whole=True, shapes=2,
                                draw=lambda rng, n, p: rng.negative_binomial(n, p).astype(np.float64)),
    "zipf": Family(("s", "n"), _zipf, lambda s, n: (s >= 0) & (n >= 1) & (n == np.floor(n)) & (n <= 2.0**53),
                   "s >= 0 and a whole n >= 1", whole=True, shapes=2),
}  # fmt: skip


def cut(quantile: Quantile, low: Any, high: Any, rows: int = 1) -> tuple[Floats, Floats]:
    """The shares (n,) between which a quantile function stays within [low, high], found by halving.

    low, high: numbers, arrays (n,), or None. n is `rows` where the quantile function takes only so many uniforms.
    """
    out = []
    for bound, side in ((low, "below"), (high, "up to")):
        if bound is None:
            out.append(np.full(rows, 0.0 if side == "below" else 1.0))
            continue
        least, most = np.full(rows, 0.0), np.full(rows, 1.0)
        for _ in range(54):
            middle = (least + most) / 2
            value = quantile(np.clip(middle, TINY, 1 - 2.0**-53))
            inside = value < bound if side == "below" else value <= bound
            least, most = np.where(inside, middle, least), np.where(inside, most, middle)
        out.append((least + most) / 2)
    return out[0], out[1]


def truncated(quantile: Quantile, low: Any, high: Any, rows: int = 1) -> Quantile:
    """The quantile function of the distribution given that its value lies in [low, high].

    Raises SchemaError where (nearly) nothing of it does.
    """
    start, end = cut(quantile, low, high, rows)
    if not np.all(end - start > 1e-12):
        raise SchemaError(f"`min` {low} and `max` {high} leave nothing of the distribution.")

    def part(u: Floats) -> Floats:
        inside = np.clip(start + (end - start) * u, TINY, 1 - 2.0**-53)
        return np.clip(quantile(inside), low, high) if low is not None or high is not None else quantile(inside)

    return part

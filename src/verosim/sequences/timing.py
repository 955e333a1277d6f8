"""When the next step of a sequence comes: `Timing`.

A tree says how long it takes, given all that came before. That alone spreads long gaps evenly over day and night. So
several are drawn, of which one is taken by the hour of the week at which it lands: hours have weights, by activity,
with which what is taken falls into each hour as often as the real steps do. (What was drawn, tilted to known margins:
Kullback's minimum discrimination information, by iterative proportional fitting.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.errors import ModelFileError
from verosim.infer.measures import whole_step
from verosim.keys import Ints
from verosim.models import Array, Codes, Field, Floats, Progress, State, part, saved_array
from verosim.models.chain import Chain
from verosim.models.chain import Options as Chained
from verosim.sequences.order import Clock

OFTEN: Final = 25  # rows of one gap, from which it comes out exactly
KNOTS: Final = 2000  # points of the scale of gaps, beside those that come out exactly, at most
TOGETHER: Final = 5  # rows that such a point stands for, at least
TOP: Final = 1 - 1e-9  # positions lie below 1
ASKED: Final = 24  # columns that a column of a step may depend on
TRIED: Final = 12  # gaps that are drawn, of which one is taken
WEEK: Final = 168  # hours
LOOKED: Final = 20_000  # steps that the weights of hours are learned from, at most
ROUNDS: Final = 12
DOUBT: Final = 2.0  # steps that are added to what was seen of an hour, and to what is expected


@dataclass(frozen=True, slots=True)
class Gap:
    """The time from a row to the next <-> positions: half the share of gaps below, half where its logarithm lies.

    So gaps that many have are told apart to the second, and long ones although few have them. step: of which all gaps
    are multiples. counts, positions: (p,) how many steps lie where, ascending. often: (a, 2) where those counts lie
    that come out exactly.
    """

    step: int
    counts: Floats
    positions: Floats
    often: Floats

    @classmethod
    def of(cls, gaps: Ints) -> Self:
        """gaps: (n,) of rows that have a row before."""
        step = (whole_step(pl.Series(gaps)) or 1) if len(gaps) else 1
        counts = np.sort(gaps // step) if len(gaps) else np.zeros(1, np.int64)
        values, held = np.unique(counts, return_counts=True)
        often, others = values[held >= OFTEN], np.repeat(values, np.where(held >= OFTEN, 0, held))
        parts = np.array_split(others, max(1, min(KNOTS, len(others) // TOGETHER)))
        middles = [part.mean() for part in parts if len(part)]
        ends = [counts[0] - 0.5, counts[-1] + 0.5]
        knots = np.unique(np.concatenate([often - 0.25, often + 0.25, middles, ends]))
        logs = np.log1p(knots - knots[0])
        below = np.searchsorted(counts, knots) / len(counts)
        places = (below + logs / logs[-1]) / 2
        exact = np.interp(np.stack([often - 0.25, often + 0.25], 1), knots, places)
        return cls(step, knots, places * TOP, exact * TOP)

    @property
    def field(self) -> Field:
        return Field("gap in time", atoms=self.often)

    def encode(self, gaps: Ints) -> Floats:
        counts = np.clip(gaps / self.step, self.counts[0], self.counts[-1])
        found = np.interp(self._log(counts), self._log(self.counts), self.positions)
        return np.asarray(found)

    def decode(self, codes: Floats) -> Ints:
        """The gaps of positions, in their shape."""
        logs = np.interp(codes, self.positions, self._log(self.counts))
        low, high = np.ceil(self.counts[0]), np.floor(self.counts[-1])
        counts = np.clip(np.rint(np.expm1(logs) + self.counts[0]), low, high)
        return counts.astype(np.int64) * self.step

    def _log(self, counts: Floats) -> Floats:
        return np.asarray(np.log1p(counts - self.counts[0]))

    def state(self) -> State:
        return {"step": self.step}, {"counts": self.counts, "positions": self.positions, "often": self.often}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        counts, positions = (saved_array(arrays, name, np.float64) for name in ("counts", "positions"))
        often, step = saved_array(arrays, "often", np.float64, 2), int(meta["step"])
        rising = len(counts) == len(positions) >= 2 and all((np.diff(a) > 0).all() for a in (counts, positions))
        if not rising or step < 1 or often.shape[1] != 2 or not -1 < counts[0] <= counts[-1] < 2**62 / step:
            raise ModelFileError("the saved gaps in time are damaged.")
        return cls(step, counts, positions, often)


class Timing:
    """weights: (activities, WEEK) how gladly a step lands in each hour of the week; None where there is no calendar."""

    def __init__(self, gap: Gap, clock: Clock, chain: Chain, weights: Floats | None) -> None:
        self.gap, self.clock, self.chain, self.weights = gap, clock, chain, weights

    @classmethod
    def fit(
        cls, gap: Gap, clock: Clock, before: Ints, after: Ints, given: Codes, activity: Array | None, kinds: int,
        rng: np.random.Generator, progress: Progress,
    ) -> Self:  # fmt: skip
        """before, after: (n,) when the step before was, and when a step is. given: what is known of it by then.

        activity: (n,) what happens, of so many `kinds`.
        """
        codes = Codes((gap.field,), (gap.encode(after - before),), len(after))
        chain = Chain(Chained(judged=False, max_features=ASKED)).fit(codes, given, rng, progress)
        new = cls(gap, clock, chain, None)
        if clock.hours(before[:1]) is not None and len(after):
            some = np.sort(rng.permutation(len(after))[:LOOKED])
            what = np.zeros(len(some), np.int64) if activity is None else activity[some]
            _, landed = new._tried(given.take(some), before[some], TRIED, rng, 1.0)
            new.weights = _weights(what, new._week(after[some]), new._week(landed), kinds)
        return new

    def draw(
        self, given: Codes, before: Ints, activity: Array | None, latest: Ints | None, rng: np.random.Generator,
        temperature: float = 1.0,
    ) -> Floats:  # fmt: skip
        """(n,) the codes of gaps. latest: (n,) when a step comes at the latest, if it can; None for no limit."""
        tried = 1 if self.weights is None and latest is None else TRIED
        codes, landed = self._tried(given, before, tried, rng, temperature)
        weight = np.ones(codes.shape)
        if self.weights is not None:
            what = np.zeros(given.n, np.int64) if activity is None else activity
            weight = self.weights[what[:, None], self._week(landed)]
        if latest is not None:
            in_time = landed <= latest[:, None]
            weight = np.where(in_time | ~in_time.any(1, keepdims=True), weight, 0.0)
        below = np.cumsum(weight, axis=1)
        ball = rng.random((given.n, 1)) * below[:, -1:]
        return np.asarray(codes[np.arange(given.n), np.minimum((below <= ball).sum(1), tried - 1)])

    def _tried(
        self, given: Codes, before: Ints, tried: int, rng: np.random.Generator, temperature: float
    ) -> tuple[Floats, Ints]:
        """(n, tried) codes of gaps, and the times at which they end."""
        rows = np.repeat(np.arange(given.n), tried)
        (codes,) = self.chain.sample(len(rows), given.take(rows), rng, temperature).arrays
        shape = (given.n, tried)
        return codes.reshape(shape), (before[rows] + self.gap.decode(codes)).reshape(shape)

    def _week(self, ticks: Ints) -> Ints:
        """The hour of the week of each time, in their shape."""
        hours = self.clock.hours(ticks.ravel())
        assert hours is not None
        return (hours % WEEK).astype(np.int64).reshape(ticks.shape)

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        gap, often = self.gap.state()
        chain, arrays = self.chain.state()
        own = {} if self.weights is None else {"weights": self.weights}
        return {"gap": gap, "chain": chain}, {f"chain/{n}": a for n, a in arrays.items()} | often | own

    @classmethod
    def restore(cls, clock: Clock, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        chain = Chain.restore(meta["chain"], part(arrays, "chain/"))
        new = cls(Gap.restore(meta["gap"], arrays), clock, chain, None)
        if "weights" in arrays:
            new.weights = saved_array(arrays, "weights", np.float64, 2)
            if new.weights.shape[1:] != (WEEK,) or not (new.weights > 0).all() or not np.isfinite(new.weights).all():
                raise ModelFileError("the saved hours of the week are damaged.")
        return new


def _weights(what: Array, real: Ints, drawn: Ints, kinds: int) -> Floats:
    """(kinds, WEEK) weights with which one of `drawn` (n, tried) is taken, so that hours come as in `real` (n,)."""
    together = _fitted(np.zeros(len(real), np.int64), real, drawn, np.ones((1, WEEK)))
    return _fitted(what, real, drawn, np.repeat(together, kinds, 0)) if kinds > 1 else together


def _fitted(what: Array, real: Ints, drawn: Ints, weights: Floats) -> Floats:
    cells, n = what[:, None] * WEEK + drawn, weights.size
    seen = np.bincount(what * WEEK + real, minlength=n)
    flat = weights.ravel().copy()
    for _ in range(ROUNDS):
        own = flat[cells]
        expected = np.bincount(cells.ravel(), (own / own.sum(1, keepdims=True)).ravel(), n)
        flat *= (seen + DOUBT) / (expected + DOUBT)
    return np.maximum(flat, 1e-9).reshape(weights.shape)

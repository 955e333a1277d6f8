"""When the next step of a sequence comes: `Timing`.

A tree says how long it takes, given all that came before. That alone spreads long gaps evenly over day and night. So
several are drawn, of which one is taken by the hour of the week at which it lands, and by its length: both have
weights, by activity, so that what is taken comes at each hour, and at each length, as often as the real steps do. (What
was drawn, tilted to known margins by iterative proportional fitting: Deming and Stephan, On a least squares adjustment
of a sampled frequency table when the expected marginal totals are known, 1940.)
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
BINS: Final = 24  # lengths of gaps that are told apart there
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


@dataclass(frozen=True, slots=True)
class Times:
    """Of steps (n,): when their sequence began, when the step before was, and when they are."""

    born: Ints
    before: Ints
    now: Ints


class Timing:
    """hours: (activities, WEEK) how gladly a step lands in each hour of the week; None where there is no calendar.

    lengths: (activities, BINS) how gladly a gap of about this length is taken. spans: (activities, 2) how long after
    the beginning of a sequence it happens, at least and at most.
    """

    def __init__(
        self, gap: Gap, clock: Clock, chain: Chain, spans: Ints, hours: Floats | None, lengths: Floats | None
    ) -> None:
        self.gap, self.clock, self.chain, self.spans = gap, clock, chain, spans
        self.hours, self.lengths = hours, lengths

    @classmethod
    def fit(
        cls, gap: Gap, clock: Clock, times: Times, given: Codes, activity: Array, kinds: int, k: int,
        rng: np.random.Generator, progress: Progress,
    ) -> Self:  # fmt: skip
        """given: what is known of each step (n,) before its time. activity: (n,) what happens, of so many `kinds`.

        k: spans that fewer steps have are not reproduced.
        """
        before, after = times.before, times.now
        codes = Codes((gap.field,), (gap.encode(after - before),), len(after))
        chain = Chain(Chained(judged=False, max_features=ASKED)).fit(codes, given, rng, progress)
        new = cls(gap, clock, chain, _spans(times.now - times.born, activity, kinds, k), None, None)
        if clock.hours(before[:1]) is not None and len(after):
            some = np.sort(rng.permutation(len(after))[:LOOKED])
            what = activity[some]
            tried, landed = new._tried(given.take(some), before[some], TRIED, rng, 1.0)
            hour = _Margin.of(what, new._week(after[some]), new._week(landed), kinds, WEEK)
            length = _Margin.of(what, _bin(codes.arrays[0][some]), _bin(tried), kinds, BINS)
            new.hours, new.lengths = _tilted(hour, length)
        return new

    def draw(
        self, given: Codes, before: Ints, born: Ints | None, activity: Array, rng: np.random.Generator,
        temperature: float = 1.0,
    ) -> Floats:  # fmt: skip
        """(n,) the codes of gaps. born: (n,) when the sequences began; None where they may last for any time."""
        codes, landed = self._tried(given, before, TRIED, rng, temperature)
        weight, what = np.ones(codes.shape), activity[:, None]
        if self.hours is not None and self.lengths is not None:
            weight = self.hours[what, self._week(landed)] * self.lengths[what, _bin(codes)]
        if born is not None:
            since, (least, most) = landed - born[:, None], self.spans[activity].T[:, :, None]
            for wrong in (since > most, (since < least) | (since > most)):
                weight = np.where(wrong & ~wrong.all(1, keepdims=True), 0.0, weight)
        below = np.cumsum(weight, axis=1)
        ball = rng.random((given.n, 1)) * below[:, -1:]
        return np.asarray(codes[np.arange(given.n), np.minimum((below <= ball).sum(1), TRIED - 1)])

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
        gap, arrays = self.gap.state()
        chain, own = self.chain.state()
        arrays |= {f"chain/{n}": a for n, a in own.items()}
        if self.hours is not None and self.lengths is not None:
            arrays |= {"hours": self.hours, "lengths": self.lengths}
        arrays |= {"spans": self.spans}
        return {"gap": gap, "chain": chain}, arrays

    @classmethod
    def restore(cls, clock: Clock, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        chain, hours, lengths = Chain.restore(meta["chain"], part(arrays, "chain/")), None, None
        spans = saved_array(arrays, "spans", np.int64, 2)
        if "hours" in arrays:
            hours, lengths = (saved_array(arrays, name, np.float64, 2) for name in ("hours", "lengths"))
            if (
                hours.shape != (len(spans), WEEK)
                or lengths.shape != (len(spans), BINS)
                or not min(hours.min(), lengths.min()) > 0
            ):
                raise ModelFileError("the saved hours of the week are damaged.")
        return cls(Gap.restore(meta["gap"], arrays), clock, chain, spans, hours, lengths)


def _spans(since: Ints, activity: Array, kinds: int, k: int) -> Ints:
    """(kinds, 2) the k-th smallest and largest time since the beginning at which each activity happens."""
    order = np.lexsort((since, activity))
    since, ends = since[order], np.searchsorted(activity[order], np.arange(kinds + 1))
    spans = np.zeros((kinds, 2), np.int64)
    for what in range(kinds):
        own = since[ends[what] : ends[what + 1]]
        few = len(own) < 4 * k
        spans[what] = (0, since.max(initial=0)) if few else (own[k - 1], own[-k])
    return spans


def _bin(codes: Floats) -> Ints:
    """About how long gaps are."""
    return np.minimum(codes * BINS, BINS - 1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Margin:
    """How often real steps fall into cells, and the cell of each that was drawn."""

    seen: Ints  # (kinds, cells)
    drawn: Ints  # (n, tried) numbers of cells

    @classmethod
    def of(cls, what: Array, real: Ints, drawn: Ints, kinds: int, cells: int) -> Self:
        """real: (n,), drawn: (n, tried) cells of steps (n,) at which `what` happens."""
        seen = np.bincount(what * cells + real, minlength=kinds * cells).reshape(kinds, cells)
        return cls(seen, what[:, None] * cells + drawn)

    def ratio(self, chance: Floats) -> Floats:
        """(kinds, cells) how much oftener real steps fall into a cell than those drawn, taken with a chance.

        What few steps say of one activity, all of them say of it: that is added to both.
        """
        expected = np.bincount(self.drawn.ravel(), chance.ravel(), self.seen.size).reshape(self.seen.shape)
        whole = (self.seen.sum(0) + DOUBT) / (expected.sum(0) + DOUBT)
        return np.asarray((self.seen + DOUBT * whole) / (expected + DOUBT))


def _tilted(first: _Margin, second: _Margin) -> tuple[Floats, Floats]:
    """Weights of the cells of both, by which one of those drawn is taken, so that both come as in what was seen."""
    one, two = np.ones(first.seen.shape), np.ones(second.seen.shape)
    for _ in range(ROUNDS):
        for weights, margin in ((one, first), (two, second)):
            chance = one.ravel()[first.drawn] * two.ravel()[second.drawn]
            weights *= margin.ratio(chance / chance.sum(1, keepdims=True))
            np.maximum(weights, 1e-9, out=weights)
    return one, two

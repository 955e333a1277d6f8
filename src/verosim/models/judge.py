"""A judge of drawn rows: a discriminator that sends back those which real rows seldom look like.

What a chain gets wrong a little in each column adds up over a row. A discriminator learns to tell drawn rows from real
ones; its odds estimate how much rarer or commoner a row is among the drawn ones, and rows are kept with a chance in
proportion (Azadi et al., Discriminator Rejection Sampling, 2019). It is shallow, and its leaves hold many rows: it
sees regions, not people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, Floats, saved_array
from verosim.models.boost import Boosted, Options, boost
from verosim.models.features import features, rank

LEAST_ROWS: Final = 2_000  # of fewer real rows, what tells them apart is chance
MOST_ROWS: Final = 20_000
DRAWN: Final = 2  # drawn rows for each real one: they cost nothing, and steady the odds
MOST_FEATURES: Final = 40  # asked by one tree: the cost of wide tables stays bounded
SURE: Final = (0.9, 0.8, 0.7, 0.6, 0.5)  # share of the drawn rows whose odds are followed in full: as large ...
TRIES: Final = 4  # times that a row which is sent back is drawn again
KEPT: Final = 0.4  # ... as lets so many rows stay: the cost of sampling and the harm of a mistaken judge are bounded
OPTIONS: Final = Options(rounds=20, rate=0.2, max_depth=6, min_leaf=30, ridge=1.0, sketch=1)


@dataclass(frozen=True, slots=True)
class Judge:
    """The chance with which a drawn row is kept."""

    boosted: Boosted
    ranks: Mapping[int, Array]  # for each field that is a category: level -> uint16
    top: float  # log odds from which a row is always kept

    @classmethod
    def fit(cls, real: Codes, drawn: Codes, rng: np.random.Generator) -> Self:
        """real, drawn: rows of the same fields; about `DRAWN` times as many drawn ones."""
        rows = Codes(
            real.fields,
            tuple(np.concatenate(pair) for pair in zip(real.arrays, drawn.arrays, strict=True)),
            real.n + drawn.n,
        )
        is_real = np.repeat([1, 0], [real.n, drawn.n])
        side = (is_real - is_real.mean())[:, None]
        ranks = {i: rank(rows.arrays[i], f.levels, side) for i, f in enumerate(rows.fields) if not f.ordered}
        X, none_held = _all(rows, ranks), np.zeros(rows.n, bool)
        options = replace(OPTIONS, features=min(1.0, MOST_FEATURES / len(rows.fields)))
        boosted = boost(X, is_real, 2, none_held, rng, options)
        return cls(boosted, ranks, _top(_log_odds(boosted, X[:, real.n :])))

    def keeps(self, rows: Codes, rng: np.random.Generator) -> Array:
        """(n,) which of the drawn rows stay."""
        return np.asarray(rng.random(rows.n) < _chance(self.odds(rows), self.top))

    def odds(self, rows: Codes) -> Floats:
        """(n,) the logarithm of how much likelier each row is real than drawn."""
        return _log_odds(self.boosted, _all(rows, self.ranks))

    def arrays(self) -> dict[str, Array]:
        ranks = {f"rank{i}": levels for i, levels in self.ranks.items()}
        return {**self.boosted.arrays(), **ranks, "top": np.array([self.top])}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], fields: tuple[Field, ...]) -> Self:
        """What `arrays` gave, checked. Raises ModelFileError."""
        ranks = {i: saved_array(arrays, f"rank{i}", np.uint16) for i, f in enumerate(fields) if not f.ordered}
        top = saved_array(arrays, "top", np.float64)
        boosted = Boosted.restore(arrays, len(fields))
        right = len(boosted.prior) == 2 and len(top) == 1 and bool(np.isfinite(top).all())
        if not right or any(len(levels) != fields[i].levels for i, levels in ranks.items()):
            raise ModelFileError("the saved judge of rows is damaged.")
        return cls(boosted, ranks, float(top[0]))


def _all(rows: Codes, ranks: Mapping[int, Array]) -> Array:
    return features(range(len(rows.fields)), ranks, rows.fields, dict(enumerate(rows.arrays)), rows.n)


def _top(log_odds: Floats) -> float:
    """The log odds from which drawn rows always stay."""
    tops = np.quantile(log_odds, SURE).tolist()
    return float(next((top for top in tops if _chance(log_odds, top).mean() >= KEPT), tops[-1]))


def _chance(log_odds: Floats, top: float) -> Floats:
    return np.exp(np.minimum(log_odds - top, 0.0))


def _log_odds(boosted: Boosted, X: Array) -> Floats:
    scores = boosted.scores(X)
    return np.asarray(scores[:, 1] - scores[:, 0], np.float64)


Draw = Callable[
    [Codes, np.random.Generator, float], Codes
]  # rows that have the known fields first -> rows of all fields


def judge_of(data: Codes, draw: Draw, rng: np.random.Generator) -> Judge | None:
    """A judge of what `draw` draws beside real rows; None where these are too few."""
    if data.n < LEAST_ROWS:
        return None
    real = data.take(np.sort(rng.choice(data.n, min(data.n, MOST_ROWS), replace=False)))
    times = np.tile(np.arange(real.n), DRAWN)
    return Judge.fit(real, draw(real.take(times), rng, 1.0), rng)


def redrawn(
    given: Codes, draw: Draw, judge: Judge | None, known: int, rng: np.random.Generator, temperature: float
) -> Codes:
    """Rows of the fields after the first `known`; those that the judge sends back are drawn again, some times."""
    rows = draw(given, rng, temperature)
    todo = np.arange(given.n)
    for _ in range(TRIES):
        todo = todo[~judge.keeps(rows.take(todo), rng)] if judge else todo[:0]
        if not len(todo):
            break
        again = draw(rows.take(todo), rng, temperature)
        for array, new in zip(rows.arrays[known:], again.arrays[known:], strict=True):
            array[todo] = new
    return Codes(rows.fields[known:], rows.arrays[known:], given.n)

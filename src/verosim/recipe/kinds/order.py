"""Columns in which a row depends on those before it: previous values, running sums, ranks, and series.

The rows of one parent are one run of steps, in order, all in one block. Without a parent the table is one run, and each
block hands its last state to the next; such a state is worked out again, block by block, by a process that needs it.

Steps are not taken one by one. A step is a map from the state before to the state after; maps of maps are maps, so all
states are found by combining them in pairs, in the logarithm of the number of steps (Hillis and Steele, 1986). The
first row of a run has a map that forgets the state before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import SchemaError, did_you_mean
from verosim.normal import normal_quantile
from verosim.recipe.kinds.plain import Scalar
from verosim.recipe.nouns import Floats, Ints, Kind, Maker, Number, Term, listed

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block, Run

Step = Callable[["Block", Any], tuple[pl.Series, Any]]  # a block, the state before (None at first) -> values, state


def in_steps(scope: Scope, name: str, dtype: pl.DataType, step: Step) -> Maker:
    """A column made block by block, each with the state that the one before left, where there is no parent."""
    if scope.planned.parent is not None:
        return Maker(dtype, lambda block: step(block, None)[0], across=True)
    table = scope.table

    def make(block: Block) -> pl.Series:
        values, state = step(block, _state(block.run, block.number))
        block.run.once(("state", table, name, block.number), lambda: state)
        return values

    def _state(run: Run, number: int) -> Any:
        """What block number - 1 left; worked out from the last block of which it is known."""
        known = number
        while known and not run.knows(("state", table, name, known - 1)):
            known -= 1
        for missing in range(known, number):
            run.block(table, missing)[name]
        return run.once(("state", table, name, number - 1), lambda: None)

    return Maker(dtype, make, across=True)


def firsts_of(block: Block) -> npt.NDArray[np.bool_]:
    """Which rows (n,) are the first of their run."""
    return block.position == 0 if block.planned.parent is not None else np.zeros(block.n, bool)


def _steps(block: Block) -> Ints:
    """The number of each row (n,) in its run, from 0."""
    return block.position if block.planned.parent is not None else block.rows


# ------------------------------------------------------------------------------------------------- previous, running


ALL: Final = "\0all"


def _grouped(scope: Scope, by: str | None) -> list[str]:
    """What runs are told apart by: the parent, and the column `by`."""
    if by is not None:
        scope.maker(by)
    return [*(["\0up"] if scope.planned.parent is not None else []), *([by] if by is not None else [])] or [ALL]


def _of_run(block: Block, values: pl.Series, groups: list[str]) -> pl.DataFrame:
    """The values with what tells their run apart."""
    known = {"\0up": lambda: pl.Series(block.parents), ALL: lambda: pl.repeat(0, block.n, eager=True)}
    return pl.DataFrame({"value": values, **{g: known[g]() if g in known else block[g] for g in groups}})


def _last(frame: pl.DataFrame, groups: list[str]) -> pl.DataFrame:
    """The last row of each run, from which the next block goes on."""
    return frame.group_by(groups, maintain_order=True).last().select(frame.columns)


@dataclass(frozen=True)
class Previous(Kind):
    ABOUT: ClassVar[str] = "the value of a column in the row before"

    column: str
    default: Scalar | None = None  # of the first row
    by: str | None = None  # a column: the row before of the same value there

    def plan(self, scope: Scope, name: str) -> Maker:
        dtype = scope[self.column]
        groups = _grouped(scope, self.by)
        try:
            first = pl.Series([self.default]).cast(dtype, strict=True)
        except pl.exceptions.PolarsError as error:
            raise SchemaError(f"`default` {self.default!r} is no {dtype}, which {self.column!r} is.") from error
        shifted = pl.col("value").shift(1, fill_value=first[0]).over(groups)

        def step(block: Block, before: Any) -> tuple[pl.Series, Any]:
            own = _of_run(block, block[self.column], groups)
            frame = own if before is None else pl.concat([before, own])
            return frame.select(shifted).to_series().tail(block.n), _last(frame, groups)

        return in_steps(scope, name, dtype, step)


_HOWS: Final = {"sum": "cum_sum", "count": "cum_sum", "min": "cum_min", "max": "cum_max"}


@dataclass(frozen=True)
class Running(Kind):
    ABOUT: ClassVar[str] = "the sum (count, min, max) of a column up to this row"

    column: str
    how: str = "sum"
    start: Number = 0  # what a sum begins with
    by: str | None = None  # a column: only rows of the same value there

    def plan(self, scope: Scope, name: str) -> Maker:
        if self.how not in _HOWS:
            raise SchemaError(f"how {self.how!r}: {did_you_mean(self.how, _HOWS)}")
        given = scope[self.column]
        if self.how != "count" and not given.is_numeric():
            raise SchemaError(f"a running {self.how} is of numbers; {self.column!r} is {given}.")
        groups = _grouped(scope, self.by)
        whole = self.how == "count" or (given.is_integer() and isinstance(self.start, int))
        dtype = pl.Int64() if whole else pl.Float64()
        begun = pl.col("value") + pl.when(pl.int_range(pl.len()).over(groups) == 0).then(self.start).otherwise(0)
        up_to = getattr(pl.col("value"), _HOWS[self.how])().over(groups)
        up_to = up_to.forward_fill().over(groups) if self.how in ("min", "max") else up_to

        def step(block: Block, before: Any) -> tuple[pl.Series, Any]:
            """What each run came to so far stands before its rows, as one more of them."""
            values = block[self.column]
            values = values.is_not_null() if self.how == "count" else values
            values = values.cast(dtype) if self.how in ("min", "max") else values.cast(dtype).fill_null(0)
            own = _of_run(block, values, groups)
            frame = own if before is None else pl.concat([before, own])
            if self.how == "sum" and self.start:
                known = 0 if before is None else before.height
                frame = pl.concat([frame.head(known), frame.with_columns(begun.alias("value")).slice(known)])
            frame = frame.with_columns(up_to.alias("value"))
            return frame["value"].tail(block.n), _last(frame, groups)

        return in_steps(scope, name, dtype, step)


@dataclass(frozen=True)
class Rank(Kind):
    ABOUT: ClassVar[str] = (
        "the rank of a column's value among the rows of the parent, or in the whole table; 1 is least"
    )

    column: str
    descending: bool = False
    by: str | None = None

    def plan(self, scope: Scope, name: str) -> Maker:
        scope.maker(self.column)
        if self.by is not None:
            scope.maker(self.by)
        groups = [self.by] if self.by else []
        rank = pl.col("value").rank("ordinal", descending=self.descending).cast(pl.Int64)

        def make(block: Block) -> pl.Series:
            if block.planned.parent is not None:
                frame = pl.DataFrame({"value": block[self.column], "\0up": block.parents}).hstack(block.frame(groups))
                return frame.select(rank.over(["\0up", *groups])).to_series()
            every = block.run.once(("ranks", block.table, name), lambda: self._whole(block.run, block.table, rank))
            return every.slice(int(block.rows[0]) if block.n else 0, block.n)

        return Maker(pl.Int64(), make, across=True)

    def _whole(self, run: Run, table: str, rank: pl.Expr) -> pl.Series:
        frame = pl.DataFrame({"value": run.whole(table, self.column)})
        if self.by:
            frame = frame.with_columns(run.whole(table, self.by).alias("by"))
        return frame.select(rank.over("by") if self.by else rank).to_series()


# ------------------------------------------------------------------------------------------------- series


@dataclass(frozen=True)
class Season:
    """A wave: its period in steps, how high it goes, and by how many steps it is late."""

    period: float
    size: float
    shift: float = 0.0


@dataclass(frozen=True)
class Series(Kind):
    ABOUT: ClassVar[str] = "a time series: level, trend, seasons, and noise that depends on itself (autoregressive)"

    level: Term = 0.0
    trend: float = 0.0  # a step
    seasons: tuple[Season, ...] = ()
    ar: tuple[float, ...] = ()  # how the noise goes on: 0.8 for one step back, [0.5, 0.3] for two
    sd: float = 1.0  # of what is new in each step

    def plan(self, scope: Scope, name: str) -> Maker:
        if any(not s.period > 0 for s in self.seasons) or self.sd < 0:
            raise SchemaError("a season's `period` is above 0, and `sd` is 0 or more.")
        level = scope.expression(self.level) if isinstance(self.level, str) else None
        if level is not None and not level.dtype.is_numeric():
            raise SchemaError(f"`level` is a number; {self.level!r} gives {level.dtype}.")
        noise = self._noise()

        def step(block: Block, before: Any) -> tuple[pl.Series, Any]:
            t = _steps(block).astype(np.float64)
            base = block.evaluate(level, name, "level").cast(pl.Float64).to_numpy() if level else float(self.level)
            out = base + self.trend * t
            for season in self.seasons:
                out = out + season.size * np.sin(2 * np.pi * (t - season.shift) / season.period)
            e = self.sd * normal_quantile(block.uniform(name))
            states = noise(e, firsts_of(block), before)
            return listed(out + states[:, 0], pl.Float64()), states[-1] if block.n else before

        return in_steps(scope, name, pl.Float64(), step)

    def _noise(self) -> Callable[[Floats, npt.NDArray[np.bool_], Any], Floats]:
        """New values (n,) and the state before to states (n, p): the noise of the last p steps, the newest first."""
        p = max(1, len(self.ar))
        turn = np.zeros((p, p))
        turn[0, : len(self.ar)] = self.ar
        turn[np.arange(1, p), np.arange(p - 1)] = 1
        if np.abs(np.linalg.eigvals(turn)).max() >= 1:
            raise SchemaError(f"`ar` {list(self.ar)} grows without end; for one step back a number between -1 and 1.")
        settled = self.sd and _settled(turn)  # how much more the noise spreads in the long run than in one step

        def states(e: Floats, firsts: npt.NDArray[np.bool_], before: Any) -> Floats:
            maps = np.broadcast_to(turn, (len(e), p, p)).copy()
            moves = np.zeros((len(e), p))
            moves[:, 0] = e
            maps[firsts] = 0
            moves[firsts, 0] *= settled
            if len(e) and not firsts[0]:
                moves[0] = (e[0] * settled if before is None else e[0] + turn[0] @ before) * np.eye(p)[0]
                moves[0, 1:] = 0 if before is None else before[: p - 1]
                maps[0] = 0
            return _scan_affine(maps, moves)

        return states


def _settled(turn: Floats) -> float:
    """The long-run spread of a process over that of one step: the sum of its squared responses."""
    state, total = np.eye(len(turn))[0], 0.0
    for _ in range(10_000):
        total += float(state[0] ** 2)
        state = turn @ state
        if np.abs(state).max() < 1e-9:
            break
    return float(np.sqrt(total))


def _scan_affine(maps: Floats, moves: Floats) -> Floats:
    """x[t] = maps[t] @ x[t-1] + moves[t] for all t; maps (n, p, p), moves (n, p), the first map is 0."""
    width = 1
    while width < len(moves) and maps[width:].any():
        moves[width:] = moves[width:] + np.einsum("nij,nj->ni", maps[width:], moves[:-width])
        maps[width:] = np.einsum("nij,njk->nik", maps[width:], maps[:-width])
        width *= 2
    return moves

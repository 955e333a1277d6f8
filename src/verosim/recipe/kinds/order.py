"""Columns in which a row depends on those before it: previous values, running sums, ranks, series, and states.

The rows of one parent are one run of steps, in order, all in one block. Without a parent the table is one run, and each
block hands its last state to the next; such a state is worked out again, block by block, by a process that needs it.

Steps are not taken one by one. A step is a map from the state before to the state after; maps of maps are maps, so all
states are found by combining them in pairs, in the logarithm of the number of steps (Hillis and Steele, 1986). The
first row of a run has a map that forgets the state before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import DataError, SchemaError, did_you_mean
from verosim.normal import normal_quantile
from verosim.providers.packs import taken
from verosim.recipe.kinds.plain import OTHERWISE, Scalar, plain_series, shares_of
from verosim.recipe.kinds.times import DAY, SECOND, WORDS, moment
from verosim.recipe.nouns import Column, Floats, Ints, Kind, Maker, Number, Term, listed

if TYPE_CHECKING:
    from verosim.expressions import Expression
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block, Run

MOST: Final = 300_000 * DAY  # the longest time in a state
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


def _firsts(block: Block) -> npt.NDArray[np.bool_]:
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
            states = noise(e, _firsts(block), before)
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


# ------------------------------------------------------------------------------------------------- states


@dataclass(frozen=True)
class States(Kind):
    ABOUT: ClassVar[str] = "a state machine: in each row the next state, by the chances of the one before (Markov)"

    moves: dict[str, dict[str, Number]]  # state -> next state -> weight; a state without moves stays
    start: str | dict[str, Number] | None = None  # the first state, or weights; by default the first named

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys([*self.moves, *(to for row in self.moves.values() for to in row)]))

    def plan(self, scope: Scope, name: str) -> Maker:
        names = self.names
        if not names:
            raise SchemaError("there are no states.")
        start = self.start if self.start is not None else names[0]
        begin = _running({start: 1} if isinstance(start, str) else start, names, "start")
        rows = [_running(self.moves.get(n) or {n: 1}, names, n) for n in names]
        ends, labels = np.stack(rows), plain_series(names)

        def step(block: Block, before: Any) -> tuple[pl.Series, Any]:
            u = block.uniform(name)
            maps = np.stack([np.searchsorted(row[:-1], u, side="right") for row in ends], axis=1)
            firsts = _firsts(block)
            if block.n and block.planned.parent is None:
                firsts = np.arange(block.n) == 0
            initial = np.searchsorted(begin[:-1], u, side="right")
            if before is not None and block.n:
                initial[0] = maps[0, before]
            maps[firsts] = initial[firsts, None]
            states = _scan_maps(maps)
            return taken(labels, states), int(states[-1]) if block.n else before

        return in_steps(scope, name, labels.dtype, step)


def _running(weights: dict[str, Number], names: list[str], what: str) -> Floats:
    for key in weights:
        if key not in names:
            raise SchemaError(f"{what}: no state {key!r}; {did_you_mean(key, names)}")
    try:
        return np.cumsum(shares_of([weights.get(n, 0) for n in names]))
    except SchemaError as error:
        raise SchemaError(f"state {what!r}: {error}") from error


def _scan_maps(maps: Ints) -> Ints:
    """The state after each step; maps (n, states) from the state before to the one after, the first a constant."""
    width = 1
    while width < len(maps):
        after, before = maps[width:], maps[:-width]
        maps = np.concatenate([maps[:width], np.take_along_axis(after, before, axis=1)])
        if (maps == maps[:, :1]).all():
            break
        width *= 2
    return maps[:, 0]


@dataclass(frozen=True)
class Sojourn(Kind):
    ABOUT: ClassVar[str] = "when each state of a state machine was entered: after the time spent in those before it"

    state: str  # the column of states
    stay: dict[str, Column]  # state -> how long it lasts, a number of `unit`; `else` for all others
    start: str = "2024-01-01"  # of the first row: a time, or an expression that gives one
    unit: str = "days"

    def plan(self, scope: Scope, name: str) -> Maker:
        if self.unit not in WORDS:
            raise SchemaError(f"unit {self.unit!r}: {did_you_mean(self.unit, WORDS)}")
        self._check_states(scope)
        start = self._start(scope)
        base = pl.Datetime("us") if isinstance(start, dt.datetime) or start.dtype == pl.Date else start.dtype
        stays = {state: f"\0stay in {state} of {name}" for state in self.stay}
        for state, hidden in stays.items():
            scope.hide(hidden, self.stay[state], name)
            if not scope[hidden].is_numeric():
                raise SchemaError(f"stay in {state!r}: a number of {self.unit} was wanted, not {scope[hidden]}.")

        def step(block: Block, before: Any) -> tuple[pl.Series, Any]:
            spans = self._spans(block, stays)
            sums = np.concatenate([[before or 0], (before or 0) + np.cumsum(spans)])
            begun = sums[np.arange(block.n) - block.position] if block.planned.parent is not None else 0
            since = pl.Series(sums[:-1] - begun).cast(pl.Duration("us"))
            first = pl.Series([start]) if isinstance(start, dt.datetime) else block.evaluate(start, name, "start")
            return first.cast(base) + since, int(sums[-1])

        return in_steps(scope, name, base, step)

    def _check_states(self, scope: Scope) -> None:
        scope.maker(self.state)
        kind = scope.planned.columns[self.state].kind
        if isinstance(kind, States):
            known = kind.names
            for state in self.stay:
                if state not in known and state != OTHERWISE:
                    raise SchemaError(f"stay: no state {state!r}; {did_you_mean(state, known)}")
            left = [state for state in known if state not in self.stay]
            if left and OTHERWISE not in self.stay:
                raise SchemaError(f"stay: how long is {left[0]!r}? Add it, or `{OTHERWISE}`.")

    def _start(self, scope: Scope) -> dt.datetime | Expression:
        try:
            return moment(self.start)
        except SchemaError:
            found = scope.expression(self.start)
        if not isinstance(found.dtype, pl.Date | pl.Datetime):
            raise SchemaError(f"`start` is a time; {self.start!r} gives {found.dtype}.")
        return found

    def _spans(self, block: Block, stays: dict[str, str]) -> Ints:
        """How long each row's state lasts (n,), whole seconds in microseconds; what is missing lasts no time."""
        states, out = block[self.state].cast(pl.String), np.zeros(block.n)
        for state, hidden in stays.items():
            among = ~states.is_in([*stays]) if state == OTHERWISE else states == state
            lengths = block[hidden].cast(pl.Float64).fill_null(0.0).to_numpy()
            out = np.where(among.fill_null(False).to_numpy(), lengths, out)
        bad = np.flatnonzero(~(out >= 0) | (out * WORDS[self.unit] > MOST))
        if len(bad):
            raise DataError(f"a stay is a length of time from 0 up, not {out[bad[0]]} {self.unit}.", row=int(bad[0]))
        return np.round(out * (WORDS[self.unit] / SECOND)).astype(np.int64) * SECOND

"""State machines: in each row the next state, and when it was entered."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import polars as pl

from verosim.errors import DataError, SchemaError, did_you_mean
from verosim.providers.packs import taken
from verosim.recipe.kinds.order import firsts_of, in_steps
from verosim.recipe.kinds.plain import OTHERWISE, plain_series, shares_of
from verosim.recipe.kinds.times import DAY, SECOND, WORDS, moment
from verosim.recipe.nouns import Column, Floats, Ints, Kind, Maker, Number

if TYPE_CHECKING:
    from verosim.expressions import Expression
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block

MOST: Final = 300_000 * DAY  # the longest time in a state


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
            firsts = firsts_of(block)
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

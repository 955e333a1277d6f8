"""Populations: entities that change their state step by step, at rates that may depend on how many are in which state.

In a step of length d, an entity that leaves its state at the rate r does so with probability 1 - exp(-r d), to each of
the next states in proportion to their rates: the tau-leaping of Gillespie (2001), exact for d -> 0. All entities of a
step see the same counts, those at its start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from verosim.draws import BLOCK, stream
from verosim.errors import DataError, did_you_mean
from verosim.recipe.kinds import Formula
from verosim.recipe.nouns import Column, Floats, Ints, PlacedError, Table, Where
from verosim.recipe.planning import Plan
from verosim.recipe.running import Run
from verosim.simulation.arrivals import Rows
from verosim.simulation.clock import Clock
from verosim.simulation.nouns import MOST_ROWS, Population
from verosim.simulation.plan import Given

MOST_STEPS: Final = 10_000_000


class Populations:
    """One population, planned. Raises PlacedError."""

    def __init__(self, name: str, noun: Population, clock: Clock, folder: Path, locale: str = "en_US") -> None:
        self.name, self.noun, self.clock = name, noun, clock
        self.states = list(noun.states)
        self.where: Where = ("populations", name)
        self._check()
        columns = dict(noun.columns)
        for given in ("time", *(f"{what}_{s}" for what in ("n", "share") for s in self.states)):
            columns[given] = Column(Given(pl.Float64()))
        for s, moves in noun.states.items():
            for i, move in enumerate(moves):
                if isinstance(move.rate, str):
                    columns[_term(s, i)] = Column(Formula(move.rate), hidden=True)
        try:
            self.plan = Plan({name: Table(columns)}, locale, folder)
        except PlacedError as error:
            part = str(error.where[3]) if len(error.where) > 3 else ""
            place = (
                (*self.where, "states", *part.split("\0")[1:2])
                if part.startswith("\0")
                else (*self.where, "columns", part)
            )
            raise PlacedError(str(error).partition(": ")[2] or str(error), place) from error

    def _check(self) -> None:
        noun = self.noun
        if noun.size < 1 or noun.step <= 0 or noun.until <= 0 or noun.until / noun.step > MOST_STEPS:
            raise PlacedError("`size`, `step` and `until` are over 0.", self.where)
        if noun.size > MOST_ROWS:
            raise PlacedError(f"at most {MOST_ROWS:,} entities, not {noun.size:,}.", (*self.where, "size"))
        if not self.states:
            raise PlacedError("there are no states.", (*self.where, "states"))
        for state, moves in noun.states.items():
            for i, move in enumerate(moves):
                if move.to not in noun.states:
                    hint = did_you_mean(move.to, self.states)
                    raise PlacedError(f"no state {move.to!r}; {hint}", (*self.where, "states", state, i, "to"))
                if not isinstance(move.rate, str) and not 0 <= move.rate < float("inf"):
                    raise PlacedError(
                        f"a rate is 0 or more, not {move.rate}.", (*self.where, "states", state, i, "rate")
                    )
        for state in noun.start:
            if state not in noun.states:
                raise PlacedError(
                    f"no state {state!r}; {did_you_mean(state, self.states)}", (*self.where, "start", state)
                )
        self._check_start()

    def _check_start(self) -> None:
        """Shares that sum to 1 or less, or whole numbers that are there."""
        values, where = list(self.noun.start.values()), (*self.where, "start")
        if any(v < 0 for v in values):
            raise PlacedError(f"{min(values):g} cannot start in a state.", where)
        if any(v > 1 for v in values):
            if any(v % 1 for v in values) or sum(values) > self.noun.size:
                said = f"whole numbers of the {self.noun.size:,} entities, or shares, were wanted; these sum to"
                raise PlacedError(f"{said} {sum(values):g}.", where)
        elif any(v % 1 for v in values) and sum(values) > 1 + 1e-9:
            raise PlacedError(f"the shares sum to {sum(values):g}, which is over 1.", where)

    blocks = 1  # whose steps depend on all entities

    def block(self, seed: int, number: int) -> dict[str, pl.DataFrame]:
        """The entities with their last states, their moves, and how many were in each state, step by step."""
        run = Run(self.plan, {self.name: self.noun.size}, seed)
        names = list(self.noun.columns)
        values = {n: pl.concat([b[n] for b in self._blocks(run)]) for n in names}
        state = self._begin(seed)
        counts, moves = [], []
        steps = round(self.noun.until / self.noun.step)
        for step in range(steps):
            now = step * self.noun.step
            counts.append(np.bincount(state, minlength=len(self.states)))
            who, to = self._step(run, step, now, state, counts[-1], values)
            moves.append((np.full(len(who), now + self.noun.step, dtype=np.float64), who, state[who], to))
            state[who] = to
        counts.append(np.bincount(state, minlength=len(self.states)))
        return self._tables(values, state, counts, moves)

    def _blocks(self, run: Run) -> list[Rows]:
        starts = range(0, self.noun.size, BLOCK)
        return [
            Rows(run, i, 0, np.arange(s, min(s + BLOCK, self.noun.size)), table=self.name) for i, s in enumerate(starts)
        ]

    def _begin(self, seed: int) -> Ints:
        """The first states (n,): shares or numbers of entities, drawn without order."""
        whole = any(v > 1 for v in self.noun.start.values()) or sum(self.noun.start.values()) > 1 + 1e-9
        numbers = [round(v if whole else v * self.noun.size) for v in self.noun.start.values()]
        state = np.zeros(self.noun.size, np.int64)
        order = np.argsort(stream(seed, "population", self.name, "start").random(self.noun.size))
        ends = np.cumsum([0, *numbers])
        for given, low, high in zip(self.noun.start, ends[:-1], ends[1:], strict=True):
            state[order[low:high]] = self.states.index(given)
        return state

    def _step(
        self, run: Run, step: int, now: float, state: Ints, counts: Ints, values: dict[str, pl.Series]
    ) -> tuple[Ints, Ints]:
        """Who moves in this step, and where to."""
        u = stream(run.seed, "population", self.name, step).random((2, self.noun.size))
        who, to = [], []
        for s, moves in enumerate(self.noun.states.values()):
            members = np.flatnonzero(state == s)
            if not len(members) or not moves:
                continue
            rates = self._rates(run, step, now, s, members, counts, values)  # (moves, members)
            sums = np.cumsum(rates, axis=0)
            gone = u[0, members] < -np.expm1(-sums[-1] * self.noun.step)
            target = (u[1, members] * sums[-1] >= sums).sum(axis=0)
            ends = np.array([self.states.index(m.to) for m in moves])
            who.append(members[gone])
            to.append(ends[np.minimum(target[gone], len(moves) - 1)])
        if not who:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate(who), np.concatenate(to)

    def _rates(
        self, run: Run, step: int, now: float, s: int, members: Ints, counts: Ints, values: dict[str, pl.Series]
    ) -> Floats:
        state, moves = self.states[s], self.noun.states[self.states[s]]
        given = {"time": now, **{f"n_{n}": c for n, c in zip(self.states, counts, strict=True)}}
        given |= {f"share_{n}": c / self.noun.size for n, c in zip(self.states, counts, strict=True)}
        rows = Rows(run, step, 1, members, values, members, table=self.name)
        rows._values = {k: pl.Series([float(v)]).new_from_index(0, len(members)) for k, v in given.items()}
        drawn = [rows.numbers(_term(state, i)) if isinstance(m.rate, str) else m.rate for i, m in enumerate(moves)]
        rates: Floats = np.array([np.broadcast_to(rate, len(members)) for rate in drawn], dtype=np.float64)
        if not (rates >= 0).all():
            raise DataError(
                f"a rate from the state {state!r} is negative or missing.",
                table=self.name,
                fix="Correct the expression.",
            )
        return rates

    def _tables(
        self,
        values: dict[str, pl.Series],
        state: Ints,
        counts: list[Ints],
        moves: list[tuple[Floats, Ints, Ints, Ints]],
    ) -> dict[str, pl.DataFrame]:
        names = pl.Series(self.states, dtype=pl.Enum(self.states))
        times = np.concatenate([m[0] for m in moves])
        who, before, after = (np.concatenate([m[i] for m in moves]) for i in (1, 2, 3))
        grid = np.arange(len(counts)) * self.noun.step
        table = np.array(counts)
        return {
            self.name: pl.DataFrame({"id": np.arange(self.noun.size) + 1, **values, "state": names.gather(state)}),
            f"{self.name}_moves": pl.DataFrame(
                {
                    "id": who + 1,
                    "time": self.clock.dates(times),
                    "before": names.gather(before),
                    "after": names.gather(after),
                }
            ),
            f"{self.name}_counts": pl.DataFrame(
                {
                    "time": self.clock.dates(grid.astype(np.float64)),
                    **{s: table[:, i] for i, s in enumerate(self.states)},
                }
            ),
        }


def _term(state: str, number: int) -> str:
    return f"\0{state}\0{number}"

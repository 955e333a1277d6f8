"""What draws the columns of a step, given all that came before: trees, a network that remembers, or both (`Engine`).

`auto` draws each cell by one of the two, in shares chosen column by column on sequences that neither has seen, as for
the rows of plain tables (models/auto.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np

from verosim.control import derived
from verosim.draws import stream
from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, Floats, Progress, State, has_torch, part, saved_array, stage
from verosim.models.auto import drawn_by_both, shares_of_both, told_of_both
from verosim.models.chain import Chain
from verosim.models.chain import Options as Chained
from verosim.models.recurrent import Options as Recurring
from verosim.models.recurrent import Pieces, Recurrent
from verosim.schema import Table
from verosim.sequences.order import Runs, held_out
from verosim.sequences.steps import Stepper
from verosim.sequences.timing import ASKED
from verosim.table_model import Options

UNSEEN: Final = 0.1  # share of the sequences that end the training of a network, and choose the shares
LEAST: Final = 2_000  # steps: of fewer a network learns too little
MOST: Final = 60  # columns of a step: of more a network takes very long


@dataclass(frozen=True, slots=True)
class Steps:
    """Real steps (n,), end to end: what they are drawn given, and what they are."""

    runs: Runs
    given: Codes
    rest: Codes


class Engine:
    """chain, network: what draws, one or both. shares: (columns,) of the cells that the chain draws. why: it is one."""

    chain: Chain | None
    network: Recurrent | None
    shares: Floats
    why: str

    def __init__(self, stepper: Stepper, known: int) -> None:
        """known: fields that a step is drawn given: those of the stepper, and perhaps a gap in time."""
        self.known, recent = known, stepper.recent
        self.asked = [*range(recent), *range(len(stepper.given), known)]  # of a network: the others it remembers
        self.lags = range(stepper.lagged, recent)  # fields of the step before, which it has read already

    @classmethod
    def fit(cls, steps: Steps, table: Table, stepper: Stepper, options: Options, seed: int, progress: Progress) -> Self:
        """options: by their model `auto` has trees and a network, `network` one alone, and all others trees."""
        new = cls(stepper, len(steps.given.fields))
        flags = held_out(steps.runs.frame, table, UNSEEN, derived(seed, "unseen"))
        new.why = _alone(steps, flags) if options.model == "auto" else ""
        with_network = bool(steps.rest.fields) and options.model in ("auto", "network") and not new.why
        new.shares, new.chain, new.network = np.full(len(steps.rest.fields), float(not with_network)), None, None
        if options.model != "network" or not with_network:
            seen = np.flatnonzero(flags == 0) if with_network else np.arange(len(flags))
            chain, rng = Chain(Chained(judged=False, max_features=ASKED)), stream(seed, table.name, "steps")
            new.chain = chain.fit(steps.rest.take(seen), steps.given.take(seen), rng, stage(progress, 0.0, 0.4))
        if with_network:
            new._fit_network(steps, flags, options, stream(seed, table.name, "network"), stage(progress, 0.4, 1.0))
        return new

    def _fit_network(
        self, steps: Steps, flags: Array, options: Options, rng: np.random.Generator, progress: Progress
    ) -> None:
        """flags: (n,) 1 for steps that end the training and choose the shares, -1 for those that are not looked at."""
        data = self._seen(steps.given).beside(steps.rest)
        cut = steps.runs.new | (np.diff(flags, prepend=flags[:1]) != 0)
        pieces = Pieces.of(cut, steps.runs.new)
        of = flags[pieces.rows[:, 0]]
        recurring = _settings(options)
        pieces = pieces.take(of >= 0).at_most(recurring.max_rows, rng)
        held = flags[pieces.rows[:, 0]] == 1
        read = [i for i in range(len(data.fields)) if i not in self.lags]
        self.network = Recurrent(recurring).fit(data, len(self.asked), read, pieces, held, rng, progress)
        if self.chain is not None and held.any():
            rows, memory = self.network.remembered(data, pieces.take(held))
            walk = self.network.walk(memory, [data.arrays[i][rows] for i in range(len(self.asked))])
            unseen = steps.given.beside(steps.rest).take(rows)
            self.shares = shares_of_both(self.chain, walk, unseen, self.known - len(self.asked))

    def _seen(self, given: Codes) -> Codes:
        """What a network asks of what a step is drawn given."""
        some = self.asked
        return Codes(tuple(given.fields[i] for i in some), tuple(given.arrays[i] for i in some), given.n)

    # ---------------------------------------------------------------------------------------------- drawing

    def start(self, n: int) -> Floats:
        """What is remembered (n, width) before the first step."""
        return np.zeros((n, 0), np.float32) if self.network is None else self.network.start(n)

    def draw(self, given: Codes, memory: Floats, rng: np.random.Generator, temperature: float) -> list[Array]:
        """The codes (n,) of a step."""
        if self.network is None:
            assert self.chain is not None
            return list(self.chain.sample(given.n, given, rng, temperature).arrays)
        walk = self.network.walk(memory, self._seen(given).arrays)
        if self.chain is None:
            own = range(len(self.asked), len(self.network.fields))
            return [walk.draw(i, None, rng, temperature) for i in own]
        skipped = self.known - len(self.asked)
        drawn = drawn_by_both(self.chain, walk, self.shares, given.arrays, given.n, rng, temperature, skipped)
        return list(drawn[self.known :])

    def after(self, memory: Floats, given: Codes, codes: Sequence[Array]) -> Floats:
        """What is remembered after a step."""
        return memory if self.network is None else self.network.after(memory, [*self._seen(given).arrays, *codes])

    @property
    def notes(self) -> list[str]:
        return self.network.notes if self.network else []

    def explain(self) -> dict[str, str]:
        """For each field, how it is drawn."""
        by_network = self.network.explain() if self.network else {}
        if self.chain is None or not (self.network or self.why):
            return by_network if self.chain is None else self.chain.explain()
        return told_of_both(self.chain, by_network, self.shares, self.why)

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta: dict[str, Any] = {"known": self.known, "why": self.why}
        arrays: dict[str, Array] = {"shares": self.shares}
        for name, model in (("chain", self.chain), ("network", self.network)):
            if model is not None:
                meta[name], own = model.state()
                arrays |= {f"{name}/{n}": a for n, a in own.items()}
        return meta, arrays

    @classmethod
    def restore(cls, stepper: Stepper, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        new = cls(stepper, int(meta["known"]))
        new.why, new.shares, new.chain, new.network = str(meta["why"]), saved_array(arrays, "shares", float), None, None
        if "chain" in meta:
            new.chain = Chain.restore(meta["chain"], part(arrays, "chain/"))
        if "network" in meta:
            new.network = Recurrent.restore(meta["network"], part(arrays, "network/"))
        one = float(new.network is None)
        own = [f.name for f in new.fields[new.known :]]
        fit = len(new.shares) == len(own) and bool(((new.shares >= one) & (new.shares <= 1)).all())
        if new.network is not None:
            names = [f.name for f in new.network.fields]
            known = [f.name for f in new.chain.fields_[: new.known]] if new.chain else None
            fit &= names[len(new.asked) :] == own and (new.chain is not None or not bool(new.shares.any()))
            fit &= known is None or names[: len(new.asked)] == [known[i] for i in new.asked]
        if not fit:
            raise ModelFileError("the engines of the steps do not fit each other.")
        return new

    @property
    def fields(self) -> tuple[Field, ...]:
        """Those that a step is drawn given, as far as they are asked, and its own."""
        if self.chain is not None:
            return self.chain.fields_
        assert self.network is not None
        return self.network.fields


def _settings(options: Options) -> Recurring:
    """The settings of the table's engine that a network over sequences has too."""
    known = {f.name for f in fields(Recurring)} - {"batch", "max_rows"}
    return Recurring(**{name: value for name, value in options.settings.items() if name in known})


def _alone(steps: Steps, flags: Array) -> str:
    """Why the trees draw alone; empty where a network helps."""
    n, columns = len(flags), len(steps.rest.fields)
    if columns > MOST:
        return f"a network of {columns} columns a step takes long; model='network' trains one"
    if n < LEAST or not (flags == 1).any():
        return f"{n:,} steps are too few for a network"
    if not has_torch():
        return "PyTorch is not installed (pip install 'verosim[deep]'): no network beside them"
    return ""

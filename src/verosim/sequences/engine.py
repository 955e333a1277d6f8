"""What draws the columns of a step, given all that came before: trees, a network that remembers, or both (`Engine`).

`auto` has trees first. Where a judge tells what they draw from sequences that none has seen (contest.py), a network
learns beside them. Of trees, both and the network alone, the one that is least told is taken. Where both draw, each
cell is drawn by one of the two, in shares that make unseen steps likeliest, as in plain tables (models/auto.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
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

UNSEEN: Final = 2_000  # steps of sequences that end the training of a network, and choose the shares: about so many,
SHARES: Final = 0.1, 0.2  # but at least and at most this share of them
LEAST: Final = 5_000  # steps: of fewer a network learns too little
BESIDE: Final = {"epochs": 15, "max_rows": 20_000}  # of a network beside trees: more bring little, and cost much
KNOWN: Final = 0.55  # AUC from which a network is tried beside trees
BETTER: Final = 0.02  # by which an engine must be told less than trees to be taken: they cost less
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
        self.chain, self.network, self.why = None, None, ""
        self.known, recent = known, stepper.recent
        self.asked = [*range(recent), *range(len(stepper.given), known)]  # of a network: the others it remembers
        self.lags = range(stepper.lagged, recent)  # fields of the step before, which it has read already

    @classmethod
    def fit(
        cls, steps: Steps, table: Table, stepper: Stepper, options: Options, seed: int, progress: Progress,
        auc: Callable[[Engine, Array], float],
    ) -> Engine:  # fmt: skip
        """By the model of the options: `network` alone, trees alone, or, for `auto`, what unseen sequences choose.

        auc: how surely what an engine draws is told from real steps (n,) whose flags are 1, and which none has seen.
        """
        new = cls(stepper, len(steps.given.fields))
        flags, rng = unseen_of(steps.runs, table, seed), stream(seed, table.name, "network")
        alone = _alone(steps, flags) if options.model == "auto" else ""
        if not steps.rest.fields or alone or options.model not in ("auto", "network"):
            return new._with_trees(steps, np.arange(len(flags)), table, seed, progress, alone)
        if options.model == "network":
            return new._with_network(steps, flags, options, rng, progress)
        trees = new._with_trees(steps, np.flatnonzero(flags == 0), table, seed, stage(progress, 0.0, 0.2))
        aucs = {"trees": auc(trees, flags)}
        engines = {"trees": trees}
        if aucs["trees"] > KNOWN:
            both = engines["both"] = trees._with_network(steps, flags, options, rng, stage(progress, 0.2, 0.9))
            engines["a network"] = both._without_trees()
            aucs |= {name: auc(engines[name], flags) for name in ("both", "a network")}
        best = min(aucs, key=lambda name: aucs[name] + BETTER * (name != "trees"))
        said = ", ".join(f"{surely:.2f} by {name}" for name, surely in aucs.items())
        why = f"drawn sequences are told from unseen ones with an AUC of {said}"
        if best == "trees":
            return new._with_trees(steps, np.arange(len(flags)), table, seed, stage(progress, 0.9, 1.0), why)
        engines[best].why = why
        return engines[best]

    def _with_trees(
        self, steps: Steps, rows: Array, table: Table, seed: int, progress: Progress, why: str = ""
    ) -> Engine:
        """The same with trees alone, learned from these rows."""
        new = copy(self)
        chain, rng = Chain(Chained(judged=False, max_features=ASKED)), stream(seed, table.name, "steps")
        new.chain = chain.fit(steps.rest.take(rows), steps.given.take(rows), rng, progress)
        new.shares, new.network, new.why = np.ones(len(steps.rest.fields)), None, why
        return new

    def _without_trees(self) -> Engine:
        new = copy(self)
        new.chain, new.shares = None, np.zeros(len(self.shares))
        return new

    def _with_network(
        self, steps: Steps, flags: Array, options: Options, rng: np.random.Generator, progress: Progress
    ) -> Engine:
        """The same with a network, beside trees where there are some.

        flags: (n,) 1 for steps that end the training and choose the shares, -1 for those that are not looked at.
        """
        new = copy(self)
        data = self._seen(steps.given).beside(steps.rest)
        cut = steps.runs.new | (np.diff(flags, prepend=flags[:1]) != 0)
        pieces = Pieces.of(cut, steps.runs.new)
        of = flags[pieces.rows[:, 0]]
        recurring = _settings(options)
        pieces = pieces.take(of >= 0).at_most(recurring.max_rows, rng)
        held = flags[pieces.rows[:, 0]] == 1
        read = [i for i in range(len(data.fields)) if i not in self.lags]
        new.network = Recurrent(recurring).fit(data, len(self.asked), read, pieces, held, rng, progress)
        new.shares = np.zeros(len(steps.rest.fields))
        if new.chain is not None:
            rows, memory = new.network.remembered(data, pieces.take(held))
            walk = new.network.walk(memory, [data.arrays[i][rows] for i in range(len(self.asked))])
            unseen = steps.given.beside(steps.rest).take(rows)
            new.shares = shares_of_both(new.chain, walk, unseen, self.known - len(self.asked))
        return new

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
        told = by_network if self.chain is None else told_of_both(self.chain, by_network, self.shares, "")
        return {name: f"{how}; {self.why}" if self.why else how for name, how in told.items()}

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
        new.why, new.shares = str(meta["why"]), saved_array(arrays, "shares", float)
        if "chain" in meta:
            new.chain = Chain.restore(meta["chain"], part(arrays, "chain/"))
        if "network" in meta:
            new.network = Recurrent.restore(meta["network"], part(arrays, "network/"))
        one = float(new.network is None)
        own = [f.name for f in new.fields[new.known if new.chain else len(new.asked) :]]
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
    known = {f.name for f in fields(Recurring)} - {"batch"}
    beside = BESIDE if options.model == "auto" else {}
    return Recurring(**{**beside, **{name: value for name, value in options.settings.items() if name in known}})


def unseen_of(runs: Runs, table: Table, seed: int) -> Array:
    """(n,) 1 for steps that no engine sees, which choose among them; -1 for those beside them; else 0."""
    share = min(max(UNSEEN / len(runs.new), SHARES[0]), SHARES[1])
    return held_out(runs.frame, table, share, derived(seed, "unseen"))


def _alone(steps: Steps, flags: Array) -> str:
    """Why trees draw alone; empty where a network may help."""
    n, columns = len(steps.runs.new), len(steps.rest.fields)
    if columns > MOST:
        return f"a network of {columns} columns a step takes long; model='network' trains one"
    if n < LEAST or not (flags == 1).any():
        return f"{n:,} steps are too few for a network"
    if not has_torch():
        return "PyTorch is not installed (pip install 'verosim[deep]'): no network beside them"
    return ""

"""The default engine: trees and a network side by side, and for each column the shares in which they draw it.

The chain (chain.py) is superb at fine numeric structure and at values that many rows share; the network (network.py)
where many weak effects add up, and where a column has many levels. They err in different places, so a mixture errs
less than either: for each cell the expert is drawn, then the value. The shares are the weights of a mixture, by
expectation and maximisation (Dempster, Laird and Rubin, 1977) over what each expert says of rows that neither has
seen: how likely a level is, or how dense its values lie there. docs/decisions.md says why no discriminator chooses.

Without PyTorch the chain draws alone, and `explain` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import (
    Array,
    Codes,
    Field,
    Floats,
    Progress,
    Start,
    State,
    has_torch,
    part,
    saved_array,
    silent,
    stage,
)  # fmt: skip
from verosim.models import chain as trees
from verosim.models import network as nets
from verosim.models.judge import Judge, judge_of, redrawn
from verosim.models.plan import Training

STEPS: Final = 100  # of EM
PRIOR: Final = 100  # unseen rows' worth of belief that both draw alike: of few rows the shares stay near a half
LEAST: Final = 0.03  # a smaller share is none


@dataclass(frozen=True, slots=True)
class Options(Training):
    epochs: int = 60
    dropout: float = 0.15  # of the network
    unseen_share: float = 0.1  # rows that choose the shares
    least_rows: int = 1_000  # of fewer a network learns too little: the chain draws alone
    most_columns: int = 200  # of more a network takes very long: the chain draws alone


class Auto:
    """Chain and network over a table's fields, in their order. `given` fields stand before all others."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(
        self,
        rows: Codes,
        given: Codes | None,
        rng: np.random.Generator,
        progress: Progress = silent,
        *,
        start: Start | None = None,
    ) -> Self:
        """start: rows that the network learns first; with them it draws along, however few rows follow."""
        data = given.beside(rows) if given else rows
        self.fields_, self.known_ = data.fields, len(given.fields) if given else 0
        n_drawn = len(rows.fields)
        why = "" if start else _alone(data, n_drawn, self.options)
        unseen = np.zeros(data.n, bool)
        if not why:
            unseen[rng.permutation(data.n)[: int(data.n * self.options.unseen_share)]] = True
        self.chain_ = trees.Chain(trees.Options(judged=False))
        self.network_: nets.Network | None = None
        self._fit_chain(data.take(~unseen), rng, stage(progress, 0.0, 0.2))
        self.why_ = why
        self.shares_: Floats = np.ones(n_drawn)
        if not why:
            self._fit_network(data, unseen, rng, stage(progress, 0.2, 0.9), start)
            self.shares_ = self._learn_shares(data.take(unseen))
        progress(0.95, "whole rows")
        self.judge_ = judge_of(data, self._draw, rng) if n_drawn > 1 else None
        return self

    def _fit_chain(self, data: Codes, rng: np.random.Generator, progress: Progress) -> None:
        known, rest = _apart(data, self.known_)
        self.chain_.fit(rest, known, rng, progress)

    def _fit_network(
        self, data: Codes, unseen: Array, rng: np.random.Generator, progress: Progress, start: Start | None
    ) -> None:
        """The network; the unseen rows only end its training."""
        o = self.options
        options = nets.Options(
            epochs=o.epochs, batch=o.batch, rate=o.rate, decay=o.decay, patience=o.patience, dropout=o.dropout,
            max_minutes=o.max_minutes, device=o.device, checkpoint=o.checkpoint,
        )  # fmt: skip
        known, rest = _apart(data, self.known_)
        self.network_ = nets.Network(options).fit(rest, known, rng, progress, held=unseen, start=start)

    def _learn_shares(self, unseen: Codes) -> Floats:
        """(columns,) the chain's share of each column: the weights of a mixture that make unseen rows likeliest."""
        assert self.network_ is not None
        walk = self.network_.walk(unseen.n)
        for i in range(self.known_):
            walk.put(i, unseen.arrays[i])
        return shares_of_both(self.chain_, walk, unseen)

    def sample(self, n: int, given: Codes | None, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        return redrawn(given or Codes((), (), n), self._draw, self.judge_, self.known_, rng, temperature)

    def _draw(self, given: Codes, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        """Rows of all fields. given: has the known fields first; what else it has is not looked at."""
        n, known = given.n, given.arrays[: self.known_]
        walk = self.network_.walk(n) if self.network_ else None
        if walk:
            for i, array in enumerate(known):
                walk.put(i, array)
        arrays = drawn_by_both(self.chain_, walk, self.shares_, known, n, rng, temperature)
        return Codes(self.fields_, arrays, n)

    @property
    def notes(self) -> list[str]:
        return self.network_.notes if self.network_ else []

    def explain(self) -> dict[str, str]:
        """For each field, in the order of drawing: in what shares the experts draw it, and why."""
        return told_of_both(self.chain_, self.network_.explain() if self.network_ else {}, self.shares_, self.why_)

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta: dict[str, Any] = {
            "known": self.known_,
            "why": self.why_,
            "network": None,
            "judged": self.judge_ is not None,
        }
        meta["chain"], arrays = self.chain_.state()
        arrays = {f"chain/{name}": array for name, array in arrays.items()} | {"shares": self.shares_}
        if self.network_:
            meta["network"], own = self.network_.state()
            arrays |= {f"network/{name}": array for name, array in own.items()}
        if self.judge_:
            arrays |= {f"judge/{name}": array for name, array in self.judge_.arrays().items()}
        return meta, arrays

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        model = cls()
        try:
            model.chain_ = trees.Chain.restore(meta["chain"], part(arrays, "chain/"))
            model.fields_, model.known_, model.why_ = model.chain_.fields_, int(meta["known"]), str(meta["why"])
            has_network, judged = meta["network"] is not None, bool(meta["judged"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelFileError(f"the saved model is damaged: {error}.") from error
        model.network_ = nets.Network.restore(meta["network"], part(arrays, "network/")) if has_network else None
        model.judge_ = Judge.restore(part(arrays, "judge/"), model.fields_) if judged else None
        model.shares_ = saved_array(arrays, "shares", np.float64)
        lowest = 0.0 if model.network_ else 1.0
        right = len(model.shares_) == len(model.fields_) - model.known_ == len(model.chain_.columns_)
        if not right or not ((model.shares_ >= lowest) & (model.shares_ <= 1)).all() or not _same(model):
            raise ModelFileError("the saved model is damaged: its parts do not fit each other.")
        return model


def _same(model: Auto) -> bool:
    """Whether chain and network are of the same fields."""

    def told(known: int, fields: tuple[Field, ...]) -> list[Any]:
        return [known, *((f.name, f.levels, f.marks, f.atoms.tolist()) for f in fields)]

    ours = told(model.known_, model.chain_.fields_)
    theirs = told(model.network_.known_, model.network_.fields_) if model.network_ else ours
    return ours == theirs and model.chain_.known_ == model.known_


def _apart(data: Codes, known: int) -> tuple[Codes | None, Codes]:
    """The first fields, and the others."""
    given = Codes(data.fields[:known], data.arrays[:known], data.n) if known else None
    return given, Codes(data.fields[known:], data.arrays[known:], data.n)


def _alone(data: Codes, n_drawn: int, options: Options) -> str:
    """Why the chain draws alone; empty where a network helps."""
    if len(data.fields) > options.most_columns:
        return f"a network of {len(data.fields):,} columns takes long; model='network' trains one"
    if not n_drawn or data.n < options.least_rows:
        return f"{data.n:,} rows are too few for a network"
    if not has_torch():
        return "PyTorch is not installed (pip install 'verosim[deep]'): no network beside them"
    return ""


def shares_of_both(chain: trees.Chain, walk: nets.Walk, unseen: Codes, skipped: int = 0) -> Floats:
    """(columns,) the chain's share of each column that it draws, in the mixture that makes unseen rows likeliest.

    walk: of the network, to which the known fields were put. skipped: fields of the chain before its own.
    """
    arrays, shares = dict(enumerate(unseen.arrays)), []
    for column in chain.columns_:
        by_network = walk.density(column.target - skipped, unseen.arrays[column.target])
        shares.append(_weight(column.density(chain.fields_, arrays, unseen.n), by_network))
    return np.array(shares)


def drawn_by_both(
    chain: trees.Chain, walk: nets.Walk | None, shares: Floats, known: Sequence[Array], n: int,
    rng: np.random.Generator, temperature: float, skipped: int = 0,
) -> tuple[Array, ...]:  # fmt: skip
    """(n,) codes of all fields of the chain, of which the first are known; see `shares_of_both`."""
    arrays, fields = dict(enumerate(known)), chain.fields_
    for column, share in zip(chain.columns_, shares.tolist(), strict=True):
        by_chain = rng.random(n) < share if 0 < share < 1 else np.full(n, share >= 0.5)
        field, target = fields[column.target], column.target
        array = np.empty(n, np.float64 if field.ordered else np.int32)
        if (some := np.flatnonzero(by_chain)).size or not n:
            asked = {p: arrays[p][some] for p in column.parents}
            array[some] = column.draw(fields, asked, len(some), rng, temperature)
        if walk:
            if (rest := np.flatnonzero(~by_chain)).size:
                array[rest] = walk.draw(target - skipped, rest, rng, temperature)
            walk.put(target - skipped, array)
        arrays[target] = array
    return tuple(arrays[i] for i in range(len(fields)))


def told_of_both(chain: trees.Chain, by_network: Mapping[str, str], shares: Floats, why: str) -> dict[str, str]:
    """For each field that the chain draws: in what shares the experts draw it, and why. why: of no network."""
    by_chain, out = chain.explain(), {}
    for column, share in zip(chain.columns_, shares.tolist(), strict=True):
        name = chain.fields_[column.target].name
        parts = [f"{share:.0%} trees, {by_chain[name]}"] if share else []
        parts += [f"{1 - share:.0%} {by_network[name]}"] if share < 1 else [why] if why else []
        out[name] = "; ".join(parts)
    return out


def _weight(one: Floats, other: Floats) -> float:
    """The share of `one` in a mixture of two experts, from what each says of the same rows (n,): by EM steps."""
    share = 0.5
    for _ in range(STEPS):
        of_one = share * one
        whole = of_one + (1 - share) * other
        member = np.divide(of_one, whole, out=np.full(len(one), share), where=whole > 0)
        share = float((member.sum() + PRIOR / 2) / (len(member) + PRIOR))
    return 0.0 if share < LEAST else 1.0 if share > 1 - LEAST else share

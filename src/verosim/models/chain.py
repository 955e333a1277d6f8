"""The default engine: a chain of conditional models, p(column | columns before it, given), one column after the other.

Each column is drawn by the expert (experts.py) that makes held-out rows likelier. Trees are not pruned to the
likelihood: what is too fine in one leaf averages out over a whole table, what is too coarse does not (see
docs/decisions.md). A column asks only the few columns that it depends on most, so that cost grows linearly with
columns. At last a judge (judge.py) sends back rows that real ones seldom look like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import (
    Array,
    Codes,
    Field,
    Floats,
    Progress,
    State,
    pack_fields,
    part,
    saved_array,
    silent,
    unpack_fields,
)
from verosim.models.boost import Options as Boosting
from verosim.models.boost import boost
from verosim.models.experts import Classes, Donors
from verosim.models.features import dependence, features, outputs, rank
from verosim.models.judge import Judge, judge_of, redrawn
from verosim.models.trees import Tree, grow


@dataclass(frozen=True, slots=True)
class Options:
    min_leaf: int = 25  # rows a leaf: fewer copy people, more lose detail
    outputs: int = 6  # functions of a column's value that a tree tries to tell apart
    max_features: int = 12  # columns that a column may depend on
    max_classes: int = 64  # a column of more values has donors only
    max_rows: int = 100_000  # rows learned from: more gave no better data
    held_share: float = 0.1  # rows that choose between experts
    judged: bool = True  # whether rows that real ones seldom look like are drawn again
    group: int = 5  # a position is kept no finer than this many rows


@dataclass(frozen=True, slots=True)
class Conditional:
    """One column given its parents, drawn by an expert."""

    target: int
    parents: tuple[int, ...]
    ranks: Mapping[int, Array]  # for each parent that is a category: level -> uint16, as suits the target
    expert: Donors | Classes
    why: str

    def draw(
        self,
        fields: Sequence[Field],
        arrays: Mapping[int, Array],
        n: int,
        rng: np.random.Generator,
        temperature: float = 1.0,
    ) -> Array:
        """(n,) values given the parents' `arrays`."""
        drawn = self.expert.draw(features(self.parents, self.ranks, fields, arrays, n), rng, temperature)
        return drawn.astype(np.float64 if fields[self.target].ordered else np.int32, copy=False)

    def density(self, fields: Sequence[Field], arrays: Mapping[int, Array], n: int) -> Floats:
        """(n,) how likely the column's own values are: a chance for levels, marks and atoms, else a density."""
        return self.expert.density(features(self.parents, self.ranks, fields, arrays, n), arrays[self.target])


class Chain:
    """The chain over a table's fields, in their order. `given` fields stand before all others."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(self, rows: Codes, given: Codes | None, rng: np.random.Generator, progress: Progress = silent) -> Self:
        options, known = self.options, len(given.fields) if given else 0
        data = given.beside(rows) if given else rows
        data = data.at_most(options.max_rows, rng)
        held = np.zeros(data.n, bool)
        held[rng.permutation(data.n)[: int(data.n * options.held_share)]] = True
        depends = dependence(data, rng) if len(data.fields) > options.max_features + 1 else None
        self.fields_, self.known_, self.cell_ = data.fields, known, options.group / max(data.n, 1)
        self.columns_: list[Conditional] = []
        for target in range(known, len(data.fields)):
            progress((target - known) / (len(rows.fields) + 1), data.fields[target].name)
            before = np.arange(target)
            if depends is not None and len(before) > options.max_features:
                strongest = np.argsort(-depends[target, before], kind="stable")[: options.max_features]
                before = before[np.sort(strongest)]
            self.columns_.append(_fit_column(data, target, tuple(before.tolist()), held, options, rng))
        progress(len(rows.fields) / (len(rows.fields) + 1), "whole rows")
        judged = options.judged and len(self.columns_) > 1
        self.judge_ = judge_of(data, self._draw, rng) if judged else None
        return self

    def sample(self, n: int, given: Codes | None, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        return redrawn(given or Codes((), (), n), self._draw, self.judge_, self.known_, rng, temperature)

    def _draw(self, given: Codes, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        """Rows of all fields. given: has those known first; what else it has is not looked at."""
        arrays = dict(enumerate(given.arrays[: self.known_]))
        for column in self.columns_:
            arrays[column.target] = column.draw(self.fields_, arrays, given.n, rng, temperature)
        return Codes(self.fields_, tuple(arrays[i] for i in range(len(self.fields_))), given.n)

    def explain(self) -> dict[str, str]:
        """For each field, in the order of the chain: what it depends on, which expert draws it, and why."""
        names = [f.name for f in self.fields_]
        return {
            names[c.target]: f"given {', '.join(names[p] for p in c.parents) or 'nothing'}: {c.why}"
            for c in self.columns_
        }

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta, arrays = pack_fields(self.fields_)
        columns = []
        for c in self.columns_:
            parts = {f"rank{p}": rank for p, rank in c.ranks.items()} | c.expert.arrays()
            arrays |= {f"{c.target}.{part}": a for part, a in parts.items()}
            kind = type(c.expert).__name__
            columns.append({"target": c.target, "parents": list(c.parents), "expert": kind, "why": c.why})
        if self.judge_:
            arrays |= {f"judge.{part}": a for part, a in self.judge_.arrays().items()}
        meta |= {"known": self.known_, "cell": self.cell_, "columns": columns, "judged": self.judge_ is not None}
        return meta, arrays

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        chain = cls()
        chain.fields_ = unpack_fields(meta, arrays)
        try:
            chain.known_, chain.cell_ = int(meta["known"]), float(meta["cell"])
            if not 0 <= chain.known_ <= len(chain.fields_) or not 0 < chain.cell_ < np.inf:
                raise ValueError(f"{chain.known_} fields are given, in cells of {chain.cell_}")
            ready = set(range(chain.known_))
            chain.columns_ = [_restore_column(c, chain.fields_, ready, chain.cell_, arrays) for c in meta["columns"]]
            chain.judge_ = Judge.restore(part(arrays, "judge."), chain.fields_) if meta["judged"] else None
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise ModelFileError(f"the saved chain is damaged: {error}.") from error
        if ready != set(range(len(chain.fields_))):
            raise ModelFileError("the saved chain is damaged: it does not draw every column.")
        return chain


def _restore_column(
    meta: Mapping[str, Any], fields: Sequence[Field], ready: set[int], cell: float, arrays: Mapping[str, Array]
) -> Conditional:
    """One column; `ready` are the fields drawn before it, to which it is added."""
    target, parents = int(meta["target"]), tuple(int(p) for p in meta["parents"])
    if not ready.issuperset(parents) or target in ready or not 0 <= target < len(fields):
        raise ModelFileError("the saved chain is damaged: a column depends on one that is not drawn before it.")
    ready.add(target)
    own = part(arrays, f"{target}.")
    ranks = {p: saved_array(own, f"rank{p}", np.uint16) for p in parents if not fields[p].ordered}
    if any(len(rank) != fields[p].levels for p, rank in ranks.items()):
        raise ModelFileError(f"the saved levels of {fields[target].name!r} are damaged.")
    expert: Donors | Classes
    if meta["expert"] == "Classes":
        expert = Classes.restore(own, max(1, len(parents)), fields[target])
    else:
        expert = Donors.restore(own, max(1, len(parents)), fields[target], cell)
    return Conditional(target, parents, ranks, expert, str(meta["why"]))


# ------------------------------------------------------------------------------------------------ fitting a column


def _fit_column(
    data: Codes, target: int, parents: tuple[int, ...], held: Array, options: Options, rng: np.random.Generator
) -> Conditional:
    """The expert that makes the held rows likelier; donors where a column has too many values for classes."""
    field, array, cell = data.fields[target], data.arrays[target], options.group / data.n
    Y = outputs(array, field, options.outputs, rng)
    ranks = {p: rank(data.arrays[p], data.fields[p].levels, Y) for p in parents if not data.fields[p].ordered}
    X = features(parents, ranks, data.fields, dict(enumerate(data.arrays)), data.n)
    y, values = _classes(array, field, options.max_classes)
    min_leaf = min(options.min_leaf, max(5, data.n // 20)) if parents else data.n
    if not parents or not len(values) or not held.any():
        tree, _ = grow(X, Y, min_leaf=min_leaf)
        return Conditional(
            target, parents, ranks, Donors.fill(tree, X, array, field, cell), f"{tree.n_leaves} groups of rows"
        )

    classes = Classes(boost(X, y, len(values), held, rng, _boosting(data)), values)
    tree, chance = _tested(X, Y, y, held, min_leaf)
    boosted = classes.boosted.probabilities(np.take(X, np.flatnonzero(held), axis=1))
    nats = {"donors": _nats(chance), "classes": _nats(boosted[np.arange(held.sum()), y[held]])}
    why = f"{nats['donors']:.3f} nats a held-out row from donors, {nats['classes']:.3f} from classes"
    if nats["classes"] <= nats["donors"]:
        return Conditional(target, parents, ranks, classes, why)
    return Conditional(target, parents, ranks, Donors.fill(tree, X, array, field, cell), why)


def _boosting(data: Codes) -> Boosting:
    """Slow learning is better learning: the fewer cells a table has, the more rounds it can afford."""
    rate = min(max(data.n * len(data.fields) / 1.5e6, 0.1), 0.3)
    return Boosting(rate=rate, patience=round(1.5 / rate))


def _nats(chance: Floats) -> float:
    """Mean negative log likelihood."""
    return float(-np.log(np.maximum(chance, 1e-6)).mean())


def _tested(X: Array, Y: Floats, y: Array, held: Array, min_leaf: int) -> tuple[Tree, Floats]:
    """A donor tree grown on the rows not held, and the chance that it gives to the classes of those held."""
    train, n_classes = np.flatnonzero(~held), int(y.max()) + 1
    tree, leaf = grow(np.take(X, train, axis=1), Y[train], min_leaf=min_leaf)
    tested = tree.leaves(np.take(X, np.flatnonzero(held), axis=1))
    prior = (np.bincount(y[train], minlength=n_classes) + 0.5) / (len(train) + 0.5 * n_classes)
    counts = np.bincount(leaf * n_classes + y[train], minlength=tree.n_leaves * n_classes)
    counts = counts.reshape(-1, n_classes)[tested]
    return tree, (counts[np.arange(len(tested)), y[held]] + prior[y[held]]) / (counts.sum(1) + 1)


def _classes(array: Array, field: Field, most: int) -> tuple[Array, Array]:
    """Class numbers (n,) and the value of each class; no values where the column has more than `most`."""
    if not field.ordered:
        return array, np.arange(field.levels if field.levels <= most else 0, dtype=np.int32)
    fixed = (array < 0) | (field.atom(array) >= 0)
    values, y = np.unique(array, return_inverse=True)
    return y, values if fixed.all() and len(values) <= most else values[:0]

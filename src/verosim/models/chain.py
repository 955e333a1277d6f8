"""The default engine: a chain of conditional models, p(column | columns before it, given), one column after the other.

Each column is drawn by the expert (experts.py) that makes held-out rows likelier. Trees are not pruned to the
likelihood: what is too fine in one leaf averages out over a whole table, what is too coarse does not (see
docs/decisions.md). A column asks only the few columns that it depends on most, so that cost grows linearly with
columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, Floats, Progress, State, pack_fields, saved_array, silent, unpack_fields
from verosim.models.boost import boost
from verosim.models.experts import Classes, Donors, to_codes
from verosim.models.trees import Tree, grow


@dataclass(frozen=True, slots=True)
class Options:
    min_leaf: int = 25  # rows a leaf: fewer copy people, more lose detail
    outputs: int = 6  # functions of a column's value that a tree tries to tell apart
    max_features: int = 12  # columns that a column may depend on
    max_classes: int = 64  # a column of more values has donors only
    max_rows: int = 100_000  # rows learned from: more gave no better data
    held_share: float = 0.1  # rows that choose between experts
    group: int = 5  # a position is kept no finer than this many rows


@dataclass(frozen=True, slots=True)
class Conditional:
    """One column given its parents, drawn by an expert."""

    target: int
    parents: tuple[int, ...]
    ranks: Mapping[
        int, Array
    ]  # for each parent that is a category: level -> uint16, in the order that suits the target
    expert: Donors | Classes
    why: str

    def draw(self, fields: Sequence[Field], arrays: Mapping[int, Array], n: int, rng: np.random.Generator) -> Array:
        """(n,) values given the parents' `arrays`."""
        drawn = self.expert.draw(_features(self.parents, self.ranks, fields, arrays, n), rng)
        return drawn.astype(np.float64 if fields[self.target].ordered else np.int32, copy=False)


class Chain:
    """The chain over a table's fields, in their order. `given` fields stand before all others."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(self, rows: Codes, given: Codes | None, rng: np.random.Generator, progress: Progress = silent) -> Self:
        options, known = self.options, len(given.fields) if given else 0
        data = given.beside(rows) if given else rows
        if data.n > options.max_rows:
            data = data.take(np.sort(rng.choice(data.n, options.max_rows, replace=False)))
        held = np.zeros(data.n, bool)
        held[rng.permutation(data.n)[: int(data.n * options.held_share)]] = True
        depends = _dependence(data, rng) if len(data.fields) > options.max_features + 1 else None
        self.fields_, self.known_, self.cell_ = data.fields, known, options.group / data.n
        self.columns_: list[Conditional] = []
        for target in range(known, len(data.fields)):
            progress((target - known) / len(rows.fields), data.fields[target].name)
            before = np.arange(target)
            if depends is not None and len(before) > options.max_features:
                strongest = np.argsort(-depends[target, before], kind="stable")[: options.max_features]
                before = before[np.sort(strongest)]
            self.columns_.append(_fit_column(data, target, tuple(before.tolist()), held, options, rng))
        return self

    def sample(self, n: int, given: Codes | None, rng: np.random.Generator) -> Codes:
        arrays: dict[int, Array] = dict(enumerate(given.arrays)) if given else {}
        for column in self.columns_:
            arrays[column.target] = column.draw(self.fields_, arrays, n, rng)
        wanted = range(self.known_, len(self.fields_))
        return Codes(self.fields_[self.known_ :], tuple(arrays[i] for i in wanted), n)

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
        return {**meta, "known": self.known_, "cell": self.cell_, "columns": columns}, arrays

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
    head = f"{target}."
    own = {name.removeprefix(head): a for name, a in arrays.items() if name.startswith(head)}
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
    Y = _outputs(array, field, options.outputs, rng)
    ranks = {p: _rank(data.arrays[p], data.fields[p].levels, Y) for p in parents if not data.fields[p].ordered}
    X = _features(parents, ranks, data.fields, dict(enumerate(data.arrays)), data.n)
    y, values = _classes(array, field, options.max_classes)
    min_leaf = min(options.min_leaf, max(5, data.n // 20)) if parents else data.n
    if not parents or not len(values) or not held.any():
        tree, _ = grow(X, Y, min_leaf=min_leaf)
        return Conditional(target, parents, ranks, Donors.fill(tree, X, array, field, cell), f"{tree.n_leaves} leaves")

    classes = Classes(boost(X, y, len(values), held, rng), values)
    tree, chance = _tested(X, Y, y, held, min_leaf)
    boosted = classes.boosted.probabilities(np.take(X, np.flatnonzero(held), axis=1))
    nats = {"donors": _nats(chance), "classes": _nats(boosted[np.arange(held.sum()), y[held]])}
    why = f"{nats['donors']:.3f} nats a held-out row from donors, {nats['classes']:.3f} from classes"
    if nats["classes"] <= nats["donors"]:
        return Conditional(target, parents, ranks, classes, why)
    return Conditional(target, parents, ranks, Donors.fill(tree, X, array, field, cell), why)


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


def _features(
    parents: Sequence[int], ranks: Mapping[int, Array], fields: Sequence[Field], arrays: Mapping[int, Array], n: int
) -> Array:
    """(F, n) uint16 codes of the parents; one row of zeros where there are none."""
    rows = [ranks[p][arrays[p]] if p in ranks else to_codes(arrays[p], fields[p]) for p in parents]
    return np.stack(rows) if rows else np.zeros((1, n), np.uint16)


def _classes(array: Array, field: Field, most: int) -> tuple[Array, Array]:
    """Class numbers (n,) and the value of each class; no values where the column has more than `most`."""
    if not field.ordered:
        return array, np.arange(field.levels if field.levels <= most else 0, dtype=np.int32)
    fixed = (array < 0) | (field.atom(array) >= 0)
    values, y = np.unique(array, return_inverse=True)
    return y, values if fixed.all() and len(values) <= most else values[:0]


def _outputs(array: Array, field: Field, width: int, rng: np.random.Generator) -> Floats:
    """(n, m) centred functions of a column that tell its values apart: what trees are grown on, and dependence seen by.

    Ordered: cosines of the position, the slow ones weighted most, and an indicator of each mark. Category: an indicator
    of each level, or, where there are many, random signs, whose squared distances are those of indicators on average.
    """
    if field.ordered:
        waves = np.arange(1, width + 1)
        Y = np.cos(np.pi * array[:, None] * waves) * np.sqrt(2 / waves)
        Y[array < 0] = 0.0
        Y = np.concatenate([Y, *((array == -m)[:, None] for m in range(1, min(field.marks, 3) + 1))], 1)
    elif field.levels <= width + 1:
        Y = np.eye(field.levels)[array][:, 1:] if field.levels > 1 else np.zeros((len(array), 1))
    else:
        Y = (rng.choice([-1.0, 1.0], (field.levels, width)) / np.sqrt(width))[array]
    return np.asarray(Y - Y.mean(0))


def _rank(levels: Array, n_levels: int, Y: Floats) -> Array:
    """level -> uint16 rank along the direction in which the mean outputs of levels differ most."""
    counts = np.bincount(levels, minlength=n_levels)
    means = np.stack([np.bincount(levels, y, n_levels) for y in Y.T], 1) / (counts + 10)[:, None]
    spread = (means * counts[:, None]).T @ means
    score = means @ np.linalg.eigh(spread)[1][:, -1]
    rank = np.empty(n_levels, np.int64)
    rank[np.argsort(score, kind="stable")] = np.arange(n_levels)
    return (rank * 65_535 // max(n_levels - 1, 65_535)).astype(np.uint16)


def _dependence(data: Codes, rng: np.random.Generator, rows: int = 2_000) -> Floats:
    """(d, d) how strongly the fields depend on each other: mean squared correlation of their outputs, on some rows."""
    if data.n > rows:
        data = data.take(np.sort(rng.choice(data.n, rows, replace=False)))
    parts = [_outputs(a, f, 3, rng) for f, a in zip(data.fields, data.arrays, strict=True)]
    ends = np.cumsum([p.shape[1] for p in parts])
    Y = np.concatenate(parts, 1).astype(np.float32)
    Y /= np.maximum(np.sqrt((Y * Y).sum(0)), 1e-9)
    squared = (Y.T @ Y) ** 2
    starts = np.concatenate([[0], ends[:-1]])
    return np.asarray(np.add.reduceat(np.add.reduceat(squared, starts, 0), starts, 1), np.float64)

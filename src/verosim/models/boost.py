"""Gradient boosting for class probabilities: p(class | codes), many weak effects added up.

Multinomial boosting with Newton steps (Friedman, Greedy function approximation, 2001). One tree a round serves all
classes: it is grown on a few random projections of the gradient (Iosipoi and Vakhrushev, SketchBoost, 2022), and its
leaves hold a value for each class. Rounds end when held-out rows no longer get likelier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Floats, saved_array
from verosim.models.trees import DIRECT, Ranks, Tree, grow, pack, unpack

LARGEST = 1e6  # no log odds come near: a larger one was forged, and would overflow in sums


@dataclass(frozen=True, slots=True)
class Options:
    rounds: int = 100  # at most; held-out rows end it sooner
    rate: float = 0.3  # share of a Newton step taken
    max_depth: int = 5
    min_leaf: int = 20
    ridge: float = 3.0  # pulls the values of small leaves to 0
    sketch: int = 3  # gradient projections that a tree is grown on
    features: float = 1.0  # features that each tree may ask for
    patience: int = 5  # rounds without gain on held-out rows


@dataclass(frozen=True, slots=True)
class Boosted:
    """log p(class | x) = prior + sum of leaf values, up to a constant."""

    prior: Floats  # (K,)
    trees: list[Tree]
    values: list[Floats]  # for each tree (leaves, K) float32

    def scores(self, X: Array) -> Floats:
        """log p, up to a constant for each row. X: (F, n) uint16 -> (n, K) float32."""
        scores = np.tile(self.prior.astype(np.float32), (X.shape[1], 1))
        step = np.empty_like(scores)
        for tree, values in zip(self.trees, self.values, strict=True):
            scores += np.take(values, tree.leaves(X), axis=0, out=step, mode="clip")
        return scores

    def probabilities(self, X: Array) -> Floats:
        """X: (F, n) uint16 -> (n, K) float32, rows sum to 1."""
        return softmax(self.scores(X))

    def arrays(self) -> dict[str, Array]:
        values = np.concatenate([np.zeros((0, len(self.prior)), np.float32), *self.values])
        return {"prior": self.prior, "values": values, **pack(self.trees)}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], n_features: int) -> Boosted:
        """What `arrays` gave, checked. Raises ModelFileError."""
        prior, values = saved_array(arrays, "prior", np.float64), saved_array(arrays, "values", np.float32, 2)
        trees = unpack(arrays, [n_features] * len(saved_array(arrays, "sizes", np.int32)))
        ends = np.cumsum([t.n_leaves for t in trees])
        largest = max(np.abs(prior).max(initial=0), np.abs(values).max(initial=0))
        if values.shape != (int(ends[-1]) if trees else 0, len(prior)) or largest > LARGEST:
            raise ModelFileError("the saved boosted trees are damaged: their values do not fit.")
        return cls(prior, trees, np.split(values, ends[:-1]) if trees else [])


def softmax(scores: Floats, axis: int = 1) -> Floats:
    """Logits -> probabilities that sum to 1 along `axis`, in place."""
    scores -= scores.max(axis, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis, keepdims=True)
    return scores


def boost(
    X: Array, y: Array, n_classes: int, held: Array, rng: np.random.Generator, options: Options | None = None
) -> Boosted:
    """Fit p(y | X). X: (F, n) uint16; y: (n,) 0 .. n_classes-1; held: (n,) bool, the rows that end the rounds.

    Where none is held, there are `rounds` of them.
    """
    options = options or Options()
    order, n = np.argsort(held, kind="stable"), int((~held).sum())  # training rows first, then those held
    X, y = np.take(X, order, axis=1), y[order]
    counts = np.bincount(y[:n], minlength=n_classes) + 0.5
    prior = np.log(counts / counts.sum())
    scores = np.repeat(prior.astype(np.float32)[:, None], len(y), 1)  # (K, n): one class after the other
    ranks = Ranks.of(X[:, :n], DIRECT)
    trees: list[Tree] = []
    values: list[Floats] = []
    best, kept = _loss(scores[:, n:], y[n:]), 0
    while n_classes > 1 and len(trees) < options.rounds and len(trees) - kept < options.patience:
        p = softmax(scores[:, :n].copy(), axis=0)
        tree, leaf = _grow(ranks, p, y[:n], rng, options)
        member = _members(np.concatenate([leaf, tree.leaves(X[:, n:])]), tree.n_leaves)
        chance, rows = p @ member[:n], np.bincount(leaf * n_classes + y[:n], minlength=tree.n_leaves * n_classes)
        curve = chance - (p * p) @ member[:n]
        step = (rows.reshape(-1, n_classes).T - chance) / (curve + options.ridge / n_classes)
        value = (options.rate * np.clip(step, -4, 4)).astype(np.float32)
        trees.append(tree)
        values.append(np.ascontiguousarray(value.T))
        scores += value @ member.T
        loss = _loss(scores[:, n:], y[n:])
        if loss < best - 1e-4 or n == len(y):
            best, kept = loss, len(trees)
    return Boosted(prior, trees[:kept], values[:kept])


def _members(leaf: Array, n_leaves: int) -> Floats:
    """(n, leaves) float32: 1 where a row is in a leaf. Sums over leaves become products of matrices."""
    out = np.zeros((len(leaf), n_leaves), np.float32)
    out[np.arange(len(leaf)), leaf] = 1
    return out


def _grow(X: Ranks, p: Floats, y: Array, rng: np.random.Generator, options: Options) -> tuple[Tree, Array]:
    """A tree on some features and a sketch of the gradient, and the leaf of each row. p: (K, n) the chances now."""
    n_classes, n_features = len(p), len(X.values)
    signs = rng.choice([-1.0, 1.0], (options.sketch, n_classes)).astype(np.float32) / np.sqrt(options.sketch)
    if n_classes <= options.sketch + 1:
        signs = np.eye(n_classes, dtype=np.float32)[1:]  # the gradient sums to 0: one class is redundant
    asked = np.sort(rng.choice(n_features, max(1, round(n_features * options.features)), replace=False))
    tree, leaf = grow(
        X.only(asked) if len(asked) < n_features else X,
        (signs[:, y] - signs @ p).T.astype(np.float64),
        min_leaf=options.min_leaf,
        max_depth=options.max_depth,
        min_gain=1e-3,
        ridge=options.ridge,
    )
    return Tree(asked[tree.feature].astype(np.int32), tree.threshold, tree.left), leaf


def _loss(scores: Floats, y: Array) -> float:
    """Mean negative log likelihood of classes y (n,) under scores (K, n), in nats a row."""
    if not len(y):
        return 0.0
    top = scores.max(0)
    return float(np.mean(np.log(np.exp(scores - top).sum(0)) + top - scores[y, np.arange(len(y))]))

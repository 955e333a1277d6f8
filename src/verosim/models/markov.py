"""What happens next: a chain of symbols that remembers as much as was seen often enough (`Markov`).

The next symbol is drawn from those that followed the last few; where these were seen seldom, from those that followed
fewer of them, and so on: a context of n followers of t kinds is trusted with the chance n / (n + t) (Witten and Bell,
The zero-frequency problem, 1991). A context that fewer than `people` sequences had is not kept, so that no sequence is
repeated that only one person had. Each context also stands for each group of sequences by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from verosim.draws import scattered
from verosim.errors import ModelFileError
from verosim.models import Array, Floats, State, saved_array

SHALLOWEST: Final = 2  # symbols that are remembered, at least ...
DEEPEST: Final = 3  # ... and at most: of more, whole sequences come again
HELD: Final = 0.15  # share of the sequences that choose how many


@dataclass(frozen=True, slots=True)
class _Level:
    """What followed each context of one length: those of context c stand from `starts[c]` to `starts[c + 1]`."""

    contexts: Array  # (c,) uint64, ascending
    starts: Array  # (c + 1,) int64
    symbols: Array  # (f,) int32
    counts: Array  # (f,) int64

    @classmethod
    def of(cls, contexts: Array, symbols: Array, sequence: Array, people: int, ends: int) -> _Level:
        """contexts, symbols, sequence: (n,) of each place; a context of fewer than `people` sequences is left out."""
        order = np.lexsort((symbols, contexts))
        contexts, symbols, sequence = contexts[order], symbols[order], sequence[order]
        kinds, begin = np.unique(contexts, return_index=True)
        number = np.searchsorted(kinds, contexts)
        pairs = np.unique(number * (int(sequence.max(initial=0)) + 1) + sequence)
        held = np.bincount(pairs // (int(sequence.max(initial=0)) + 1), minlength=len(kinds))
        kept = (held >= people)[number]
        contexts, symbols = contexts[kept], symbols[kept]
        changed = (contexts[1:] != contexts[:-1]) | (symbols[1:] != symbols[:-1])
        first = np.flatnonzero(np.append(True, changed)[: len(symbols)])
        counts = np.diff(np.append(first, len(symbols)))
        kinds, begin = np.unique(contexts[first], return_index=True)
        return cls(kinds, np.append(begin, len(first)).astype(np.int64), symbols[first].astype(np.int32), counts)

    def find(self, contexts: Array) -> Array:
        """(n,) which of the contexts each is, -1 for none."""
        if not len(self.contexts):
            return np.full(len(contexts), -1)
        at = np.minimum(np.searchsorted(self.contexts, contexts), len(self.contexts) - 1)
        return np.where(self.contexts[at] == contexts, at, -1)


class Markov:
    """symbols 0 .. n_symbols - 1; `n_symbols` itself is the end of a sequence."""

    def fit(
        self, symbols: Array, lengths: Array, n_symbols: int, groups: Array, people: int, rng: np.random.Generator
    ) -> Self:
        """symbols: (n,) of all sequences end to end; lengths, groups: (s,) of each; each has one symbol at least."""
        self.n_symbols_, self.n_groups_ = n_symbols, int(groups.max(initial=0)) + 1
        held = rng.random(len(lengths)) < HELD
        places = _places(symbols, lengths, n_symbols)
        if held.any() and not held.all():
            out = held[places[1]]
            trained = self._levels(places, groups, DEEPEST, people, ~out)
            depths = range(SHALLOWEST, DEEPEST + 1)
            self.depth_ = min(depths, key=lambda d: self._loss(trained[: 2 * d + 2], places, groups, out))
        else:
            self.depth_ = SHALLOWEST
        self.levels_ = self._levels(places, groups, self.depth_, people, np.ones(len(places[0]), bool))
        return self

    def _levels(
        self, places: tuple[Array, Array, Array], groups: Array, depth: int, people: int, chosen: Array
    ) -> list[_Level]:
        """Two levels for each depth: of all sequences, and of each group; the shallowest first."""
        followers, sequence, history = places
        out = []
        for d in range(depth + 1):
            least = people if d else 1
            for grouped in (False, True):
                contexts = _hashed(history[:, :d], groups[sequence] if grouped else None)
                part = (contexts[chosen], followers[chosen], sequence[chosen])
                out.append(_Level.of(*part, least if not grouped else people, self.n_symbols_))
        return out

    def _loss(
        self, levels: Sequence[_Level], places: tuple[Array, Array, Array], groups: Array, chosen: Array
    ) -> float:
        """Mean negative log likelihood of the chosen places."""
        followers, sequence, history = (a[chosen] for a in places)
        chance = np.full(len(followers), 1.0 / (self.n_symbols_ + 1))
        for i, level in enumerate(levels):
            at = level.find(_hashed(history[:, : i // 2], groups[sequence] if i % 2 else None))
            total, kinds = _sizes(level)
            own = _count_of(level, at, followers)
            trusted = at >= 0
            n, t = total[at[trusted]], kinds[at[trusted]]
            chance[trusted] = (own[trusted] + t * chance[trusted]) / (n + t)
        return float(-np.log(chance).mean()) if len(chance) else 0.0

    def next(self, history: Array, groups: Array, rng: np.random.Generator, temperature: float = 1.0) -> Array:
        """(n,) the symbol that follows. history: (n, depth) the last symbols, the latest first; -1 before the start."""
        out = np.full(len(history), -1)
        for i in reversed(range(len(self.levels_))):
            open_ = np.flatnonzero(out < 0)
            if not len(open_):
                break
            level = self.levels_[i]
            at = level.find(_hashed(history[open_, : i // 2], groups[open_] if i % 2 else None))
            total, kinds = _sizes(level)
            trust = (
                np.where(at >= 0, total[at] / (total[at] + kinds[at] * temperature), 0.0) if len(total) else 0.0 * at
            )
            if i == 0:
                trust = np.ones(len(at))
            taken = rng.random(len(at)) < trust
            out[open_[taken]] = _drawn(level, at[taken], rng)
        return out

    @property
    def reach(self) -> int:
        return max(1, self.depth_)

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta = {"symbols": self.n_symbols_, "groups": self.n_groups_, "depth": self.depth_}
        arrays = {
            f"{i}.{name}": getattr(level, name)
            for i, level in enumerate(self.levels_)
            for name in ("contexts", "starts", "symbols", "counts")
        }
        return meta, arrays

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        new = cls()
        new.n_symbols_, new.n_groups_, new.depth_ = (int(meta[n]) for n in ("symbols", "groups", "depth"))
        if not (0 <= new.depth_ <= DEEPEST and new.n_symbols_ > 0):
            raise ModelFileError("the saved chain of activities is damaged.")
        kinds = {"contexts": np.uint64, "starts": np.int64, "symbols": np.int32, "counts": np.int64}
        new.levels_ = [
            _Level(**{name: saved_array(arrays, f"{i}.{name}", kind) for name, kind in kinds.items()})
            for i in range(2 * new.depth_ + 2)
        ]
        if not all(_whole(level, new.n_symbols_) for level in new.levels_) or not len(new.levels_[0].symbols):
            raise ModelFileError("the saved chain of activities is damaged.")
        return new


def _whole(level: _Level, n_symbols: int) -> bool:
    ends, n = level.starts, len(level.symbols)
    fit = len(ends) == len(level.contexts) + 1 and ends[0] == 0 and ends[-1] == n == len(level.counts)
    known = (level.symbols >= 0).all() and (level.symbols <= n_symbols).all() and (level.counts > 0).all()
    return bool(fit and (np.diff(ends) > 0).all() and known)


def _places(symbols: Array, lengths: Array, end: int) -> tuple[Array, Array, Array]:
    """Of each place, ends included: what follows (n,), in which sequence (n,), and what came before (n, DEEPEST)."""
    s = len(lengths)
    begin = np.cumsum(lengths + 1) - lengths - 1
    followers = np.full(int(lengths.sum()) + s, end)
    sequence = np.repeat(np.arange(s), lengths + 1)
    own = np.arange(len(followers)) - begin[sequence]
    followers[own < lengths[sequence]] = symbols
    history = np.full((len(followers), DEEPEST), -1)
    for d in range(DEEPEST):
        history[d + 1 :, d] = followers[: len(followers) - d - 1]
        history[own <= d, d] = -1
    return followers, sequence, history


def _hashed(history: Array, groups: Array | None) -> Array:
    """(n,) uint64, one number for each context."""
    out = np.full(len(history), 7, np.uint64)
    for column in history.T:
        out = scattered(out.astype(np.int64) + column + 2)
    return out if groups is None else scattered(out.astype(np.int64) ^ (groups.astype(np.int64) + 1) * 0x9E3779B9)


def _sizes(level: _Level) -> tuple[Floats, Floats]:
    """(c,) how many followers a context had, and of how many kinds."""
    below = np.concatenate([[0], np.cumsum(level.counts)])
    return (below[level.starts[1:]] - below[level.starts[:-1]]).astype(float), np.diff(level.starts).astype(float)


def _count_of(level: _Level, at: Array, symbols: Array) -> Floats:
    """(n,) how often each symbol followed its context."""
    if not len(level.symbols):
        return np.zeros(len(at))
    most = int(max(level.symbols.max(), symbols.max(initial=0))) + 1
    keys = np.repeat(np.arange(len(level.contexts)), np.diff(level.starts)) * most + level.symbols
    asked = at * most + symbols
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where((at >= 0) & (keys[place] == asked), level.counts[place], 0).astype(float)


def _drawn(level: _Level, at: Array, rng: np.random.Generator) -> Array:
    """(n,) a follower of each context, as often as it was seen."""
    below = np.concatenate([[0], np.cumsum(level.counts)])
    low, high = below[level.starts[at]], below[level.starts[at + 1]]
    ball = low + (rng.random(len(at)) * (high - low)).astype(np.int64)
    return level.symbols[np.searchsorted(below, ball, "right") - 1].astype(np.int64)

"""Which drawn sequences stay, so that whole ones come as the real ones do: `Wholes`.

Small errors of each step add up. So some sequences are drawn to see how long they take and how they go; then those of a
kind that comes too often are left out now and then, until both come as often as in the real ones. Kinds are wide: so
many sequences each that none of them tells of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.keys import Ints
from verosim.models import Array, Floats, State, saved_array

GROUPED: Final = 20  # sequences of one kind, at least
DURATIONS: Final = 64  # parts of the range of durations that are told apart, at most ...
NEAR: Final = 0.01  # ... and that differ by this share
LENGTHS: Final = 64  # kinds of lengths, of sequences that go as few others do: two for each doubling
ROUNDS: Final = 20
DOUBT: Final = 2.0  # sequences that are added to what was seen of a kind, and to what is expected
STAYING: Final = 0.25  # share of drawn sequences that stay, about, at least
SELDOM: Final = 0.02  # the chance of any to stay, at least


@dataclass(frozen=True, slots=True)
class Whole:
    """Of sequences (s,): the time from first to last step, how many steps they have, and a number for how they go."""

    lasted: Ints
    lengths: Ints
    traces: Array  # uint64


@dataclass(frozen=True, slots=True)
class Wholes:
    """edges: (e,) durations, ascending; traces: (t,) uint64 ways to go that many have, ascending.

    lasting: (e + 1,), going: (t + LENGTHS,) weights of sequences that last, and go, so; the chance to stay is their
    product.
    """

    edges: Ints
    traces: Array
    lasting: Floats
    going: Floats

    @classmethod
    def of(cls, real: Whole, drawn: Whole, k: int) -> Self:
        n, m = len(real.lasted), len(drawn.lasted)
        traces, held = np.unique(real.traces, return_counts=True)
        traces, edges = traces[held >= GROUPED], _edges(real.lasted, k)
        weights = [np.ones(len(edges) + 1), np.ones(len(traces) + LENGTHS)]
        new = cls(edges, traces, *weights)
        seen, found = new._cells(real), new._cells(drawn)
        for _ in range(ROUNDS):
            for own, there, here in zip(weights, seen, found, strict=True):
                chance = weights[0][found[0]] * weights[1][found[1]]
                expected = np.bincount(here, chance / chance.sum(), len(own)) * n
                own *= (np.bincount(there, minlength=len(own)) + DOUBT) / (expected + DOUBT)
        chance = weights[0][found[0]] * weights[1][found[1]]
        weights[0] *= max(1 / chance.max(), STAYING * m / chance.sum())
        return new

    def stay(self, drawn: Whole, rng: np.random.Generator) -> Array:
        """(s,) bool"""
        lasting, going = self._cells(drawn)
        return np.asarray(rng.random(len(lasting)) < np.maximum(self.lasting[lasting] * self.going[going], SELDOM))

    def _cells(self, whole: Whole) -> tuple[Ints, Ints]:
        lasting = np.searchsorted(self.edges, whole.lasted, "right")
        at = np.minimum(np.searchsorted(self.traces, whole.traces), max(len(self.traces) - 1, 0))
        known = self.traces[at] == whole.traces if len(self.traces) else np.zeros(len(at), bool)
        length = np.minimum(2 * np.log2(np.maximum(whole.lengths, 1)), LENGTHS - 1).astype(np.int64)
        return lasting, np.where(known, at, len(self.traces) + length)

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        return {}, {"edges": self.edges, "traces": self.traces, "lasting": self.lasting, "going": self.going}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        edges, traces = saved_array(arrays, "edges", np.int64), saved_array(arrays, "traces", np.uint64)
        lasting, going = (saved_array(arrays, name, np.float64) for name in ("lasting", "going"))
        rising = (np.diff(edges) > 0).all() and (traces[1:] > traces[:-1]).all()
        if not rising or len(lasting) != len(edges) + 1 or len(going) != len(traces) + LENGTHS:
            raise ModelFileError("what the saved model knows of whole sequences is damaged.")
        return cls(edges, traces, lasting, going)


def _edges(lasted: Ints, k: int) -> Ints:
    """Durations that part the sequences into groups of about the same size; the outermost k are by themselves.

    Each lies in the widest gap that is near: many sequences last exactly so long, and are to lie within a group.
    """
    lasted, n = np.sort(lasted), len(lasted)
    ranks = np.linspace(k - 0.5, n - k + 0.5, max(2, min(DURATIONS, n // GROUPED)) + 1)
    wanted = np.quantile(lasted, np.clip(ranks / n, 0, 1)).astype(np.int64)
    wanted[-1] += 1
    wanted = wanted[np.append(True, np.diff((np.log1p(wanted) / np.log1p(NEAR)).astype(np.int64)) > 0)]
    below = np.maximum(np.searchsorted(lasted, wanted * (1 - NEAR / 2)) - 1, 0)
    near = [lasted[a : b + 1] for a, b in zip(below, np.searchsorted(lasted, wanted), strict=True)]
    gaps = [int(np.diff(some).argmax()) if len(some) > 1 else -1 for some in near]
    found = [w if g < 0 else (some[g] + some[g + 1] + 1) // 2 for w, some, g in zip(wanted, near, gaps, strict=True)]
    return np.unique(np.array(found, np.int64))

"""Fields as what a diffusion noises (diffusion.py): classes, which are masked, and shares, as normal scores.

A category is its tokens (tokens.py). An ordered field is a class, which of its marks or large atoms it is or none, and
the share of the rows of no such class that lies below: it is even on [0, 1], and its normal score is standard normal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, Floats, saved_array
from verosim.models.tokens import ROWS_A_BIN, Tokens


@dataclass(frozen=True, slots=True)
class Scores:
    """An ordered field <-> a class, its mark or large atom or neither, and the share of the others that lies below it.

    Of a mark or large atom the share is chance: it tells nothing that the class does not.
    """

    field: Field
    large: Floats  # (l, 2) atoms that are a class of their own

    @classmethod
    def of(cls, field: Field, rows: int, share: float) -> Self:
        """Classes for atoms that at least this share of the rows has, and no few rows."""
        return cls(field, field.atoms[field.atoms[:, 1] - field.atoms[:, 0] >= max(share, ROWS_A_BIN / max(1, rows))])

    @property
    def stretches(self) -> Floats:
        """(k, 2) what lies between the large atoms: where it begins and ends."""
        bounds = np.concatenate([[0.0], self.large.ravel(), [1.0]]).reshape(-1, 2)
        return bounds[bounds[:, 0] < bounds[:, 1]]

    @property
    def classes(self) -> int:
        """Marks, large atoms, and neither, where there is room for any."""
        return max(1, self.field.marks + len(self.large) + (len(self.stretches) > 0))

    def encode(self, array: Array) -> tuple[Array, Array, Array]:
        """(n,) codes -> (n,) classes, and where the range of shares begins and ends in which each is."""
        large, atom = Field("", atoms=self.large).atom(array), self.field.atom(array)
        classes = np.where(large >= 0, self.field.marks + large, self.classes - 1)
        classes = np.where(array < 0, -1 - array, classes).astype(np.int64)
        ends = np.where(atom[:, None] < 0, array[:, None], np.concatenate([self.field.atoms, [[0, 0]]])[atom])
        ranges = np.where(((array < 0) | (large >= 0))[:, None], [0.0, 1.0], self._share(ends))
        return classes, ranges[:, 0], ranges[:, 1]

    def _share(self, positions: Floats) -> Floats:
        """How much of all stretches lies below."""
        low, high = self.stretches.T
        room = np.concatenate([[0.0], (high - low).cumsum()])
        if not len(low):
            return np.zeros_like(positions)
        stretch = np.clip(np.searchsorted(low, positions, "right") - 1, 0, len(low) - 1)
        return (room[stretch] + np.clip(positions - low[stretch], 0, (high - low)[stretch])) / room[-1]

    def decode(self, classes: Array, scores: Floats) -> Array:
        """(n,) classes and scores -> (n,) codes."""
        marks, (low, high) = self.field.marks, self.stretches.T
        out = -1.0 - classes
        if len(self.large):
            middle = self.large.mean(1)[np.clip(classes - marks, 0, len(self.large) - 1)]
            out = np.where(classes >= marks, middle, out)
        if not len(low):
            return out
        ends = (high - low).cumsum()
        below = torch.special.ndtr(torch.from_numpy(scores.astype(np.float64))).numpy() * ends[-1]
        stretch = np.minimum(np.searchsorted(ends, below, "right"), len(ends) - 1)
        position = high[stretch] - (ends[stretch] - below)
        inside = np.clip(position, low[stretch], np.nextafter(high[stretch], 0.0))
        return np.where(classes == self.classes - 1, inside, out)

    def arrays(self) -> dict[str, Array]:
        return {"large": self.large}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], field: Field) -> Self:
        """What `arrays` gave, checked. Raises ModelFileError."""
        large = saved_array(arrays, "large", np.float64, 2)
        rows = {tuple(row) for row in field.atoms.tolist()}
        if large.shape[1] != 2 or (np.diff(large[:, 0]) <= 0).any() or not rows.issuperset(map(tuple, large.tolist())):
            raise ModelFileError(f"the saved classes of {field.name!r} are damaged.")
        return cls(field, large)


Part = Tokens | Scores  # how a field is noised


@dataclass(frozen=True, slots=True)
class Noisy:
    """A table as the network sees it; rows are first in each array."""

    tokens: Array  # (n, t) int64
    low: Array  # (n, s) float32, where the range of shares of each score begins ...
    high: Array  # ... and ends

    @classmethod
    def of(cls, parts: Sequence[Part], codes: Codes) -> Self:
        tokens, low, high = [], [], []
        for p, array in zip(parts, codes.arrays, strict=True):
            if isinstance(p, Tokens):
                tokens += p.encode(array)
            else:
                classes, begin, end = p.encode(array)
                tokens.append(classes)
                low.append(begin)
                high.append(end)
        return cls(_beside(tokens, np.int64, codes.n), *(_beside(x, np.float32, codes.n) for x in (low, high)))


def _beside(columns: Sequence[Array], dtype: type, n: int) -> Array:
    return np.stack(columns, 1).astype(dtype) if columns else np.zeros((n, 0), dtype)


def sizes(parts: Sequence[Part]) -> list[int]:
    """Classes of each column of tokens."""
    return [size for p in parts for size in ([c.size for c in p.columns] if isinstance(p, Tokens) else [p.classes])]


def count_scores(parts: Sequence[Part]) -> int:
    return sum(isinstance(p, Scores) for p in parts)

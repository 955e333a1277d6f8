"""Fields as tokens: what networks that draw one class after the other learn from.

A category's token is its level. An ordered field is cut into stretches of about equal shares of the rows, large atoms
standing for themselves: its tokens are its marks, then stretches and atoms in order. A category of very many levels
takes two tokens, a group of levels and the level in it, so that no layer is ever as wide as the levels are many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, Floats, saved_array

BINS: Final = 128  # stretches of an ordered field, at most
ATOMS: Final = 256  # of its atoms that have a token of their own, at most
ROWS_A_BIN: Final = 10  # at the least, so that what a token tells is no single person
WIDE: Final = 1024  # levels from which a category takes two tokens
OWN: Final = 512  # of its commonest levels that keep a token of their own


@dataclass(frozen=True, slots=True)
class Column:
    """One column of tokens."""

    name: str
    size: int  # tokens are 0 .. size - 1
    smooth_from: int  # tokens from this one on stand in an order along which chances change smoothly; `size`: none do


@dataclass(frozen=True, slots=True)
class Tokens:
    """One field <-> one or two columns of tokens."""

    field: Field
    low: Floats  # ordered: (s,) where each stretch or atom begins ...
    high: Floats  # ... and ends; an atom gives its middle only
    place: Array  # wide category: (levels,) int32, the place of each level by how common it is
    group: int  # wide category: levels a group

    @classmethod
    def of(cls, field: Field, array: Array, most: int = BINS, least: float = 0.0) -> Self:
        """Tokens that suit the values `array` (n,) of a field.

        Of an ordered one: `most` stretches, and atoms of a share of at least `least` stand for themselves.
        """
        none, no_levels = np.zeros(0), np.zeros(0, np.int32)
        if field.ordered:
            bins = min(most, max(4, len(array) // ROWS_A_BIN))
            low, high = _stretches(field.atoms, bins, max(least, ROWS_A_BIN / max(len(array), 1)))
            return cls(field, low, high, no_levels, 0)
        if field.levels <= WIDE:
            return cls(field, none, none, no_levels, 0)
        place = np.empty(field.levels, np.int32)
        counts = np.bincount(array, minlength=field.levels)
        place[np.argsort(-counts, kind="stable")] = np.arange(field.levels)
        return cls(field, none, none, place, int(np.ceil(np.sqrt(field.levels - OWN))))

    @property
    def columns(self) -> tuple[Column, ...]:
        name = self.field.name
        if self.group:
            groups = -(-(self.field.levels - OWN) // self.group)
            return (Column(name, OWN + groups, OWN + groups), Column(f"{name}.", self.group, self.group))
        if self.field.ordered:
            return (Column(name, self.field.marks + len(self.low), self.field.marks),)
        return (Column(name, self.field.levels, self.field.levels),)

    def encode(self, array: Array) -> list[Array]:
        """(n,) codes of the field -> for each column (n,) int64 tokens."""
        if self.group:
            place = self.place[array].astype(np.int64)
            far = np.maximum(place - OWN, 0)
            return [np.where(place < OWN, place, OWN + far // self.group), np.where(place < OWN, 0, far % self.group)]
        if not self.field.ordered:
            return [array.astype(np.int64)]
        stretch = np.searchsorted(self.low, array, "right") - 1
        return [np.where(array < 0, -1 - array.astype(np.int64), self.field.marks + np.maximum(stretch, 0))]

    def decode(self, tokens: list[Array], rng: np.random.Generator) -> Array:
        """For each column (n,) tokens -> (n,) codes; anywhere in a stretch."""
        first = tokens[0]
        if self.group:
            levels = np.argsort(self.place, kind="stable").astype(np.int32)
            place = np.where(first < OWN, first, OWN + (first - OWN) * self.group + tokens[1])
            return levels[np.minimum(place, len(levels) - 1)]
        if not self.field.ordered:
            return first.astype(np.int32)
        stretch = np.maximum(first - self.field.marks, 0)
        low, high = self.low[stretch], self.high[stretch]
        middle = self.is_atom[stretch]
        drawn = np.where(middle, (low + high) / 2, low + rng.random(len(first)) * (high - low))
        return np.where(first < self.field.marks, -1.0 - first, drawn)

    def within(self, array: Array) -> Floats:
        """(n,) how likely each code is, given its tokens: a chance for levels, marks and atoms, else a density."""
        if not self.field.ordered:
            return np.ones(len(array))
        stretch = np.maximum(np.searchsorted(self.low, array, "right") - 1, 0)
        width, atom = (self.high - self.low)[stretch], self.field.atom(array)
        share = np.ones(len(array)) if not len(self.field.atoms) else np.diff(self.field.atoms)[atom, 0]
        likely = np.where(atom >= 0, np.minimum(share / width, 1.0), 1 / width)
        return np.where(array < 0, 1.0, likely)

    @property
    def is_atom(self) -> Array:
        """(s,) which are an atom, and no stretch that holds several."""
        middle = (self.low + self.high) / 2
        atom = self.field.atom(middle)
        if not len(self.field.atoms):
            return atom >= 0
        low, high = self.field.atoms[atom].T
        return (atom >= 0) & (low <= self.low) & (self.high <= high)

    def arrays(self) -> dict[str, Array]:
        return {"low": self.low, "high": self.high, "place": self.place, "group": np.array([self.group])}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], field: Field) -> Self:
        """What `arrays` gave, checked. Raises ModelFileError."""
        low, high = saved_array(arrays, "low", np.float64), saved_array(arrays, "high", np.float64)
        place, group = saved_array(arrays, "place", np.int32), saved_array(arrays, "group", np.int64)
        if field.ordered:
            fits = len(low) == len(high) > 0 and low[0] == 0 and (low < high).all() and (high[:-1] <= low[1:]).all()
            fits = fits and high[-1] <= 1 and not len(place)
        else:
            fits = not len(low) and len(place) == (field.levels if field.levels > WIDE else 0)
            fits = fits and bool((np.sort(place) == np.arange(len(place))).all())
        if not fits or len(group) != 1 or (group[0] > 0) != (len(place) > 0) or not 0 <= group[0] <= max(1, len(place)):
            raise ModelFileError(f"the saved tokens of {field.name!r} are damaged.")
        return cls(field, low, high, place, int(group[0]))


def _stretches(atoms: Floats, bins: int, least: float) -> tuple[Floats, Floats]:
    """Where large atoms and the stretches between them begin and end, in order; about `bins` stretches.

    Small atoms lie in a stretch with their neighbours, never in two of them. least: share of a large one.
    """
    width = atoms[:, 1] - atoms[:, 0]
    widest = np.sort(np.argsort(-width, kind="stable")[:ATOMS])
    large = atoms[widest[width[widest] >= least]]
    edges = np.linspace(0, 1, bins + 1)
    cut = Field("", atoms=atoms).atom(edges)
    edges[cut >= 0] = atoms[cut[cut >= 0], 0]
    near = 0.25 / bins  # of a large atom's edge no other is wanted so near
    place = np.searchsorted(bounds := np.concatenate([[0.0], large.ravel(), [1.0]]), edges)
    gap = np.minimum(
        np.abs(edges - bounds[np.maximum(place - 1, 0)]), np.abs(bounds[np.minimum(place, len(bounds) - 1)] - edges)
    )
    kept = np.unique(np.concatenate([bounds, edges[(gap > near) & (Field("", atoms=large).atom(edges) < 0)]]))
    return kept[:-1], kept[1:]


def tokens_of(codes: Codes) -> tuple[Tokens, ...]:
    """Tokens for each field of a table."""
    return tuple(Tokens.of(f, a) for f, a in zip(codes.fields, codes.arrays, strict=True))


def encode_all(tokens: tuple[Tokens, ...], codes: Codes) -> Array:
    """(n, columns) int64."""
    columns = [c for t, a in zip(tokens, codes.arrays, strict=True) for c in t.encode(a)]
    return np.stack(columns, 1) if columns else np.zeros((codes.n, 0), np.int64)

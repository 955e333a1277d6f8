"""Fields as vectors: what the networks that make a whole row at once (gan.py, vae.py) see and answer.

A row is one-hot *blocks*, then *offsets*. A category is a block of its levels (two where it has very many: see
tokens.py). An ordered field is a block of modes, and its offset in [-1, 1] within the mode: mode-specific
normalisation (Xu et al., Modeling Tabular Data using Conditional GAN, 2019).

Departures. There, modes are those of a Gaussian mixture over real values. Here a position is about uniform on [0, 1)
already, so that a mixture would find nothing: modes are the marks, the large atoms, and even stretches of positions.
Positions inside an atom are spread over its interval, or a critic would know real rows by their few exact offsets. And
what a network learned is *calibrated* at the end: its logits are shifted and its positions bent until every field's
shares, which are known exactly, are met. That changes no more of what goes with what than it must.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, Floats, part, saved_array
from verosim.models.network import pick
from verosim.models.tokens import Tokens

LARGE: Final = 0.5  # of a stretch: an atom of so many rows is a mode of its own
KNOTS: Final = 65  # where an ordered field's positions are bent, at most: one for 10 rows
ROUNDS: Final = 20  # of shifting logits: each meets the shares closer
FARTHEST: Final = 20.0  # that a logit is shifted: a level of no rows is not drawn
INSIDE: Final = 0.01  # of an offset is chance, so that no position is an edge, nor a real row's


@dataclass(frozen=True, slots=True)
class Vectors:
    """Fields <-> rows of vectors."""

    tokens: tuple[Tokens, ...]
    shift: Floats  # (hot,) float32: added to the logits of all blocks
    bend: Floats  # (ordered, 2, knots): the positions drawn, and those that they become

    @classmethod
    def of(cls, codes: Codes, stretches: int) -> Self:
        """Vectors that suit these rows."""
        pairs, least = zip(codes.fields, codes.arrays, strict=True), LARGE / stretches
        tokens = tuple(Tokens.of(field, array, stretches, least) for field, array in pairs)
        hot, ordered = sum(c.size for t in tokens for c in t.columns), sum(t.field.ordered for t in tokens)
        return cls(tokens, np.zeros(hot, np.float32), np.tile(np.linspace(0, 1, 2), (ordered, 2, 1)))

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(t.field for t in self.tokens)

    @property
    def sizes(self) -> list[int]:
        """Of each block."""
        return [c.size for t in self.tokens for c in t.columns]

    @property
    def width(self) -> int:
        return len(self.shift) + len(self.bend)

    @property
    def wide_modes(self) -> list[Array]:
        """For each ordered field: which of all the logits are of a mode that has an offset."""
        starts = np.cumsum([0, *self.sizes])
        blocks = np.cumsum([0, *(len(t.columns) for t in self.tokens)])
        return [
            starts[b] + t.field.marks + np.flatnonzero(~t.is_atom)
            for t, b in zip(self.tokens, blocks, strict=False)
            if t.field.ordered
        ]

    def shares(self, hot: Array) -> Floats:
        """Of each level and mode among the rows `hot` (n, blocks) that `encode` gave: (hot,) float32."""
        counts = [np.bincount(h, minlength=s) / max(1, len(hot)) for h, s in zip(hot.T, self.sizes, strict=True)]
        return np.concatenate([np.zeros(0), *counts]).astype(np.float32)

    def encode(self, codes: Codes, rng: np.random.Generator | None = None) -> tuple[Array, Floats]:
        """The hot place of each block (n, blocks) int32, and offsets (n, ordered) float32.

        rng: spreads positions over their atoms; without it they stay in the middle.
        """
        hot, offsets = [], []
        for t, array in zip(self.tokens, codes.arrays, strict=True):
            if t.field.ordered and rng is not None:
                array = _spread(t.field, array, rng)
            columns = t.encode(array)
            hot += [column.astype(np.int32) for column in columns]
            if t.field.ordered:
                offsets.append(_offset(t, columns[0], array))
        places = np.stack(hot, 1) if hot else np.zeros((codes.n, 0), np.int32)
        return places, np.stack(offsets, 1) if offsets else np.zeros((codes.n, 0), np.float32)

    def decode(self, out: Floats, rng: np.random.Generator, temperature: float = 1.0) -> list[Array]:
        """What a network answers, logits and offsets (n, width), -> (n,) codes of each field."""
        drawn, ordered = [], 0
        for t, logits in zip(self.tokens, self._logits(out), strict=True):
            columns = [pick(np.ascontiguousarray(block.T), rng, temperature) for block in logits]
            if not t.field.ordered:
                drawn.append(t.decode(columns, rng))
                continue
            positions = _positions(t, columns[0], out[:, len(self.shift) + ordered], rng)
            bent = np.minimum(np.interp(positions, *self.bend[ordered]), np.nextafter(1, 0))
            drawn.append(np.where(positions < 0, positions, bent))
            ordered += 1
        return drawn

    def _logits(self, out: Floats) -> Iterator[list[Floats]]:
        """For each field: the logits (n, size) of its blocks."""
        blocks = iter(np.split(out[:, : len(self.shift)] + self.shift, np.cumsum(self.sizes)[:-1], axis=1))
        for t in self.tokens:
            yield [next(blocks) for _ in t.columns]

    def calibrated(self, out: Floats, codes: Codes, rng: np.random.Generator) -> Self:
        """The same vectors, such that a network's answers `out` (n, width) have the shares of the rows `codes`."""
        if not self.width or not len(out) or not codes.n:
            return self
        hot, _ = self.encode(codes)
        blocks = np.split(out[:, : len(self.shift)], np.cumsum(self.sizes)[:-1], axis=1)
        shifts = [_shift(block, hot[:, i]) for i, block in enumerate(blocks)]
        shifted = replace(self, shift=np.concatenate([np.zeros(0, np.float32), *shifts]))
        drawn = shifted.decode(out, rng)
        pairs = [(d, a, f) for d, a, f in zip(drawn, codes.arrays, self.fields, strict=True) if f.ordered]
        knots = int(np.clip(codes.n // 10, 2, KNOTS))
        bend = [np.stack([_quantiles(f, d, knots, rng), _quantiles(f, a, knots, rng)]) for d, a, f in pairs]
        return replace(shifted, bend=np.stack(bend) if bend else self.bend)

    def arrays(self) -> dict[str, Array]:
        """For a model file."""
        out = {f"tokens{i}.{name}": array for i, t in enumerate(self.tokens) for name, array in t.arrays().items()}
        return out | {"shift": self.shift, "bend": self.bend}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], fields: Sequence[Field]) -> Self:
        """What `arrays` gave, checked. Raises ModelFileError."""
        tokens = tuple(Tokens.restore(part(arrays, f"tokens{i}."), f) for i, f in enumerate(fields))
        shift, bend = saved_array(arrays, "shift", np.float32), saved_array(arrays, "bend", np.float64, 3)
        restored = cls(tokens, shift, bend)
        fits = len(shift) == sum(restored.sizes) and np.abs(shift).max(initial=0) <= FARTHEST
        fits = fits and bend.shape[:2] == (sum(f.ordered for f in fields), 2) and bend.shape[2] >= 2
        if not fits or (np.diff(bend) < 0).any() or (bend < 0).any() or (bend > 1).any():
            raise ModelFileError("the saved model is damaged: its calibration does not fit its fields.")
        return restored


def _spread(field: Field, array: Array, rng: np.random.Generator) -> Array:
    """Positions (n,), those in an atom anywhere inside it."""
    atom = field.atom(array)
    if not len(field.atoms):
        return array
    low, high = field.atoms[np.maximum(atom, 0)].T
    inside = np.minimum(low + rng.random(len(array)) * (high - low), np.nextafter(high, low))
    return np.where(atom >= 0, inside, array)


def _offset(t: Tokens, mode: Array, array: Array) -> Floats:
    """(n,) in [-1, 1]: where in its stretch a position is; 0 in marks and large atoms."""
    stretch = np.maximum(mode - t.field.marks, 0)
    low, high = t.low[stretch], t.high[stretch]
    offset = np.clip(2 * (array - low) / (high - low) - 1, -1, 1)
    return np.where((mode < t.field.marks) | t.is_atom[stretch], 0, offset).astype(np.float32)


def _positions(t: Tokens, mode: Array, offset: Floats, rng: np.random.Generator) -> Array:
    """(n,) marks, and positions: anywhere in a large atom, else by the offset in the stretch."""
    stretch = np.maximum(mode - t.field.marks, 0)
    low, high = t.low[stretch], t.high[stretch]
    chance = rng.random(len(mode))
    share = np.clip(offset.astype(np.float64), -1, 1) / 2 + 0.5
    share = np.where(t.is_atom[stretch], chance, (1 - INSIDE) * share + INSIDE * chance)
    return np.where(mode < t.field.marks, -1.0 - mode, low + share * (high - low))


def _shift(logits: Floats, hot: Array) -> Floats:
    """(size,) what to add to logits (n, size) so that the mean chance of each place is its share among `hot` (m,)."""
    size = logits.shape[1]
    wanted = (np.bincount(hot, minlength=size) + 1e-6) / (len(hot) + 1e-6 * size)
    shift = np.zeros(size, np.float32)
    for _ in range(ROUNDS):
        chances = logits + shift
        chances -= chances.max(1, keepdims=True)
        np.exp(chances, out=chances)
        found = (chances / chances.sum(1, keepdims=True)).mean(0) + 1e-9
        shift += np.log(wanted / found).astype(np.float32)
        shift = np.clip(shift - shift[wanted.argmax()], -FARTHEST, FARTHEST)
    return shift


def _quantiles(field: Field, array: Array, knots: int, rng: np.random.Generator) -> Floats:
    """(knots,) positions below which even shares of those in `array` lie; from 0 to 1: no row's extreme is told."""
    positions = _spread(field, array, rng)
    positions = positions[positions >= 0]
    shares = np.linspace(0, 1, knots)
    inner = np.quantile(positions, shares[1:-1]) if len(positions) else shares[1:-1]
    return np.concatenate([[0.0], np.clip(inner, 0, 1), [1.0]])


class Blocks(nn.Module):
    """The same vectors in PyTorch."""

    starts: Tensor  # (blocks,) int64
    offset_of: Tensor  # (modes with an offset,) int64: the ordered field of each ...
    mode: Tensor  # ... and its place among the logits

    def __init__(self, vectors: Vectors) -> None:
        super().__init__()
        self.hot, self.width, modes = len(vectors.shift), vectors.width, vectors.wide_modes
        self.runs = [
            (size, len(list(run))) for size, run in groupby(vectors.sizes)
        ]  # blocks of one size, done together
        starts = torch.from_numpy(np.cumsum([0, *vectors.sizes])[:-1])
        owner = np.repeat(np.arange(len(modes)), [len(m) for m in modes])
        self.register_buffer("starts", starts, persistent=False)
        self.register_buffer("offset_of", torch.from_numpy(owner), persistent=False)
        self.register_buffer(
            "mode", torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *modes])), persistent=False
        )

    def rows(self, hot: Tensor, offsets: Tensor) -> Tensor:
        """What `Vectors.encode` gave -> (n, width)."""
        out = offsets.new_zeros(len(hot), self.width)
        out[:, self.hot :] = offsets
        return out.scatter_(1, hot.long() + self.starts, 1.0)

    def log_chances(self, logits: Tensor) -> Tensor:
        """(n, hot) logits -> the logarithms of the chances that they stand for."""
        parts = torch.split(logits, [size * count for size, count in self.runs], 1)
        runs = zip(parts, self.runs, strict=True)
        flat = [F.log_softmax(part.reshape(-1, count, size), 2).flatten(1) for part, (size, count) in runs]
        return torch.cat([logits[:, :0], *flat], 1)

    def wide(self, chances: Tensor) -> Tensor:
        """(n, hot) chances of all modes -> (n, ordered): how likely each field has an offset."""
        out = chances.new_zeros(len(chances), self.width - self.hot)
        return out.index_add(1, self.offset_of, chances[:, self.mode])

    def soft(self, out: Tensor, sharpness: float) -> Tensor:
        """Rows drawn from a network's answer (n, width), such that it can be told what to better.

        Gumbel's trick: softmax((logits + Gumbel) * sharpness) is nearly one-hot (Jang et al., 2017).
        """
        noise = -torch.log(-torch.log(torch.rand_like(out[:, : self.hot]).clamp_(1e-20)))
        chances = self.log_chances((out[:, : self.hot] + noise) * sharpness).exp()
        return torch.cat([chances, out[:, self.hot :] * self.wide(chances)], 1)

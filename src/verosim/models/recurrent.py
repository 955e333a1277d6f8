"""A network over the steps of sequences: p(field of a step | fields before it, what is remembered of all steps before).

The heads are those of `network` (network.py): each field is drawn given those before it. Beside them they are told a
memory, a gated recurrent unit (Cho et al., 2014) that reads each step when it is complete. It is trained by PyTorch
(recurrent_fit.py) on pieces of sequences, and drawn from by numpy: a model file needs no PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, Floats, Progress, State, needs_torch, part, saved_array, silent
from verosim.models import network as nets
from verosim.models.network import Network, Walk
from verosim.models.tokens import encode_all

LONG: Final = 64  # steps of a piece, at most ...
WARM: Final = 16  # ... of which the first are only read, where the piece does not begin a sequence
LARGEST: Final = 1e4  # no weight is as large: sums would pass what a float32 holds


@dataclass(frozen=True, slots=True)
class Options(nets.Options):
    epochs: int = 40
    batch: int = 1024  # steps
    memory: int = 64  # numbers that are remembered
    max_rows: int = 60_000  # steps learned from


@dataclass(frozen=True, slots=True)
class Pieces:
    """Sequences, end to end in n rows, cut up. rows: (p, steps), -1 past the end. counted: which are learned from."""

    rows: Array
    counted: Array  # (p, steps) bool; the others are only read

    @classmethod
    def of(cls, cut: Array, new: Array) -> Self:
        """cut: (n,) bool, where a stretch begins. new: (n,) bool, where a sequence does."""
        begin = np.flatnonzero(cut)
        lengths = np.diff(np.append(begin, len(cut)))
        pieces = np.maximum(1, -(-(lengths - WARM) // (LONG - WARM)))
        owner = np.repeat(np.arange(len(begin)), pieces)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        first, end = begin[owner] + number * (LONG - WARM), (begin + lengths)[owner]
        step = np.arange(min(LONG, int(lengths.max(initial=1))))
        rows = first[:, None] + step
        there = rows < end[:, None]
        fresh = (number == 0) & new[begin[owner]]
        short = lengths[owner] <= WARM  # all that there is
        return cls(np.where(there, rows, -1), there & ((step >= WARM) | (fresh | short)[:, None]))

    def take(self, some: Array) -> Pieces:
        return Pieces(self.rows[some], self.counted[some])

    def at_most(self, steps: int, rng: np.random.Generator) -> Pieces:
        """All, or some by chance that have about so many steps."""
        if self.counted.sum() <= steps:
            return self
        order = rng.permutation(len(self.rows))
        return self.take(np.sort(order[: max(1, int((np.cumsum(self.counted[order].sum(1)) <= steps).sum()))]))


@dataclass(frozen=True, slots=True)
class Memory:
    """The gated recurrent unit, float32. read: (r,) the columns of tokens that it reads of each step."""

    read: Array
    ask: Floats  # (r * embedding, 3 * width): reset, update, new
    ask_bias: Floats  # (3 * width,)
    hold: Floats  # (width, 3 * width)
    hold_bias: Floats  # (3 * width,)

    @property
    def width(self) -> int:
        return len(self.hold)

    def after(self, memory: Floats, embedded: Floats) -> Floats:
        """What is remembered (n, width), once a step (n, r * embedding) was read."""
        asked, held = embedded @ self.ask + self.ask_bias, memory @ self.hold + self.hold_bias
        (reset, update, new), (r, u, old) = (np.split(a, 3, 1) for a in (asked, held))
        kept = _sigmoid(update + u)
        return np.asarray((1 - kept) * np.tanh(new + _sigmoid(reset + r) * old) + kept * memory)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * np.tanh(0.5 * x) + 0.5)


class Remembering(Walk):
    """Rows under way, whose heads are told what is remembered (n, width) too."""

    def __init__(self, net: Network, memory: Floats) -> None:
        super().__init__(net.tokens_, net.embeddings_, net.heads_, len(memory))
        self.memory = memory

    def _told(self, parents: Floats, rows: Array | slice) -> Floats:
        return np.concatenate([parents, self.memory[rows]], 1)


class Recurrent:
    """The network over the fields of a step, in their order; the first `known` are given."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(
        self, data: Codes, known: int, read: Sequence[int], pieces: Pieces, held: Array, rng: np.random.Generator,
        progress: Progress = silent,
    ) -> Self:  # fmt: skip
        """data: (n,) steps. read: the fields that are remembered. held: (p,) bool, pieces that end the training."""
        self.net_ = Network(self.options)
        options, parents = self.net_.prepare(data, known, rng)
        options = replace(self.options, **{name: getattr(options, name) for name in ("embedding", "width", "hidden")})
        owners = self.net_.owners()
        columns = np.flatnonzero(np.isin(owners, list(read)))
        with needs_torch("a network over sequences"):
            from verosim.models.recurrent_fit import fit_recurrent
        tokens = encode_all(self.net_.tokens_, data)
        learned = fit_recurrent(tokens, self.net_.columns(), parents, columns, pieces, held, options, rng, progress)
        self.net_.embeddings_, self.net_.heads_, self.memory_, self.net_.history_ = learned
        return self

    @property
    def fields(self) -> tuple[Field, ...]:
        return self.net_.fields_

    def start(self, n: int) -> Floats:
        """What is remembered (n, width) before the first step."""
        return np.zeros((n, self.memory_.width), np.float32)

    def walk(self, memory: Floats, known: Sequence[Array]) -> Remembering:
        """To draw the fields of a step, or ask for the density of them, one after the other."""
        walk = Remembering(self.net_, memory)
        for i, array in enumerate(known):
            walk.put(i, array)
        return walk

    def after(self, memory: Floats, arrays: Sequence[Array]) -> Floats:
        """What is remembered after a step (n,) of all fields."""
        net, first, read = self.net_, 0, [np.zeros((len(memory), 0), np.float32)]
        for tokens, array in zip(net.tokens_, arrays, strict=True):
            columns = range(first, first := first + len(tokens.columns))
            if columns[0] in self.memory_.read:
                read += [net.embeddings_[c][t] for c, t in zip(columns, tokens.encode(array), strict=True)]
        return self.memory_.after(memory, np.concatenate(read, 1))

    def remembered(self, data: Codes, pieces: Pieces) -> tuple[Array, Floats]:
        """The rows (m,) of steps that count, and what is remembered (m, width) before each."""
        memory, rows, out = self.start(len(pieces.rows)), [np.zeros(0, np.int64)], [self.start(0)]
        for step, counted in zip(pieces.rows.T, pieces.counted.T, strict=True):
            rows.append(step[counted])
            out.append(memory[counted])
            there = np.flatnonzero(step >= 0)
            memory[there] = self.after(memory[there], data.take(step[there]).arrays)
        return np.concatenate(rows), np.concatenate(out)

    @property
    def notes(self) -> list[str]:
        return self.net_.notes

    def explain(self) -> dict[str, str]:
        """For each field that is drawn: what it asks, and how the training went."""
        return {name: f"{how}, which remembers all steps before" for name, how in self.net_.explain().items()}

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta, arrays = self.net_.state()
        return meta, arrays | {f"memory.{name}": getattr(self.memory_, name) for name in Memory.__slots__}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        new, own = cls(), part(arrays, "memory.")
        ndim = {"ask": 2, "hold": 2}
        learned = {n: saved_array(own, n, np.float32, ndim.get(n, 1)) for n in Memory.__slots__ if n != "read"}
        new.memory_ = Memory(read=saved_array(own, "read", np.int64), **learned)
        width, read = new.memory_.width, new.memory_.read
        new.net_ = Network.restore(meta, arrays, width)
        embedding = new.net_.embeddings_[0].shape[1] if new.net_.embeddings_ else 0
        shapes = {"ask": (len(read) * embedding, 3 * width), "ask_bias": (3 * width,)}
        shapes |= {"hold": (width, 3 * width), "hold_bias": (3 * width,)}
        fits = all(learned[name].shape == shape for name, shape in shapes.items()) and bool((np.diff(read) > 0).all())
        fits = fits and (not len(read) or bool(0 <= read[0] <= read[-1] < len(new.net_.embeddings_)))
        if not fits or max(np.abs(a).max(initial=0) for a in learned.values()) > LARGEST:
            raise ModelFileError("the saved network is damaged: what it remembers does not fit.")
        return new

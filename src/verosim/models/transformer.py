"""`transformer`: columns as tokens, one after the other, each told by attention to all before it.

A row is a sentence whose words are its columns' tokens (tokens.py), `given` columns first. A causal transformer
(Vaswani et al., 2017; pre-norm, as in Radford et al., 2019) reads it: p(column | columns before it). Departures: where
a word stands says which column it is of, so that each place has its own vocabulary and its own last layer; and an
ordered column's tokens are embedded, and its logits made, through smooth functions of the rank, as in `network`.

All columns are attended to, however many: memory is bounded by fewer rows at a time, and time grows with the square of
the columns past a few hundred, where `network` is the quicker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from verosim.errors import ArgumentError, ModelFileError
from verosim.models import Array, Codes, Progress, State, pack_fields, part, silent, unpack_fields
from verosim.models.network import pick
from verosim.models.network_fit import Embed, Out
from verosim.models.plan import History, Training, restored_history
from verosim.models.tokens import Column, Tokens, encode_all, tokens_of
from verosim.models.training import (
    Learner,
    one_thread,
    own_chance,
    restored,
    restored_plan,
    shares_of,
    train,
    weights,
)

AT_ONCE: Final = 2**16  # tokens read together: what bounds the memory of wide tables
TOGETHER: Final = 8192  # rows drawn together, at most
BUILD: Final = ("width", "layers", "heads")  # options that a saved network is built by


@dataclass(frozen=True, slots=True)
class Options(Training):
    epochs: int = 30
    batch: int = 256
    rate: float = 2e-3
    width: int = 64  # numbers that stand for a column
    layers: int = 3
    heads: int = 4  # things that a layer attends to at once
    dropout: float = 0.05
    max_rows: int = 300_000  # rows learned from


class Cache:
    """Keys and values of the columns already read, for one layer."""

    def __init__(self, n: int, heads: int, columns: int, width: int) -> None:
        self.keys, self.values, self.read = *torch.empty(2, n, heads, columns, width), 0

    def put(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Those of one more column, (n, heads, 1, width); returns those of all so far."""
        self.keys[:, :, self.read], self.values[:, :, self.read] = key[:, :, 0], value[:, :, 0]
        self.read += 1
        return self.keys[:, :, : self.read], self.values[:, :, : self.read]


class Block(nn.Module):
    """Attention, then a layer for each column by itself."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """(n, columns, width) -> the same; with a cache, of one column, whose past is there."""
        query, key, value = self.ask(self.before(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if cache is not None:
            key, value = cache.put(key, value)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=cache is None)
        x = x + self.dropout(self.join(seen.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.down(F.gelu(self.up(self.between(x)))))


class Net(Learner):
    """Tokens (n, columns) -> the cross entropy of those from column `first` on."""

    def __init__(self, columns: Sequence[Column], first: int, shares: Sequence[Tensor], options: Options) -> None:
        super().__init__()
        w, self.first, self.heads = options.width, first, options.heads
        self.embed = nn.ModuleList(Embed(c, w) for c in columns)
        self.place = nn.Parameter(torch.randn(len(columns), w) * 0.5)  # which column is asked for
        self.blocks = nn.ModuleList(Block(w, options.heads, options.dropout) for _ in range(options.layers))
        self.norm, self.dropout = nn.LayerNorm(w), nn.Dropout(options.dropout)
        self.out = nn.ModuleList(Out(c, w, s) for c, s in zip(columns[first:], shares[first:], strict=True))

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, columns) -> (n, columns, width): at each column what those before it tell of it."""
        said = [embed(tokens[:, j]) for j, embed in enumerate(self.embed[:-1])]
        read = torch.stack([torch.zeros(len(tokens), self.place.shape[1], device=tokens.device), *said], 1)
        x = self.dropout(read) + self.place
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def loss(self, *batch: Tensor) -> Tensor:
        (tokens,) = batch
        h = self(tokens)
        losses = [F.cross_entropy(out(h[:, j]), tokens[:, j]) for j, out in enumerate(self.out, self.first)]
        return torch.stack(losses).sum()

    def step(self, batch: Sequence[Tensor], optimizers: Sequence[Optimizer]) -> Tensor:
        (tokens,), (optimizer,) = batch, optimizers
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=tokens.device)
        for some in _split(tokens):
            loss = self.loss(some) * (len(some) / len(tokens))
            loss.backward()
            total += loss.detach()
        nn.utils.clip_grad_norm_(self.parameters(), 1.0)
        optimizer.step()
        return total

    def score(self, *batch: Tensor) -> Tensor:
        (tokens,) = batch
        return torch.stack([self.loss(some) * (len(some) / len(tokens)) for some in _split(tokens)]).sum()


def _split(tokens: Tensor) -> tuple[Tensor, ...]:
    """Rows in parts of AT_ONCE tokens at most."""
    return tokens.split(max(1, AT_ONCE // max(1, tokens.shape[1])))


class Reading:
    """Rows under way, column after column."""

    def __init__(self, net: Net, n: int) -> None:
        columns, width = net.place.shape
        self.net, self.column, self.last = net, 0, torch.zeros(n, width)
        self.caches = [Cache(n, net.heads, columns, width // net.heads) for _ in net.blocks]

    def told(self) -> Tensor:
        """What the columns before tell of the next: (n, width)."""
        x = (self.last + self.net.place[self.column])[:, None]
        for block, cache in zip(self.net.blocks, self.caches, strict=True):
            x = block(x, cache)
        return self.net.norm(x[:, 0])

    def draw(self, rng: np.random.Generator, temperature: float) -> Array:
        """(n,) tokens of the next column."""
        weight, bias = cast(Out, self.net.out[self.column - self.net.first]).folded()
        tokens = pick((weight @ self.told().T + bias[:, None]).numpy(), rng, temperature)
        self._go_on(tokens)
        return tokens

    def put(self, tokens: Array) -> None:
        """Say what the next column is."""
        self.told()  # the caches read it
        self._go_on(tokens)

    def _go_on(self, tokens: Array) -> None:
        self.last = self.net.embed[self.column](torch.from_numpy(tokens))
        self.column += 1


class Transformer:
    """A causal transformer over a table's fields, in their order. `given` fields stand before all others."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(self, rows: Codes, given: Codes | None, rng: np.random.Generator, progress: Progress = silent) -> Self:
        options, data = self.options, given.beside(rows) if given else rows
        if options.width % options.heads:
            raise ArgumentError(
                f"width: {options.width} cannot be shared out among {options.heads} heads; use a multiple."
            )
        progress(0.0, "encode")
        data = data.at_most(options.max_rows, rng)
        self.fields_, self.known_ = data.fields, len(given.fields) if given else 0
        self.tokens_, seed = tokens_of(data), int(rng.integers(2**62))
        tokens = encode_all(self.tokens_, data)
        with own_chance(seed, torch.device("cpu")):
            self.net_ = self._build(shares_of(tokens, [c.size for c in self._columns()]))
        if self.known_ == len(self.fields_) or not data.n:
            self.history_ = History("cpu", "there was nothing to learn")
        else:
            self.history_ = train(self.net_, [torch.from_numpy(tokens)], options, seed, progress)
        return self

    def _columns(self) -> list[Column]:
        return [c for t in self.tokens_ for c in t.columns]

    def _build(self, shares: Sequence[Tensor] | None = None) -> Net:
        """The network for the fields. shares: of the tokens of each column."""
        columns = self._columns()
        first = sum(len(t.columns) for t in self.tokens_[: self.known_])
        return Net(columns, first, shares or [torch.ones(c.size) for c in columns], self.options).eval()

    def sample(self, n: int, given: Codes | None, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        known, together = given or Codes((), (), n), max(1, 2 * AT_ONCE // max(1, len(self._columns())))
        starts = range(0, max(n, 1), min(TOGETHER, together))
        with one_thread(), torch.no_grad():
            parts = [self._draw(known.take(slice(i, i + starts.step)), rng, temperature) for i in starts]
        arrays = tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return Codes(self.fields_[self.known_ :], arrays, n)

    def _draw(self, given: Codes, rng: np.random.Generator, temperature: float) -> list[Array]:
        """One array for each field that is drawn."""
        reading = Reading(self.net_, given.n)
        for tokens, array in zip(self.tokens_, given.arrays, strict=False):
            for column in tokens.encode(array):
                reading.put(column)
        return [
            tokens.decode([reading.draw(rng, temperature) for _ in tokens.columns], rng)
            for tokens in self.tokens_[self.known_ :]
        ]

    @property
    def notes(self) -> list[str]:
        return list(self.history_.notes)

    def explain(self) -> dict[str, str]:
        """For each field: what it asks, and how the training went."""
        names = [f.name for f in self.fields_]
        asked = [", ".join(names[:i]) if i <= 6 else f"all {i} columns before it" for i in range(len(names))]
        return {
            name: f"given {before or 'nothing'}: transformer, {self.history_}"
            for name, before in zip(names[self.known_ :], asked[self.known_ :], strict=True)
        }

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta, arrays = pack_fields(self.fields_)
        arrays |= {f"net.{name}": array for name, array in weights(self.net_).items()}
        for i, tokens in enumerate(self.tokens_):
            arrays |= {f"tokens{i}.{name}": array for name, array in tokens.arrays().items()}
        build = {name: getattr(self.options, name) for name in BUILD}
        return meta | {"known": self.known_, "history": self.history_.to_dict(), "build": build}, arrays

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        model = cls(restored_plan(Options, BUILD, meta))
        if model.options.width % model.options.heads:
            raise ModelFileError(f"the saved transformer is damaged: {model.options.heads} heads.")
        model.fields_ = unpack_fields(meta, arrays)
        model.known_, model.history_ = restored_history(meta, len(model.fields_))
        model.tokens_ = tuple(Tokens.restore(part(arrays, f"tokens{i}."), f) for i, f in enumerate(model.fields_))
        model.net_ = restored(model._build, part(arrays, "net."))
        return model

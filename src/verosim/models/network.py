"""`network`: an autoregressive network, p(column | columns before it, given), one small head a column.

Each column is tokens (tokens.py). A linear layer a column gives it its context from the embeddings of the columns
before it; a residual layer and a softmax follow. An ordered column's tokens are embedded, and its logits made, through
*smooth functions of the rank*, bumps at several scales, beside one free number a token: neighbours learn from each
other. (Of the family of MADE: Germain et al., 2015, and TabularARGN: Tiwald et al., 2025; the smooth codes are ours.)

It is trained by PyTorch (network_fit.py) and drawn from by numpy: a model file needs no PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import (
    Array,
    Codes,
    Floats,
    Progress,
    Start,
    State,
    needs_torch,
    pack_fields,
    part,
    saved_array,
    silent,
    unpack_fields,
)
from verosim.models.features import dependence
from verosim.models.plan import History, Training, restored_history
from verosim.models.tokens import Column, Tokens, encode_all, tokens_of

TOGETHER: Final = 8192  # rows drawn together: large enough for numpy, small enough for the cache
WIDE: Final = (
    100  # columns of tokens from which each gets a smaller head: the cost grows with columns, not their square
)
EPSILON: Final = 1e-5  # of the layers' norms, as PyTorch has it


@dataclass(frozen=True, slots=True)
class Head:
    """All that draws one column: every array is float32."""

    parents: Array  # (p,) int64: the columns that it asks
    mix: Floats  # (p * embedding, width); of sequences (recurrent.py) what is remembered comes after the parents
    bias: Floats  # (width,)
    norm: Floats  # (2, width) scale and shift, before the residual layer
    up: Floats  # (width, hidden)
    up_bias: Floats  # (hidden,)
    down: Floats  # (hidden, width)
    down_bias: Floats  # (width,)
    last: Floats  # (2, width) scale and shift, before the logits
    out: Floats  # (size, width)
    out_bias: Floats  # (size,)

    def logits(self, embedded: Floats) -> Floats:
        """Embeddings of the parents (n, p * embedding) -> (size, n)."""
        h = embedded @ self.mix
        h += self.bias
        up = _normed(h, self.norm) @ self.up
        up += self.up_bias
        np.maximum(up, 0, out=up)
        h += up @ self.down
        h += self.down_bias
        logits = self.out @ _normed(h, self.last).T
        logits += self.out_bias[:, None]
        return logits


def _normed(h: Floats, scale_and_shift: Floats) -> Floats:
    centred = h - h.mean(1, keepdims=True)
    centred *= 1 / np.sqrt(np.einsum("nw,nw->n", centred, centred) / h.shape[1] + EPSILON)[:, None]
    centred *= scale_and_shift[0]
    centred += scale_and_shift[1]
    return centred


def pick(logits: Floats, rng: np.random.Generator, temperature: float = 1.0) -> Array:
    """One token a row, by softmax(logits / temperature). logits: (size, n), spoilt -> (n,) int64."""
    logits -= logits.max(0)
    if temperature != 1:
        logits /= temperature
    np.exp(logits, out=logits)
    for below, row in pairwise(logits):  # the sums so far, in place: many times as quick as cumsum along this axis
        row += below
    chance = rng.random(logits.shape[1], dtype=np.float32) * logits[-1]
    return np.minimum((logits <= chance).sum(0), len(logits) - 1)


class Walk:
    """Rows under way: fields are put or drawn one after the other, each given those before it."""

    def __init__(
        self, tokens: Sequence[Tokens], embeddings: Sequence[Floats], heads: Mapping[int, Head], n: int
    ) -> None:
        self.tokens, self.embeddings, self.heads, self.n = tokens, embeddings, heads, n
        self.first = np.cumsum([0, *(len(t.columns) for t in tokens)]).tolist()  # the first column of each field
        self.width = embeddings[0].shape[1] if embeddings else 0
        self.embedded = np.empty((n, len(embeddings), self.width), np.float32)

    def put(self, field: int, array: Array) -> None:
        """Say what a field is. array: (n,) codes."""
        for k, drawn in enumerate(self.tokens[field].encode(array)):
            self.embedded[:, self.first[field] + k] = self.embeddings[self.first[field] + k][drawn]

    def draw(self, field: int, rows: Array | None, rng: np.random.Generator, temperature: float = 1.0) -> Array:
        """Codes of a field at these rows; None: at all. The field is put there."""
        where = slice(None) if rows is None else rows
        drawn = []
        for k in range(len(self.tokens[field].columns)):
            column = self.first[field] + k
            drawn.append(pick(self._logits(column, where), rng, temperature))
            self.embedded[where, column] = self.embeddings[column][drawn[-1]]
        return self.tokens[field].decode(drawn, rng)

    def density(self, field: int, array: Array) -> Floats:
        """(n,) how likely codes of a field are: a chance for levels, marks and atoms, else a density."""
        likely = self.tokens[field].within(array)
        for k, tokens in enumerate(self.tokens[field].encode(array)):
            logits = self._logits(self.first[field] + k, slice(None))
            logits -= logits.max(0)
            np.exp(logits, out=logits)
            likely *= logits[tokens, np.arange(self.n)] / logits.sum(0)
            self.embedded[:, self.first[field] + k] = self.embeddings[self.first[field] + k][tokens]
        return likely

    def _logits(self, column: int, rows: Array | slice) -> Floats:
        """(size, rows) of a column, given those that it asks."""
        head = self.heads[column]
        parents: Array | slice = head.parents
        if not len(head.parents) or head.parents[-1] == len(head.parents) - 1:  # simply all before: no copy
            parents = slice(len(head.parents))
        asked = self.embedded[rows][:, parents]
        return head.logits(self._told(asked.reshape(len(asked), len(head.parents) * self.width), rows))

    def _told(self, parents: Floats, rows: Array | slice) -> Floats:
        """What a head is told of these rows: what its parents are."""
        return parents


@dataclass(frozen=True, slots=True)
class Options(Training):
    epochs: int = 60
    embedding: int = 16  # numbers that stand for a token
    width: int = 64  # of a column's context
    hidden: int = 192  # of its residual layer
    dropout: float = 0.15
    max_parents: int = 40  # columns that a column asks: those that it depends on most
    max_rows: int = 300_000  # rows learned from


def _smaller(o: Options) -> Options:
    embedding, width, hidden = min(o.embedding, 8), min(o.width, 32), min(o.hidden, 64)
    return replace(o, embedding=embedding, width=width, hidden=hidden, max_parents=min(o.max_parents, 12))


class Network:
    """The network over a table's fields, in their order. `given` fields stand before all others."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(
        self,
        rows: Codes,
        given: Codes | None,
        rng: np.random.Generator,
        progress: Progress = silent,
        held: Array | None = None,
        *,
        start: Start | None = None,
    ) -> Self:
        """held: (n,) bool, the rows that end the training; by default drawn by chance. start: rows learned first."""
        data = given.beside(rows) if given else rows
        held = np.zeros(data.n, bool) if held is None else held
        if data.n > self.options.max_rows:
            some = np.sort(rng.choice(data.n, self.options.max_rows, replace=False))
            data, held = data.take(some), held[some]
        options, parents = self.prepare(data, len(given.fields) if given else 0, rng)
        columns = self.columns()
        if not parents:
            self.embeddings_: list[Floats] = [np.zeros((c.size, 1), np.float32) for c in columns]
            self.heads_: dict[int, Head] = {}
            self.history_ = History("cpu", "nothing to learn")
            return self
        with needs_torch("the model 'network'"):
            from verosim.models.network_fit import fit_network
        tokens, before = encode_all(self.tokens_, data), self._before(start, rng) if start else None
        learned = fit_network(tokens, columns, parents, held, before, options, rng, progress)
        self.embeddings_, self.heads_, self.history_ = learned
        return self

    def prepare(self, data: Codes, known: int, rng: np.random.Generator) -> tuple[Options, dict[int, Array]]:
        """Fields and tokens, of which the first `known` fields are given. -> sizes, and what each column asks."""
        self.fields_, self.known_, self.tokens_ = data.fields, known, tokens_of(data)
        owners = self.owners()
        options = self.options if len(owners) <= WIDE else _smaller(self.options)
        return options, self._parents(data, sum(owner < known for owner in owners), options.max_parents, rng)

    def _before(self, start: Start, rng: np.random.Generator) -> Array:
        """(n, columns) tokens of the rows that are learned first, -1 where they say nothing."""
        some = np.sort(rng.permutation(start.rows.n)[: self.options.max_rows])
        tokens = encode_all(self.tokens_, start.rows.take(some))
        tokens[start.unknown[some][:, self.owners()]] = -1
        return tokens

    def columns(self) -> list[Column]:
        return [c for t in self.tokens_ for c in t.columns]

    def owners(self) -> list[int]:
        """The field that each column is of."""
        return [i for i, t in enumerate(self.tokens_) for _ in t.columns]

    def _parents(self, data: Codes, first: int, most: int, rng: np.random.Generator) -> dict[int, Array]:
        """For each column that is drawn: the columns before it that it asks, ascending, at most so many."""
        owners = np.array(self.owners(), np.int64)
        parents = {column: np.arange(column) for column in range(first, len(owners))}
        if len(owners) <= most + 1:
            return parents
        depends = dependence(data, rng)
        for column, before in parents.items():
            if len(before) > most:
                strength = depends[owners[column], owners[before]] + (owners[before] == owners[column])
                parents[column] = np.sort(np.argsort(-strength, kind="stable")[:most])
        return parents

    def sample(self, n: int, given: Codes | None, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        known = given or Codes((), (), n)
        parts = [
            self._draw(known.take(slice(begin, begin + TOGETHER)), rng, temperature) for begin in range(0, n, TOGETHER)
        ] or [self._draw(known, rng, temperature)]
        arrays = tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return Codes(self.fields_[self.known_ :], arrays, n)

    def walk(self, n: int) -> Walk:
        """To draw n rows field by field."""
        return Walk(self.tokens_, self.embeddings_, self.heads_, n)

    def _draw(self, given: Codes, rng: np.random.Generator, temperature: float) -> list[Array]:
        walk = self.walk(given.n)
        for i in range(self.known_):
            walk.put(i, given.arrays[i])
        return [walk.draw(i, None, rng, temperature) for i in range(self.known_, len(self.fields_))]

    @property
    def notes(self) -> list[str]:
        return list(self.history_.notes)

    def explain(self) -> dict[str, str]:
        """For each field: what it asks, and how the training went."""
        columns, owners = self.columns(), self.owners()
        out: dict[str, str] = {}
        for column, head in self.heads_.items():
            asked = dict.fromkeys(columns[p].name for p in head.parents)
            names = ", ".join(asked) if len(asked) <= 6 else f"{len(asked)} columns before it"
            out.setdefault(self.fields_[owners[column]].name, f"given {names or 'nothing'}: network, {self.history_}")
        return out

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta, arrays = pack_fields(self.fields_)
        for i, tokens in enumerate(self.tokens_):
            arrays |= {f"tokens{i}.{name}": array for name, array in tokens.arrays().items()}
        arrays |= {f"embedding{i}": table for i, table in enumerate(self.embeddings_)}
        for column, head in self.heads_.items():
            arrays |= {f"head{column}.{name}": getattr(head, name) for name in Head.__slots__}
        return meta | {"known": self.known_, "history": self.history_.to_dict()}, arrays

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array], memory: int = 0) -> Self:
        """What `state` gave, checked. memory: numbers that heads are told beside columns. Raises ModelFileError."""
        model = cls()
        model.fields_ = unpack_fields(meta, arrays)
        model.known_, model.history_ = restored_history(meta, len(model.fields_))
        model.tokens_ = tuple(Tokens.restore(part(arrays, f"tokens{i}."), f) for i, f in enumerate(model.fields_))
        columns, owners = model.columns(), model.owners()
        model.embeddings_ = [saved_array(arrays, f"embedding{i}", np.float32, 2) for i in range(len(columns))]
        width = model.embeddings_[0].shape[1] if columns else 0
        if any(e.shape != (c.size, width) for e, c in zip(model.embeddings_, columns, strict=True)):
            raise ModelFileError("the saved network is damaged: its embeddings do not fit its tokens.")
        model.heads_ = {
            j: _restore_head(part(arrays, f"head{j}."), j, columns[j].size, width, memory)
            for j in range(len(columns))
            if owners[j] >= model.known_
        }
        return model


def _restore_head(arrays: Mapping[str, Array], column: int, size: int, embedding: int, memory: int = 0) -> Head:
    ndim = {"mix": 2, "norm": 2, "up": 2, "down": 2, "last": 2, "out": 2}
    learned = {
        name: saved_array(arrays, name, np.float32, ndim.get(name, 1)) for name in Head.__slots__ if name != "parents"
    }
    parents = saved_array(arrays, "parents", np.int64)
    width, hidden = len(learned["bias"]), len(learned["up_bias"])
    wanted = {
        "mix": (len(parents) * embedding + memory, width), "norm": (2, width), "up": (width, hidden),
        "down": (hidden, width), "down_bias": (width,), "last": (2, width), "out": (size, width), "out_bias": (size,),
    }  # fmt: skip
    rising = (np.diff(parents) > 0).all() and (not len(parents) or 0 <= parents[0] <= parents[-1] < column)
    if not rising or any(learned[name].shape != shape for name, shape in wanted.items()) or not width:
        raise ModelFileError(f"the saved network is damaged: the head of column {column} does not fit.")
    if max(np.abs(array).max(initial=0) for array in learned.values()) > 1e4:
        raise ModelFileError(f"the saved network is damaged: the head of column {column} would overflow.")
    return Head(parents=parents, **learned)

"""How `network` (network.py) is trained: the same layers in PyTorch, and what becomes of them in numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from verosim.models import Array, Floats, Progress, stage
from verosim.models.network import Head, Options
from verosim.models.plan import History
from verosim.models.tokens import Column
from verosim.models.training import Learner, shares_of, train

SCALES_IN: Final = (4, 8, 16, 32)  # bumps along the rank, from coarse to fine
SCALES_OUT: Final = (4, 8, 16, 32, 64)
FIRST: Final = 0.7  # share of the time for rows of another table, where there are any ...
GENTLY: Final = 0.3  # ... and of the rate at which it goes on from there
FEW: Final = 8  # an ordered column of so few tokens needs no smoothing


def bumps(column: Column, scales: Sequence[int]) -> Tensor:
    """(size, 1 + sum(scales)): the rank and Gaussian bumps over it; zeros for tokens that stand in no order."""
    n = column.size - column.smooth_from
    rank = (torch.arange(n) + 0.5) / n
    parts = [rank[:, None] * 2 - 1]
    for m in scales:
        centre = (torch.arange(m) + 0.5) / m
        parts.append(torch.exp(-0.5 * ((rank[:, None] - centre) * m) ** 2))
    return torch.cat([torch.zeros(column.smooth_from, 1 + sum(scales)), torch.cat(parts, 1)])


def _smooth(column: Column) -> bool:
    return column.size - column.smooth_from > FEW


class Embed(nn.Module):
    """Tokens (n,) -> (n, width)."""

    basis: Tensor  # of a column whose tokens stand in an order
    gaps = False  # whether tokens can be unknown

    def __init__(self, column: Column, width: int) -> None:
        super().__init__()
        self.free = nn.Embedding(column.size, width)
        if _smooth(column):
            self.register_buffer("basis", bumps(column, SCALES_IN), persistent=False)
            self.linear = nn.Linear(self.basis.shape[1], width)
            self.free.weight.data.mul_(0.1)

    def table(self) -> Tensor:
        return self.free.weight + self.linear(self.basis) if hasattr(self, "basis") else self.free.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Unknown tokens (-1) are embedded as zeros."""
        if not self.gaps:
            return F.embedding(tokens, self.table())
        return F.embedding(tokens.clamp(min=0), self.table()) * (tokens >= 0)[:, None]


class Out(nn.Module):
    """(n, width) -> (n, size) logits. Starts at the shares of the tokens."""

    basis: Tensor  # of a column whose tokens stand in an order

    def __init__(self, column: Column, width: int, shares: Tensor) -> None:
        super().__init__()
        if _smooth(column):
            self.register_buffer("basis", bumps(column, SCALES_OUT), persistent=False)
        inner = self.basis.shape[1] if hasattr(self, "basis") else column.size
        self.linear = nn.Linear(width, inner)
        self.linear.weight.data.mul_(0.1)
        self.linear.bias.data.zero_()
        self.bias = nn.Parameter(torch.log(shares))

    def forward(self, h: Tensor) -> Tensor:
        logits = self.linear(h)
        return (logits @ self.basis.T if hasattr(self, "basis") else logits) + self.bias

    def folded(self) -> tuple[Tensor, Tensor]:
        """The same as one layer: (size, width), (size,)."""
        weight, bias = self.linear.weight, self.linear.bias
        if hasattr(self, "basis"):
            return self.basis @ weight, self.basis @ bias + self.bias
        return weight, bias + self.bias


def _cross_entropy(logits: Tensor, tokens: Tensor) -> Tensor:
    """The mean over tokens that are known; 0 where none is."""
    loss = F.cross_entropy(logits, tokens, ignore_index=-1)
    return loss if loss.isfinite() or (tokens >= 0).any() else logits.sum() * 0


class Net(Learner):
    """Tokens (n, columns) -> the cross entropy of those that are drawn."""

    def __init__(
        self, columns: Sequence[Column], parents: Mapping[int, Array], shares: Sequence[Tensor], options: Options
    ) -> None:
        super().__init__()
        e, h, g, n = options.embedding, options.width, options.hidden, len(parents)
        self.targets, self.parents = list(parents), [torch.from_numpy(p) for p in parents.values()]
        self.prefix = all(len(p) == 0 or int(p[-1]) == len(p) - 1 for p in parents.values())  # all before, no choice
        self.embed = nn.ModuleList(Embed(c, e) for c in columns)
        self.mix = nn.ParameterList(
            torch.randn(len(p) * e, h) / math.sqrt(max(1, len(p)) * e / 2) for p in self.parents
        )
        self.bias = nn.Parameter(torch.zeros(n, 1, h))
        self.up, self.up_bias = nn.Parameter(torch.randn(n, h, g) / math.sqrt(h)), nn.Parameter(torch.zeros(n, 1, g))
        self.down = nn.Parameter(torch.randn(n, g, h) / math.sqrt(g) * 0.3)
        self.down_bias = nn.Parameter(torch.zeros(n, 1, h))
        self.norm, self.last, self.dropout = nn.LayerNorm(h), nn.LayerNorm(h), nn.Dropout(options.dropout)
        self.out = nn.ModuleList(Out(columns[t], h, shares[t]) for t in self.targets)

    def embedded(self, tokens: Tensor) -> Tensor:
        """(n, columns) -> (n, columns, embedding)"""
        return torch.cat([embed(tokens[:, j]) for j, embed in enumerate(self.embed)], 1).unflatten(
            1, (len(self.embed), -1)
        )

    def losses(self, tokens: Tensor) -> Tensor:
        """(n, columns) -> (targets,) mean cross entropy of each, in nats."""
        return self.losses_of(tokens, self.dropout(self.embedded(tokens)), self.bias)

    def losses_of(self, tokens: Tensor, embedded: Tensor, more: Tensor) -> Tensor:
        """The same; embedded: (n, columns, embedding). more: (targets, n or 1, width), added to what parents tell."""
        context = (self._of_all_before(embedded) if self.prefix else self._of_some(embedded)) + more
        inner = F.relu(torch.baddbmm(self.up_bias, self.norm(context), self.up))
        kept = self.dropout(inner.new_ones(inner.shape[1:]))  # heads share nothing, and so may share what is dropped
        context = context + torch.baddbmm(self.down_bias, inner * kept, self.down)
        context = self.last(context)
        pairs = zip(self.out, self.targets, strict=True)
        return torch.stack([_cross_entropy(out(context[i]), tokens[:, t]) for i, (out, t) in enumerate(pairs)])

    def _of_all_before(self, embedded: Tensor) -> Tensor:
        """(n, columns, embedding) -> (targets, n, width): what each target takes from its parents."""
        pairs = zip(self.parents, self.mix, strict=True)
        return torch.stack([embedded[:, : len(p)].reshape(len(embedded), -1) @ mix for p, mix in pairs])

    def _of_some(self, embedded: Tensor) -> Tensor:
        """The same in one step for many targets; those that have fewer parents ask a column of zeros besides."""
        n, columns, e = embedded.shape
        most = max(map(len, self.parents))
        nothing = torch.full((most,), columns)
        index = torch.stack([torch.cat([p, nothing[len(p) :]]) for p in self.parents]).to(embedded.device)
        padded = torch.cat([embedded, embedded.new_zeros(n, 1, e)], 1)
        asked = padded.index_select(1, index.flatten()).view(n, len(index), most * e)
        mix = torch.stack([F.pad(mix, (0, 0, 0, most * e - len(mix))) for mix in self.mix])
        return torch.bmm(asked.transpose(0, 1), mix)

    def loss(self, *batch: Tensor) -> Tensor:
        (tokens,) = batch
        return self.losses(tokens).sum()


def fit_network(
    tokens: Array,
    columns: Sequence[Column],
    parents: Mapping[int, Array],
    held: Array,
    before: Array | None,
    options: Options,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[list[Floats], dict[int, Head], History]:
    """Embeddings of all columns, heads of those that are drawn, and how the training went.

    tokens: (n, columns). held: (n,) bool, the rows that end the training; where none is, some are drawn by chance.
    before: (m, columns) tokens learned first, -1 where unknown.
    """
    seed = int(rng.integers(2**62))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Net(columns, parents, shares_of(tokens, [c.size for c in columns]), options)
    notes: tuple[str, ...] = ()
    if before is not None:
        notes = _learn_first(net, before, options, seed, stage(progress, 0.0, FIRST))
        options, progress = replace(options, rate=options.rate * GENTLY), stage(progress, FIRST, 1.0)
    history = train(net, [torch.from_numpy(tokens)], options, seed, progress, torch.from_numpy(held))
    history = replace(history, notes=(*notes, *history.notes))
    with torch.no_grad():
        return (*heads_of(net), history)


def heads_of(net: Net) -> tuple[list[Floats], dict[int, Head]]:
    """Embeddings of all columns, and heads of those that are drawn, as numpy draws from them."""
    embeddings = [embed.table().numpy() for embed in net.embed if isinstance(embed, Embed)]
    return embeddings, {t: _head(net, i) for i, t in enumerate(net.targets)}


def _learn_first(net: Net, before: Array, options: Options, seed: int, progress: Progress) -> tuple[str, ...]:
    """Train on rows of another table, whose tokens may be unknown. -> what is to be said of it."""
    limit = None if options.max_minutes is None else options.max_minutes * FIRST
    for embed in net.embed:
        embed.gaps = True  # type: ignore[assignment]
    history = train(net, [torch.from_numpy(before)], replace(options, max_minutes=limit), seed, progress)
    for embed in net.embed:
        embed.gaps = False  # type: ignore[assignment]
    return (f"the network learned {len(before):,} rows of another table first: {history}", *history.notes)


def _head(net: Net, i: int) -> Head:
    """The layers of target i, as numpy draws from them."""
    norm, last = (torch.stack([layer.weight, layer.bias]) for layer in (net.norm, net.last))
    layer = net.out[i]
    assert isinstance(layer, Out)
    out, out_bias = layer.folded()
    layers = {
        "mix": net.mix[i], "bias": net.bias[i, 0], "norm": norm, "up": net.up[i], "up_bias": net.up_bias[i, 0],
        "down": net.down[i], "down_bias": net.down_bias[i, 0], "last": last, "out": out, "out_bias": out_bias,
    }  # fmt: skip
    arrays = {name: np.ascontiguousarray(layer.numpy()) for name, layer in layers.items()}
    return Head(parents=net.parents[i].numpy(), **arrays)

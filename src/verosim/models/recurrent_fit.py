"""How a network over sequences (recurrent.py) is trained: the same layers in PyTorch, and what they become in numpy."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from verosim.models import Array, Floats, Progress
from verosim.models.network import Head
from verosim.models.network_fit import Net, heads_of
from verosim.models.plan import History
from verosim.models.recurrent import Memory, Options, Pieces
from verosim.models.tokens import Column
from verosim.models.training import Learner, own_chance, shares_of, train

SCORED = 64  # held-out pieces scored together


class Steps(Learner):
    """Pieces of sequences -> the cross entropy of the steps that count."""

    tokens: Tensor  # (n, columns)
    read: Tensor
    least_steps = 30

    def __init__(self, net: Net, tokens: Array, read: Array, options: Options) -> None:
        super().__init__()
        self.net, width = net, options.memory
        self.gru = nn.GRU(len(read) * options.embedding, width, batch_first=True)
        self.recall = nn.Parameter(torch.randn(len(net.targets), width, options.width) / math.sqrt(width))
        self.register_buffer("tokens", torch.from_numpy(tokens), persistent=False)
        self.register_buffer("read", torch.from_numpy(read), persistent=False)
        self.said = hashlib.sha256(tokens.tobytes()).hexdigest()

    def extra_repr(self) -> str:
        return self.said  # a checkpoint is of these steps alone

    def loss(self, *batch: Tensor) -> Tensor:
        """rows: (p, steps), -1 past the end; counted: (p, steps) bool. -> nats a step that counts."""
        rows, counted = batch
        there = rows >= 0
        tokens = self.tokens[rows[there]]
        embedded = self.net.dropout(self.net.embedded(tokens))
        shown = embedded.new_zeros(*rows.shape, self.gru.input_size)
        shown[there] = embedded[:, self.read].flatten(1)
        memory = torch.cat([shown.new_zeros(len(rows), 1, self.gru.hidden_size), self.gru(shown)[0][:, :-1]], 1)
        told = memory[counted] @ self.recall + self.net.bias
        chosen = counted[there]
        return self.net.losses_of(tokens[chosen], embedded[chosen], told).sum()

    def score(self, *batch: Tensor) -> Tensor:
        rows, counted = batch
        parts = list(zip(rows.split(SCORED), counted.split(SCORED), strict=True))
        return torch.stack([self.loss(r, c) * (c.sum() / counted.sum()) for r, c in parts]).sum()


def fit_recurrent(
    tokens: Array, columns: Sequence[Column], parents: Mapping[int, Array], read: Array, pieces: Pieces, held: Array,
    options: Options, rng: np.random.Generator, progress: Progress,
) -> tuple[list[Floats], dict[int, Head], Memory, History]:  # fmt: skip
    """Embeddings of all columns, heads of those that are drawn, the memory, and how the training went.

    tokens: (n, columns) of steps. held: (p,) bool, the pieces that end the training.
    """
    seed = int(rng.integers(2**62))
    with own_chance(seed, torch.device("cpu")):
        net = Net(columns, parents, shares_of(tokens, [c.size for c in columns]), options)
        steps = Steps(net, tokens, read, options)
    a_piece = max(1.0, float(pieces.counted.sum(1).mean()))
    options = replace(options, batch=max(4, round(options.batch / a_piece)))
    data = [torch.from_numpy(pieces.rows), torch.from_numpy(pieces.counted)]
    history = train(steps, data, options, seed, progress, torch.from_numpy(held))
    with torch.no_grad():
        embeddings, heads = heads_of(net)
        recall = steps.recall.numpy()
        heads = {t: replace(h, mix=np.concatenate([h.mix, recall[i]])) for i, (t, h) in enumerate(heads.items())}
        return embeddings, heads, _memory(steps), history


def _memory(steps: Steps) -> Memory:
    gru: dict[str, Tensor] = steps.gru.state_dict()
    arrays = [gru["weight_ih_l0"].T, gru["bias_ih_l0"], gru["weight_hh_l0"].T, gru["bias_hh_l0"]]
    return Memory(np.asarray(steps.read), *(np.ascontiguousarray(a.numpy()) for a in arrays))

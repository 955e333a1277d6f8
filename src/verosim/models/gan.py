"""`gan`: a conditional Wasserstein GAN, as CTGAN (Xu et al., Modeling Tabular Data using Conditional GAN, 2019).

A generator makes rows of noise, a critic tells them from real ones; both see the `given` fields, and a *condition*:
one block of the row has this level or mode. The critic is held smooth by a penalty on its slope (Gulrajani et al.,
2017) and sees several rows at once, so that rows which are all alike give themselves away (PacGAN: Lin et al., 2018).
Rows are one-hot blocks and offsets (vectors.py). Where we depart from CTGAN:

* training by sampling, rows of rare levels more often than they are, draws within each batch, not from the whole table;
* modes of ordered fields are conditions too, and conditions reach both networks embedded, not as all levels' blocks;
* where fields are given, they are the only condition: one of our own choice could contradict them;
* the critic learns faster than the generator (Heusel et al., 2017), and sees packs of two rows in place of ten, which
  cost it much of its sight: on Adult an equally long training comes half as close again;
* the generator's weights are averaged over many steps; those are kept whose rows come nearest to held-out ones;
* what was learned is calibrated (vectors.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from verosim.models import whole
from verosim.models.plan import Training
from verosim.models.vectors import Blocks, Vectors
from verosim.models.whole import Maker, WholeRows, linear

PICTURED: Final = 10_000  # rows of the table whose levels' counts' logarithms say how often each is a condition
ONE_HOT: Final = 1e4  # sharpness at which a soft row is as good as one-hot
COMPARED: Final = 2**24  # numbers in the rows that are compared with held-out ones, at most


@dataclass(frozen=True, slots=True)
class Options(whole.Options):
    epochs: int = 80
    batch: int = 500
    rate: float = 2e-4  # of the generator
    faster: float = 4.0  # how many times as fast the critic learns
    patience: int = 40
    noise: int = 128  # normal numbers that a row is made of
    condition: int = 32  # numbers that stand for a condition
    width: int = 256  # of the two hidden layers of generator and critic
    pac: int = 2  # rows that the critic sees at once
    balance: float = 0.25  # how often conditions are: 0 as often as their rows, 1 as the logarithm of how often
    penalty: float = 10.0  # weight of the critic's slope
    sharpness: float = 5.0  # of the soft one-hot blocks that the critic sees; the paper's temperature is 1 / 5


class Norm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy, 2015). PyTorch's own keeps a count of batches that is of no use here."""

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, h: Tensor) -> Tensor:
        return F.batch_norm(h, self.mean, self.variance, self.scale, self.shift, self.training)


class Generator(nn.Module):
    """Layers that see all that was before them."""

    def __init__(self, n_in: int, width: int, common: Tensor, n_offsets: int) -> None:
        super().__init__()
        self.first, self.second = _layer(n_in, width), _layer(n_in + width, width)
        self.last = linear(n_in + 2 * width, len(common) + n_offsets)
        self.common = nn.Parameter(torch.cat([common, torch.zeros(n_offsets)]))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, self.first(x)], 1)
        return self.last(torch.cat([x, self.second(x)], 1)) + self.common


def _layer(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, n_out), Norm(n_out), nn.ReLU())


class Net(Maker):
    """Generator and critic."""

    memory = 0.999  # of the averaged weights: what a GAN learns goes round in circles
    least_steps = 25  # two networks that learn from each other need many, however few the rows
    shares: Tensor  # (hot,) of the training rows: how often each is a condition when rows are drawn

    def __init__(self, rows: Vectors, given: Vectors, shares: Tensor, options: Options) -> None:
        super().__init__()
        self.options, self.rows, self.given = options, Blocks(rows), Blocks(given)
        n_hot, known = self.rows.hot, options.condition + given.width
        self.told, self.seen = (nn.Embedding(n_hot + 1, options.condition) for _ in range(2))  # the last: no condition
        common = torch.log(shares + 1e-4)  # logits start at the shares
        self.generator = Generator(options.noise + known, options.width, common, rows.width - n_hot)
        self.critic = nn.Sequential(
            nn.Linear(options.pac * (rows.width + known), options.width), nn.LeakyReLU(0.2),
            nn.Linear(options.width, options.width), nn.LeakyReLU(0.2), nn.Linear(options.width, 1),
        )  # fmt: skip
        self.register_buffer("shares", shares)

    def optimizers(self, options: Training) -> list[Optimizer]:
        fused, rate = self.shares.device.type in ("cpu", "cuda"), options.rate
        sides = ((self.generator, self.told, rate), (self.critic, self.seen, rate * self.options.faster))
        return [
            AdamW([*net.parameters(), *words.parameters()], rate, (0.5, 0.9), weight_decay=options.decay, fused=fused)
            for net, words, rate in sides
        ]

    def step(self, batch: Sequence[Tensor], optimizers: Sequence[Optimizer]) -> Tensor:
        """One of the critic, one of the generator; returns how far the critic sees them apart (Wasserstein)."""
        rows, conditions = self._chosen(batch[0])
        hot, offsets, *known = (part[rows] for part in batch)
        real, given = self.rows.rows(hot, offsets), self.given.rows(*known)
        of_generator, of_critic = optimizers
        with torch.no_grad():
            fake = self._fake(conditions, given, self.options.sharpness)[0]
        apart = self._judged(real, conditions, given).mean() - self._judged(fake, conditions, given).mean()
        _descend(of_critic, self._penalty(real, fake, conditions, given) - apart)
        fake, obeys = self._fake(conditions, given, self.options.sharpness)
        _descend(of_generator, -obeys.mean() - self._judged(fake, conditions, given).mean())
        return apart.detach()

    def _chosen(self, hot: Tensor) -> tuple[Tensor, Tensor]:
        """Training by sampling: (m,) rows of a batch, and the condition that each was chosen by.

        The block is any; the level is between as likely as its count and as its logarithm; the row is any that has it.
        """
        (n, n_blocks), m = hot.shape, max(2, len(hot) // self.options.pac) * self.options.pac
        if self.given.width:
            return torch.arange(m, device=hot.device) % n, self._none(m)
        places = hot.long() + self.rows.starts
        counts = self.shares[places] * PICTURED
        weight = (torch.log1p(counts) / counts.clamp(min=1e-6)) ** self.options.balance
        edges = weight.T.flatten().cumsum(0)  # blocks one after the other
        block = torch.randint(n_blocks, (m,), device=hot.device)
        ends = torch.cat([edges.new_zeros(1), edges[n - 1 :: n]])
        drawn = ends[block] + torch.rand(m, device=hot.device) * (ends[block + 1] - ends[block])
        rows = (torch.searchsorted(edges, drawn) - block * n).clamp(0, n - 1)
        return rows, places[rows, block]

    def _none(self, n: int) -> Tensor:
        """(n,) no condition."""
        return torch.full((n,), self.rows.hot, device=self.shares.device)

    def _fake(self, conditions: Tensor, given: Tensor, sharpness: float) -> tuple[Tensor, Tensor]:
        """Soft rows (n, width) by chance, and the log likelihood of each one's condition (n,)."""
        noise = torch.randn(len(given), self.options.noise, device=given.device)
        out = self._generated(noise, conditions, given)
        chances = F.pad(self.rows.log_chances(out[:, : self.rows.hot]), (0, 1))  # no condition is always obeyed
        obeys = chances.gather(1, conditions[:, None])[:, 0]
        return self.rows.soft(out, sharpness), obeys

    def _generated(self, noise: Tensor, conditions: Tensor, given: Tensor) -> Tensor:
        out = self.generator(torch.cat([noise, self.told(conditions), given], 1))
        return torch.cat([out[:, : self.rows.hot], torch.tanh(out[:, self.rows.hot :])], 1)

    def _judged(self, rows: Tensor, conditions: Tensor, given: Tensor) -> Tensor:
        """(n, width) rows -> (n / pac, 1): how real each pack seems."""
        seen = torch.cat([rows, self.seen(conditions), given], 1)
        return self.critic(seen.view(-1, self.options.pac * seen.shape[1]))

    def _penalty(self, real: Tensor, fake: Tensor, conditions: Tensor, given: Tensor) -> Tensor:
        """How far the critic's slope is from 1, between packs of real rows and made ones."""
        n_packs = len(real) // self.options.pac
        share = torch.rand(n_packs, device=real.device).repeat_interleave(self.options.pac)[:, None]
        between = torch.lerp(real, fake, share).requires_grad_()
        judged = self._judged(between, conditions, given)
        (slope,) = torch.autograd.grad(judged.sum(), between, create_graph=True)
        return self.options.penalty * ((slope.reshape(n_packs, -1).norm(dim=1) - 1) ** 2).mean()

    def score(self, *batch: Tensor) -> Tensor:
        """The energy distance (Szekely and Rizzo, 2013) of held-out rows and as many made ones: 0 where both are of
        one distribution, about as large as chance makes it where a network is good.

        A GAN has no likelihood. The made rows have the given fields of the real ones, or any condition of theirs.
        """
        n = min(len(batch[0]), max(2, COMPARED // (self.rows.width + self.given.width)))
        hot, offsets, *known = (part[:n] for part in batch)
        real, given = self.rows.rows(hot, offsets), self.given.rows(*known)
        block = torch.randint(hot.shape[1], (n, 1), device=hot.device)
        conditions = (hot.long() + self.rows.starts).gather(1, block)[:, 0]
        fake = self._fake(self._none(n) if self.given.width else conditions, given, ONE_HOT)[0]
        real, fake = torch.cat([real, given], 1), torch.cat([fake, given], 1)
        pairs = max(1, n * (n - 1))  # of different rows
        within = (torch.cdist(real, real).sum() + torch.cdist(fake, fake).sum()) / pairs
        return 2 * torch.cdist(real, fake).mean() - within

    def made(self, given: Tensor, rng: np.random.Generator, temperature: float) -> Tensor:
        n = len(given)
        noise = torch.from_numpy(rng.standard_normal((n, self.options.noise), np.float32)) * temperature
        if self.given.width or not self.rows.hot:
            return self._generated(noise, self._none(n), given)
        edges = (self.shares.double().clamp(0) + 1e-9).cumsum(0)
        conditions = torch.searchsorted(edges[:-1], torch.from_numpy(rng.random(n)) * edges[-1])
        return self._generated(noise, conditions, given)


def _descend(optimizer: Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


class Gan(WholeRows):
    """A generator of a table's fields, given others, and its critic."""

    name: ClassVar[str] = "gan"
    build: ClassVar[tuple[str, ...]] = ("noise", "condition", "width", "pac")
    plan: ClassVar[type[Options]] = Options
    options: Options

    def network(self, shares: Tensor) -> Net:
        return Net(self.rows_, self.given_, shares, self.options)

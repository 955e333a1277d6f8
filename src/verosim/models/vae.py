"""`vae`: a variational autoencoder, a row from a few normal numbers, as TVAE (Xu et al., Modeling Tabular Data using
Conditional GAN, 2019; Kingma and Welling, Auto-Encoding Variational Bayes, 2014).

An encoder tells from which latent numbers a row may have come, a decoder what row comes from them, both given the
`given` fields. Rows are one-hot blocks and offsets (vectors.py). Where we depart from TVAE:

* the prior is no single normal but a mixture of them, learned with the rest (after the VampPrior: Tomczak and Welling,
  2018), whose shares depend on what is given: it has fewer places that no row was encoded to, from which odd rows come;
* reconstruction counts once, not twice, so that the loss bounds the likelihood and held-out rows can end the training;
* what was learned is calibrated (vectors.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from verosim.models import whole
from verosim.models.vectors import Blocks, Vectors
from verosim.models.whole import Maker, WholeRows, linear

LATENT: tuple[float, float] = (-7.0, 5.0)  # bounds of the log of standard deviations


@dataclass(frozen=True, slots=True)
class Options(whole.Options):
    epochs: int = 120
    rate: float = 2e-3
    patience: int = 10
    latent: int = 16  # normal numbers that a row comes from
    width: int = 256  # of the two hidden layers of encoder and decoder
    priors: int = 256  # normals that the prior is mixed of


class Net(Maker):
    def __init__(self, rows: Vectors, given: Vectors, shares: Tensor, options: Options) -> None:
        super().__init__()
        self.rows, self.given, self.latent, h = Blocks(rows), Blocks(given), options.latent, options.width
        self.encoder = _layers(rows.width + given.width, h, 2 * self.latent)
        self.decoder = _layers(self.latent + given.width, h, rows.width)
        self.common = nn.Parameter(torch.log(shares + 1e-4))  # logits start at the shares
        self.spread = nn.Parameter(torch.full((len(rows.bend),), -1.0))  # log of the offsets' standard deviations
        self.share = _layers(given.width, h, options.priors)  # logits of each normal of the prior
        self.middles = nn.Parameter(0.3 * torch.randn(options.priors, self.latent))
        self.spreads = nn.Parameter(torch.zeros(options.priors, self.latent))  # logs

    def loss(self, *batch: Tensor) -> Tensor:
        """The evidence lower bound, negated, in nats a row."""
        hot, offsets = batch[0].long(), batch[1]
        given = self.given.rows(batch[2], batch[3])
        middle, spread = self.encoder(torch.cat([self.rows.rows(hot, offsets), given], 1)).chunk(2, 1)
        spread, noise = spread.clamp(*LATENT), torch.randn_like(middle)
        z = middle + noise * spread.exp()
        encoded = -(0.5 * noise**2 + spread).sum(1)  # log density of z, without constants that both have
        return (self._unlikely(self._decoded(z, given), hot, offsets) + encoded - self._prior(z, given)).mean()

    def _decoded(self, z: Tensor, given: Tensor) -> Tensor:
        """(n, latent) -> logits and offsets (n, width)."""
        logits, offsets = self.decoder(torch.cat([z, given], 1)).split([self.rows.hot, len(self.spread)], 1)
        return torch.cat([logits + self.common, torch.tanh(offsets)], 1)

    def _unlikely(self, out: Tensor, hot: Tensor, offsets: Tensor) -> Tensor:
        """(n,) minus the log likelihood of rows; an offset counts where there is one."""
        far = (offsets - out[:, self.rows.hot :]) * torch.exp(-self.spread)
        beside = (offsets != 0) * (0.5 * far**2 + self.spread)
        chances = self.rows.log_chances(out[:, : self.rows.hot])
        return beside.sum(1) - chances.gather(1, hot + self.rows.starts).sum(1)

    def _prior(self, z: Tensor, given: Tensor) -> Tensor:
        """(n,) log density of z under the mixture, without constants."""
        spreads = self.spreads.clamp(*LATENT)
        precise = torch.exp(-2 * spreads)  # (z - middle)^2 / spread^2, summed over latent numbers, is:
        far = z**2 @ precise.T - 2 * z @ (self.middles * precise).T + (self.middles**2 * precise).sum(1)
        return torch.logsumexp(F.log_softmax(self.share(given), 1) - 0.5 * far - spreads.sum(1), 1)

    def made(self, given: Tensor, rng: np.random.Generator, temperature: float) -> Tensor:
        n, n_offsets = len(given), len(self.spread)
        edges = F.softmax(self.share(given), 1).double().cumsum(1).numpy()
        chosen = (edges[:, :-1] < rng.random((n, 1)) * edges[:, -1:]).sum(1)
        noise = torch.from_numpy(rng.standard_normal((n, self.latent), np.float32)) * temperature
        z = self.middles[chosen] + noise * self.spreads.clamp(*LATENT).exp()[chosen]
        out = self._decoded(z, given)
        around = torch.from_numpy(rng.standard_normal((n, n_offsets), np.float32)) * temperature
        out[:, self.rows.hot :] += around * self.spread.clamp(*LATENT).exp()
        return out


def _layers(n_in: int, width: int, n_out: int) -> nn.Sequential:
    """Two hidden layers; of no inputs, they answer what is always so."""
    if not n_in:
        return nn.Sequential(Always(n_out))
    return nn.Sequential(
        nn.Linear(n_in, width), nn.LayerNorm(width), nn.ReLU(),
        nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(),
        linear(width, n_out),
    )  # fmt: skip


class Always(nn.Module):
    """(n, 0) -> the same learned answer (n, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.zeros(width))

    def forward(self, nothing: Tensor) -> Tensor:
        return self.answer.expand(len(nothing), -1)


class Vae(WholeRows):
    """A variational autoencoder over a table's fields, given others."""

    name: ClassVar[str] = "vae"
    build: ClassVar[tuple[str, ...]] = ("latent", "width", "priors")
    plan: ClassVar[type[Options]] = Options
    options: Options

    def network(self, shares: Tensor) -> Net:
        return Net(self.rows_, self.given_, shares, self.options)

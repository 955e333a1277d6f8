"""The scores that papers on time series print: discriminative and predictive, by the protocol of TimeGAN's code.

    real, fake = scaled(real_table), windows of the same length ...
    discriminative(real, fake)      # |accuracy - 0.5| of a small GRU: 0 cannot tell, 0.5 always can
    predictive(real, fake)          # mean absolute error of the last column one step on, learned from fake windows

Yoon, Jarrett, van der Schaar: Time-series generative adversarial networks, 2019, and the code beside it: windows of 24
with stride 1, columns min-max scaled over the whole file, a GRU of half as many units as there are columns, Adam at
0.001, batches of 128, 2,000 and 5,000 steps. There is no hold-out in it: judge and maker see the same windows.
Departure: PyTorch's GRU applies the reset gate after the product, TensorFlow's before.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

BATCH, RATE = 128, 1e-3


def windows(values: np.ndarray, width: int = 24) -> np.ndarray:
    """(n, d) -> (n - width + 1, width, d)"""
    return np.lib.stride_tricks.sliding_window_view(values, width, axis=0).transpose(0, 2, 1)


def scaling(real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest value and the range of each column of (n, d) real values."""
    low = real.min(axis=0)
    return low, real.max(axis=0) - low + 1e-7


class Judge(nn.Module):
    """A GRU with one number for each step."""

    def __init__(self, d_in: int, d_hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(d_in, d_hidden, batch_first=True)
        self.head = nn.Linear(d_hidden, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(x)[0])[..., 0]  # (batch, width)


def _tensor(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))


def discriminative(real: np.ndarray, fake: np.ndarray, seed: int, steps: int = 2000) -> float:
    """(n, width, d) of each, as many of both -> |accuracy - 0.5| on a fifth of the windows."""
    torch.manual_seed(seed)
    rng = np.random.Generator(np.random.Philox(seed))
    n = min(len(real), len(fake))
    sets = [x[rng.permutation(len(x))[:n]] for x in (real, fake)]
    cut = int(0.8 * n)
    train, test = [_tensor(x[:cut]) for x in sets], [_tensor(x[cut:]) for x in sets]
    judge = Judge(real.shape[2], max(1, real.shape[2] // 2))
    optimiser, loss = torch.optim.Adam(judge.parameters(), RATE), nn.BCEWithLogitsLoss()
    for _ in range(steps):
        parts = [x[torch.from_numpy(rng.choice(cut, min(BATCH, cut), replace=False))] for x in train]
        said = judge(torch.cat(parts))[:, -1]
        label = torch.cat([torch.ones(len(parts[0])), torch.zeros(len(parts[1]))])
        optimiser.zero_grad()
        loss(said, label).backward()
        optimiser.step()
    with torch.no_grad():
        right = [(judge(x)[:, -1] > 0).float() for x in test]
    accuracy = float(torch.cat([right[0], 1 - right[1]]).mean())
    return abs(accuracy - 0.5)


def predictive(real: np.ndarray, fake: np.ndarray, seed: int, steps: int = 5000) -> float:
    """Learned from fake windows, tested on all real ones: the mean absolute error of the last column."""
    torch.manual_seed(seed)
    rng = np.random.Generator(np.random.Philox(seed))
    learned, tested = _tensor(fake), _tensor(real)
    judge = Judge(real.shape[2] - 1, max(1, real.shape[2] // 2))
    optimiser = torch.optim.Adam(judge.parameters(), RATE)
    for _ in range(steps):
        x = learned[torch.from_numpy(rng.choice(len(learned), min(BATCH, len(learned)), replace=False))]
        optimiser.zero_grad()
        (torch.sigmoid(judge(x[:, :-1, :-1])) - x[:, 1:, -1]).abs().mean().backward()
        optimiser.step()
    with torch.no_grad():
        return float((torch.sigmoid(judge(tested[:, :-1, :-1])) - tested[:, 1:, -1]).abs().mean())


def runs(score, real: np.ndarray, fake: np.ndarray, n: int, steps: int) -> list[float]:
    """The mean and the standard deviation over n runs."""
    found = [score(real, fake, seed, steps) for seed in range(n)]
    return [round(float(np.mean(found)), 4), round(float(np.std(found)), 4)]

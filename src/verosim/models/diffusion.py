"""`diffusion`: all columns at once, drawn out of noise step by step.

An ordered column is the normal score of its rank, noised by a Gaussian diffusion; a category, and which mark or large
atom an ordered column is, is noised by masking (an absorbing state; noise.py). One network sees the noised row and says
what it was: the mixed diffusion of TabDDPM (Kotelnikov et al., 2023) and TabDiff (Shi et al., 2025). Where we depart:

* scores are those of ranks, so that they are standard normal at every time, and no marginal need be learned;
* a value that many rows have (an atom) is a class, as a score would have to be learned to a hair to tell such values
  apart; of fewer rows it is a *range* of scores, drawn anew at each step, so that no score is a spike;
* masks are gone some time before the noise is: the last steps place a number knowing what class it is of;
* masks fall one after the other, evenly apart: cells drawn in the same step would not know of each other;
* one schedule for all columns, as theirs, learned one a column, costs more steps than it saves here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from verosim.models import (
    Array,
    Codes,
    Field,
    Floats,
    Progress,
    State,
    pack_fields,
    part,
    silent,
    unpack_fields,
)
from verosim.models.network import pick
from verosim.models.noise import Noisy, Part, Scores, count_scores, sizes
from verosim.models.plan import History, Training, restored_history
from verosim.models.tokens import Tokens
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

TOGETHER: Final = 8192  # rows drawn together, at most ...
AT_ONCE: Final = 2**24  # ... and the numbers that the network is shown: what bounds the memory of wide tables
CERTAIN: Final = 0.1  # time below which nothing is masked any more
FARTHEST: Final = 5.0  # scores end here: one row in 3.5 million lies beyond
CENTRES: Final = 16  # bumps that a score is seen through
CLOCK: Final = 64  # numbers that tell the time
BUILD: Final = ("width", "layers", "embedding", "steps")  # options that a saved network is built by


@dataclass(frozen=True, slots=True)
class Options(Training):
    epochs: int = 100
    batch: int = 256
    rate: float = 2e-3
    patience: int = 10
    width: int = 256  # of the network
    layers: int = 3  # residual
    embedding: int = 12  # numbers that stand for a class
    dropout: float = 0.0
    steps: int = 48  # from noise to rows
    large: float = 0.002  # share of the rows from which an atom is a class of its own
    draws: int = 4  # times of noise at which each held-out row is scored
    max_rows: int = 300_000  # rows learned from


# ------------------------------------------------------------------------------------------------------ the network


class Block(nn.Module):
    """A residual layer that knows the time."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.time, self.up, self.down = nn.Linear(CLOCK, 2 * width), nn.Linear(width, width), nn.Linear(width, width)
        self.time.weight.data.zero_()
        self.time.bias.data.zero_()
        self.down.weight.data.mul_(0.3)

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.time(time).chunk(2, -1)
        inner: Tensor = self.norm(h) * (1 + scale) + shift
        return h + self.down(self.dropout(F.silu(self.up(inner))))


class Net(Learner):
    """A noised row and the time -> what the row was. Columns that are given stand first and are never noised.

    At time t in [0, 1] a score z with noise e is x = cos(a) z + sin(a) e, a = t pi / 2; what is learned is the velocity
    v = cos(a) e - sin(a) z (Salimans and Ho, 2022). A class is masked with chance (t - CERTAIN) / (1 - CERTAIN).
    """

    memory = 0.998  # of the averaged weights: noise is drawn anew at each step, and much of a step is chance
    starts: Tensor  # (columns of tokens,) int64: the embedding of each one's first class
    masks: Tensor  # (columns of tokens that are drawn,) int64: the class that says nothing
    centres: Tensor  # (CENTRES,) of the bumps
    waves: Tensor  # (16,) that tell the time

    def __init__(
        self, sizes: Sequence[int], n_scores: int, known: tuple[int, int], shares: Tensor, options: Options
    ) -> None:
        """known: how many columns of tokens, and of scores, are given. shares: of the classes of the others."""
        super().__init__()
        w, self.draws, self.known_tokens, self.known_scores = options.width, options.draws, *known
        self.sizes, self.n_scores = list(sizes[self.known_tokens :]), n_scores - self.known_scores
        starts = np.cumsum([0, *(s + 1 for s in sizes)])  # each column's last class is its mask
        self.register_buffer("starts", torch.from_numpy(starts[:-1]), persistent=False)
        self.register_buffer("masks", torch.tensor([*self.sizes], dtype=torch.int64), persistent=False)
        self.register_buffer("centres", torch.linspace(-2.7, 2.7, CENTRES), persistent=False)
        self.register_buffer("waves", torch.arange(1, 17) * math.pi / 2, persistent=False)
        n_in, e = len(sizes) * options.embedding + n_scores * (CENTRES + 1), options.embedding
        self.embed = nn.Parameter(torch.randn(int(starts[-1]), e))
        self.enter = nn.Parameter(torch.randn(w, n_in) / math.sqrt(max(1, n_in)))
        self.time = nn.Sequential(nn.Linear(2 * len(self.waves), CLOCK), nn.SiLU(), nn.Linear(CLOCK, CLOCK), nn.SiLU())
        self.blocks = nn.ModuleList(Block(w, options.dropout) for _ in range(options.layers))
        self.norm = nn.LayerNorm(w)
        self.velocity = nn.Parameter(torch.zeros(self.n_scores, w))  # as if no column went with another
        self.classes = nn.Parameter(torch.randn(sum(self.sizes), w) * 0.1 / math.sqrt(w))
        self.common = nn.Parameter(torch.log(shares))

    def forward(self, tokens: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """Tokens (n, t), scores (n, s), times (n or 1, 1) -> (n, width), which tells velocity and classes."""
        waves = time * self.waves
        when = self.time(torch.cat([waves.sin(), waves.cos()], 1))
        bumps = torch.exp(-2 * (x[:, :, None] - self.centres) ** 2)
        seen = [F.embedding(tokens + self.starts, self.embed).flatten(1), x, bumps.flatten(1)]
        h = F.linear(torch.cat(seen, 1), self.enter)
        for block in self.blocks:
            h = block(h, when)
        return self.norm(h)

    def loss(self, *batch: Tensor) -> Tensor:
        tokens, low, high = batch
        n, k, s = len(tokens), self.known_tokens, self.known_scores
        time = (torch.randperm(n, device=low.device)[:, None] + torch.rand(n, 1, device=low.device)) / n
        share = low + (high - low) * torch.rand_like(low)
        z = torch.special.ndtri(share).clamp(-FARTHEST, FARTHEST)
        x, velocity = self.noised(z[:, s:], time)
        masked, weight = self.masked(tokens, time)
        h = self(torch.where(masked, self._all_masked(tokens), tokens), torch.cat([z[:, :s], x], 1), time)
        parts = [0.5 * ((F.linear(h, self.velocity) - velocity) ** 2).sum() / n]
        for logits, target, hidden in zip(
            F.linear(h, self.classes, self.common).split(self.sizes, 1), tokens.T[k:], masked.T[k:], strict=True
        ):
            losses = F.cross_entropy(logits, target, reduction="none")
            parts.append((losses * hidden * weight).sum() / n)
        return torch.stack(parts).sum()

    def noised(self, z: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Scores at that time, and their velocity."""
        angle, noise = time * (math.pi / 2), torch.randn_like(z)
        return angle.cos() * z + angle.sin() * noise, angle.cos() * noise - angle.sin() * z

    def masked(self, tokens: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """(n, t) which tokens are masked at that time, and (n,) what each weighs, so that all count 1 on average."""
        chance = ((time - CERTAIN) / (1 - CERTAIN)).clamp(0, 1)
        masked = torch.rand(tokens.shape, device=tokens.device) < chance
        masked[:, : self.known_tokens] = False
        return masked, 1 / (chance[:, 0].clamp(min=0.02) * (1 - CERTAIN))

    def _all_masked(self, tokens: Tensor) -> Tensor:
        return torch.cat([tokens[:, : self.known_tokens], self.masks.expand(len(tokens), -1)], 1)

    @property
    def at_once(self) -> int:
        """Rows that are shown to it together, in drawing and judging."""
        return max(64, min(TOGETHER, AT_ONCE // max(1, self.enter.shape[1])))

    def score(self, *batch: Tensor) -> Tensor:
        some = torch.arange(len(batch[0]), device=batch[0].device).repeat(self.draws).split(self.at_once)
        losses = [self.loss(*(part[rows] for part in batch)) * len(rows) for rows in some]
        return torch.stack(losses).sum() / (self.draws * len(batch[0]))

    def logits(self, h: Tensor, column: int) -> Tensor:
        """(n, width) -> (n, size) of one of the columns that are drawn."""
        begin = sum(self.sizes[:column])
        rows = slice(begin, begin + self.sizes[column])
        return F.linear(h, self.classes[rows], self.common[rows])


# ------------------------------------------------------------------------------------------------------- the model


class Diffusion:
    """A mixed diffusion over a table's fields; `given` fields are never noised."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(self, rows: Codes, given: Codes | None, rng: np.random.Generator, progress: Progress = silent) -> Self:
        options, data = self.options, given.beside(rows) if given else rows
        progress(0.0, "encode")
        data = data.at_most(options.max_rows, rng)
        self.fields_, self.known_ = data.fields, len(given.fields) if given else 0
        self.parts_ = tuple(self._part(f, a) for f, a in zip(data.fields, data.arrays, strict=True))
        noisy, seed = Noisy.of(self.parts_, data), int(rng.integers(2**62))
        with own_chance(seed, torch.device("cpu")):
            self.net_ = self._build(shares_of(noisy.tokens, sizes(self.parts_)))
        if self.known_ == len(self.fields_) or not data.n:
            self.history_ = History("cpu", "there was nothing to learn")
            return self
        tensors = [torch.from_numpy(array) for array in (noisy.tokens, noisy.low, noisy.high)]
        self.history_ = train(self.net_, tensors, options, seed, progress)
        return self

    def _part(self, field: Field, array: Array) -> Part:
        return Scores.of(field, len(array), self.options.large) if field.ordered else Tokens.of(field, array)

    def _build(self, shares: Sequence[Tensor] | None = None) -> Net:
        """The network for the parts. shares: of the classes of each column."""
        widths, known = sizes(self.parts_), self.parts_[: self.known_]
        n_known = len(sizes(known))
        shares = shares or [torch.ones(size) for size in widths]
        drawn = torch.cat([torch.ones(0), *shares[n_known:]])
        return Net(widths, count_scores(self.parts_), (n_known, count_scores(known)), drawn, self.options).eval()

    def sample(self, n: int, given: Codes | None, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        known, fields = given or Codes((), (), n), self.fields_[self.known_ :]
        starts = range(0, max(n, 1), self.net_.at_once)
        with one_thread(), torch.no_grad():
            parts = [self._draw(known.take(slice(i, i + starts.step)), rng, temperature) for i in starts]
        return Codes(fields, tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True)), n)

    def _draw(self, given: Codes, rng: np.random.Generator, temperature: float) -> list[Array]:
        """One array for each field that is drawn."""
        noisy = Noisy.of(self.parts_[: self.known_], given)
        tokens, scores = self._denoise(noisy, given.n, rng, temperature)
        columns, left, out = iter(tokens.T), iter(scores.T), []
        for p in self.parts_[self.known_ :]:
            if isinstance(p, Tokens):
                out.append(p.decode([next(columns) for _ in p.columns], rng))
            else:
                out.append(p.decode(next(columns), next(left)))
        return out

    def _denoise(self, given: Noisy, n: int, rng: np.random.Generator, temperature: float) -> tuple[Array, Array]:
        """Tokens and scores of the columns that are drawn.

        Each cell has a time of its own at which its mask falls: as good as letting some fall by chance at each step.
        """
        net, k = self.net_, self.net_.known_tokens
        tokens = torch.cat([torch.from_numpy(given.tokens), net.masks.expand(n, -1)], 1)
        share = given.low + (given.high - given.low) * rng.random(given.low.shape, np.float32)
        clean = torch.special.ndtri(torch.from_numpy(share)).clamp(-FARTHEST, FARTHEST)
        noise = rng.standard_normal((n, net.n_scores), np.float32) * np.float32(temperature)
        x, falls = torch.from_numpy(noise), _falls(n, len(net.sizes), rng)
        turn = math.pi / 2 / self.options.steps
        for time, after in pairwise(np.linspace(1, 0, self.options.steps + 1)):
            h = torch.nan_to_num(net(tokens, torch.cat([clean, x], 1), x.new_tensor([[time]])))
            x = (math.cos(turn) * x - math.sin(turn) * F.linear(h, net.velocity)).clamp(-2 * FARTHEST, 2 * FARTHEST)
            for j in range(len(net.sizes)):
                rows = np.flatnonzero((falls[:, j] <= time) & (falls[:, j] > after))
                logits = np.ascontiguousarray(net.logits(h[rows], j).T.numpy())
                tokens[rows, k + j] = torch.from_numpy(pick(logits, rng, temperature))
        return tokens[:, k:].numpy(), x.numpy()

    @property
    def notes(self) -> list[str]:
        return list(self.history_.notes)

    def explain(self) -> dict[str, str]:
        """For each field: how it is drawn, and how the training went."""
        how = {
            f.name: "a masked class" if isinstance(p, Tokens) else f"a masked class of {p.classes} and a noised score"
            for f, p in zip(self.fields_[self.known_ :], self.parts_[self.known_ :], strict=True)
        }
        return {name: f"{way}, together with all others: diffusion, {self.history_}" for name, way in how.items()}

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta, arrays = pack_fields(self.fields_)
        arrays |= {f"net.{name}": array for name, array in weights(self.net_).items()}
        for i, p in enumerate(self.parts_):
            arrays |= {f"part{i}.{name}": array for name, array in p.arrays().items()}
        build = {name: getattr(self.options, name) for name in BUILD}
        return meta | {"known": self.known_, "history": self.history_.to_dict(), "build": build}, arrays

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        model = cls(restored_plan(Options, BUILD, meta))
        model.fields_ = unpack_fields(meta, arrays)
        model.known_, model.history_ = restored_history(meta, len(model.fields_))
        model.parts_ = tuple(
            (Scores if f.ordered else Tokens).restore(part(arrays, f"part{i}."), f) for i, f in enumerate(model.fields_)
        )
        model.net_ = restored(model._build, part(arrays, "net."))
        return model


def _falls(n: int, columns: int, rng: np.random.Generator) -> Floats:
    """(n, columns) the times at which masks fall: one column after the other, in any order.

    They are evenly apart, so that as few as can be fall in the same step: those are drawn without knowing each other.
    """
    order = rng.random((n, columns), np.float32).argsort(1, kind="stable")
    place = (order + rng.random((n, 1), np.float32)) / np.float32(max(1, columns))
    return np.asarray(CERTAIN + (1 - CERTAIN) * place, np.float32)

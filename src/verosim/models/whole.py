"""What the networks share that make a whole row at once (gan.py, vae.py): all but the network itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import numpy as np
import torch
from torch import Tensor, nn

from verosim.models import Array, Codes, Field, Floats, Progress, State, pack_fields, part, silent, unpack_fields
from verosim.models.plan import History, Training, restored_history
from verosim.models.training import (
    Learner,
    one_thread,
    own_chance,
    restored,
    restored_plan,
    train,
    weights,
)
from verosim.models.vectors import Blocks, Vectors

TOGETHER: Final = 8192  # rows drawn together ...
NUMBERS: Final = 2**25  # ... fewer where they are wide: no array is larger
CELLS: Final = 2**26  # learned from, at most: fewer rows of wide tables
CALIBRATED: Final = 10_000  # rows drawn to calibrate by
LARGEST: Final = 1e4  # answer that a network gives, whatever was done to its file


@dataclass(frozen=True, slots=True)
class Options(Training):
    decay: float = 1e-6
    stretches: int = 10  # of an ordered field, at most
    max_rows: int = 200_000  # rows learned from


class Maker(Learner):
    """A network that answers a row's logits and offsets (vectors.py), given others.

    Its training rows are what `Vectors.encode` gives of rows and given: four tensors.
    """

    rows: Blocks
    given: Blocks

    def made(self, given: Tensor, rng: np.random.Generator, temperature: float) -> Tensor:
        """(n, width of the given fields) -> (n, width of the rows), by the chance of `rng` alone."""
        raise NotImplementedError


class Nothing(nn.Module):
    """(n, width) -> (n, 0)."""

    def forward(self, h: Tensor) -> Tensor:
        return h[:, :0]


def linear(n_in: int, n_out: int) -> nn.Module:
    """A layer; for a table of no fields, of which PyTorch would warn, one that answers nothing."""
    return nn.Linear(n_in, n_out) if n_out else Nothing()


class WholeRows:
    """Rows made by a `Maker`."""

    name: ClassVar[str]
    build: ClassVar[tuple[str, ...]]  # the options by which a saved network is built
    plan: ClassVar[type[Options]]

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or self.plan()

    def network(self, shares: Tensor) -> Maker:
        """A new network. shares: (hot,) of the training rows that have each level or mode."""
        raise NotImplementedError

    def fit(self, rows: Codes, given: Codes | None, rng: np.random.Generator, progress: Progress = silent) -> Self:
        progress(0.0, "encode")
        rows, known = self._learned_from(rows, given or Codes((), (), rows.n), rng)
        self.rows_, self.given_ = Vectors.of(rows, self.options.stretches), Vectors.of(known, self.options.stretches)
        data = [torch.from_numpy(a) for a in (*self.rows_.encode(rows, rng), *self.given_.encode(known))]
        seed, shares = int(rng.integers(2**62)), torch.from_numpy(self.rows_.shares(data[0].numpy()))
        with own_chance(seed, torch.device("cpu")):
            self.net_ = self.network(shares).eval()
        self.history_ = History("cpu", "there was nothing to learn")
        if self.rows_.width and rows.n:
            self.history_ = train(self.net_, data, self.options, seed, progress)
            some = known.take(rng.integers(0, rows.n, min(CALIBRATED, self._together())))
            self.rows_ = self.rows_.calibrated(self._made(some, rng, 1.0), rows, rng)
        return self

    def _learned_from(self, rows: Codes, known: Codes, rng: np.random.Generator) -> tuple[Codes, Codes]:
        """All rows, or as many as may be, by chance."""
        most = min(self.options.max_rows, CELLS // max(1, len(rows.fields) + len(known.fields)))
        if rows.n <= most:
            return rows, known
        some = np.sort(rng.choice(rows.n, most, replace=False))
        return rows.take(some), known.take(some)

    def sample(self, n: int, given: Codes | None, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        known, step = given or Codes((), (), n), self._together()
        parts = [self._draw(known.take(slice(i, i + step)), rng, temperature) for i in range(0, max(n, 1), step)]
        return Codes(self.rows_.fields, tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True)), n)

    def _together(self) -> int:
        return min(TOGETHER, max(1, NUMBERS // max(1, self.rows_.width + self.given_.width)))

    def _draw(self, given: Codes, rng: np.random.Generator, temperature: float) -> list[Array]:
        return self.rows_.decode(self._made(given, rng, temperature), rng, temperature)

    def _made(self, given: Codes, rng: np.random.Generator, temperature: float) -> Floats:
        """What the network answers, logits and offsets (n, width)."""
        hot, offsets = (torch.from_numpy(a) for a in self.given_.encode(given))
        with one_thread(), torch.no_grad():
            out = self.net_.made(self.net_.given.rows(hot, offsets), rng, temperature)
            return torch.nan_to_num(out).clamp(-LARGEST, LARGEST).numpy()

    @property
    def fields_(self) -> tuple[Field, ...]:
        """The given fields, and those that are made."""
        return (*self.given_.fields, *self.rows_.fields)

    @property
    def notes(self) -> list[str]:
        return list(self.history_.notes)

    def explain(self) -> dict[str, str]:
        """For each field: how it is made, and how the training went."""
        how = f"made together with all others: {self.name}, {self.history_}"
        modes = iter(self.rows_.wide_modes)
        return {
            f.name: f"{len(next(modes))} stretches, {how}" if f.ordered else f"{f.levels} levels, {how}"
            for f in self.rows_.fields
        }

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta, arrays = pack_fields(self.fields_)
        for head, learned in (
            ("rows.", self.rows_.arrays()),
            ("given.", self.given_.arrays()),
            ("net.", weights(self.net_)),
        ):
            arrays |= {f"{head}{name}": array for name, array in learned.items()}
        build = {name: getattr(self.options, name) for name in self.build}
        return meta | {"known": len(self.given_.fields), "history": self.history_.to_dict(), "build": build}, arrays

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        model, fields = cls(restored_plan(cls.plan, cls.build, meta)), unpack_fields(meta, arrays)
        known, model.history_ = restored_history(meta, len(fields))
        model.given_ = Vectors.restore(part(arrays, "given."), fields[:known])
        model.rows_ = Vectors.restore(part(arrays, "rows."), fields[known:])
        model.net_ = restored(lambda: model.network(torch.ones(len(model.rows_.shift))), part(arrays, "net."))
        return model

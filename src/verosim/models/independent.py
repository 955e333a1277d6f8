"""The baseline: every column drawn by itself from its marginal. It shows what learning dependence is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from verosim.models import Array, Codes, Progress, State, pack_fields, silent, unpack_fields
from verosim.models.marginal import Marginal, pack_marginals, unpack_marginals


@dataclass(frozen=True, slots=True)
class Options:
    group: int = 5  # a position is kept no finer than this many rows


class Independent:
    """Marginals alone; `given` fields change nothing."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(self, rows: Codes, given: Codes | None, rng: np.random.Generator, progress: Progress = silent) -> Self:
        self.fields_ = rows.fields
        self.marginals_: list[Marginal] = []
        for done, (field, array) in enumerate(zip(rows.fields, rows.arrays, strict=True)):
            progress(done / len(rows.fields), field.name)
            self.marginals_.append(Marginal.of(array, field, self.options.group))
        return self

    def sample(self, n: int, given: Codes | None, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        return Codes(self.fields_, tuple(m.draw(n, rng, temperature) for m in self.marginals_), n)

    def explain(self) -> dict[str, str]:
        """For each field: how it is drawn."""
        return {m.field.name: f"given nothing: {len(m.counts):,} cells" for m in self.marginals_}

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta, arrays = pack_fields(self.fields_)
        return meta, arrays | pack_marginals(self.marginals_)

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        new = cls()
        new.fields_ = unpack_fields(meta, arrays)
        new.marginals_ = unpack_marginals(new.fields_, arrays)
        return new

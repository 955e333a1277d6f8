"""What every column's codec is: `fit` learns, `encode` and `decode` are inverses, `state` and `restore` are too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import polars as pl

from verosim.codec.grid import Ints
from verosim.codec.saved import Saved
from verosim.models import Array, Field, State
from verosim.schema import Column


@dataclass(frozen=True, slots=True)
class Guard:
    """How many people must hold what is kept, and who: people (n,), or None where each row is its own person."""

    people: Ints | None
    k: int

    def holders(self, values: pl.Series) -> pl.DataFrame:
        """For each distinct value: `value`, `rows`, `holders` (people), in no order."""
        frame = pl.DataFrame({"value": values})
        if self.people is None:
            return frame.group_by("value").agg(rows=pl.len(), holders=pl.len())
        frame = frame.with_columns(person=pl.Series(self.people))
        return frame.group_by("value").agg(rows=pl.len(), holders=pl.col("person").n_unique())


@dataclass(frozen=True, slots=True)
class Draw:
    """What a block of rows is made from, besides its codes. made: the personal columns of the block, made together."""

    table: str
    rows: Ints  # (n,) absolute row numbers
    rng: np.random.Generator
    seed: int
    made: Mapping[str, pl.Series]


class ColumnCodec(Protocol):
    """One column <-> as many arrays as it has `fields`."""

    @property
    def fields(self) -> tuple[Field, ...]: ...

    @property
    def note(self) -> str:
        """What was protected, merged or made up, as a sentence; empty: nothing."""
        ...

    def encode(self, series: pl.Series) -> list[Array]: ...

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series: ...

    def state(self) -> State: ...


class Kind(ColumnCodec, Protocol):
    """The class of one kind of column: it learns, and reads what it saved."""

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self: ...

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self: ...

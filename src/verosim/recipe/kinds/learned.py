"""Columns drawn from a fitted model: learned data inside declared ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from verosim.draws import BLOCK
from verosim.errors import SchemaError, did_you_mean
from verosim.recipe.nouns import Kind, Maker
from verosim.schema import parse_dtype
from verosim.table_model import TableModel

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block


@dataclass(frozen=True)
class Learned(Kind):
    ABOUT: ClassVar[str] = (
        "a column of a model file that `verosim fit` wrote; all columns of one file are of the same row"
    )

    learned: str  # the model file, beside the recipe
    column: str
    table: str | None = None  # of the model; by default its only one

    @property
    def bond(self) -> tuple[str, str]:
        """What columns have in common that are drawn together."""
        return "learned", self.learned

    def plan(self, scope: Scope, name: str) -> Maker:
        model = scope.plan.model(self.learned, self.table)
        if self.column not in model.table.names:
            raise SchemaError(
                f"{self.learned} has no column {self.column!r}; {did_you_mean(self.column, model.table.names)}"
            )
        column = model.table[self.column]
        key = ("learned", self.learned, self.table)

        def make(block: Block) -> pl.Series:
            return block.once(key, lambda: _rows(block, model, self.learned))[self.column]

        return Maker(parse_dtype(column.dtype, column.levels), make)


def _rows(block: Block, model: TableModel, file: str) -> pl.DataFrame:
    """As many rows of the model as the block has, which differ from block to block."""
    seed = int(block.stream("\0learned", file).integers(2**62))
    numbers = range(max(1, -(-block.n // BLOCK)))
    return pl.concat([model.block(number, seed, block.n - number * BLOCK) for number in numbers])

"""Blocks of a table drawn by this process, or by several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from verosim.recipe import spoiling
from verosim.recipe.running import Run

if TYPE_CHECKING:
    from verosim.recipe import Recipe


def blocks(recipe: Recipe, run: Run, table: str, workers: int, first: int = 0) -> Iterator[pl.DataFrame]:
    """The blocks of a table from `first` on, as they are written."""
    for number in range(first, run.blocks(table)):
        yield spoiling.output(run.block(table, number))

"""Blocks of a table drawn by this process, or by several. `python -m verosim.recipe.crew` is one of those."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from verosim.recipe import reading, spoiling
from verosim.recipe.planning import Plan
from verosim.recipe.reading import RecipeFile
from verosim.recipe.running import Run
from verosim.workers import hand_over, shared_out


def blocks(file: RecipeFile, run: Run, table: str, workers: int, first: int = 0) -> Iterator[pl.DataFrame]:
    """The blocks of a table from `first` on, as they are written."""
    numbers = range(first, run.blocks(table))
    if workers == 1 or len(numbers) < 2:
        yield from some(run, table, numbers)
        return
    with TemporaryDirectory(prefix="verosim-") as folder:
        path = Path(folder, "recipe.json")
        job = {
            "recipe": reading.plain(file),
            "folder": str(run.plan.folder.resolve()),
            "sizes": run.sizes,
            "seed": run.seed,
        }
        path.write_text(json.dumps(job), encoding="utf-8")
        call = ["verosim.recipe.crew", str(path), table]
        yield from shared_out(call, numbers, workers, lambda number: spoiling.output(run.block(table, number)))


def some(run: Run, table: str, numbers: range) -> Iterator[pl.DataFrame]:
    """The blocks of these numbers, drawn by this process."""
    return (spoiling.output(run.block(table, number)) for number in numbers)


def main(path: str, table: str, first: str, step: str) -> None:
    """Hand over blocks first, first + step ... of a table."""
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    file = reading.read(job["recipe"])
    run = Run(Plan(file.tables, file.locale, Path(job["folder"])), job["sizes"], job["seed"])
    for number in range(int(first), run.blocks(table), int(step)):
        hand_over(spoiling.output(run.block(table, number)))


if __name__ == "__main__":
    main(*sys.argv[1:])

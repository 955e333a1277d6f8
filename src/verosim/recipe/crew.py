"""Blocks of a table drawn by one thread, or by several.

Threads, not processes: nearly all the time goes by in numpy and polars, which let other threads run meanwhile; and text
that is handed from process to process costs more time than it takes to make.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

import polars as pl

from verosim.recipe import spoiling
from verosim.recipe.running import Run

AHEAD: Final = 4  # blocks a thread that may wait to be taken


def blocks(run: Run, table: str, workers: int, first: int = 0) -> Iterator[pl.DataFrame]:
    """The blocks of a table from `first` on, as they are written."""
    numbers = range(first, run.blocks(table))
    if workers == 1 or len(numbers) < 2:
        yield from some(run, table, numbers)
        return
    runs = [run, *(Run(run.plan, run.sizes, run.seed) for _ in range(workers - 1))]  # a run is of one thread
    waiting: deque[Future[pl.DataFrame]] = deque()
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in runs]
        try:
            for number in numbers:
                if len(waiting) == AHEAD * workers:
                    yield waiting.popleft().result()
                waiting.append(threads[number % workers].submit(_drawn, runs[number % workers], table, number))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def some(run: Run, table: str, numbers: range) -> Iterator[pl.DataFrame]:
    """The blocks of these numbers, drawn by this thread."""
    return (_drawn(run, table, number) for number in numbers)


def _drawn(run: Run, table: str, number: int) -> pl.DataFrame:
    return spoiling.output(run.block(table, number))

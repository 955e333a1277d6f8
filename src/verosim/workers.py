"""Blocks of rows drawn by several processes; threads would wait for each other, so short are most steps.

Each process reads the table's model from a file that only this user can read, draws every so-manieth block, and writes
it to its standard output as an Arrow stream behind its length. `python -m verosim.workers` is such a process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl

from verosim import archive
from verosim.draws import BLOCK
from verosim.table_model import TableModel

PAYS: Final = 25 * BLOCK  # rows from which starting processes pays
_LENGTH: Final = 8  # bytes of the length that stands before a block


def fitting(rows: int) -> int:
    """How many processes suit so many rows: one, or one a processor core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if rows >= PAYS else 1


def blocks(model: TableModel, engine: str, rows: int, seed: int, workers: int) -> Iterator[pl.DataFrame]:
    """The blocks of the first `rows` rows, in order, each as `TableModel.block` gives it."""
    n_blocks = -(-rows // BLOCK)
    with TemporaryDirectory(prefix="verosim-") as folder:
        path = Path(folder, "table.verosim")
        meta, arrays = model.state()
        archive.write(path, {"engine": engine, "table": meta, "temperature": model.temperature}, arrays)
        crew = [_start(path, rows, seed, first, workers) for first in range(min(workers, n_blocks))]
        try:
            for number in range(n_blocks):
                frame = _receive(crew[number % len(crew)])
                # A process that met an error says nothing more: the error is met again, and raised, here.
                yield model.block(number, seed, rows - number * BLOCK) if frame is None else frame
        finally:
            for process in crew:
                process.kill()
                process.communicate()


def _start(path: Path, *numbers: int) -> Popen[bytes]:
    places = os.pathsep.join(place for place in sys.path if place)
    alone = {"PYTHONPATH": places, "POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-m", "verosim.workers", str(path), *map(str, numbers)]
    return Popen(call, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=os.environ | alone)  # noqa: S603


def _receive(process: Popen[bytes]) -> pl.DataFrame | None:
    """The next block of a process, None where it has ended."""
    assert process.stdout is not None
    head = process.stdout.read(_LENGTH)
    size = int.from_bytes(head, "little")
    data = process.stdout.read(size) if len(head) == _LENGTH else b""
    return pl.read_ipc_stream(BytesIO(data)) if data and len(data) == size else None


def main(path: str, *numbers: str) -> None:
    """Write blocks first, first + step, first + 2 * step ... of the model in a file to standard output."""
    rows, seed, first, step = map(int, numbers)
    meta, arrays = archive.read(path)
    model = TableModel.restore(meta["engine"], meta["table"], arrays).directed(temperature=meta["temperature"])
    for number in range(first, -(-rows // BLOCK), step):
        buffer = BytesIO()
        model.block(number, seed, rows - number * BLOCK).write_ipc_stream(buffer)
        sys.stdout.buffer.write(len(buffer.getvalue()).to_bytes(_LENGTH, "little") + buffer.getvalue())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

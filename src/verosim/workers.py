"""Blocks of rows drawn by several processes; threads would wait for each other, so short are most steps.

Each process reads the table's model from a file that only this user can read, draws every so-manieth block, and writes
it to its standard output as an Arrow stream behind its length. `python -m verosim.workers` is such a process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
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
    with TemporaryDirectory(prefix="verosim-") as folder:
        path = Path(folder, "table.verosim")
        meta, arrays = model.state()
        archive.write(path, {"engine": engine, "table": meta, "temperature": model.temperature}, arrays)
        numbers = range(-(-rows // BLOCK))
        call = ["verosim.workers", str(path), str(rows), str(seed)]
        yield from shared_out(call, numbers, workers, lambda n: model.block(n, seed, rows - n * BLOCK))


def shared_out(
    call: Sequence[str], numbers: range, workers: int, block: Callable[[int], pl.DataFrame]
) -> Iterator[pl.DataFrame]:
    """The blocks of these numbers, in order, drawn by processes.

    call: a module and its arguments, to which `first` and `step` are added: run so, it hands over (`hand_over`) the
    blocks first, first + step ... up to the last. block: draws one in this process.
    """
    step = min(workers, len(numbers))
    crew = [_start([*call, str(first), str(step)]) for first in numbers[:step]]
    try:
        for place, number in enumerate(numbers):
            frame = _receive(crew[place % len(crew)])
            # A process that met an error says nothing more: the error is met again, and raised, here.
            yield block(number) if frame is None else frame
    finally:
        for process in crew:
            process.kill()
            process.communicate()


def hand_over(frame: pl.DataFrame) -> None:
    """Write a frame to standard output, as `shared_out` reads it."""
    buffer = BytesIO()
    frame.write_ipc_stream(buffer)
    sys.stdout.buffer.write(len(buffer.getvalue()).to_bytes(_LENGTH, "little") + buffer.getvalue())
    sys.stdout.buffer.flush()


def _start(call: list[str]) -> Popen[bytes]:
    places = os.pathsep.join(place for place in sys.path if place)
    alone = {"PYTHONPATH": places, "POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *call]
    return Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=os.environ | alone)  # noqa: S603


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
        hand_over(model.block(number, seed, rows - number * BLOCK))


if __name__ == "__main__":
    main(*sys.argv[1:])

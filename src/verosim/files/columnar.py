"""Parquet and Arrow: types come and go as they are; written while the chunks are still being made."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import polars as pl
from polars.io.plugins import register_io_source

from verosim.errors import FileError

_ROWS: Final = 1 << 17  # rows of one group in the file: chunks are often smaller, and many small groups read slowly


def read(data: bytes, name: str, format: str) -> pl.DataFrame:
    """A Parquet or Arrow (file or stream) table; FileError where the data is cut off or something else."""
    try:
        if format == "parquet":
            return pl.read_parquet(io.BytesIO(data))
        if data.startswith(b"ARROW1"):
            return pl.read_ipc(io.BytesIO(data))
        return pl.read_ipc_stream(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileError(f"{name}: is not a whole {format} file ({reason}). Was it cut off in copying?") from error


def write(frames: Iterable[pl.DataFrame], out: BinaryIO, format: str) -> None:
    """Write chunk by chunk; all chunks have the columns of the first, of which there is at least one.

    The chunks are drawn in the caller's thread, so that Ctrl-C and their errors arrive as ever; another thread writes.
    """
    chunks = iter(frames)
    first = next(chunks)
    waiting: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=2)
    writer = _Writer(first.schema, waiting, out, format)
    writer.start()
    try:
        for chunk in regrouped(first, chunks):
            writer.put(chunk)
    except BaseException:
        writer.cancelled = True
        raise
    finally:
        writer.put(None)
        writer.join()
    if isinstance(writer.error, pl.exceptions.PolarsError):
        raise FileError(f"the {format} data cannot be written ({writer.error}).") from writer.error
    if writer.error:
        raise writer.error


class _Writer(threading.Thread):
    def __init__(
        self, schema: pl.Schema, waiting: queue.Queue[pl.DataFrame | None], out: BinaryIO, format: str
    ) -> None:
        super().__init__(daemon=True)
        self.schema, self.waiting, self.out, self.format = schema, waiting, out, format
        self.cancelled = False
        self.error: BaseException | None = None

    def put(self, chunk: pl.DataFrame | None) -> None:
        """Hand over a chunk; at once where the writer has failed and takes no more."""
        while self.is_alive():
            try:
                self.waiting.put(chunk, timeout=0.1)
                break
            except queue.Full:
                continue

    def run(self) -> None:
        try:
            source = register_io_source(self._chunks, schema=self.schema)
            if self.format == "parquet":
                source.sink_parquet(self.out, row_group_size=_ROWS)
            else:
                source.sink_ipc(self.out, compression="zstd")
        except BaseException as error:  # raised again in the caller's thread
            self.error = error

    def _chunks(self, *_: Any) -> Iterator[pl.DataFrame]:
        while (chunk := self.waiting.get()) is not None:
            yield chunk
        if self.cancelled:
            raise InterruptedError("the chunks ended early")


def regrouped(first: pl.DataFrame, rest: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in chunks of about `_ROWS`."""
    held, rows = [first], first.height
    for chunk in rest:
        if rows >= _ROWS:
            yield pl.concat(held)
            held, rows = [], 0
        held.append(chunk)
        rows += chunk.height
    yield pl.concat(held)

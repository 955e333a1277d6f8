"""Python processes: plain SimPy generator functions, with a `Recorder` whose rows become tables.

Two lines change in a SimPy script: the recorder is made, and what is to be kept is recorded.

    env = simpy.Environment()
    recorder = vs.Recorder(env)                       # one
    ...
        with counter.request() as request:
            yield request
            recorder.record("customers", name=name, waited=env.now - arrive)      # two
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from verosim.draws import stream
from verosim.errors import DataError
from verosim.simulation import outputs
from verosim.simulation.clock import Clock


class Recorder:
    """Rows that processes of a SimPy environment record, as tables.

    start, unit, zone: with them, `time` is a date. seed: of `random`, a generator for the processes to draw from.
    """

    def __init__(
        self, env: Any, *, start: str | None = None, unit: str = "minutes", zone: str | None = None, seed: int = 0
    ) -> None:
        self.env, self.clock = env, Clock.of(unit, start, zone) if start else None
        self.random: np.random.Generator = stream(seed, "processes")
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def record(self, table: str, /, **row: Any) -> None:
        """Keep a row: its values by name; `time` is now."""
        self._rows.setdefault(table, []).append({"time": float(self.env.now), **row})

    def tables(self) -> dict[str, pl.DataFrame]:
        """What was recorded, by table. Raises DataError where a column holds values of several kinds."""
        return {name: self._frame(name, rows) for name, rows in self._rows.items()}

    def _frame(self, name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
        try:
            frame = pl.DataFrame(rows, infer_schema_length=None, strict=True)
        except (TypeError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(
                f"its rows do not make a table: {reason}.", table=name, fix="Record one type in each column."
            ) from error
        if self.clock is not None:
            frame = frame.with_columns(time=self.clock.dates(frame["time"].to_numpy()))
        return frame

    def save(self, folder: str | Path, format: str = "csv") -> dict[str, int]:
        """Write the tables into a folder, a file each. -> rows by table."""
        return outputs.save([self.tables()], outputs.made(folder), format)

"""The event calendar put down and taken up again: all that it knows between two batches of cases, in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from verosim.files import disk
from verosim.simulation.arrivals import Arrivals
from verosim.simulation.paths import Batch

if TYPE_CHECKING:
    from verosim.simulation.calendar import Calendar

_GROUPS: Final = ("fixed", "cases", "visits", "heap")  # mappings of arrays
_LONE: Final = ("count", "clock")


def put_down(calendar: Calendar, folder: Path) -> None:
    """Write all that the calendar knows."""
    arrays: dict[str, Any] = {name: getattr(calendar, name) for name in _LONE}
    for group in _GROUPS:
        arrays |= {f"{group} {name}": values for name, values in getattr(calendar, group).items()}
    arrays |= {f"feed {i}": values for i, values in enumerate(calendar.feed)}
    arrays["batches"] = np.array(list(calendar.batches), dtype=np.int64)
    arrays["told"] = np.array([calendar.taken, calendar.windows.last])
    for number, batch in calendar.batches.items():
        own = {**vars(batch.arrivals), "at": batch.at}
        arrays |= {f"batch {number} {name}": values for name, values in own.items()}
        arrays[f"batch {number} place"] = np.array([batch.first, batch.step])
        pl.DataFrame(batch.values).write_ipc(folder / f"{number}.arrow")
    np.savez(folder / "calendar.npz", **arrays)


def take_up(calendar: Calendar, folder: Path) -> None:
    """Let a new calendar of the same run know what the other knew."""
    with np.load(folder / "calendar.npz") as arrays:
        for name in _LONE:
            setattr(calendar, name, arrays[name])
        for group in _GROUPS:
            values = getattr(calendar, group)
            values |= {name: arrays[f"{group} {name}"] for name in values}
        calendar.feed = (arrays["feed 0"], arrays["feed 1"], arrays["feed 2"])
        calendar.taken = int(arrays["told"][0])
        calendar.batches = {n: _batch(calendar, n, arrays, folder) for n in arrays["batches"].tolist()}
        if calendar.windows:
            calendar.windows.until(float(arrays["told"][1]))  # what servers did up to then, is done


def _batch(calendar: Calendar, number: int, arrays: Any, folder: Path) -> Batch:
    times, source, row, at = (arrays[f"batch {number} {name}"] for name in ("times", "source", "row", "at"))
    first, step = arrays[f"batch {number} place"].tolist()
    frame = pl.read_ipc(disk.load(folder / f"{number}.arrow"))
    values = {name: frame[name] for name in frame.columns}
    batch = Batch(calendar.model, calendar.run, number, first, Arrivals(times, source, row), values)
    batch.at, batch.step = at, step
    return batch

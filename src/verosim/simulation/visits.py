"""What indicators and pictures are made of: the visits of a run, kept while its parts go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from verosim.simulation.calendar import Done

MEASURED: Final = 5_000_000  # visits that are kept in memory
COLUMNS: Final = {
    "case": np.int64, "station": np.int64, "enqueue": np.float64, "start": np.float64, "complete": np.float64,
    "outcome": np.int64, "worked": np.float64,
}  # fmt: skip
_FILE: Final = ".visits.npz"

Arrays = dict[str, np.ndarray]


class Kept:
    """The visits of a run; none at all once they would be too many. limit: None keeps whatever comes."""

    def __init__(self, limit: int | None = MEASURED) -> None:
        self.parts: list[Arrays] = []
        self.n, self.limit = 0, limit
        self.saved = 0  # of the parts, those that lie in a folder

    def through(self, parts: Iterable[Done]) -> Iterator[Done]:
        """The same parts, with their visits kept."""
        for part in parts:
            case = part.batch.rows[part.case] + 1
            self._add({"case": case, **{k: getattr(part, k) for k in COLUMNS if k != "case"}})
            yield part

    def _add(self, visits: Arrays) -> None:
        self.n += len(visits["case"])
        if self.limit is None or self.n <= self.limit:
            self.parts.append(visits)
        else:
            self.parts.clear()

    def save(self, folder: Path) -> None:
        """Write what has come since the last time."""
        if self.limit is None or self.n <= self.limit:
            np.savez(folder / _FILE, **_together(self.parts[self.saved :]))  # type: ignore[arg-type]
            self.saved = len(self.parts)

    def load(self, folder: Path, n: int) -> None:
        """Take up what a part kept of its n visits."""
        if self.limit is not None and self.n + n > self.limit:
            self.n += n
            self.parts.clear()
            return
        with np.load(folder / _FILE) as found:
            self._add({name: found[name] for name in COLUMNS})
        self.saved = len(self.parts)

    def visits(self) -> Arrays:
        """Arrays (m,), those of a case together."""
        return _together(self.parts)


def _together(parts: list[Arrays]) -> Arrays:
    return {k: np.concatenate([np.zeros(0, dtype), *(p[k] for p in parts)]) for k, dtype in COLUMNS.items()}

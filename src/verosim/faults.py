"""What can go wrong with readings, by name: one vocabulary for simulated sensors and for drawn sequences."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

KINDS: Final = {
    "spike": "far off, at once",
    "shift": "at another level",
    "drift": "further and further off",
    "noise": "noise of another size on top",
    "stuck": "the first reading again and again",
    "gap": "missing readings",
    "season": "readings right in size, wrong for their time",
}


def moved(kind: str, place: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far a fault moves readings, in sizes. place: (n,) from 0 at its begin to 1 at its end.

    >>> moved("drift", np.array([0.0, 0.5, 1.0])).tolist(), moved("stuck", np.zeros(2)).tolist()
    ([0.0, 0.5, 1.0], [0.0, 0.0])
    """
    if kind == "drift":
        return place
    return np.full(len(place), 1.0 if kind in ("spike", "shift") else 0.0)

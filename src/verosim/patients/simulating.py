"""The simulated source of patients: `Patients`, from a folder of modules to blocks of lives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.errors import ArgumentError
from verosim.patients import visits
from verosim.patients.engine import Engine
from verosim.patients.kernel import Kernel, available
from verosim.patients.module import Library, load
from verosim.patients.plan import Plan
from verosim.patients.population import DAY, Array
from verosim.patients.world import World

if TYPE_CHECKING:
    import polars as pl

    from verosim.patients.hooks import Life

OWN: Final = Path(__file__).parent / "library"  # the modules that come with verosim
BLOCK: Final = 2_500  # patients that live together: more are no faster, and take more memory
SPARE: Final = 2  # rows a patient asked for: whoever dies is followed by another
YEAR: Final = 365 * DAY
# An end before the first date would tell of people without anything that modules know of; so late as the last, some of
# the dates on the way there would be more than files can hold.
FIRST_END: Final = np.datetime64("1900-01-01")
LAST_END: Final = np.datetime64("2200-01-01")


class Patients:
    """A population that is to be lived.

    modules: a folder in Synthea's format, or a library; by default our own modules. only: modules to take, by name or
    pattern, with what they call. end: the last day, a date as text. history: years before it that are recorded in full;
    None for all. resources, country, state, people, natural_death: of `life.Life`, which tells of them; people may be a
    file. life: what else people are (see `hooks.Life`), in place of all of these. compiled: whether numba compiles what
    steers patients (extra `fast`); by default where it is installed. The lives are the same.
    """

    def __init__(
        self, modules: str | Path | Library | None = None, *, only: Sequence[str] | None = None,
        end: str = "2026-06-01", history: float | None = 10,
        resources: str | Path | None = None, country: str = "US", state: str | None = None,
        people: pl.DataFrame | str | Path | None = None, natural_death: bool = False, life: Life | None = None,
        compiled: bool | None = None,
    ) -> None:  # fmt: skip
        """Raises FileError, SchemaError where modules are wrong, with file and state; ArgumentError."""
        if history is not None and history < 0:
            raise ArgumentError(f"history: a number of years from 0 up was wanted, not {history!r}.")
        self.library = modules if isinstance(modules, Library) else load(modules or OWN, only)
        self.end = _day(end)
        self.history = None if history is None else int(history * YEAR)
        self.life = life or _life(resources, country, state, people, natural_death, self.end)
        self.plan = Plan(self.library, self.life, visits.visits())
        self._kernel = Kernel(self.plan) if (available() if compiled is None else compiled) else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the modules' authors should know: what ends nothing ..."""
        return tuple(self.plan.notes)

    def blocks(self, n: int, seed: int = 0, first: int = 0) -> Iterator[World]:
        """Live n patients, in equal parts of at most BLOCK, and who died before them in their place; memory is bounded.

        first: the number of the first patient: 10 from 5 are the last 5 of 10 and 5 more.
        """
        _whole(n, "n")
        _whole(seed, "seed")
        parts = max(1, -(-n // BLOCK))
        cuts = [first + n * part // parts for part in range(parts + 1)]
        slot, attempt = np.zeros(0, np.int64), np.zeros(0, np.int32)
        for part in range(parts):
            new = np.arange(cuts[part], cuts[part + 1])
            slot, attempt = np.append(slot, new), np.append(attempt, np.zeros(len(new), np.int32))
            last = part == parts - 1
            while True:
                world, slot, attempt = self._live(slot, attempt, seed, last)
                yield world
                if not (last and len(slot)):
                    break

    def _live(self, slot: Array, attempt: Array, seed: int, last: bool) -> tuple[World, Array, Array]:
        """One block, and who is still to follow somebody."""
        world = World(self.plan, seed, max(64, int(SPARE * len(slot))), self.history)
        world.visit_hooks += getattr(self.life, "visit_hooks", ())
        slot, attempt = Engine(world, self._kernel).live(slot, attempt, last)
        for finisher in self.life.finishers:
            finisher.finish(world)
        return world, slot, attempt


def _whole(value: object, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ArgumentError(f"{what}: a whole number from 0 up was wanted, not {value!r}.")


def _day(text: str) -> int:
    """The milliseconds of a date."""
    try:
        day = np.datetime64(text, "D")
    except ValueError as error:
        raise ArgumentError(f"end: a date such as 2026-06-01 was wanted, not {text!r}.") from error
    if not FIRST_END <= day < LAST_END:  # which NaT is not either
        raise ArgumentError(f"end: a date from {FIRST_END} up, before {LAST_END}, was wanted, not {text!r}.")
    return int(day.astype(np.int64)) * DAY


def _life(
    resources: str | Path | None, country: str, state: str | None, people: pl.DataFrame | str | Path | None,
    natural_death: bool, end: int,
) -> Life:  # fmt: skip
    from verosim.patients.life import Life as Lived
    from verosim.patients.life.roster import people_of

    return Lived(
        None if resources is None else Path(resources), end=end, country=country, state=state,
        people=None if people is None else people_of(people), natural_death=natural_death,
    )  # fmt: skip

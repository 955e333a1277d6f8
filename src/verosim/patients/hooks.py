"""What plugs into the engine besides modules: people, vital signs, and modules that are code.

A `Builtin` stands in the order of modules by its name, as a file does: the weekly step runs "Health Insurance", then
"Encounter", then all modules and builtins by name in ASCII order, then closes the visit of that step. It is run when it
asked to be: `run` returns the step at which it wants to be run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from verosim.patients.population import Array, Attributes, Population

if TYPE_CHECKING:
    from verosim.patients.world import World

NOT_AGAIN: Final = np.iinfo(np.int16).max  # a step that never comes: no life has as many weeks
FIRST: Final = ("Health Insurance", "Encounter")  # run before all modules, in this order


class Builtin(Protocol):
    """A module that is code."""

    name: str
    attributes: Sequence[str]  # those it reads or writes, so that they have columns

    def begin(self, world: World, patients: Array) -> Array:
        """At birth: the step (k,) int32 of the first run, 0 for birth itself."""
        ...

    def run(self, world: World, patients: Array) -> Array:
        """Do this step's work for `patients` (k,), all different; the step (k,) of the next run, later than this one.

        `world.people.now[patients]` is the time; `world.uniform(patients)` draws (k,) numbers of this module's own.
        """
        ...


class Vitals(Protocol):
    """Vital signs, worked out when they are read."""

    names: Sequence[str]

    def read(self, world: World, patients: Array, name: str, time: Array) -> Array:
        """The value (k,) float64 of a vital sign of `names` at `time` (k,); NaN where there is none."""
        ...

    def reads(self, world: World, patients: Array, names: Sequence[str], time: Array) -> list[Array]:
        """Several vital signs (k,) of the same patients: what `read` gives for each, more quickly."""
        ...


class Demographics(Protocol):
    """Who the patients are."""

    attributes: Sequence[str]

    def born(self, people: Population, attributes: Attributes, patients: Array) -> None:
        """Set births (by `people.born`), `stop`, `male`, `race` and attributes of new patients (k,): their rows.

        Chance: `people.chance(patients, salt("..."))`, fixed by seed, slot and attempt, so that a patient who died is
        followed (same slot, next attempt) by one whom the demographics choose to be alike.
        """
        ...


class Finisher(Protocol):
    """Work over a whole block, once all of its patients have been lived: costs, claims, certificates, names."""

    def finish(self, world: World) -> None: ...


class Life(Protocol):
    """All that plugs in, together."""

    @property
    def demographics(self) -> Demographics: ...

    @property
    def vitals(self) -> Vitals: ...

    @property
    def builtins(self) -> Sequence[Builtin]: ...

    @property
    def finishers(self) -> Sequence[Finisher]: ...

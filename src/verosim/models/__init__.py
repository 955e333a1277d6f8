"""What every model sees and answers: arrays in, arrays out.

Models never see frames, names of dtypes, or real values: the codec turns a table into `Codes` and back. An **ordered**
column (number, date, ordinal ...) is a float64 *position*, the share of its training values that lie below, so that
every ordered column is about uniform on [0, 1). A value held by many rows (zero, 40 hours, 9999-12-31) is an **atom**:
it owns an interval of positions, is encoded as that interval's middle, and any position inside decodes to exactly
that value. What is no value at all (missing, NaN, infinite) is a **mark**, coded -1, -2, ... A **category** is an
int32 code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Final, Protocol, Self, cast

import numpy as np
import numpy.typing as npt

from verosim.errors import ArgumentError, MissingExtraError, ModelFileError, did_you_mean

Floats = npt.NDArray[np.floating[Any]]
Array = npt.NDArray[Any]
MOST_LEVELS: Final = 2**31 - 1  # codes of a category are int32
MOST_MARKS: Final = 63  # as many as fit below the positions in a tree's codes
Progress = Callable[[float, str], None]  # share done in [0, 1], what is being done


def silent(share: float, what: str) -> None:
    """The progress that shows nothing."""


def stage(progress: Progress, begin: float, end: float) -> Progress:
    """A progress whose 0 to 1 is this part of the whole."""
    return lambda share, what: progress(begin + share * (end - begin), what)


@dataclass(frozen=True, slots=True)
class Field:
    """What a model may know of one array of codes."""

    name: str
    levels: int = 0  # category: codes are 0 .. levels - 1. 0: ordered
    marks: int = 0  # ordered: special values, coded -1 .. -marks
    atoms: Floats = field(default_factory=lambda: np.zeros((0, 2)))  # ordered: (a, 2) intervals [low, high), ascending

    @property
    def ordered(self) -> bool:
        return self.levels == 0

    def atom(self, positions: Array) -> Array:
        """Which atom each position lies in, -1 for none. positions: (n,) -> (n,) int64."""
        if not len(self.atoms):
            return np.full(len(positions), -1)
        nearest = np.searchsorted(self.atoms[:, 0], positions, "right") - 1
        inside = (nearest >= 0) & (positions < self.atoms[np.maximum(nearest, 0), 1])
        return np.where(inside, nearest, -1)


@dataclass(frozen=True, slots=True)
class Codes:
    """A table as arrays, one a field, all of `n` rows: int32 (category) or float64 (ordered)."""

    fields: tuple[Field, ...]
    arrays: tuple[Array, ...]
    n: int

    def take(self, rows: Array | slice) -> Codes:
        """The same fields at these rows."""
        arrays = tuple(a[rows] for a in self.arrays)
        n = len(arrays[0]) if arrays else len(np.arange(self.n)[rows])
        return Codes(self.fields, arrays, n)

    def at_most(self, rows: int, rng: np.random.Generator) -> Codes:
        """All rows, or so many of them by chance, in their order."""
        return self if self.n <= rows else self.take(np.sort(rng.choice(self.n, rows, replace=False)))

    def beside(self, other: Codes | None) -> Codes:
        """The fields of both, side by side; both have the same rows."""
        if other is None:
            return self
        return Codes(self.fields + other.fields, self.arrays + other.arrays, self.n)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Rows of another table that a network learns first. They have the fields of the rows that it learns then."""

    rows: Codes
    unknown: Array  # (n, fields) bool: cells of which the other table says nothing


State = tuple[dict[str, Any], dict[str, Array]]  # what a model file holds of a model: JSON, and arrays by name


def pack_fields(fields: Sequence[Field]) -> State:
    """Fields as JSON and arrays, for a model file."""
    meta = [{"name": f.name, "levels": f.levels, "marks": f.marks, "atoms": len(f.atoms)} for f in fields]
    return {"fields": meta}, {"atoms": np.concatenate([np.zeros((0, 2)), *(f.atoms for f in fields)])}


def part(arrays: Mapping[str, Array], head: str) -> dict[str, Array]:
    """The arrays whose names begin with `head`, named without it."""
    return {name.removeprefix(head): array for name, array in arrays.items() if name.startswith(head)}


def saved_array(arrays: Mapping[str, Array], name: str, dtype: npt.DTypeLike, ndim: int = 1) -> Array:
    """The array of that name in a model file, of exactly this type, and finite. Raises ModelFileError."""
    array, wanted = arrays.get(name), np.dtype(dtype)
    if not isinstance(array, np.ndarray) or array.dtype != wanted or array.ndim != ndim:
        raise ModelFileError(f"the saved model is damaged: {name!r} must be an array of {wanted.name}.")
    if not np.isfinite(array).all():
        raise ModelFileError(f"the saved model is damaged: {name!r} is not finite.")
    return array


def unpack_fields(meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> tuple[Field, ...]:
    """What `pack_fields` gave. Raises ModelFileError."""
    atoms = saved_array(arrays, "atoms", np.float64, 2)
    try:
        ends = np.cumsum([0, *(int(f["atoms"]) for f in meta["fields"])], dtype=np.int64)
        parts = [atoms[start:end] for start, end in pairwise(ends.tolist())]
        fields = tuple(
            Field(str(f["name"]), int(f["levels"]), int(f["marks"]), part)
            for f, part in zip(meta["fields"], parts, strict=True)
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelFileError(f"the model's fields are damaged: {error}.") from error
    if (np.diff(ends) < 0).any() or ends[-1] != len(atoms) or atoms.shape[1] != 2:
        raise ModelFileError("the model's fields are damaged: their atoms are not all there.")
    for f in fields:
        steps = np.diff(f.atoms.ravel(), prepend=0.0, append=1.0)  # gap, atom, gap, atom ... gap
        whole = (steps >= 0).all() and (steps[1::2] > 0).all() if len(f.atoms) else True
        if not (whole and 0 <= f.levels <= MOST_LEVELS and 0 <= f.marks <= MOST_MARKS):
            raise ModelFileError(f"the saved field {f.name!r} is damaged.")
    return fields


class Model(Protocol):
    """Learns rows, possibly *given* other fields of the same rows; draws new ones.

    A child's row is a row given its parent; a step of a series is a row given the steps before; a conditional sample is
    a row given the fixed columns. `rows` may have no fields and `given` may have none.
    """

    def __init__(self, options: Any = None) -> None: ...  # of the dataclass `Options` beside the class

    def fit(self, rows: Codes, given: Codes | None, rng: np.random.Generator, progress: Progress = silent) -> Self: ...

    def sample(
        self, n: int, given: Codes | None, rng: np.random.Generator, temperature: float = 1.0
    ) -> Codes: ...  # temperature: below 1 more typical rows, above 1 more variety

    def explain(self) -> dict[str, str]: ...  # for each field: how it is drawn

    def state(self) -> State: ...

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self: ...


class Starting(Model, Protocol):
    """A model that can learn rows of another table first."""

    def fit(
        self,
        rows: Codes,
        given: Codes | None,
        rng: np.random.Generator,
        progress: Progress = silent,
        *,
        start: Start | None = None,
    ) -> Self: ...


STARTING: Final = ("auto", "network")  # those of MODELS that are `Starting`
MODELS: Final[dict[str, str]] = {  # name -> module:class, imported when asked for
    "auto": "verosim.models.auto:Auto",
    "chain": "verosim.models.chain:Chain",
    "network": "verosim.models.network:Network",
    "transformer": "verosim.models.transformer:Transformer",
    "diffusion": "verosim.models.diffusion:Diffusion",
    "gan": "verosim.models.gan:Gan",
    "vae": "verosim.models.vae:Vae",
    "copula": "verosim.models.copula:Copula",
    "independent": "verosim.models.independent:Independent",
}


def model_class(name: str) -> type[Model]:
    """The class of an engine: one of MODELS, or one that a package offers under the entry point "verosim.models".

    Raises ArgumentError for an unknown name, MissingExtraError for a network without PyTorch, and whatever importing
    a package's module raises.
    """
    place = MODELS.get(name)
    if place is None:
        offered = {e.name: e for e in entry_points(group="verosim.models")}
        if name in offered:
            return cast("type[Model]", offered[name].load())
        raise ArgumentError(f"there is no model {name!r}; {did_you_mean(name, [*MODELS, *offered])}")
    module, attribute = place.split(":")
    with needs_torch(f"the model {name!r}"):
        return cast("type[Model]", getattr(import_module(module), attribute))


def options_of(name: str) -> Any:
    """The dataclass `Options` beside an engine's class; None where it has no settings."""
    return getattr(import_module(model_class(name).__module__), "Options", None)


def build(name: str, settings: Mapping[str, Any]) -> Model:
    """A new engine with these settings; beside each engine's class stands a dataclass `Options` that names them all.

    Raises ArgumentError for a setting that it does not have, or a value of another type.
    """
    engine, options = model_class(name), options_of(name)
    defaults: dict[str, Any] = {f.name: f.default for f in fields(options)} if options else {}
    for key, value in settings.items():
        if key not in defaults:
            raise ArgumentError(f"the model {name!r} has no setting {key!r}; {did_you_mean(key, defaults)}")
        default = defaults[key]
        wanted = (float, int, str) if default is None else (float, int) if isinstance(default, float) else type(default)
        if isinstance(value, bool) != isinstance(default, bool) or not isinstance(value, wanted):
            raise ArgumentError(f"the setting {key!r} of {name!r} is {default!r} by default; it cannot be {value!r}.")
        if not isinstance(value, str) and not 0 <= value < 1e12:
            raise ArgumentError(f"the setting {key!r} of {name!r}: a number of 0 or more was wanted, not {value!r}.")
    return engine(options(**settings)) if options and settings else engine()


@contextmanager
def needs_torch(what: str) -> Iterator[None]:
    """Say in one line what to install, where PyTorch is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(f"{what} needs PyTorch: pip install 'verosim[deep]'") from error


def has_torch() -> bool:
    """Whether PyTorch is installed; does not import it."""
    try:
        return find_spec("torch") is not None
    except ValueError:  # it was imported in vain before
        return False

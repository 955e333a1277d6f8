"""What a recipe is made of: frozen dataclasses, one to one with the YAML file.

A column is written as its kind with what the kind needs, and what holds for columns of any kind:

    age: {normal: [40, 12], min: 18, max: 90, digits: 0, missing: 0.02}

Here that is `Column(Distribution("normal", (40, 12), min=18, max=90), digits=0, missing=0.02)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import SchemaError

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block, Run

BLOCK: Final = 1 << 15  # rows of a table that are drawn together: so many that Python's own time does not count
MOST: Final = 2**62  # rows of a table
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Where = tuple[str | int, ...]  # the way to a place in the file: ("tables", "orders", "columns", "total")
Number = int | float
Term = int | float | str  # a number, or an expression over the table's columns


class PlacedError(SchemaError):
    """An error of which the place in the file is known."""

    def __init__(self, message: str, where: Where) -> None:
        super().__init__(message)
        self.where = where


@dataclass(frozen=True, slots=True)
class Maker:
    """A column, planned: its type, and how the values of a block are made."""

    dtype: pl.DataType
    make: Callable[[Block], pl.Series]
    of: Callable[[Block, Floats], pl.Series] | None = None  # values from uniforms: `make` is this of the block's own
    at: Callable[[Run, Ints], pl.Series] | None = None  # values from row numbers alone: of keys
    # how many different values there are, where none may stand twice; or a table; or to be found out
    capacity: int | str | Callable[[Run], int] | None = None
    fixed: bool = False  # stays as it is when a row is drawn anew because it breaks a rule
    across: bool = False  # depends on other rows: made when the rows are settled
    typical: float | None = None  # the mean of a count
    ends: tuple[float, float] | None = None  # between which all values lie, where that is known


@dataclass(frozen=True)
class Kind:
    """How the values of a column are made."""

    ABOUT: ClassVar[str]  # a line for the documentation and for editors

    def plan(self, scope: Scope, name: str) -> Maker:
        """Check all that can be checked without drawing. Raises SchemaError."""
        raise NotImplementedError


@dataclass(frozen=True)
class Dirt:
    """Shares of the values that are spoilt, as real data are."""

    typo: float = 0.0  # one letter wrong, missing or twice
    case: float = 0.0  # the case of all letters wrong
    swap: float = 0.0  # two neighbouring letters in the wrong order
    space: float = 0.0  # a blank too much before or after
    outlier: float = 0.0  # numbers: ten to a thousand times as large


@dataclass(frozen=True)
class Column:
    """One column: its kind, and what holds for columns of any kind."""

    kind: Kind
    hidden: bool = False  # can be used by others, is not written
    missing: float | str | None = None  # the share of missing values, or the condition under which a value is missing
    digits: int | None = None  # decimals of numbers; 0 gives whole numbers
    type: str | None = None  # the type that it is written as: int32, float32, str, datetime[ms] ...
    unique: bool = False  # no value twice
    dirt: Dirt | None = None
    about: str = ""  # a remark


@dataclass(frozen=True)
class Correlation:
    """Columns that go together, each with its own distribution: a Gaussian copula."""

    columns: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]  # Spearman's rank correlation of each pair; for two columns [[1, r], [r, 1]]


@dataclass(frozen=True)
class Case:
    """Rows of a special sort: a share of all, in which some columns are made in another way."""

    share: float
    set: Mapping[str, Column]


@dataclass(frozen=True)
class Table:
    """One table: its columns, how many rows it has, and what holds among them."""

    columns: Mapping[str, Column] = field(default_factory=dict)
    rows: int | None = None  # by default what is asked with -n
    per: str | None = None  # the table of which each row has `count` rows here
    count: Column | None = None  # over the columns of that table
    key: str | None = None  # the column that names the row; by default the first of a kind that can
    correlate: tuple[Correlation, ...] = ()
    rules: tuple[Any, ...] = ()  # as in a schema file
    shares: Mapping[str, float] = field(default_factory=dict)  # condition -> share of the rows that meet it
    cases: Mapping[str, Case] = field(default_factory=dict)  # name -> case; a column `case` says which
    edge_cases: float = 0.0  # the share of rows with a value at the edge of what there is; `edge_case` says which
    duplicates: float = 0.0  # the share of rows that are another row once more, but for the key
    learned: str | None = None  # a model file whose columns this table starts with
    locale: str | None = None
    about: str = ""


def listed(values: Any, dtype: pl.DataType, name: str = "") -> pl.Series:
    """An array (n,) as a series of this type, NaN as null."""
    series = pl.Series(name, values, nan_to_null=True)
    return series if series.dtype == dtype else series.cast(dtype)

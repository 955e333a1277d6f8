"""Numbers by their distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import polars as pl

from verosim import files
from verosim.errors import MissingExtraError, SchemaError, did_you_mean
from verosim.expressions import Expression
from verosim.normal import TINY
from verosim.providers.packs import taken
from verosim.recipe.kinds.plain import plain_series, shares_of
from verosim.recipe.nouns import Column, Floats, Kind, Maker, Term, listed
from verosim.recipe.quantiles import FAMILIES, Quantile, truncated
from verosim.recipe.sampling import Parameter, by_name, check_constants, complete, values_of

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block

_MIDPOINTS: Final = (np.arange(2000) + 0.5) / 2000


def from_quantile(quantile: Quantile, name: str, whole: bool = False) -> Maker:
    """A column of one distribution."""
    dtype = pl.Int64() if whole else pl.Float64()

    def of(block: Block, u: Floats) -> pl.Series:
        with np.errstate(all="ignore"):
            return listed(quantile(u), dtype)

    with np.errstate(all="ignore"):
        mean = float(np.mean(quantile(_MIDPOINTS)))
        low, high = quantile(np.array([TINY, 1 - 2.0**-53]))
    return Maker(
        dtype, lambda block: of(block, block.uniform(name)), of=of, typical=mean, ends=(float(low), float(high))
    )


def bounded(quantile: Quantile, low: float | None, high: float | None) -> Quantile:
    if low is not None and high is not None and low > high:
        raise SchemaError(f"`min` {low} is above `max` {high}.")
    with np.errstate(all="ignore"):
        return truncated(quantile, low, high) if low is not None or high is not None else quantile


@dataclass(frozen=True)
class Distribution(Kind):
    """A distribution of FAMILIES; its parameters, and its ends, are numbers or expressions."""

    ABOUT: ClassVar[str] = "numbers of a distribution, cut to [min, max] by its quantiles"
    FROM_UNIFORM: ClassVar[bool] = True

    family: str
    parameters: Term | list[Term] | dict[str, Term] = field(default_factory=list)
    min: Term | None = None
    max: Term | None = None

    def plan(self, scope: Scope, name: str) -> Maker:
        if self.family not in FAMILIES:
            raise SchemaError(f"no distribution {self.family!r}; {did_you_mean(self.family, FAMILIES)}")
        family = FAMILIES[self.family]
        given = [_term(t, scope) for t in self._in_order()]
        low, high = (_term(t, scope) if t is not None else None for t in (self.min, self.max))
        constants = [t for t in given if not isinstance(t, Expression)]
        if len(constants) < len(given) or isinstance(low, Expression) or isinstance(high, Expression):
            return self._by_row(scope, name, given, low, high)
        parameters = [float(p) for p in complete(self.family, constants)]
        check_constants(self.family, parameters)
        quantile = bounded(lambda u: np.asarray(family.quantile(u, *parameters)), low, high)
        return from_quantile(quantile, name, family.whole)

    def _in_order(self) -> list[Term]:
        if isinstance(self.parameters, dict):
            return by_name(self.family, self.parameters)  # type: ignore[arg-type, return-value]
        return list(self.parameters) if isinstance(self.parameters, list | tuple) else [self.parameters]

    def _by_row(self, scope: Scope, name: str, given: list[Any], low: Any, high: Any) -> Maker:
        complete(self.family, [0.0] * len(given))
        family = FAMILIES[self.family]
        if name in scope.planned.correlations and any(isinstance(t, Expression) for t in given[: family.shapes]):
            shapes = ", ".join(family.parameters[: family.shapes])
            raise SchemaError(f"a correlated {self.family} needs plain numbers for {shapes}.")
        dtype = pl.Int64() if family.whole else pl.Float64()
        terms = [*given, low, high]
        across = any(scope.maker(c).across for t in terms if isinstance(t, Expression) for c in t.columns)

        def of(block: Block, u: Floats) -> pl.Series:
            *parameters, least, most = (_numbers(t, block, name, i) for i, t in enumerate(terms))
            values = values_of(self.family, parameters, u, lambda: block.stream(name, "shapes"), least, most)  # type: ignore[arg-type]
            return listed(values, dtype)

        return Maker(dtype, lambda block: of(block, block.uniform(name)), of=of, across=across)


def _term(term: Term, scope: Scope) -> float | Expression:
    if isinstance(term, bool) or not isinstance(term, int | float | str):
        raise SchemaError(f"a number or an expression was wanted, not {term!r}.")
    if not isinstance(term, str):
        return float(term)
    expression = scope.expression(term)
    if not expression.dtype.is_numeric():
        raise SchemaError(f"a number was wanted; {term!r} gives {expression.dtype}.")
    return expression


def _numbers(term: float | Expression | None, block: Block, name: str, place: int) -> Parameter | None:
    if not isinstance(term, Expression):
        return term
    return block.evaluate(term, name, "parameter", place).cast(pl.Float64).fill_null(np.nan).to_numpy()


@dataclass(frozen=True)
class Mixture(Kind):
    ABOUT: ClassVar[str] = "one of several distributions, by weight"
    FROM_UNIFORM: ClassVar[bool] = True

    of: tuple[Column, ...]
    weights: tuple[float, ...] | None = None

    def plan(self, scope: Scope, name: str) -> Maker:
        shares = shares_of(self.weights or (1.0,) * len(self.of))
        if len(shares) != len(self.of):
            raise SchemaError(f"there are {len(self.of)} distributions and {len(shares)} weights.")
        parts = []
        for number, column in enumerate(self.of):
            hidden = f"\0{name}, part {number + 1}"
            scope.hide(hidden, column, name)
            part = scope.maker(hidden)
            if part.of is None or not part.dtype.is_numeric():
                raise SchemaError("a mixture is made of distributions, without decimals, types or gaps of their own.")
            parts.append(part)
        dtype = pl.Int64() if all(p.dtype.is_integer() for p in parts) else pl.Float64()
        starts = np.concatenate([[0.0], np.cumsum(shares)])

        def of(block: Block, u: Floats) -> pl.Series:
            which = np.searchsorted(starts[1:-1], u, side="right")
            inner = np.clip((u - starts[which]) / shares[which], TINY, 1 - 2.0**-53)  # the rest of the same uniform
            made = [p.of(block, inner).cast(pl.Float64).fill_null(np.nan).to_numpy() for p in parts if p.of]
            return listed(
                np.choose(which, made) if len(made) <= 32 else np.stack(made)[which, np.arange(len(u))], dtype
            )

        means = [p.typical for p in parts]
        mean = None if None in means else float(np.dot(shares, np.array(means, dtype=float)))
        return Maker(dtype, lambda block: of(block, block.uniform(name)), of=of, typical=mean)


@dataclass(frozen=True)
class Histogram(Kind):
    ABOUT: ClassVar[str] = "numbers of a histogram: its edges, and the weight between each two"
    FROM_UNIFORM: ClassVar[bool] = True

    edges: tuple[float, ...]
    weights: tuple[float, ...]

    def plan(self, scope: Scope, name: str) -> Maker:
        if len(self.edges) != len(self.weights) + 1 or list(self.edges) != sorted(set(self.edges)):
            raise SchemaError("a histogram has rising edges, and one weight less than edges.")
        ends, edges = np.concatenate([[0.0], np.cumsum(shares_of(self.weights))]), np.array(self.edges, dtype=float)
        return from_quantile(lambda u: np.interp(u, ends, edges), name)


@dataclass(frozen=True)
class Empirical(Kind):
    ABOUT: ClassVar[str] = "values as they come in a list, or in a column of a file; `smooth` fills in between"
    FROM_UNIFORM: ClassVar[bool] = True

    values: list[str | int | float | bool] | str  # or the name of a file
    column: str | None = None
    smooth: bool = False

    def plan(self, scope: Scope, name: str) -> Maker:
        values = self._values(scope.plan.folder)
        if not len(values):
            raise SchemaError("there are no values to draw from.")
        if self.smooth:
            if not values.dtype.is_numeric():
                raise SchemaError("only numbers can be filled in between.")
            ordered = values.cast(pl.Float64).sort().to_numpy()
            shares = np.linspace(0, 1, len(ordered)) if len(ordered) > 1 else np.zeros(1)
            return from_quantile(lambda u: np.interp(u, shares, ordered), name)
        ordered_values = values.sort()

        def of(block: Block, u: Floats) -> pl.Series:
            return taken(ordered_values, np.minimum((u * len(values)).astype(np.int64), len(values) - 1))

        mean = float(values.mean()) if values.dtype.is_numeric() else None  # type: ignore[arg-type]
        return Maker(values.dtype, lambda block: of(block, block.uniform(name)), of=of, typical=mean)

    def _values(self, folder: Path) -> pl.Series:
        if not isinstance(self.values, str):
            return plain_series(self.values)
        frame = next(iter(files.read(folder / self.values).dataset.values()))
        column = self.column or (frame.columns[0] if frame.width == 1 else "")
        if column not in frame.columns:
            raise SchemaError(f"{self.values} has no column {column!r}; {did_you_mean(column, frame.columns)}")
        return frame[column].drop_nulls()


@dataclass(frozen=True)
class Scipy(Kind):
    ABOUT: ClassVar[str] = "any distribution of scipy.stats, by its name and parameters (extra `scipy`)"
    FROM_UNIFORM: ClassVar[bool] = True

    name: str
    parameters: dict[str, float] = field(default_factory=dict)
    min: float | None = None
    max: float | None = None

    def plan(self, scope: Scope, name: str) -> Maker:
        frozen, whole = self._frozen()
        return from_quantile(bounded(lambda u: np.asarray(frozen(u), dtype=float), self.min, self.max), name, whole)

    def _frozen(self) -> tuple[Callable[[Floats], Floats], bool]:
        stats = _stats()
        known = {n for n in dir(stats) if isinstance(getattr(stats, n), stats.rv_continuous | stats.rv_discrete)}
        if self.name not in known:
            raise SchemaError(
                f"scipy.stats has no distribution {self.name!r}; {did_you_mean(self.name, sorted(known))}"
            )
        family = getattr(stats, self.name)
        try:
            frozen = family(**self.parameters)
        except TypeError as error:
            raise SchemaError(f"scipy.stats.{self.name}: {error}.") from error
        if not np.isfinite(frozen.ppf(0.5)):
            raise SchemaError(f"scipy.stats.{self.name} does not allow these parameters: {self.parameters}.")
        return frozen.ppf, isinstance(family, stats.rv_discrete)


def _stats() -> Any:
    from importlib import import_module

    try:
        return import_module("scipy.stats")
    except ImportError as error:
        raise MissingExtraError(
            "distributions of scipy need the extra `scipy`: pip install 'verosim[scipy]'."
        ) from error

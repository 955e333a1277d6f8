"""Values of a distribution whose parameters are numbers, or differ from row to row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from verosim.errors import DataError, SchemaError, did_you_mean
from verosim.recipe.nouns import Floats
from verosim.recipe.quantiles import FAMILIES, Family, truncated

Parameter = float | Floats


def complete(name: str, given: Sequence[Parameter]) -> list[Parameter]:
    """The parameters with the defaults of those left out; SchemaError for a wrong number of them."""
    family = FAMILIES[name]
    missing = len(family.parameters) - len(given)
    if missing < 0 or missing > len(family.defaults):
        raise SchemaError(f"{name} takes {', '.join(family.parameters)}: {len(given)} were given.")
    return [*given, *family.defaults[len(family.defaults) - missing :]]


def by_name(name: str, given: dict[str, Parameter | str]) -> list[Parameter | str]:
    """Parameters given by their names, in order."""
    family = FAMILIES[name]
    for key in given:
        if key not in family.parameters:
            raise SchemaError(f"{name} has no parameter {key!r}; {did_you_mean(key, family.parameters)}")
    defaults: dict[str, Parameter] = dict(
        zip(family.parameters[len(family.parameters) - len(family.defaults) :], family.defaults, strict=True)
    )
    for key in family.parameters:
        if key not in given and key not in defaults:
            raise SchemaError(f"{name}: `{key}` is missing.")
    return [given.get(key, defaults.get(key, 0.0)) for key in family.parameters]


def check_constants(name: str, parameters: Sequence[float]) -> None:
    """SchemaError where these parameters are not allowed."""
    family = FAMILIES[name]
    with np.errstate(invalid="ignore"):
        if not np.isfinite(parameters).all() or not family.check(*parameters):
            shown = ", ".join(f"{k} = {v:g}" for k, v in zip(family.parameters, parameters, strict=True))
            raise SchemaError(f"{name} needs {family.wanted}; given are {shown}.")


def values_of(
    name: str,
    given: Sequence[Parameter],
    u: Floats,
    generator: Callable[[], np.random.Generator],
    low: Parameter | None = None,
    high: Parameter | None = None,
) -> Floats:
    """Values (n,) at uniforms u (n,), NaN where a parameter is. generator: draws where the shape differs by row."""
    if name == "random":
        return u
    if name == "noise":
        name, given = "normal", [0.0, *given]
    family, parameters = FAMILIES[name], complete(name, given)
    known = _checked(name, family, parameters, len(u))
    with np.errstate(all="ignore"):
        if any(isinstance(p, np.ndarray) for p in parameters[: family.shapes]):
            out = _drawn(name, family, parameters, generator(), known, low, high)
        else:
            quantile = lambda v: np.asarray(family.quantile(v, *parameters))  # noqa: E731
            bounded = low is not None or high is not None
            out = (truncated(quantile, low, high, len(u)) if bounded else quantile)(u)
    return out if known is None else np.where(known, out, np.nan)


def _checked(name: str, family: Family, parameters: list[Parameter], n: int) -> np.ndarray | None:
    """Where all parameters are known (n,), None for everywhere; DataError where they are not allowed."""
    arrays = [p for p in parameters if isinstance(p, np.ndarray)]
    if not arrays:
        check_constants(name, [float(p) for p in parameters])
        return None
    known = np.all([np.isfinite(a) for a in arrays], axis=0)
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(known & ~np.broadcast_to(family.check(*parameters), n))
    if len(bad):
        at = int(bad[0])
        shown = ", ".join(
            f"{k} = {np.broadcast_to(v, n)[at]:g}" for k, v in zip(family.parameters, parameters, strict=True)
        )
        raise DataError(f"{name} needs {family.wanted}; this row has {shown}.", row=at, fix="Correct the expression.")
    return None if known.all() else known


def _drawn(
    name: str,
    family: Family,
    parameters: list[Parameter],
    rng: np.random.Generator,
    known: np.ndarray | None,
    low: Parameter | None,
    high: Parameter | None,
) -> Floats:
    if low is not None or high is not None:
        shapes = ", ".join(family.parameters[: family.shapes])
        raise SchemaError(f"`min` and `max` of {name} need plain numbers for {shapes}.")
    if family.draw is None:
        raise SchemaError(f"{name} needs plain numbers for {', '.join(family.parameters[: family.shapes])}.")
    n = next(len(p) for p in parameters if isinstance(p, np.ndarray))
    arrays = [np.broadcast_to(np.asarray(p, dtype=float), n) for p in parameters]
    return family.draw(
        rng, *(a if known is None else np.where(known, a, a[known][0] if known.any() else 1.0) for a in arrays)
    )

"""Conditions that exclude each other, so that all of them together never hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from verosim.patients.conditions import NILS

Spec = Mapping[str, Any]


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def contradictions(conditions: Sequence[object]) -> Iterator[str]:
    """What cannot be, of the conditions of an And: of two genders, of ages, of years, of an attribute's values.

    >>> list(contradictions([{"condition_type": "Gender", "gender": g} for g in "FM"]))
    ['two genders at once']
    """
    parts = [(_kind(spec), spec) for spec in conditions if isinstance(spec, Mapping)]
    if len({spec.get("gender") for kind, spec in parts if kind == "gender"}) > 1:
        yield "two genders at once"
    ages = [(s.get("operator"), s["quantity"]) for kind, s in parts
            if kind == "age" and s.get("unit", "years") == "years" and is_number(s.get("quantity"))]  # fmt: skip
    years = [(s.get("operator"), s["year"]) for kind, s in parts if kind == "date" and is_number(s.get("year"))]
    for what, limits in (("age", ages), ("year", years)):
        if _is_empty(limits):
            yield f"{what} {' and '.join(f'{operator} {value:g}' for operator, value in limits)}"
    yield from _unequal(spec for kind, spec in parts if kind == "attribute")


def _kind(spec: Spec) -> str:
    return str(spec.get("condition_type", "")).replace(" ", "").lower()


def _unequal(attributes: Iterator[Spec]) -> Iterator[str]:
    """Attributes that would have to be two things at once."""
    by_name: dict[str, list[tuple[str, Any]]] = {}
    for spec in attributes:
        if spec.get("operator") in ("==", *NILS) and not isinstance(spec.get("value"), Mapping):
            by_name.setdefault(str(spec.get("attribute")), []).append((spec["operator"], spec.get("value")))
    for name, tests in by_name.items():
        values = {repr(value) for operator, value in tests if operator == "=="}
        if len(values) > 1 or (("is nil", None) in tests and len({operator for operator, _ in tests}) > 1):
            yield f"{name!r} {' and '.join(op if op in NILS else f'{op} {value!r}' for op, value in tests)}"


def _is_empty(limits: Sequence[tuple[object, float]]) -> bool:
    """Whether no whole number fits all of (operator, value)."""
    above = (math.floor(v) + 1 if op == ">" else math.ceil(v) for op, v in limits if op in (">", ">=", "=="))
    below = (math.ceil(v) - 1 if op == "<" else math.floor(v) for op, v in limits if op in ("<", "<=", "=="))
    low, high = max(above, default=None), min(below, default=None)
    return low is not None and high is not None and low > high

"""What a measure says, and a report of several: plain frozen values, JSON first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from verosim.errors import ArgumentError, did_you_mean
from verosim.files.disk import atomic

VERSION: Final = 1

WITHIN_NOISE: Final = "within noise of real"
SURE: Final = 3.0  # standard errors above the floor before a verdict is given: about one false alarm in 700


@dataclass(frozen=True, slots=True)
class Measure:
    """One number beside what real rows get against real rows."""

    name: str
    value: float | None  # None: it could not be measured, and the verdict says why
    error: float | None  # one standard error of the value, were the synthetic rows real ones
    floor: float | None  # the same number of real rows against real rows, at the same sample sizes
    direction: Literal["lower", "floor"]  # what is better: the lower, or the nearer to the floor
    verdict: str
    unit: Literal["", "%"] = ""

    def absent(self, reason: str) -> Measure:
        """The same measure, not taken for this reason."""
        return replace(self, value=None, error=None, floor=None, verdict=f"not measured: {reason}")


@dataclass(frozen=True, slots=True)
class Report:
    """How near the synthetic rows of one table come to real ones, and whether they copy them."""

    table: str
    rows: Mapping[str, int]  # train, holdout, synthetic: as handed in, before any sampling
    seed: int
    measures: tuple[Measure, ...]
    columns: Mapping[str, float]  # shape error of each compared column, in %
    worst_column: tuple[str, float] | None  # and its shape error, in %
    worst_pair: tuple[str, str, float] | None  # and its trend error, in %
    notes: tuple[str, ...]  # what was left out, sampled, or weak

    def __getitem__(self, name: str) -> Measure:
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise ArgumentError(f"no measure {name!r}; {did_you_mean(name, [m.name for m in self.measures])}")

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars; the error of every measure is one standard error."""
        return {
            "verosim": f"report {VERSION}",
            "table": self.table,
            "rows": dict(self.rows),
            "seed": self.seed,
            "measures": {m.name: {k: v for k, v in asdict(m).items() if k != "name"} for m in self.measures},
            "columns": dict(self.columns),
            "worst_column": list(self.worst_column) if self.worst_column else None,
            "worst_pair": list(self.worst_pair) if self.worst_pair else None,
            "notes": list(self.notes),
        }

    def save(self, path: str | Path) -> None:
        """Write as JSON: whole, or not at all. Raises FileError."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        with atomic(path) as out:
            out.write(text.encode("utf-8"))

    def summary(self) -> str:
        """A few plain lines for a person: each measure beside its floor, the worst places, the notes."""
        rows = "synthetic {synthetic:,}, train {train:,}, hold-out {holdout:,}".format(**self.rows)
        lines = [f"{self.table}: {rows} rows", *map(_line, self.measures)]
        if self.worst_column:
            lines.append("  worst column: {} ({:.3g} %)".format(*self.worst_column))
        if self.worst_pair:
            lines.append("  worst pair: {} x {} ({:.3g} %)".format(*self.worst_pair))
        return "\n".join([*lines, *(f"  note: {n}" for n in self.notes)])


def _line(measure: Measure) -> str:
    digits = 2 if measure.unit == "%" else 3
    value, error, floor = (
        "-" if x is None else f"{x:.{digits}f}" for x in (measure.value, measure.error, measure.floor)
    )
    unit = f" {measure.unit}" if measure.unit else ""
    return f"  {measure.name:<11} {value:>7}{unit:<2} +- {error:<6} real {floor:>6}{unit:<2}  {measure.verdict}"

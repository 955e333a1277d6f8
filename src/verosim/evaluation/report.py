"""What a measure says, and a report of many: plain frozen values, JSON first. docs/report.md describes the JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl

from verosim.errors import ArgumentError, FileError, did_you_mean
from verosim.files.disk import atomic

if TYPE_CHECKING:
    from rich.console import RenderableType

VERSION: Final = 2

WITHIN_NOISE: Final = "within noise of real"
SURE: Final = 3.0  # standard errors above the floor before a verdict is given: about one false alarm in 700

Section = Literal["fidelity", "usefulness", "privacy"]
Grade = Literal["noise", "near", "far", "none"]  # within noise of real; sure but small; large; not judged


@dataclass(frozen=True, slots=True)
class Measure:
    """One number beside what real rows get against real rows."""

    name: str
    direction: Literal["lower", "higher", "floor"]  # what is better: lower, higher, or nearer to the floor
    unit: Literal["", "%"] = ""
    section: Section = "fidelity"
    of: tuple[str, ...] = ()  # the columns or the attack that it is of; empty: of the whole table
    about: str = ""  # a few words: what is measured
    value: float | None = None  # None: it could not be measured, and the verdict says why
    error: float | None = None  # one standard error of the value, were the synthetic rows real ones
    floor: float | None = None  # the same number of real rows against real rows, at the same sample sizes
    interval: tuple[float, float] | None = None  # 95 %, where it is not the value and 1.96 errors to both sides
    verdict: str = "not measured"  # plain words: "within noise of real", or what is wrong and where
    grade: Grade = "none"

    def absent(self, reason: str) -> Measure:
        """The same measure, not taken for this reason."""
        return replace(self, verdict=f"not measured: {reason}")

    def found(
        self,
        value: float,
        error: float | None,
        floor: float | None,
        verdict: str,
        grade: Grade | None = None,
        interval: tuple[float, float] | None = None,
    ) -> Measure:
        """The same measure, taken. grade: by default noise where the verdict says so, else far."""
        grade = grade or ("noise" if verdict == WITHIN_NOISE else "far")
        return replace(self, value=value, error=error, floor=floor, verdict=verdict, grade=grade, interval=interval)

    @property
    def label(self) -> str:
        """`name`, or `name of this x that`."""
        return f"{self.name} of {' x '.join(self.of)}" if self.of else self.name


@dataclass(frozen=True, slots=True)
class Findings:
    """What one part of the evaluation found. details: what its pictures are drawn from, plain JSON values by name."""

    measures: tuple[Measure, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableReport:
    """How near the synthetic rows of one table come to real ones, what they are worth, and whom they endanger."""

    table: str
    rows: Mapping[str, int]  # train, holdout, synthetic: as handed in, before any sampling
    seed: int
    measures: tuple[Measure, ...]
    details: Mapping[str, Any]  # of every part: docs/report.md
    notes: tuple[str, ...]  # what was left out, sampled, or weak

    def __getitem__(self, label: str) -> Measure:
        """The measure of this name, or of this label where it is of a column: `report["mean of age"]`."""
        for measure in self.measures:
            if measure.label == label:
                return measure
        raise ArgumentError(f"no measure {label!r}; {did_you_mean(label, [m.label for m in self.measures])}")

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars; the error of every measure is one standard error."""
        return {
            "table": self.table,
            "rows": dict(self.rows),
            "seed": self.seed,
            "measures": {m.label: _plain(m) for m in self.measures},
            "details": dict(self.details),
            "notes": list(self.notes),
        }

    def summary(self) -> str:
        """Plain lines for a person: each section in words, its measures beside their floors, worst places, notes."""
        from verosim.evaluation import terminal

        return terminal.plain(self)

    def __rich__(self) -> RenderableType:
        """The same on a console, in colour: `rich.print(table_report)`."""
        from verosim.evaluation import terminal

        return terminal.shown(self)


@dataclass(frozen=True, slots=True)
class Report:
    """The tables of a dataset, each with its findings, and what was found between them."""

    tables: Mapping[str, TableReport]
    relations: tuple[Measure, ...] = ()  # measures across tables
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)  # of what lies between tables: docs/report.md

    def __getitem__(self, label: str) -> Measure:
        """A measure of the only table, `report["orders: shape"]` of one of several, or one across tables."""
        for relation in self.relations:
            if relation.label == label:
                return relation
        table, colon, measure = label.partition(": ")
        if colon and table in self.tables:
            return self.tables[table][measure]
        if len(self.tables) != 1:
            labels = ", ".join(f"{name}: {label}" for name in self.tables)
            raise ArgumentError(f"{label!r}: say of which table: {labels}.")
        return next(iter(self.tables.values()))[label]

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars: what `save` writes."""
        return {
            "verosim": f"report {VERSION}",
            "tables": {name: table.to_dict() for name, table in self.tables.items()},
            "relations": {m.label: _plain(m) for m in self.relations},
            "details": dict(self.details),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Report:
        """What `to_dict` gave, or a saved report holds. Raises FileError for what is no report of this version."""
        if content.get("verosim") != f"report {VERSION}":
            raise FileError(f"a report of version {VERSION} was wanted, not {content.get('verosim')!r}.")
        try:
            tables = {name: _table(table) for name, table in content["tables"].items()}
            relations = tuple(map(_measure, content["relations"].values()))
            return cls(tables, relations, tuple(content["notes"]), dict(content.get("details", {})))
        except (KeyError, TypeError, AttributeError) as error:
            raise FileError(f"a damaged report: {error}.") from error

    def bare(self) -> Report:
        """The measures alone, without what pictures are drawn from: what a model file keeps."""
        return replace(
            self, tables={name: replace(table, details={}) for name, table in self.tables.items()}, details={}
        )

    def to_frame(self) -> pl.DataFrame:
        """Every measure as a row: table, section, measure, of, value, error, low, high, floor, direction, verdict."""
        rows = [_row(name, m) for name, table in self.tables.items() for m in table.measures]
        return pl.DataFrame([*rows, *(_row("", m) for m in self.relations)], schema=COLUMNS)

    def summary(self) -> str:
        """Plain lines for a person: each table in sections, and notes."""
        from verosim.evaluation import terminal

        return terminal.plain(self)

    def __rich__(self) -> RenderableType:
        """The same on a console, in colour: `rich.print(report)`."""
        from verosim.evaluation import terminal

        return terminal.shown(self)

    def page(self) -> str:
        """One HTML page that stands alone: nothing is loaded, under 3 MB; the numbers lie in it as JSON."""
        from verosim.evaluation import page

        return page.page(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from verosim.evaluation import page

        return page.notebook(self)

    def save(self, path: str | Path) -> None:
        """Write as a page (.html, .htm), or else as JSON: whole, or not at all. Raises FileError."""
        as_page = Path(path).suffix.lower() in (".html", ".htm")
        text = (
            self.page() if as_page else json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        )
        with atomic(path) as out:
            out.write(text.encode("utf-8"))


COLUMNS: Final = {
    "table": pl.String, "section": pl.String, "measure": pl.String, "of": pl.String, "value": pl.Float64,
    "error": pl.Float64, "low": pl.Float64, "high": pl.Float64, "floor": pl.Float64, "unit": pl.String,
    "direction": pl.String, "grade": pl.String, "verdict": pl.String,
}  # fmt: skip


def _plain(measure: Measure) -> dict[str, Any]:
    return {**asdict(measure), "of": list(measure.of), "interval": list(measure.interval) if measure.interval else None}


def _measure(content: Mapping[str, Any]) -> Measure:
    interval = content["interval"]
    return Measure(**{**content, "of": tuple(content["of"]), "interval": tuple(interval) if interval else None})


def _table(content: Mapping[str, Any]) -> TableReport:
    measures, notes = tuple(map(_measure, content["measures"].values())), tuple(content["notes"])
    return TableReport(content["table"], content["rows"], content["seed"], measures, content["details"], notes)


def _row(table: str, m: Measure) -> dict[str, Any]:
    low, high = m.interval or (None, None)
    return {
        "table": table, "section": m.section, "measure": m.name, "of": " x ".join(m.of), "value": m.value,
        "error": m.error, "low": low, "high": high, "floor": m.floor, "unit": m.unit, "direction": m.direction,
        "grade": m.grade, "verdict": m.verdict,
    }  # fmt: skip

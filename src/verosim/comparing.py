"""Which engine for these data? Each learns the same rows within its share of the time, and is measured in the same way.

print(compare("adult.csv", models=["chain", "network", "gan"], minutes=10).summary())
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import polars as pl
from rich.markup import escape
from rich.table import Table as Grid

from verosim.errors import ArgumentError, DataError, VerosimError
from verosim.evaluation import Case, Measure, measure
from verosim.evaluation.targets import score, target_of
from verosim.evaluation.words import Z95
from verosim.files.disk import atomic
from verosim.models import MODELS, Progress, has_torch, model_class, options_of, silent
from verosim.pages import render
from verosim.pages.strips import Line, Mark, span, strip
from verosim.run import SEED, described, open_data
from verosim.schema import Schema, Table
from verosim.synthesizer import Synthesizer, split
from verosim.table_model import Options, whole

MEASURED: Final = 20_000  # synthetic rows that are measured, at most
SHOWN: Final = ("shape", "trend", "auc_unseen", "dcr", "copies")  # of the first measure
LIGHT: Final = ("independent", "copula", "chain")  # engines that need no PyTorch
PRIVATE: Final = ("dcr", "copies")  # measures of copying: an engine that fails one is not recommended


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one engine came to; `failed` says why it has no measures."""

    model: str
    measures: Mapping[str, Measure]
    useful: float | None = None  # on unseen real rows, learned from synthetic ones
    fit_seconds: float = 0.0
    rows_a_second: float = 0.0
    how: str = ""  # how its training went
    failed: str = ""

    @property
    def copies(self) -> str:
        """The measure that says it copies; empty where none does."""
        return next((n for n in PRIVATE if (m := self.measures.get(n)) and _beyond(m)), "")


def _beyond(m: Measure) -> bool:
    """Whether a measure lies above its floor by more than three standard errors."""
    return m.value is not None and m.floor is not None and m.value - m.floor > 3 * (m.error or 0.0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Engines side by side, on one table."""

    table: str
    rows: int
    target: str | None
    metric: str  # what `useful` is: auc or R2
    real: float | None  # the same, learned from real rows
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate | None:
        """Of those that copy nobody, the one told least from unseen real rows; of equals the quickest."""
        honest = [c for c in self.candidates if not c.failed and not c.copies and _detected(c) is not None]
        if not honest:
            return None
        nearest = min(honest, key=lambda c: _detected(c) or 0.0)
        error = nearest.measures["auc_unseen"].error or 0.0
        level = (_detected(nearest) or 0.0) + error
        return min((c for c in honest if (_detected(c) or 0.0) <= level), key=lambda c: c.fit_seconds)

    def advice(self) -> str:
        """One sentence: what to take, and why."""
        best = self.best
        if best is None:
            return "no engine is recommended: each failed, or its rows come too near to real ones."
        auc = best.measures["auc_unseen"]
        told = f"told from unseen real rows with an AUC of {auc.value:.3f} (real from real {auc.floor or 0.5:.3f})"
        return f"take {best.model!r}: {told}, learned in {best.fit_seconds:.0f} s; none is better by more than chance."

    def grid(self) -> Grid:
        """The table, to be printed."""
        grid = Grid(box=None, header_style="bold", title=f"{self.table}: {self.rows:,} rows", title_justify="left")
        useful = f"{self.metric} {self.target}" if self.target else "useful"
        for name in ("engine", "shape %", "trend %", "auc_unseen", "dcr", "copies %", useful, "fit s", "rows/s"):
            grid.add_column(
                name, justify="left" if name == "engine" else "right", no_wrap=name in ("engine", "auc_unseen")
            )
        for c in self.candidates:
            if c.failed:
                grid.add_row(c.model, f"[red]{escape(c.failed)}[/red]")
                continue
            cells = [_cell(c.measures[name]) for name in SHOWN]
            useful_cell = "-" if c.useful is None else f"{c.useful:.3f}"
            star = f"{c.model} *" if c is self.best else c.model
            grid.add_row(star, *cells, useful_cell, f"{c.fit_seconds:.1f}", f"{c.rows_a_second:,.0f}")
        floors = next((c.measures for c in self.candidates if not c.failed), {})
        real = ["-" if not floors or floors[n].floor is None else f"{floors[n].floor:.3g}" for n in SHOWN]
        grid.add_row("real rows", *real, "-" if self.real is None else f"{self.real:.3f}", "", "", style="dim")
        return grid

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "advice": self.advice()}

    def save(self, path: str | Path) -> None:
        """Write as a page (.html) or as JSON; whole, or not at all."""
        page = Path(path).suffix.lower() in (".html", ".htm")
        text = self.page() if page else json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        with atomic(path) as out:
            out.write(text.encode("utf-8"))

    def page(self) -> str:
        """A page of its own: nothing is loaded."""
        return render(
            "engines.html", "verosim",
            title=f"Engines for {self.table}", rows=self.rows, advice=self.advice(), plots=_plots(self),
            failed=[c for c in self.candidates if c.failed], trained=[c for c in self.candidates if c.how],
        )  # fmt: skip


def _detected(c: Candidate) -> float | None:
    m = c.measures.get("auc_unseen")
    return None if m is None else m.value


def _cell(m: Measure) -> str:
    if m.value is None:
        return "-"
    digits = 2 if m.unit == "%" else 3
    return f"{m.value:.{digits}f}" if m.error is None else f"{m.value:.{digits}f} ±{m.error:.{digits}f}"


# ------------------------------------------------------------------------------------------------- comparing


def compare(
    data: Any,
    models: Sequence[str] | None = None,
    *,
    minutes: float = 10.0,
    target: str | None = None,
    schema: Schema | str | Path | None = None,
    seed: int = SEED,
    k: int = 5,
    unit: str | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Train engines on one table within `minutes` of wall-clock time in all, and measure them.

    models: by default all that can run here. target: the column that is predicted to see how useful the rows are; by
    default the last one of few classes, or else the last number. Networks stop in time; an engine that fails is shown
    with its reason.
    """
    names = list(dict.fromkeys(models or (MODELS if has_torch() else LIGHT)))
    for name in names:
        if name not in MODELS:
            model_class(name)  # an engine of another package, or an error with a hint
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes < 1e6:
        raise ArgumentError(f"minutes: a number above 0 was wanted, not {minutes!r}.")
    whole("seed", seed, 0)
    opened = open_data(data)
    if len(opened.dataset) != 1:
        raise DataError(f"one table was wanted, not {len(opened.dataset)}.", fix="Compare the tables one by one.")
    found = described(opened, schema)
    ((name, frame),) = opened.dataset.items()
    train, held = (part[name] for part in split(opened.dataset, Options(model="chain", k=k, unit=unit), seed))
    usefulness = _Usefulness(found[name], train, held, target)
    candidates, end = [], time.monotonic() + 60 * minutes
    for i, model in enumerate(names):

        def show(share: float, what: str, i: int = i, model: str = model) -> None:
            progress((i + share) / len(names), f"{model}: {what}")

        left = max(end - time.monotonic(), 0.05) / 60 / (len(names) - i)
        options = Options(model=model, settings=_within(model, left), k=k, unit=unit)
        candidates.append(_candidate(opened.dataset, found, options, (train, held), seed, usefulness, show))
    return Comparison(name, frame.height, usefulness.target, usefulness.metric, usefulness.real, tuple(candidates))


def _candidate(
    dataset: Mapping[str, pl.DataFrame], schema: Schema, options: Options, parts: tuple[pl.DataFrame, pl.DataFrame],
    seed: int, usefulness: _Usefulness, progress: Progress,
) -> Candidate:  # fmt: skip
    (name,), (train, held) = dataset, parts
    began = time.monotonic()
    try:
        synthesizer = Synthesizer(options).fit(dataset, schema, seed, progress)
        fitted = time.monotonic()
        drawn = pl.concat(synthesizer.blocks(name, min(train.height, MEASURED)))
        sampled = time.monotonic()
        case = Case.of(train, held, drawn, schema[name], seed=seed)
        report, useful = measure(case), usefulness.of(case)
    except VerosimError as error:
        return Candidate(options.model, {}, failed=str(error))
    model = getattr(synthesizer.tables_.get(name), "model", None)
    return Candidate(
        options.model, {m.name: m for m in report.measures}, useful, fitted - began,
        drawn.height / max(sampled - fitted, 1e-9), str(getattr(model, "history_", "")),
    )  # fmt: skip


class _Usefulness:
    """How well the target of unseen real rows is predicted by what is learned from other rows."""

    def __init__(self, table: Table, train: pl.DataFrame, unseen: pl.DataFrame, wanted: str | None) -> None:
        self.table, self.metric, self.real = table, "", None
        self.target = target_of(table, train, wanted)
        if not unseen.height:
            return
        try:
            self.real = self.of(Case.of(train, unseen, train, table))
        except ArgumentError:
            if wanted is not None:
                raise
            self.target = None  # a guess, which these rows do not allow

    def of(self, case: Case) -> float | None:
        """What is reached by learning from the synthetic rows of a case."""
        c = case.arrays
        if self.target is None or not len(c.holdout) or not len(c.synthetic):
            return None
        self.metric, value = next(iter(score(c, self.table, self.target, c.synthetic, c.holdout).items()))
        return float(value)


def _within(model: str, minutes: float) -> dict[str, Any]:
    """Settings that end the training in time, for an engine that has them."""
    options = options_of(model)
    return {"max_minutes": minutes} if options and "max_minutes" in {f.name for f in fields(options)} else {}


# ------------------------------------------------------------------------------------------------- the page

_SAY: Final = {
    "shape": "distance of single columns, in %: lower is better; dashed: of real rows",
    "trend": "distance of pairs of columns, in %: lower is better; dashed: of real rows",
    "auc_unseen": "a detector against unseen real rows: 0.5 cannot tell; dashed: of real rows",
    "dcr": "share of rows nearer to learned than to unseen rows: the dashed line is ideal, above is copying",
    "copies": "rows equal to a learned row, in %: above the dashed line is copying",
}


@dataclass(frozen=True, slots=True)
class _Plot:
    """One number of all engines, each beside what real rows get."""

    name: str
    about: str
    lines: list[Line]


def _plots(c: Comparison) -> list[_Plot]:
    """Each of the shown measures, usefulness and cost: those that some engine has."""
    there = [x for x in c.candidates if not x.failed]
    plots = [_measured(name, there) for name in SHOWN]
    if c.target:
        about = f"{c.metric} on unseen real rows, predicting {c.target}; dashed: learned from real rows"
        plots.append(_plot("usefulness", about, [(x.model, x.useful, None) for x in there], c.real))
    plots.append(_plot("cost", "seconds to learn", [(x.model, x.fit_seconds, None) for x in there], None))
    return [plot for plot in plots if plot.lines]


def _measured(name: str, candidates: Sequence[Candidate]) -> _Plot:
    found = [(x.model, x.measures[name]) for x in candidates]
    floor = next((m.floor for _, m in found if m.floor is not None), None)
    return _plot(name, _SAY[name], [(model, m.value, m.error) for model, m in found], floor)


def _plot(name: str, about: str, found: Sequence[tuple[str, float | None, float | None]], floor: float | None) -> _Plot:
    """Each engine's value with its error, where it has them; whiskers are 95 % intervals."""
    marks = {
        model: (f"{value:.4g} ± {error:.2g}" if error else f"{value:.4g}", _mark(value, error or 0.0))
        for model, value, error in found
        if value is not None
    }
    ends = span([floor, *(x for _, mark in marks.values() for x in (mark.low, mark.high))])
    return _Plot(
        name, about, [Line(model, (said,), strip([mark], ends, floor)) for model, (said, mark) in marks.items()]
    )


def _mark(value: float, error: float) -> Mark:
    return Mark(value, value - Z95 * error, value + Z95 * error)

"""Which engine for these data? Each learns the same rows within its share of the time, and is measured in the same way.

print(compare("adult.csv", models=["chain", "network", "gan"], minutes=10).summary())
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from html import escape
from pathlib import Path
from typing import Any, Final

import polars as pl
from rich.table import Table as Grid

from verosim.errors import ArgumentError, DataError, VerosimError, did_you_mean
from verosim.evaluation import Case, Measure, measure
from verosim.evaluation.gain import Judged
from verosim.files.disk import atomic
from verosim.models import MODELS, Progress, has_torch, model_class, options_of, silent
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
    metric: str  # what `useful` is: auc, balanced_accuracy or r2
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
        """A page of its own: no script, nothing loaded."""
        plots = "".join(_plot(name, self.candidates) for name in SHOWN)
        failed = "".join(f"<li>{escape(c.model)}: {escape(c.failed)}</li>" for c in self.candidates if c.failed)
        trained = "".join(f"<li>{escape(c.model)}: {escape(c.how)}</li>" for c in self.candidates if c.how)
        useful = _useful_plot(self) if self.target else ""
        return _PAGE.format(
            title=escape(f"Engines for {self.table}"), rows=f"{self.rows:,}", advice=escape(self.advice()),
            plots=plots + useful + _cost_plot(self.candidates), failed=f"<ul>{failed}</ul>" if failed else "",
            trained=f"<ul>{trained}</ul>" if trained else "",
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
    default the last one that has few values. Networks stop in time; an engine that fails is shown with its reason.
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
    chosen = _target(found[name], train, target)
    judged = Judged(train, found[name], chosen, seed) if chosen and held.height else None
    usefulness = _Usefulness(judged, held)
    candidates, end = [], time.monotonic() + 60 * minutes
    for i, model in enumerate(names):

        def show(share: float, what: str, i: int = i, model: str = model) -> None:
            progress((i + share) / len(names), f"{model}: {what}")

        left = max(end - time.monotonic(), 0.05) / 60 / (len(names) - i)
        options = Options(model=model, settings=_within(model, left), k=k, unit=unit)
        candidates.append(_candidate(opened.dataset, found, options, (train, held), seed, usefulness, show))
    return Comparison(name, frame.height, chosen, usefulness.metric, usefulness.of(train), tuple(candidates))


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
        report = measure(Case.of(train, held, drawn, schema[name], seed=seed))
    except VerosimError as error:
        return Candidate(options.model, {}, failed=str(error))
    model = synthesizer.tables_[name].model
    return Candidate(
        options.model, {m.name: m for m in report.measures}, usefulness.of(drawn), fitted - began,
        drawn.height / max(sampled - fitted, 1e-9), str(getattr(model, "history_", "")),
    )  # fmt: skip


class _Usefulness:
    """How well the target of unseen real rows is predicted by what is learned from other rows."""

    def __init__(self, judged: Judged | None, unseen: pl.DataFrame) -> None:
        self.judged, self.unseen, self.metric = judged, unseen, ""

    def of(self, rows: pl.DataFrame) -> float | None:
        if self.judged is None or not rows.height:
            return None
        self.metric, value = next(iter(self.judged.measures(rows, self.unseen).items()))
        return float(value)


def _target(table: Table, train: pl.DataFrame, wanted: str | None) -> str | None:
    """The column to predict."""
    if wanted is not None and wanted not in table.names:
        raise ArgumentError(f"target: no column {wanted!r}; {did_you_mean(wanted, table.names)}")
    if wanted is not None:
        return wanted
    few = [c.name for c in table.columns if c.kind in ("category", "boolean") and 2 <= train[c.name].n_unique() <= 10]
    return few[-1] if few else None


def _within(model: str, minutes: float) -> dict[str, Any]:
    """Settings that end the training in time, for an engine that has them."""
    options = options_of(model)
    return {"max_minutes": minutes} if options and "max_minutes" in {f.name for f in fields(options)} else {}


# ------------------------------------------------------------------------------------------------- the page

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733 }}
h1 {{ font-size: 1.6rem; margin-bottom: 0 }} .advice {{ font-size: 1.15rem; background: #eef5f0; padding: .8rem 1rem;
border-left: 4px solid #2b7a4b }} section {{ display: inline-block; width: 28rem; max-width: 100%;
vertical-align: top }} h2 {{ font-size: 1rem; margin: 1.2rem 0 0 }} svg {{ width: 100%; height: auto }}
.say {{ color: #5b6b7a; font-size: .85rem }}
text {{ font: 12px system-ui, sans-serif; fill: #1c2733 }} .dim {{ fill: #5b6b7a }}
</style></head><body><h1>{title}</h1><p>{rows} rows</p><p class="advice">{advice}</p>{plots}{failed}
<h2>How the training went</h2>{trained}</body></html>
"""
_SAY: Final = {
    "shape": "distance of single columns, in %: lower is better",
    "trend": "distance of pairs of columns, in %: lower is better",
    "auc_unseen": "a detector against unseen real rows: 0.5 cannot tell",
    "dcr": "share of rows nearer to learned than to unseen rows: the dashed line is ideal, above is copying",
    "copies": "rows equal to a learned row, in %: above the dashed line is copying",
}
_LEFT, _WIDTH, _LINE = 90, 420, 22  # of a plot, in its own units


def _plot(name: str, candidates: Sequence[Candidate]) -> str:
    rows = [(c.model, c.measures[name]) for c in candidates if not c.failed and c.measures[name].value is not None]
    if not rows:
        return ""
    bars = [(model, m.value or 0.0, m.error or 0.0) for model, m in rows]
    return _dots(name, _SAY[name], bars, next((m.floor for _, m in rows if m.floor is not None), None))


def _useful_plot(c: Comparison) -> str:
    bars = [(x.model, x.useful, 0.0) for x in c.candidates if x.useful is not None]
    say = f"{c.metric} on unseen real rows, predicting {c.target}; dashed: learned from real rows"
    return _dots("usefulness", say, bars, c.real) if bars else ""


def _cost_plot(candidates: Sequence[Candidate]) -> str:
    bars = [(c.model, c.fit_seconds, 0.0) for c in candidates if not c.failed]
    return _dots("cost", "seconds to learn", bars, None) if bars else ""


def _dots(title: str, say: str, bars: Sequence[tuple[str, float, float]], floor: float | None) -> str:
    """A dot a model with its error, and a dashed line at the floor."""
    ends = [x for _, value, error in bars for x in (value - error, value + error)]
    ends += [] if floor is None else [floor]
    low, high = min(ends), max(ends)
    room = (high - low or abs(high) or 1.0) * 0.08
    low, high = low - room, high + room

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - 60)

    height, parts = _LINE * len(bars) + 10, []
    if floor is not None:
        at = f'x1="{x(floor):.1f}" x2="{x(floor):.1f}" y1="0" y2="{height}"'
        parts.append(f'<line {at} stroke="#5b6b7a" stroke-dasharray="4 3"/>')
    for i, (model, value, error) in enumerate(bars):
        y = _LINE * (i + 0.7)
        parts.append(f'<text x="0" y="{y + 4:.0f}">{escape(model)}</text>')
        at = f'x1="{x(value - error):.1f}" x2="{x(value + error):.1f}" y1="{y:.0f}" y2="{y:.0f}"'
        parts.append(f'<line {at} stroke="#2b5d8a"/>')
        parts.append(f'<circle cx="{x(value):.1f}" cy="{y:.0f}" r="4.5" fill="#2b5d8a"/>')
        parts.append(f'<text class="dim" x="{_WIDTH - 50}" y="{y + 4:.0f}">{value:.4g}</text>')
    svg = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    return f'<section><h2>{escape(title)}</h2><div class="say">{escape(say)}</div>{svg}</section>'

"""A report on the terminal: how each section of each table stands, and its measures beside what real rows get."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from verosim.evaluation.report import Grade, Measure, Report, TableReport
from verosim.evaluation.words import SECTIONS, number, severity, standing, uncertainty

WIDTH: Final = 100  # of a summary as plain text
SINGLE: Final = 5  # measures of single columns that are shown, of those that stand out
STYLES: Final[dict[Grade, tuple[str, str]]] = {  # a sign, for those who do not see the colour
    "noise": ("=", "green"), "near": ("~", "yellow"), "far": ("!", "bold red"), "none": ("-", "dim"),
}  # fmt: skip


FEW: Final = 4  # tables whose measures are all shown in short
HEADLINES: Final = (
    "shape", "trend", "auc_unseen", "autocorrelation", "auc_windows", "auc_sequences", "n-grams", "usefulness", "dcr",
    "copies", "copied sequences", "membership",
)  # fmt: skip


def brief(report: Report) -> RenderableType:
    """How each section of each table stands, and of its measures the best known and those that stand out; no notes.

    Of many tables only how they stand.
    """
    few, parts = len(report.tables) <= FEW, list(_relations(report.relations) if report.relations else ())
    for table in report.tables.values():
        loud = [m for m in table.measures if not m.of and (m.name in HEADLINES or m.grade in ("near", "far"))]
        parts += _table(replace(table, notes=(), details=table.details if few else {}), loud if few else ())
    return Group(*parts)


def shown(report: Report | TableReport) -> RenderableType:
    """What a console prints; text from data is never taken for markup."""
    if isinstance(report, TableReport):
        return Group(*_table(report))
    parts: list[RenderableType] = [part for table in report.tables.values() for part in _table(table)]
    if report.relations:
        parts += list(_relations(report.relations))
    return Group(*parts, *_notes(report.notes))


def plain(report: Report | TableReport) -> str:
    """The same as text, without colours."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, highlight=False)
    console.print(shown(report))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]


def _table(table: TableReport, some: Sequence[Measure] | None = None) -> Iterator[RenderableType]:
    """some: the measures that are shown; by default all that are worth it."""
    rows = "synthetic {synthetic:,}, train {train:,}, hold-out {holdout:,}".format(**table.rows)
    yield Text.assemble((table.table, "bold"), f": {rows} rows")
    for section in SECTIONS:
        found = [m for m in table.measures if m.section == section]
        if found:
            told = standing(section, [(m.label, m) for m in found])
            yield _signed(told.grade, Text.assemble((section, "bold"), f": {told.sentence}"))
            listed = _worth_showing(found) if some is None else [m for m in some if m.section == section]
            yield from [_measures(listed)] if listed else ()
    for name, sign in (("column", ""), ("pair", " x ")):
        if worst := table.details.get(f"worst_{name}"):
            yield Text(f"  worst {name}: {sign.join(worst[:-1])} ({worst[-1]:.3g} %)")
    yield from _notes(table.notes)


def _relations(measures: Sequence[Measure]) -> Iterator[RenderableType]:
    yield Text("relations between tables", "bold")
    for section in SECTIONS:
        found = [m for m in measures if m.section == section]
        if found:
            told = standing(section, [(m.label, m) for m in found])
            yield _signed(told.grade, Text.assemble((section, "bold"), f": {told.sentence}"))
            yield _measures(_worth_showing(found))


def _worth_showing(measures: Sequence[Measure]) -> list[Measure]:
    """The measures of the whole table, and of single columns those that stand out most."""
    single = sorted((m for m in measures if m.of and m.grade in ("near", "far")), key=severity, reverse=True)
    return [*(m for m in measures if not m.of), *single[:SINGLE]]


def _measures(measures: Sequence[Measure]) -> RenderableType:
    grid = Grid.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(min_width=11, overflow="fold")
    for _ in range(3):
        grid.add_column(justify="right", no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    for m in measures:
        floor = Text("" if m.floor is None else f"real {number(m.floor, m.unit)}", "dim")
        verdict = Text(m.verdict, STYLES[m.grade][1])
        grid.add_row(_sign(m.grade), Text(m.label), Text(number(m.value, m.unit)), Text(uncertainty(m)), floor, verdict)
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _signed(grade: Grade, told: Text) -> RenderableType:
    """A sentence whose further lines stand below its first word."""
    grid = Grid.grid(padding=(0, 1))
    grid.add_row(_sign(grade), told)
    return Padding(grid, (0, 0, 0, 1), expand=False)


def _sign(grade: Grade) -> Text:
    return Text(*STYLES[grade])


def _notes(notes: Sequence[str]) -> Iterator[RenderableType]:
    for note in notes:
        grid = Grid.grid(padding=(0, 1))
        grid.add_row("note:", Text(note))
        yield Padding(grid, (0, 0, 0, 2), expand=False)

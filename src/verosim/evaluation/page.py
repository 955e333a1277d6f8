"""A report as one page that stands alone, and as a few lines in a notebook: the same numbers, words and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from verosim.evaluation import pictures
from verosim.evaluation.report import Measure, Report, Section, TableReport
from verosim.evaluation.words import (
    DIRECTIONS, GRADES, QUESTIONS, SECTIONS, Standing, between, number, severity, standing, standings, uncertainty,
)  # fmt: skip
from verosim.pages import render
from verosim.pages.strips import Mark, span, strip

PACKAGE: Final = "verosim.evaluation"
LIMIT: Final = 3_000_000  # bytes of a page
DRAWN: Final = (400, 200, 100, 40, 10)  # columns that are drawn in all: fewer where the page would pass its limit
PAIRS: Final = 30  # pairs that are drawn in all, for each 400 columns
DIGITS: Final = 6  # of the numbers behind the pictures; measures keep all of theirs


@dataclass(frozen=True, slots=True)
class Row:
    """One measure, as it is shown."""

    label: str
    about: str
    direction: str
    value: str
    uncertainty: str
    floor: str
    strip: Markup
    grade: str
    word: str
    verdict: str


@dataclass(frozen=True, slots=True)
class SectionView:
    """One section of one table: how it stands, its measures of the whole table, and those of columns that stand out."""

    name: Section
    question: str
    standing: Standing
    rows: list[Row]
    single: list[Row]  # measures of single columns or attacks, worst first
    why: str  # why something of this section cannot be shown


@dataclass(frozen=True, slots=True)
class TableView:
    """One table, as the template lays it out."""

    id: str
    name: str
    report: TableReport
    sections: list[SectionView]
    standings: list[Standing]
    columns: list[pictures.ColumnView]
    pairs: list[pictures.PairView]
    home: str  # where its details lie in the page's data

    def picture(self, name: str) -> Any:
        """What `pictures` draws under this name."""
        draw = getattr(pictures, name)
        return draw(self.report.details, self.home) if name in ("pair_table", "correlations") else draw(self.report.details)


def page(report: Report) -> str:
    """One HTML page: nothing is loaded, and it takes less than 3 MB, by drawing fewer columns where there are very many."""
    data = _data(report)
    text = ""
    for drawn in DRAWN:
        text = _page(report, drawn, data)
        if len(text.encode()) < LIMIT:
            return text
    return _page(report, DRAWN[-1], None)


def _page(report: Report, drawn: int, data: Mapping[str, Any] | None) -> str:
    each = max(2, drawn // max(1, len(report.tables)))
    tables = [_table(f"t{i}", name, table, each) for i, (name, table) in enumerate(report.tables.items())]
    return render(
        "report.html", PACKAGE,
        title=_title(report), tables=tables, relations=[row(m) for m in report.relations], notes=report.notes,
        standings=standings([(name, t.measures) for name, t in report.tables.items()]), data=data, file=_file(report),
    )  # fmt: skip


def _title(report: Report) -> str:
    names = list(report.tables)
    return names[0] if len(names) == 1 else f"{len(names)} tables"


def _file(report: Report) -> str:
    name = next(iter(report.tables), "data")
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in name)[:60] + ".report.json"


def _table(id_: str, name: str, table: TableReport, drawn: int) -> TableView:
    home = f"/tables/{name.replace('~', '~0').replace('/', '~1')}/details"
    sections = [_section(s, [m for m in table.measures if m.section == s]) for s in SECTIONS]
    return TableView(
        id_, name, table, sections, standings([(name, table.measures)]), pictures.columns(table.details, drawn),
        pictures.pairs(table.details, home, max(3, PAIRS * drawn // DRAWN[0])), home,
    )  # fmt: skip


def _section(name: Section, measures: Sequence[Measure]) -> SectionView:
    single = sorted((m for m in measures if m.of), key=severity, reverse=True)
    absent = [m.verdict for m in measures if m.value is None]
    why = absent[0].removeprefix("not measured: ") if absent else "this report was made without it"
    labelled = [(m.label, m) for m in measures]
    return SectionView(
        name, QUESTIONS[name], standing(name, labelled), [row(m) for m in measures if not m.of], [row(m) for m in single], why
    )


def row(m: Measure) -> Row:
    """A measure, as it is shown."""
    ends = between(m)
    drawn = Markup()
    if m.value is not None and ends is not None:
        scale = span([m.value, *ends, m.floor], 0.0 if m.direction == "lower" and not m.floor else None)
        drawn = strip([Mark(m.value, *ends, m.grade)], scale, m.floor)
    verdict = m.verdict[:1].upper() + m.verdict[1:]
    return Row(
        m.label, m.about, DIRECTIONS[m.direction], number(m.value, m.unit), uncertainty(m), number(m.floor, m.unit),
        drawn, m.grade, GRADES[m.section][m.grade], "" if m.verdict == "within noise of real" else verdict,
    )  # fmt: skip


def _data(report: Report) -> dict[str, Any]:
    """What `to_dict` gives, the numbers behind the pictures with six digits."""
    whole = report.to_dict()
    for table in whole["tables"].values():
        table["details"] = _rounded(table["details"])
    return whole


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(v) for key, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list | tuple) else value


def notebook(report: Report) -> str:
    """A few lines of HTML for a notebook: how each section stands, and every measure of whole tables."""
    tables = [_table(f"t{i}", name, t, 0) for i, (name, t) in enumerate(report.tables.items())]
    return render("notebook.html", PACKAGE, tables=tables, standings=standings([(n, t.measures) for n, t in report.tables.items()]), notes=report.notes)

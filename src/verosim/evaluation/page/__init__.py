"""A report as one page that stands alone, and as a few lines in a notebook: the same numbers, words and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from verosim.evaluation.page import fidelity, privacy, relations, sequences, usefulness
from verosim.evaluation.report import WITHIN_NOISE, Measure, Report, Section, TableReport
from verosim.evaluation.words import (
    DIRECTIONS,
    GRADES,
    QUESTIONS,
    SECTIONS,
    Standing,
    between,
    number,
    severity,
    standing,
    standings,
    uncertainty,
)
from verosim.pages import render
from verosim.pages.strips import Mark, span, strip

PACKAGE: Final = "verosim.evaluation.page"  # where the templates lie
LIMIT: Final = 3_000_000  # bytes of a page
SINGLE: Final = 60  # measures of single columns that are listed, worst first
DIGITS: Final = 6  # of the numbers behind the pictures; measures keep all of theirs


@dataclass(frozen=True, slots=True)
class Much:
    """How much is drawn, of all tables together: where a page would pass its limit it is drawn again with less."""

    columns: int
    pairs: int
    points: int  # of each set of rows in the projection
    maps: bool = True  # heat maps of many columns

    def each(self, n_tables: int) -> Much:
        """The part of one table, and no less than a little."""
        n = max(1, n_tables)
        return Much(max(2, self.columns // n), max(2, self.pairs // n), max(50, self.points // n), self.maps)


LADDER: Final = (Much(400, 30, 1000), Much(200, 16, 500), Much(100, 8, 250), Much(40, 4, 100, maps=False))


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
    verdict: str  # empty where the word says it all


@dataclass(frozen=True, slots=True)
class SectionView:
    """One section of one table: how it stands, its measures, and its pictures by name."""

    name: Section
    question: str
    standing: Standing
    rows: list[Row]  # measures of the whole table
    single: list[Row]  # measures of single columns, worst first
    not_listed: int  # how many more of these there are
    why: str  # why what is not shown cannot be shown
    pictures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TableView:
    """One table, as the template lays it out."""

    id: str
    name: str
    report: TableReport
    sections: list[SectionView]


@dataclass(frozen=True, slots=True)
class BetweenView:
    """What lies between tables: how it stands, its measures, the schema, children per parent."""

    name: str
    standings: list[Standing]
    rows: list[Row]
    single: list[Row]
    not_listed: int
    picture: Markup
    children: list[relations.Children]


def page(report: Report) -> str:
    """One HTML page that loads nothing, below 3 MB: of very many columns fewer are drawn."""
    data = _data(report)
    for much in LADDER:
        text = _page(report, much, data)
        if len(text.encode()) < LIMIT:
            return text
    return _page(report, LADDER[-1], None)


def notebook(report: Report) -> str:
    """A few lines of HTML for a notebook: how each section stands, and every measure of whole tables."""
    return render("notebook.html", PACKAGE, tables=_tables(report, None), standings=_standings(report))


def _page(report: Report, much: Much, data: Mapping[str, Any] | None) -> str:
    names = list(report.tables)
    title = names[0] if len(names) == 1 else f"{len(names)} tables"
    return render(
        "report.html", PACKAGE,
        title=title, file=_file_name(names), tables=_tables(report, much), standings=_standings(report),
        between=_between(report, much), notes=report.notes, data=data,
    )  # fmt: skip


def _tables(report: Report, much: Much | None) -> list[TableView]:
    """much: None for no pictures at all."""
    each = much.each(len(report.tables)) if much else None
    return [_table(f"t{i}", name, table, each) for i, (name, table) in enumerate(report.tables.items())]


def _between(report: Report, much: Much) -> BetweenView | None:
    """None where nothing was measured between tables."""
    measures = report.relations
    if not measures:
        return None
    single = sorted((m for m in measures if m.of), key=severity, reverse=True)
    return BetweenView(
        name="relations",
        standings=[s for s in standings([("", measures)]) if s.counts],
        rows=[_row(m) for m in measures if not m.of],
        single=[_row(m) for m in single[:SINGLE]],
        not_listed=max(0, len(single) - SINGLE),
        picture=relations.picture(report.details, measures),
        children=relations.children(report.details, measures)[: much.columns],
    )


def _standings(report: Report) -> list[Standing]:
    return standings([*((name, table.measures) for name, table in report.tables.items()), ("", report.relations)])


def _file_name(names: Sequence[str]) -> str:
    safe = "".join(c if c.isalnum() and c.isascii() else "-" for c in (names or ["data"])[0])
    return f"{safe[:60]}.report.json"


def _table(id_: str, name: str, table: TableReport, much: Much | None) -> TableView:
    pictures = _pictures(name, table.details, much) if much else {}
    sections = [
        _section(section, [m for m in table.measures if m.section == section], pictures.get(section, {}))
        for section in SECTIONS
    ]
    return TableView(id_, name, table, sections)


def _pictures(name: str, details: Mapping[str, Any], much: Much) -> dict[Section, dict[str, Any]]:
    home = f"/tables/{name.replace('~', '~0').replace('/', '~1')}/details"
    columns = fidelity.columns(details, much.columns)
    return {
        "fidelity": {
            "sequences": sequences.view(details, much.columns),
            "columns": columns,
            "not_drawn": len(details.get("columns") or ()) - len(columns),
            "pairs": fidelity.pairs(details, home, much.pairs),
            "pair_table": fidelity.pair_table(details, home) if much.maps else None,
            "correlations": fidelity.correlations(details, home) if much.maps else [],
            "detector": fidelity.detector(details),
            "projection": fidelity.projection(details, much.points),
        },
        "usefulness": {
            "learners": usefulness.learners(details),
            "importances": usefulness.importances(details),
            "regression": usefulness.regression(details),
        },
        "privacy": {
            "risks": privacy.risks(details),
            "membership": privacy.membership(details),
            "disclosure": privacy.disclosure(details),
        },
    }


def _section(name: Section, measures: Sequence[Measure], pictures: Mapping[str, Any]) -> SectionView:
    single = sorted((m for m in measures if m.of), key=severity, reverse=True)
    absent = [m.verdict.removeprefix("not measured: ") for m in measures if m.value is None]
    return SectionView(
        name=name,
        question=QUESTIONS[name],
        standing=standing(name, [(m.label, m) for m in measures]),
        rows=[_row(m) for m in measures if not m.of],
        single=[_row(m) for m in single[:SINGLE]],
        not_listed=max(0, len(single) - SINGLE),
        why=absent[0] if absent else "this report was made without it",
        pictures=pictures,
    )


def _row(m: Measure) -> Row:
    drawn, ends = Markup(), between(m)
    if m.value is not None and ends is not None:
        drawn = strip([Mark(m.value, *ends, m.grade)], span([m.value, *ends, m.floor]), m.floor)
    verdict = m.verdict.removeprefix(WITHIN_NOISE).removeprefix(": ")  # which the word says
    return Row(
        label=m.label,
        about=m.about,
        direction=DIRECTIONS[m.direction],
        value=number(m.value, m.unit),
        uncertainty=uncertainty(m),
        floor=number(m.floor, m.unit),
        strip=drawn,
        grade=m.grade,
        word=GRADES[m.section][m.grade],
        verdict=verdict[:1].upper() + verdict[1:],
    )


def _data(report: Report) -> dict[str, Any]:
    """What `to_dict` gives, the numbers behind the pictures with six digits."""
    whole = report.to_dict()
    for part in (whole, *whole["tables"].values()):
        part["details"] = _rounded(part["details"])
    return whole


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(v) for key, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list | tuple) else value

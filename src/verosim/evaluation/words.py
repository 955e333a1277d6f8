"""How numbers and verdicts are said: the same words on the page, in a notebook and on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final, get_args

from verosim.evaluation.report import Grade, Measure, Section

SECTIONS: Final[tuple[Section, ...]] = get_args(Section)
SEVERITY: Final[tuple[Grade, ...]] = ("none", "noise", "near", "far")  # worst last
_DIFFERS: Final[dict[Grade, str]] = {
    "noise": "within noise", "near": "small difference", "far": "large difference", "none": "not judged",
}  # fmt: skip
GRADES: Final[dict[Section, dict[Grade, str]]] = {
    "fidelity": _DIFFERS,
    "usefulness": _DIFFERS,
    "privacy": {**_DIFFERS, "near": "small risk", "far": "clear risk"},
}
QUESTIONS: Final[dict[Section, str]] = {
    "fidelity": "How real are the rows?",
    "usefulness": "What are they worth to learn from?",
    "privacy": "Whom do they endanger?",
}
CALM: Final[dict[Section, str]] = {
    "fidelity": "Nothing tells the synthetic rows from real ones beyond noise",
    "usefulness": "What is learned from the synthetic rows is as good as from real ones, within noise",
    "privacy": "Nothing here gives away more about the people learned from than about people never seen",
}
DIRECTIONS: Final = {"lower": "lower is better", "higher": "higher is better", "floor": "nearer to real is better"}
Z95: Final = 1.959964


def number(value: float | None, unit: str = "") -> str:
    """A number as people read it, `-` for none.

    >>> number(0.6249, "%"), number(0.50712), number(12345.6), number(0.00004), number(None)
    ('0.62 %', '0.507', '12,346', '4e-05', '-')
    """
    if value is None or not isfinite(value):
        return "-" if value is None else str(value)
    digits = 2 if unit == "%" else 3
    if abs(value) >= 1e9 or 0 < abs(value) < 0.5 * 10**-digits:
        said = f"{value:.1g}" if abs(value) < 1 else f"{value:.3e}"
    else:
        said = f"{value:,.{digits if abs(value) < 100 else 1 if abs(value) < 10_000 else 0}f}"
    return f"{said} {unit}".rstrip()


def uncertainty(m: Measure) -> str:
    """`± 0.03`, or the interval in brackets; empty where neither is known."""
    if m.value is None:
        return ""
    if m.interval:
        low, high = (number(end, m.unit).removesuffix(" %") for end in m.interval)
        return f"[{low}, {high}]"
    return "" if m.error is None else f"± {number(m.error, m.unit).removesuffix(' %')}"


def between(m: Measure) -> tuple[float, float] | None:
    """The 95 % interval of a measure that has a value."""
    if m.value is None or m.interval:
        return m.interval
    return (m.value, m.value) if m.error is None else (m.value - Z95 * m.error, m.value + Z95 * m.error)


def excess(m: Measure) -> float:
    """How many standard errors a measure lies on the wrong side of its floor; 0 where that is not known."""
    ends = between(m)
    if m.value is None or m.floor is None or ends is None:
        return 0.0
    gap = m.value - m.floor
    wrong = {"lower": gap, "higher": -gap, "floor": abs(gap)}[m.direction]
    return wrong / max((ends[1] - ends[0]) / (2 * Z95), 1e-12)


def severity(m: Measure) -> tuple[int, bool, float]:
    """To sort measures by, worst last: by grade, of the whole table after single columns, these by their excess."""
    return SEVERITY.index(m.grade), not m.of, excess(m) if m.of else 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What all measures of a section say together, in words. There is no score: the worst measure decides."""

    section: Section
    grade: Grade
    sentence: str
    counts: tuple[tuple[Grade, int], ...]  # how many measures have each grade, worst first

    @property
    def word(self) -> str:
        return GRADES[self.section][self.grade]

    @property
    def counted(self) -> str:
        """`1 large difference, 13 within noise`."""
        return ", ".join(f"{n:,} {_plural(GRADES[self.section][grade], n)}" for grade, n in self.counts)


def standing(section: Section, measures: Sequence[tuple[str, Measure]]) -> Standing:
    """The standing of one section's measures, each with the label that it is to be called by."""
    if not measures:
        return Standing(section, "none", f"{section.capitalize()} is no part of this report.", ())
    found = Counter(m.grade for _, m in measures)
    counts = tuple((grade, found[grade]) for grade in reversed(SEVERITY) if found[grade])
    label, worst = max(measures, key=lambda labelled: severity(labelled[1]))  # the first of equals
    grade = "none" if worst.grade == "noise" and 2 * found["none"] > len(measures) else worst.grade
    return Standing(section, grade, _sentence(section, label, worst, measures), counts)


def _sentence(section: Section, label: str, worst: Measure, measures: Sequence[tuple[str, Measure]]) -> str:
    """Calm words only where most could be judged: one check that finds nothing says little for those not made."""
    absent = [m.verdict.partition(": ")[2] or m.verdict for _, m in measures if m.grade == "none"]
    judged = len(measures) - len(absent)
    unjudged = f" {_many(len(absent))} could not be judged." if absent else ""
    if not judged:
        return f"Nothing could be judged: {absent[0]}."
    if worst.grade == "noise" and len(absent) > judged:
        return f"Most could not be judged: {absent[0]}. Within noise of real: {_many(judged)} of {len(measures):,}."
    if worst.grade == "noise":
        return f"{CALM[section]} ({_many(judged)}).{unjudged}"
    n, word = sum(m.grade == worst.grade for _, m in measures), GRADES[section][worst.grade]
    if n > 1:
        return f"{n} of {_many(judged)} show {_plural(word, n)}; first {label}: {worst.verdict}.{unjudged}"
    which = f"One of {_many(judged)}" if judged > 1 else "The one measure"
    return f"{which} shows a {word}; it is {label}: {worst.verdict}.{unjudged}"


def _many(n: int) -> str:
    return f"{n:,} {_plural('measure', n)}"


def _plural(word: str, n: int) -> str:
    return word + "s" if n != 1 and word.endswith(("difference", "risk", "measure")) else word


def standings(tables: Iterable[tuple[str, Sequence[Measure]]]) -> list[Standing]:
    """How each section stands over all tables, worst first; what could not be judged comes before what is calm.

    The measures of a table without a name are of all: they are called by their own label.
    """
    tables = [(name, found) for name, found in tables if found]
    many = len(tables) > 1
    labelled = [(f"{name}: {m.label}" if many and name else m.label, m) for name, found in tables for m in found]
    all_ = [standing(section, [x for x in labelled if x[1].section == section]) for section in SECTIONS]
    order = ("far", "near", "none", "noise")
    return sorted(all_, key=lambda s: order.index(s.grade) if s.counts else len(order))

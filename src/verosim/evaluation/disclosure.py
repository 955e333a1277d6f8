"""Disclosure by quasi-identifiers: what someone who knows a few columns of a person finds in the synthetic rows.

The measures of synthpop (Raab, Nowok and Dibben, Practical privacy metrics for synthetic data, 2024), all in %. q is a
combination of the keys, t a level of the target, d the real rows, s the synthetic ones; d_q of the real rows have q.

* Identity. UiO, UiS: real, and synthetic, rows whose q is unique there. UiOiS: real rows of unique q that occurs in s.
  repU: real rows of unique q that is unique in s too.
* Attribute. Dorig, Dsyn: rows whose q has one target level, in d and in s. iS: real rows whose q occurs in s. DiSCO:
  real rows whose q has one target level in s, and it is theirs. DiSDiO: those of them whose q has one level in d too.
* CAP, correct attribution probability (Taub et al., 2018). baseCAPd: of guessing by the target's shares. CAPd, CAPs:
  within q. DCAP: of guessing a real row by the synthetic rows of its q. TCAP: DiSCO among the rows of iS.

Most of what these find is true of people in general. The floor is what they say of people whom the synthetic rows
cannot know: the hold-out in the place of the real rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final

import numpy as np

from verosim.evaluation.columns import Codes, Column, Comparison, Floats, Levels, Ordered, Rows
from verosim.evaluation.report import WITHIN_NOISE, Findings, Grade, Measure
from verosim.evaluation.trials import RARE, surprise

KEYS: Final = 4  # that are guessed
MANY: Final = 100  # values: a column of more is no key that is guessed, and is grouped where it has an order
GROUPS: Final = 20  # of as many real rows each
ROUNDING: Final = 1e-6  # of a sum of chances

REPU: Final = Measure(
    "repU", "lower", "%", "privacy", about="people unique in the known columns, there and in the synthetic rows"
)
DISCO: Final = Measure(
    "DiSCO",
    "lower",
    "%",
    "privacy",
    about="people whose target the synthetic rows of the same known columns tell rightly",
)
DCAP: Final = Measure(
    "DCAP", "lower", "%", "privacy", about="chance to guess the target by the synthetic rows of the same known columns"
)
TCAP: Final = Measure(
    "TCAP", "lower", "%", "privacy", about="DiSCO among those whose known columns occur in the synthetic rows"
)
MEASURES: Final = (REPU, DISCO, DCAP, TCAP)


@dataclass(frozen=True, slots=True)
class Cells:
    """Counts of the key combinations q, and of each (q, t) that occurs: in one set of rows against another.

    of, t: (n_qt,) the q and the t of each (q, t). d_q, s_q: (n_q,), d_qt, s_qt: (n_qt,) counts.
    """

    of: Rows
    t: Codes
    d_q: Rows
    d_qt: Rows
    s_q: Rows
    s_qt: Rows

    @property
    def n(self) -> int:
        """Real rows."""
        return int(self.d_q.sum())

    @property
    def met(self) -> int:
        """Real rows whose q occurs in s."""
        return int(self.d_q[self.s_q > 0].sum())

    @property
    def disclosed(self) -> int:
        """Real rows whose q has one target level in s, and it is theirs."""
        return int(self.d_qt[self.told == 1].sum())

    @property
    def told(self) -> Floats:
        """(n_qt,) the share of synthetic rows of q that have t; 0 where q does not occur."""
        return np.asarray(self.s_qt / np.maximum(self.s_q[self.of], 1))

    def measures(self) -> dict[str, float]:
        """All of them, by synthpop's names, in %."""
        n, n_s = self.n, self.s_q.sum()
        real = self.d_qt / np.maximum(self.d_q[self.of], 1)
        alike = (self.told == 1) & (real == 1)
        found = {
            "UiO": (self.d_q == 1).sum() / n,
            "UiS": (self.s_q == 1).sum() / n_s,
            "UiOiS": ((self.d_q == 1) & (self.s_q > 0)).sum() / n,
            "repU": ((self.d_q == 1) & (self.s_q == 1)).sum() / n,
            "Dorig": (self.d_qt * (real == 1)).sum() / n,
            "Dsyn": (self.s_qt * (self.told == 1)).sum() / n_s,
            "iS": self.met / n,
            "DiSCO": self.disclosed / n,
            "DiSDiO": self.d_qt[alike].sum() / n,
            "baseCAPd": np.square(np.bincount(self.t, self.d_qt) / n).sum(),
            "CAPd": (self.d_qt * real).sum() / n,
            "CAPs": (self.s_qt * self.told).sum() / n_s,
            "DCAP": (self.d_qt * self.told).sum() / n,
            "TCAP": self.disclosed / max(self.met, 1),
        }
        return {name: 100 * float(share) for name, share in found.items()}


@dataclass(frozen=True, slots=True)
class Known:
    """All rows by what an attacker knows, the keys, and wants to know, the target: as codes from 0 on."""

    q: Rows
    qt: Rows
    of: Rows  # the q of each qt
    t: Codes  # and its t

    @classmethod
    def of_columns(cls, keys: Sequence[Column], target: Column, real: Rows) -> Known:
        q, t = joint([groups(column, real) for column in keys]), groups(target, real)
        qt = joint([q, t])
        _, first = np.unique(qt, return_index=True)
        return cls(q, qt, q[first], t[first])

    def cells(self, d: Rows, s: Rows) -> Cells:
        """The rows `d` against the rows `s`."""
        return Cells(self.of, self.t, *self._counts(d), *self._counts(s))

    def _counts(self, rows: Rows) -> tuple[Rows, Rows]:
        n_q, n_qt = int(self.q.max()) + 1, len(self.of)
        return np.bincount(self.q[rows], minlength=n_q), np.bincount(self.qt[rows], minlength=n_qt)


def joint(codes: Sequence[Codes | Rows]) -> Rows:
    """One code for each combination of codes that occurs."""
    out = np.zeros(len(codes[0]), np.int64)
    for of in codes:
        _, out = np.unique(out * (int(of.max()) + 1) + of, return_inverse=True)
    return out


def distinct(columns: Sequence[Column], rows: Rows) -> Rows:
    """The rows without those that equal an earlier one in all of these columns."""
    _, first = np.unique(joint([column.codes[rows] for column in columns]), return_index=True)
    return rows[np.sort(first)]


def groups(column: Column, real: Rows) -> Codes:
    """The codes of a column; of more than `MANY` ordered values, those of `GROUPS` quantiles. Marks stay."""
    if isinstance(column, Levels) or column.n_values <= MANY:
        return column.codes
    values = column.codes[real][column.marks[real] == 0]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, GROUPS + 1)[1:-1])) if len(values) else np.zeros(1)
    places = np.searchsorted(edges, column.codes, "right")
    return np.where(column.marks == 0, places, len(edges) + column.marks).astype(np.int32)


# ---------------------------------------------------------------------------------------------------------- choices


def guessed_keys(c: Comparison, target: Column) -> list[Column]:
    """The columns of at most `MANY` values that together set most real rows apart: added one by one."""
    left = [column for column in c.columns if column is not target and _n_values(column) <= MANY]
    keys: list[Column] = []
    q = np.zeros(len(c.real), np.int64)
    while left and len(keys) < KEYS:
        each = [joint([q, column.codes[c.real]]) for column in left]
        best = max(range(len(left)), key=lambda i: int((np.bincount(each[i]) == 1).sum()))
        keys.append(left.pop(best))
        q = each[best]
    return keys


def _n_values(column: Column) -> int:
    return column.size - 1 if isinstance(column, Levels) else column.n_values


def chosen_target(c: Comparison, name: str | None, keys: Sequence[str]) -> Column | None:
    """The named column, else the last one that is no key: without order, if there is one."""
    columns = [column for column in c.columns if column.name not in keys]
    named = [column for column in columns if column.name == name]
    levels = [column for column in columns if isinstance(column, Levels)]
    return next((some[-1] for some in (named, levels, columns) if some), None)


# --------------------------------------------------------------------------------------------------------- measures


def assess(c: Comparison, keys: Sequence[str] = (), target: str | None = None) -> Findings:
    """repU, DiSCO, DCAP and TCAP.

    Details: disclosure, with all the measures, of train and (`unseen`) of the hold-out.
    """
    if reason := c.nothing():
        return _absent(reason)
    wanted = chosen_target(c, target, keys)
    if wanted is None:
        return _absent("every column is a key: there is no target")
    columns = [column for column in c.columns if column.name in keys] or guessed_keys(c, wanted)
    if not columns:
        return _absent(f"no other column of at most {MANY} values serves as a key")
    known = Known.of_columns(columns, wanted, c.real)
    train = known.cells(c.train, c.synthetic)
    unseen = known.cells(c.holdout, c.synthetic) if len(c.holdout) else None
    details = {
        "keys": [column.name for column in columns],
        "target": wanted.name,
        **train.measures(),
        "unseen": unseen.measures() if unseen else None,
    }
    measures = _judged(train, unseen, wanted.name) if unseen else _unjudged(train)
    return Findings(measures, {"disclosure": details}, tuple(_notes(columns, wanted, keys, target)))


def _absent(reason: str) -> Findings:
    return Findings(tuple(m.absent(reason) for m in MEASURES), {"disclosure": None})


def _unjudged(train: Cells) -> tuple[Measure, ...]:
    found = train.measures()
    return tuple(m.found(found[m.name], None, None, "not judged: no hold-out rows", "none") for m in MEASURES)


def _judged(train: Cells, unseen: Cells, target: str) -> tuple[Measure, ...]:
    what = f"the {target} of people of train is disclosed"
    return (
        _replicated(train, unseen),
        _share(DISCO, (train.disclosed, train.n), (unseen.disclosed, unseen.n), what),
        _guessed(train, unseen, f"the {target} of people of train is guessed"),
        _share(TCAP, (train.disclosed, train.met), (unseen.disclosed, unseen.met), what),
    )


def _replicated(train: Cells, unseen: Cells) -> Measure:
    """Of combinations that one real row has and one synthetic row, train should have its part.

    The floor: those of train that unseen rows have too, and the others as the hold-out has them for itself.
    """
    n, m = train.n, unseen.n
    once = train.s_q == 1
    mine = int((once & (train.d_q == 1) & (unseen.d_q == 0)).sum())
    theirs = int((once & (train.d_q == 0) & (unseen.d_q == 1)).sum())
    value = train.measures()["repU"]
    floor = value + 100 * (theirs * n / m - mine) / n
    error = 100 * sqrt((mine + theirs) * n / m) / n
    if surprise(mine, n, theirs, m) >= RARE:
        return REPU.found(value, error, floor, WITHIN_NOISE)
    words = (
        f"{value:.2g} % of train stand alone in the known columns, and are repeated: {floor:.2g} % are to be expected"
    )
    return REPU.found(value, error, floor, words, _grade(value, floor))


def _share(measure: Measure, train: tuple[int, int], unseen: tuple[int, int], what: str) -> Measure:
    """A share of some rows of train beside that of unseen rows: (how many, of how many)."""
    (k, n), (b, m) = train, unseen
    if not n or not m:
        return measure.absent("the known columns of no row occur in the synthetic rows")
    value, floor, both = 100 * k / n, 100 * b / m, (k + b) / (n + m)
    error = 100 * sqrt(both * (1 - both) * (1 / n + 1 / m))
    if surprise(k, n, b, m) >= RARE:
        return measure.found(value, error, floor, WITHIN_NOISE)
    return measure.found(value, error, floor, f"{what}: {_beside(value, floor)}", _grade(value, floor))


def _guessed(train: Cells, unseen: Cells, what: str) -> Measure:
    """DCAP: the mean over rows of a chance. It is judged as if each row were guessed or not, which varies no less."""
    value, floor = (cells.measures()["DCAP"] for cells in (train, unseen))
    n, m, told = train.n, unseen.n, 100 * train.told
    counts = train.d_qt + unseen.d_qt
    mean = float((counts * told).sum() / (n + m))
    error = sqrt(float((counts * (told - mean) ** 2).sum()) / (n + m) * (1 / n + 1 / m))
    if surprise(int(value * n / 100 + ROUNDING), n, ceil(floor * m / 100 - ROUNDING), m) >= RARE:
        return DCAP.found(value, error, floor, WITHIN_NOISE)
    return DCAP.found(value, error, floor, f"{what}: {_beside(value, floor)}", _grade(value, floor))


def _beside(value: float, floor: float) -> str:
    return f"{value:.3g} %, of unseen people {floor:.3g} %"


def _grade(value: float, floor: float) -> Grade:
    return "near" if value < 2 * floor else "far"


def _notes(columns: Sequence[Column], target: Column, keys: Sequence[str], asked: str | None) -> Iterator[str]:
    names = ", ".join(column.name for column in columns)
    if not set(keys) & {column.name for column in columns}:
        yield (
            f"disclosure: {names} were guessed to be known, the columns of at most {MANY} values "
            "that together set most rows apart; say which are known with `keys`"
        )
    if asked != target.name:
        yield f"disclosure: {target.name} was taken for the target"
    if grouped := [x.name for x in (*columns, target) if isinstance(x, Ordered) and x.n_values > MANY]:
        yield f"disclosure: {', '.join(grouped)} in {GROUPS} groups of as many rows"

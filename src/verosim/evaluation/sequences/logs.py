"""Event logs: which steps follow each other, how long cases take, and when things happen.

The measures are those of process mining: n-gram distance (3 activities, padded), cycle time, relative and circadian
event times (Chapela-Campa et al., Can I trust my simulation model?, 2023). W1: how far times must be moved, on average.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from verosim.evaluation.columns import Floats, Levels, Rows
from verosim.evaluation.report import Findings, Measure
from verosim.evaluation.sequences.dynamics import DAYS, HOURS, Found, clock, judged
from verosim.evaluation.sequences.paths import Paths

GRAMS: Final = 20_000  # different ones; the rarer are one
GRID: Final = (np.arange(400) + 0.5) / 400  # quantiles that W1 is taken over
NODES: Final = 24  # activities of a process map
ARCS: Final = 60
WEEK: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

NGRAMS: Final = Measure("n-grams", "lower", about="distance of the shares of three activities in a row, from 0 to 1")
CYCLE: Final = Measure("cycle time", "lower", about="W1 of the durations of cases, in hours")
RELATIVE: Final = Measure("event times", "lower", about="W1 of times since a case's start, in hours")
CIRCADIAN: Final = Measure("hours", "lower", "%", about="rows at other hours of the week than real ones")


def assess(p: Paths) -> Findings:
    """n-grams, cycle time and event times of a log; details: the process map."""
    codes, names = activities(p)
    found = [ngrams(p, codes, names), cycle_time(p), event_times(p)]
    return Findings(tuple(f.measure for f in found), {"process": process(p, codes, names)})


def activities(p: Paths) -> tuple[Rows, list[str]]:
    """(n,) the activity of every row, and what they are called."""
    column = next(c for c in p.rows.columns if c.name == p.sequence.activity)
    if isinstance(column, Levels):
        return column.codes.astype(np.int64), [*map(str, column.names), "(missing)"]
    return column.codes.astype(np.int64), [f"{v:g}" for v in column.distinct] + ["(missing)"] * 5


def ngrams(p: Paths, codes: Rows, names: list[str]) -> Found:
    """Total variation of the shares of activities in threes; before the first and after the last stand blanks."""
    size, cur = len(names) + 1, codes + 1
    one = np.where(p.place >= 1, np.roll(cur, 1), 0)
    two = np.where(p.place >= 2, np.roll(cur, 2), 0)
    last = np.flatnonzero(~p.follows())
    grams = np.concatenate([(two * size + one) * size + cur, (one * size + cur)[last] * size, cur[last] * size * size])
    unit = np.concatenate([p.unit, p.unit[last], p.unit[last]])
    distinct, dense, often = np.unique(grams, return_inverse=True, return_counts=True)
    if len(distinct) > GRAMS:
        rank = np.empty(len(distinct), np.int64)
        rank[np.argsort(-often, kind="stable")] = np.arange(len(distinct))
        dense, distinct = np.minimum(rank, GRAMS - 1)[dense], distinct[np.argsort(-often, kind="stable")][:GRAMS]
    n = len(p.starts)
    counts = np.bincount(unit * len(distinct) + dense, minlength=n * len(distinct)).reshape(n, -1).astype(np.float64)

    def statistic(units: Rows) -> Floats:
        total = counts[units].sum(axis=0)
        return total / max(total.sum(), 1.0)

    def distance(a: Floats, b: Floats) -> Floats:
        return np.abs(a - b) * len(a) / 2  # their mean is the total variation

    called = ["", *names]
    said = [" > ".join(called[c] or "-" for c in (g // size**2, g // size % size, g % size)) for g in distinct.tolist()]
    return judged(p, NGRAMS, said, statistic, distance)


def cycle_time(p: Paths) -> Found:
    """W1 of the hours from the first to the last event of a case."""
    first, last = np.flatnonzero(p.place == 0), np.flatnonzero(~p.follows())
    return _moved(p, CYCLE, (p.seconds[last] - p.seconds[first]) / 3600, p.unit[first])


def event_times(p: Paths) -> Found:
    """W1 of the hours from the start of a case to each of its events."""
    first = np.flatnonzero(p.place == 0)
    since = p.seconds - np.repeat(p.seconds[first], np.diff(np.append(first, len(p.seconds))))
    return _moved(p, RELATIVE, since / 3600, p.unit)


def _moved(p: Paths, like: Measure, values: Floats, unit: Rows) -> Found:
    known = np.isfinite(values)
    order = np.lexsort((values[known], unit[known]))
    values, unit = values[known][order], unit[known][order]
    ends = np.searchsorted(unit, np.arange(len(p.starts) + 1))

    def statistic(units: Rows) -> Floats:
        parts = [values[ends[u] : ends[u + 1]] for u in units.tolist()]
        together = np.concatenate(parts) if parts else np.zeros(0)
        return np.quantile(together, GRID)[None] if len(together) else np.full((1, len(GRID)), np.nan)

    return judged(p, like, [like.name], statistic, lambda a, b: np.abs(a - b).mean(axis=1))


# ------------------------------------------------------------------------------------------- when


def hours(p: Paths, like: Measure) -> Found:
    """Total variation of the hours of the week of all rows."""
    hour, day = clock(p)
    counts = p.counts(day * HOURS + hour, DAYS * HOURS)

    def statistic(units: Rows) -> Floats:
        total = counts[units].sum(axis=0)
        return total / max(total.sum(), 1.0)

    def distance(a: Floats, b: Floats) -> Floats:
        return np.abs(a - b) * len(a) / 2  # their mean is the total variation

    return judged(p, like, [f"{d} {h:02}h" for d in WEEK for h in range(HOURS)], statistic, distance)


# ------------------------------------------------------------------------------------------- the process map


def process(p: Paths, codes: Rows, names: list[str]) -> dict[str, Any]:
    """What follows what: the share of cases' steps, of real and of synthetic cases. Start is "", and so is the end.

    The commonest activities and arcs of both.
    """
    sets = {"real": p.units.real, "synthetic": p.units.synthetic}
    follows = p.follows()
    first, last, size = p.place == 0, ~follows, len(names) + 1
    before = np.concatenate([np.zeros(int(first.sum()), np.int64), codes[follows] + 1, codes[last] + 1])
    after = np.concatenate(
        [codes[first] + 1, np.append(codes[1:], 0)[follows] + 1, np.zeros(int(last.sum()), np.int64)]
    )
    unit = np.concatenate([p.unit[first], p.unit[follows], p.unit[last]])
    shares = {}
    for role, units in sets.items():
        mine = np.isin(unit, units)
        cases = max(1, int(np.isin(p.unit[first], units).sum()))
        shares[role] = np.bincount(before[mine] * size + after[mine], minlength=size * size).reshape(size, size) / cases
    both = shares["real"] + shares["synthetic"]
    weight = both.sum(axis=0)
    shown = [0, *(i for i in np.argsort(-weight, kind="stable").tolist() if i and weight[i] > 0)][: NODES + 1]
    pairs = [(i, j) for i in shown for j in shown if both[i, j] > 0]
    pairs.sort(key=lambda ij: -both[ij])
    called = ["", *names]
    return {
        "activities": {
            called[i]: [round(float(shares[r][:, i].sum()), 5) for r in sets] for i in shown if i
        },
        "arcs": [[called[i], called[j], *(round(float(shares[r][i, j]), 5) for r in sets)] for i, j in pairs[:ARCS]],
    }  # fmt: skip

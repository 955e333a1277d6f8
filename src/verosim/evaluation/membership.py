"""Membership: whether it can be told from the synthetic rows that a record was in train.

The attacker compares how dense the synthetic rows lie around a record with how dense people do (DOMIAS: van Breugel et
al., Membership inference attacks against synthetic data through overfitting detection, 2023). Density is told by the
distance to the nearest row: the score of a record is the log of its distance to the nearest of some unseen rows over
that to the nearest synthetic row. Half of the hold-out is that reference; the other half are the non-members.

Few records are at risk at once, and mostly odd ones, so that a mean over all says little: hence the true positive rate
at few false positives (Carlini et al., Membership inference attacks from first principles, 2022), and the same attack
on the most outlying records alone: those furthest from any reference row.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np

from verosim.evaluation.columns import Comparison, Floats
from verosim.evaluation.copying import Space
from verosim.evaluation.fidelity import auc
from verosim.evaluation.report import SURE, WITHIN_NOISE, Findings, Grade, Measure
from verosim.evaluation.trials import RARE, Bools, surprise, wilson

MEMBERS: Final = 5_000  # and as many non-members
DISTANCES: Final = 4_000_000_000  # differences of two cells: fewer records in large tables
LEAST: Final = 1_000  # but not fewer than these
FEW: Final = 20  # rows of hold-out: with fewer there is no reference
OUTLYING: Final = 0.1  # share of the records that is furthest from all others
EXACT: Final = 1e-3  # in ranges of a column: what is nearer than that is equally near
POINTS: Final = 100  # of the curve in the details
RATES: Final = (0.01, 0.1)  # of false positives

MEMBERSHIP: Final = Measure(
    "membership", "lower", "", "privacy",
    about="how well it is told who was in train: the AUC of an attack by density ratio",
)  # fmt: skip
OUTLIERS: Final = Measure(
    "membership of outliers", "lower", "", "privacy",
    about=f"the same, of the {OUTLYING:.0%} most outlying records alone",
)  # fmt: skip
CAUGHT: Final = {
    rate: Measure(
        f"membership at {rate:.0%} false alarms", "lower", "%", "privacy",
        about=f"train records told to be in train, at a threshold that {rate:.0%} of unseen records pass",
    )
    for rate in RATES
}  # fmt: skip
MEASURES: Final = (MEMBERSHIP, *CAUGHT.values(), OUTLIERS)


@dataclass(frozen=True, slots=True)
class Scores:
    """What the attacker thinks of each record: higher is more likely a member. And how far it is from other people."""

    score: Floats
    member: Bools
    apart: Floats

    @classmethod
    def of(cls, c: Comparison) -> Scores:
        order = c.chance("reference").permutation(c.holdout)
        reference, others = order[: len(order) // 2], order[len(order) // 2 :]
        n = max(LEAST, min(MEMBERS, DISTANCES // (2 * (len(c.synthetic) + len(reference)) * len(c.columns))))
        members, others = c.some(c.train, n, "members"), others[:n]
        records = np.concatenate([members, others])
        space = Space.of(c.columns, c.synthetic)
        apart, _ = space.nearest(records, reference)
        near, _ = space.nearest(records, c.synthetic)
        member = np.arange(len(records)) < len(members)
        return cls(np.log((apart + EXACT) / (near + EXACT)), member, apart)

    def most_outlying(self) -> Scores:
        far = self.apart >= np.quantile(self.apart, 1 - OUTLYING)
        return Scores(self.score[far], self.member[far], self.apart[far])

    def passing(self, rate: float) -> tuple[int, int]:
        """How many members, and how many others, score above the threshold that at most a share `rate` of others do."""
        others = np.sort(self.score[~self.member])[::-1]
        threshold = others[int(rate * len(others))]
        return int((self.score[self.member] > threshold).sum()), int((others > threshold).sum())

    def auc(self) -> tuple[float, float] | None:
        """With its standard error were members and others alike (Mann and Whitney, 1947); None where one is lacking."""
        n, m = int(self.member.sum()), int((~self.member).sum())
        return (auc(self.score, self.member), sqrt((n + m + 1) / (12 * n * m))) if n and m else None


def assess(c: Comparison) -> Findings:
    """AUC, true positive rates, and the AUC among outliers. Details: membership."""
    reason = c.nothing() or ("" if len(c.holdout) else "no hold-out rows")
    if not reason and len(c.holdout) < FEW:
        reason = f"{len(c.holdout):,} hold-out rows; {FEW} are needed"
    if reason:
        return Findings(tuple(m.absent(reason) for m in MEASURES), {"membership": None})
    all_ = Scores.of(c)
    few = all_.most_outlying()
    details = {**_plain(all_), "roc": _curve(all_), "outliers": _plain(few)}
    caught = (_caught(all_, rate) for rate in RATES)
    return Findings((_told(MEMBERSHIP, all_), *caught, _told(OUTLIERS, few)), {"membership": details})


def _told(measure: Measure, scores: Scores) -> Measure:
    found = scores.auc()
    if found is None:
        return measure.absent("no record of train, or none of the hold-out, is among them")
    value, error = found
    if value <= 0.5 + SURE * error:
        return measure.found(value, error, 0.5, WITHIN_NOISE)
    who = "outlying people" if measure is OUTLIERS else "people"
    how_many = "a few" if value < 0.55 else "some" if value < 0.75 else "most"
    verdict = f"of {how_many} {who} it can be told that they were in train"
    return measure.found(value, error, 0.5, verdict, "near" if value < 0.55 else "far")


def _caught(scores: Scores, rate: float) -> Measure:
    """The true positive rate at this rate of false positives."""
    n, m, (found, passed) = int(scores.member.sum()), int((~scores.member).sum()), scores.passing(rate)
    share, floor = found / n, passed / m
    error = sqrt(rate * (1 - rate) * (1 / n + 1 / m))
    low, high = _interval(found, n)
    sure = surprise(found, n, passed, m) < RARE
    verdict = f"{share:.1%} of train is told to be in train, at {rate:.0%} false alarms" if sure else WITHIN_NOISE
    grade: Grade = "noise" if not sure else "near" if share < 2 * rate else "far"
    return CAUGHT[rate].found(100 * share, 100 * error, 100 * floor, verdict, grade, (100 * low, 100 * high))


def _interval(found: int, n: int) -> tuple[float, float]:
    middle, half = wilson(found, n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


# -------------------------------------------------------------------------------------------------------- details


def _plain(scores: Scores) -> dict[str, Any]:
    value, error = scores.auc() or (None, None)
    n, m = int(scores.member.sum()), int((~scores.member).sum())
    found = {f"{rate:g}": scores.passing(rate)[0] for rate in RATES} if n and m else {}
    return {
        "auc": value, "auc_error": error, "members": n, "others": m,
        "tpr": {rate: k / n for rate, k in found.items()},
        "tpr_interval": {rate: list(_interval(k, n)) for rate, k in found.items()},
    }  # fmt: skip


def _curve(scores: Scores) -> list[list[float]]:
    """Shares of others and of members above falling thresholds, from (0, 0) to (1, 1): at most `POINTS` corners."""
    others, members = np.sort(scores.score[~scores.member]), np.sort(scores.score[scores.member])
    at = np.unique(np.quantile(others, np.linspace(0, 1, POINTS)))[::-1]
    above = [(1 - np.searchsorted(s, at, "left") / len(s)).tolist() for s in (others, members)]
    return [[0.0, 0.0], *([f, t] for f, t in zip(*above, strict=True)), [1.0, 1.0]]

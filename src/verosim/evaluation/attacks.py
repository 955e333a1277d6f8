"""The three risks that European guidance names (WP29, Opinion 05/2014), each as an attack with a control group.

* Singling out: descriptions learned from synthetic rows that fit one real person alone (`singling`).
* Linkability: someone has two files about the same people, with other columns in each, and links them through the
  synthetic rows: two records belong together where the rows nearest to the one, and those nearest to the other, have a
  row in common.
* Inference: someone knows a person's record but for one cell, and guesses that from the nearest synthetic row.

Success on train beyond that on unseen rows is the risk (Giomi et al., 2022); see `trials`. Success on both says what
the synthetic rows tell of the population, which is what they are made for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from verosim.evaluation.columns import Column, Comparison, Floats, Levels, Rows
from verosim.evaluation.copying import Space
from verosim.evaluation.disclosure import distinct
from verosim.evaluation.report import WITHIN_NOISE, Findings, Grade, Measure
from verosim.evaluation.singling import by_one_column, by_several_columns, together
from verosim.evaluation.trials import SMALL, Bools, Trial
from verosim.models import Progress, silent

Found = tuple[Measure, list[dict[str, Any]]]  # a measure, and its entries in the details

TARGETS: Final = 3_000  # of train, and as many unseen ones
DISTANCES: Final = 3_000_000_000  # differences of two cells: fewer targets in large tables
LEAST: Final = 1_000  # but not fewer than these


# ---------------------------------------------------------------------------------------------------- singling out

ONE_COLUMN: Final = Measure(
    "singling out by one column", "lower", "%", "privacy",
    about="descriptions by one column that fit a train record alone, beyond those that fit an unseen record alone",
)  # fmt: skip
SINGLING: Final = Measure(
    "singling out", "lower", "%", "privacy",
    about="descriptions by several columns that fit a train record alone, beyond those that fit an unseen record alone",
)  # fmt: skip


def _by_one(c: Comparison) -> Found:
    """Each column is judged by itself, and all together: one column that is copied does not drown among others."""
    singled = by_one_column(c)
    trials = {name: found.trial(c) for name, found in singled.items()}
    worst = min(trials, key=lambda name: trials[name].chance)
    trial, verdict = together(list(singled.values())).trial(c), ""
    if trial.sure(2) or trials[worst].sure(2 * len(trials)):
        trial = trial if trial.sure(2) else trials[worst]
        verdict = f"values and extremes of synthetic rows single out people of train: mostly by {worst}"
    return _measured(ONE_COLUMN, trial, verdict), [_entry("singling out", "by one column", (), trial, verdict)]


def _by_several(c: Comparison, known: Sequence[Column]) -> Found:
    columns = known or c.columns
    singled, naive = by_several_columns(c, columns, c.chance("singling out"))
    if not singled.tried:
        return SINGLING.absent("no synthetic row stands alone, whatever of it is known"), []
    trial = singled.trial(c, naive)
    verdict = f"{_percent(trial)} of the descriptions single out a person of train" if trial.sure() else ""
    keys = [column.name for column in known]
    return _measured(SINGLING, trial, verdict), [_entry("singling out", "by several columns", keys, trial, verdict)]


# ---------------------------------------------------------------------------------------- targets, and who is nearest


@dataclass(frozen=True, slots=True)
class Targets:
    """The records that are attacked, and the different synthetic rows, in random order: so are ties."""

    train: Rows
    control: Rows
    synthetic: Rows

    @classmethod
    def of(cls, c: Comparison) -> Targets:
        synthetic = distinct(c.columns, c.synthetic)
        n = max(LEAST, min(TARGETS, DISTANCES // (2 * len(synthetic) * len(c.columns))))
        train, control = c.some(c.train, n, "targets"), c.some(c.holdout, n, "control targets")
        return cls(train, control, c.chance("nearest synthetic").permutation(synthetic))

    @property
    def all(self) -> Rows:
        return np.concatenate([self.train, self.control])

    def trial(self, hits: Bools, naive: float) -> Trial:
        """hits: of all targets."""
        return Trial.of(hits[: len(self.train)], hits[len(self.train) :], naive)


# ----------------------------------------------------------------------------------------------------- linkability

SPLITS: Final = 4  # random halves of the columns
AMBIGUOUS: Final = 10  # with more nearest rows than these, nobody claims a link

LINKABILITY: Final = Measure(
    "linkability", "lower", "%", "privacy",
    about="train records whose two halves are linked through synthetic rows, beyond unseen records",
)  # fmt: skip


def _linkability(c: Comparison, targets: Targets, known: Sequence[Column]) -> Found:
    """Between the known columns and the others, or between random halves, a quarter of the targets each."""
    others = [column for column in c.columns if column not in known]
    if len(c.columns) < 2 or not others:
        return LINKABILITY.absent("there are no two groups of columns to link"), []
    splits = [(known, others)] if known else _halves(c)
    hits, naive = np.empty(len(targets.all), np.bool_), np.empty(len(targets.all))
    for k, halves in enumerate(splits):
        some = slice(k, None, len(splits))
        hits[some], naive[some] = _linked(c, halves, targets.all[some], targets.synthetic)
    trial = targets.trial(hits, float(naive[: len(targets.train)].mean()))
    verdict = f"the halves of {_percent(trial)} of the records of train can be linked" if trial.sure() else ""
    attack = "known columns to all others" if known else f"{SPLITS} random halves of the columns"
    keys = [column.name for column in known]
    return _measured(LINKABILITY, trial, verdict), [_entry("linkability", attack, keys, trial, verdict)]


def _halves(c: Comparison) -> list[tuple[Sequence[Column], Sequence[Column]]]:
    orders = [c.chance(f"halves {k}").permutation(len(c.columns)).tolist() for k in range(SPLITS)]
    half = len(c.columns) // 2
    return [([c.columns[i] for i in o[:half]], [c.columns[i] for i in o[half:]]) for o in orders]


def _linked(
    c: Comparison, halves: tuple[Sequence[Column], Sequence[Column]], records: Rows, synthetic: Rows
) -> tuple[Bools, Floats]:
    """Whether the halves of each record are linked, and how likely they were by as many synthetic rows at random."""
    hits, naive = np.zeros(len(records), np.bool_), np.zeros(len(records))
    walks = [Space.of(half, c.synthetic).walk(records, synthetic) for half in halves]
    for (block, a), (_, b) in zip(*walks, strict=True):
        near_a, near_b = (d == d.min(axis=1, keepdims=True) for d in (a, b))
        n_a, n_b = near_a.sum(axis=1), near_b.sum(axis=1)
        claimed = (n_a <= AMBIGUOUS) & (n_b <= AMBIGUOUS)
        hits[block] = claimed & (near_a & near_b).any(axis=1)
        naive[block] = claimed * (1 - (1 - np.minimum(n_a / len(synthetic), 1)) ** n_b)
    return hits, naive


# ------------------------------------------------------------------------------------------------------- inference

SECRETS: Final = 30  # columns that are inferred
WITHIN: Final = 0.05  # a number is guessed if it is no further off, relative to the true one
NEARLY: Final = 0.01  # a time or place is guessed if it is no further off, in ranges of its column
RELATIVE: Final = {"number", "duration"}

INFERENCE: Final = Measure(
    "inference", "lower", "%", "privacy",
    about="train records of which a cell is guessed by the nearest synthetic row, beyond unseen ones: the worst column",
)  # fmt: skip


def _inference(c: Comparison, kinds: Mapping[str, str], targets: Targets, known: Sequence[Column]) -> Found:
    """Each column is the secret once: known are the columns that an attacker is said to know, or all others."""
    secrets = _secrets(c, known)
    if len(c.columns) < 2 or not secrets:
        return INFERENCE.absent("there is no column to infer from others"), []
    guesses = _guesses(c, targets, known, secrets)
    trials, entries = {}, []
    for column in secrets:
        off = _allowed(column, kinds.get(column.name, "geo"), c.real, targets.all)
        naive = _by_chance(column, targets.all, c.synthetic, off)[: len(targets.train)]
        trials[column.name] = targets.trial(_right(column, targets.all, guesses[column.name], off), float(naive.mean()))
    verdicts = {name: _inferred(name, trial, len(trials)) for name, trial in trials.items()}
    for name, trial in trials.items():
        keys = [column.name for column in known]
        entry = _entry("inference", f"{name} from the nearest row", keys, trial, verdicts[name])
        entries.append({**entry, "secret": name})
    worst = min(trials, key=lambda name: (trials[name].chance, -trials[name].risk))
    return _measured(INFERENCE, trials[worst], verdicts[worst]), entries


def _inferred(name: str, trial: Trial, family: int) -> str:
    return f"{name} of {_percent(trial)} of the records of train can be told" if trial.sure(family) else ""


def _secrets(c: Comparison, known: Sequence[Column]) -> list[Column]:
    columns = [column for column in c.columns if column not in known]
    some = np.sort(c.chance("secrets").permutation(len(columns))[:SECRETS])
    return [columns[i] for i in some]


def _guesses(c: Comparison, t: Targets, known: Sequence[Column], secrets: Sequence[Column]) -> dict[str, Rows]:
    """For each secret the synthetic row that is nearest to each target in what is known."""
    if known:
        _, place = Space.of(known, c.synthetic).nearest(t.all, t.synthetic)
        return {column.name: t.synthetic[place] for column in secrets}
    guesses = {column.name: np.empty(len(t.all), np.int64) for column in secrets}
    alone = {column.name: Space.of([column], c.synthetic) for column in secrets}
    theirs = {name: space.take(t.synthetic) for name, space in alone.items()}
    for block, distance in Space.of(c.columns, c.synthetic).walk(t.all, t.synthetic):
        for name, space in alone.items():
            without = distance - space.take(t.all[block]).to(theirs[name])
            guesses[name][block] = t.synthetic[without.argmin(axis=1)]
    return guesses


def _allowed(column: Column, kind: str, real: Rows, targets: Rows) -> Floats:
    """How far off a guess may be to be right, for each target: of levels and ordinals, nothing."""
    if isinstance(column, Levels) or kind == "ordinal":
        return np.zeros(len(targets))
    if kind in RELATIVE:
        return WITHIN * np.abs(column.values[targets])
    known = column.values[real][column.marks[real] == 0]
    return np.full(len(targets), NEARLY * float(np.ptp(known)) if len(known) else 0.0)


def _right(column: Column, targets: Rows, guesses: Rows, off: Floats) -> Bools:
    """A missing value is guessed by a missing one."""
    if isinstance(column, Levels):
        return np.asarray(column.codes[targets] == column.codes[guesses])
    near = np.abs(column.values[targets] - column.values[guesses]) <= off
    return np.asarray(near & (column.marks[targets] == column.marks[guesses]))


def _by_chance(column: Column, targets: Rows, synthetic: Rows, off: Floats) -> Floats:
    """The share of synthetic rows that would be a right guess for each target."""
    n, codes = len(synthetic), column.codes
    equal = np.bincount(codes[synthetic], minlength=column.size)[codes[targets]] / n
    if isinstance(column, Levels):
        return equal
    values = np.sort(column.values[synthetic][column.marks[synthetic] == 0])
    truth = column.values[targets]
    near = np.searchsorted(values, truth + off, "right") - np.searchsorted(values, truth - off, "left")
    return np.where(column.marks[targets] == 0, near / n, equal)


# ------------------------------------------------------------------------------------------------------------ all

MEASURES: Final = (ONE_COLUMN, SINGLING, LINKABILITY, INFERENCE)


def assess(c: Comparison, kinds: Mapping[str, str], keys: Sequence[str] = (), progress: Progress = silent) -> Findings:
    """The three risks. kinds: of the columns of the schema. keys: the columns that an attacker knows; else any.

    Details: risks, one entry for each attack. Rates and risks are shares there, and in % in the measures.
    """
    if reason := c.nothing() or ("" if len(c.holdout) else "no hold-out rows"):
        return Findings(tuple(m.absent(reason) for m in MEASURES), {"risks": []})
    known = [column for column in c.columns if column.name in keys]
    progress(0.0, "singling out")
    found = [_by_one(c), _by_several(c, known)]
    progress(0.4, "linking")
    targets = Targets.of(c)
    found.append(_linkability(c, targets, known))
    progress(0.5, "inferring")
    found.append(_inference(c, kinds, targets, known))
    entries = [entry for _, some in found for entry in some]
    return Findings(tuple(measure for measure, _ in found), {"risks": entries}, _notes(c, targets, entries))


def _measured(measure: Measure, trial: Trial, verdict: str) -> Measure:
    """In %. An empty verdict: nothing was found."""
    low, high = trial.interval
    grade: Grade = "noise" if not verdict else "near" if trial.risk < SMALL else "far"
    return measure.found(
        100 * trial.risk, 100 * trial.error, 0.0, verdict or WITHIN_NOISE, grade, (100 * low, 100 * high)
    )


def _entry(risk: str, attack: str, keys: Sequence[str], trial: Trial, verdict: str) -> dict[str, Any]:
    low, high = trial.interval
    return {
        "risk": risk, "attack": attack, "keys": list(keys), "success": trial.success, "control": trial.control,
        "naive": trial.naive, "value": trial.risk, "low": low, "high": high, "attacks": trial.attacks,
        "verdict": verdict or WITHIN_NOISE,
    }  # fmt: skip


def _percent(trial: Trial) -> str:
    return f"{100 * trial.risk:.{0 if trial.risk >= 0.1 else 1}f} %"


def _notes(c: Comparison, targets: Targets, entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    notes = [
        f"linkability and inference attack {len(targets.train):,} records of train and {len(targets.control):,} unseen"
    ]
    weak = [e["attack"] for e in entries if e["naive"] is not None and e["success"] <= e["naive"]]
    if weak:
        more = f" and {len(weak) - 5:,} more" if len(weak) > 5 else ""
        notes.append(f"no better than guessing, and so no proof of safety: {', '.join(weak[:5])}{more}")
    return tuple(notes)

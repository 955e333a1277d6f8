"""Windows of some steps: what a detector sees in them, how far their features lie apart, and whether they are copied.

A detector gets what is told of each window (values, steps, spread, memory, rhythm) and random convolutions of it
(Dempster et al., ROCKET, 2020; here the share of positive values and the highest one). The latter need no training and
no download, and so also serve for a Frechet distance in the manner of Context-FID. Neighbouring windows share steps:
they stay together in the folds of the detector, and errors count units, not windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from verosim.evaluation.columns import Floats, Levels, Rows
from verosim.evaluation.copying import UNCOPIED
from verosim.evaluation.detector import Options, classify
from verosim.evaluation.fidelity import FOLDS, auc, roc
from verosim.evaluation.floors import FEW
from verosim.evaluation.points import frequent
from verosim.evaluation.report import SURE, WITHIN_NOISE, Findings, Grade, Measure
from verosim.evaluation.sequences.paths import Bools, Paths
from verosim.evaluation.sequences.wholes import told

WIDTH: Final = 24  # steps: the usual one of published tables
LEAST: Final = 4  # steps of a window
MOST: Final = 2000  # windows of each set that a detector sees
TRAIN: Final = 20_000  # windows of train among which the nearest is looked for
CHANNELS: Final = 40  # looked at, levels counting one each
LEVELS: Final = 5  # of one channel
KERNELS: Final = 64  # random convolutions
TREES: Final = Options(rounds=40, depth=4)  # many features, few windows
CELLS: Final = (8, 64)  # of a feature, at least and at most
RAW: Final = 120  # values of a window that are told as they are
FARTHEST: Final = 10.0  # standard deviations: one rare event, never seen in train, is no more than that
SPLITS: Final = 8  # random pairs of real sets for the floor of the distance

AUC: Final = Measure(
    "auc_windows", "lower", about="how well boosted trees tell windows of 24 steps from unseen real ones"
)
DISTANCE: Final = Measure(
    "window distance", "lower", about="Frechet distance of random convolutions of windows, per feature (Context-FID)"
)
NEAREST: Final = Measure(
    "window copies", "lower", "%", section="privacy", about="windows nearer to train than 98 % of unseen windows are"
)
TYPICAL: Final = Measure(
    "nearest window", "higher", section="privacy",
    about="median distance to the nearest window of train, in standard deviations of a value",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows of every set: which rows they begin at, and all channels as numbers."""

    paths: Paths
    names: list[str]  # of the channels; a level is a channel of its own
    values: Floats  # (n, d) in standard deviations of train
    width: int

    @classmethod
    def of(cls, p: Paths) -> Windows:
        width = min(WIDTH, int(np.quantile(p.place[~p.follows()] + 1, 0.75)) if len(p.place) else 0)
        values, names = [p.scaled()] if p.ordered else [], [c.name for c in p.ordered]
        for column in p.rows.columns:
            if isinstance(column, Levels):
                codes = frequent(column, p.rows.real, LEVELS)
                hot = (codes[:, None] == np.arange(codes.max(initial=0) + 1)).astype(np.float64)
                share = np.clip(hot[p.rows.train].mean(axis=0), 0.01, 0.99)
                values.append((hot - share) / np.sqrt(share * (1 - share)) / np.sqrt(2))
                names += [f"{column.name} ({k + 1})" for k in range(hot.shape[1])]
        together = np.concatenate(values, axis=1)
        some = np.sort(p.units.chance("window channels").permutation(len(names))[:CHANNELS])
        return cls(p, [names[i] for i in some], together[:, some], width)

    def starts(self, units: Rows, most: int, purpose: str) -> Rows:
        """First rows of windows in these units: at most so many, by chance, in their order."""
        p = self.paths
        whole = np.zeros(len(p.place), np.bool_)
        whole[: len(whole) - self.width + 1] = p.piece[self.width - 1 :] == p.piece[: len(whole) - self.width + 1]
        rows = np.flatnonzero(whole & np.isin(p.unit, units))
        return np.sort(p.units.chance(purpose).choice(rows, most, replace=False)) if len(rows) > most else rows

    def at(self, starts: Rows) -> Floats:
        """(windows, width, d)"""
        return self.values[starts[:, None] + np.arange(self.width)]


def assess(p: Paths) -> Findings:
    """A detector, a distance of features, and copying. Details: the detector's ROC and what gave windows away."""
    w = Windows.of(p)
    if w.width < LEAST:
        return Findings(tuple(m.absent(f"sequences are shorter than {LEAST} steps") for m in (AUC, DISTANCE, NEAREST)))
    kernels = Kernels.of(w)
    unseen, details = detector(w, kernels)
    return Findings((unseen, distance(w, kernels), *copying(w)), details)


# ------------------------------------------------------------------------------------------- features


def told_of(w: Windows, starts: Rows) -> tuple[Floats, list[str]]:
    """(windows, features) what each channel does in a window, and what the features are called."""
    x = w.at(starts)
    step = np.diff(x, axis=1)
    sd = x.std(axis=1)
    spectrum = np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True), axis=1)[:, 1:]) ** 2
    power = spectrum.sum(axis=1) + 1e-9
    third = max(1, spectrum.shape[1] // 3)
    centred = x - x.mean(axis=1, keepdims=True)
    parts = {
        "mean": x.mean(axis=1), "sd": sd, "lowest": x.min(axis=1), "highest": x.max(axis=1), "first": x[:, 0],
        "last": x[:, -1], "step": step[:, -1], "mean step": np.abs(step).mean(axis=1),
        "longest step": np.abs(step).max(axis=1), "repeats": (step == 0).mean(axis=1), "rises": (step > 0).mean(axis=1),
        "memory": (centred[:, 1:] * centred[:, :-1]).mean(axis=1) / (sd**2 + 1e-9),
        "turns": (step[:, 1:] * step[:, :-1]).sum(axis=1) / ((step**2).sum(axis=1) + 1e-9),
        "slow": spectrum[:, :third].sum(axis=1) / power, "fast": spectrum[:, -third:].sum(axis=1) / power,
    }  # fmt: skip
    features = [np.concatenate(list(parts.values()), axis=1)]
    names = [f"{what} of {name}" for what in parts for name in w.names]
    places = np.unique(np.linspace(0, w.width - 1, max(1, min(w.width, RAW // len(w.names)))).astype(np.int64))
    for i in places.tolist():
        features.append(x[:, i])
        names += [f"{name} at step {i + 1}" for name in w.names]
    return np.concatenate(features, axis=1), names


@dataclass(frozen=True, slots=True)
class Kernels:
    """Random convolutions: each over one to three channels, with its dilation and threshold."""

    channels: list[Rows]
    weights: list[Floats]  # (taps, channels)
    dilations: list[int]
    bounds: Floats  # (kernels,)

    @classmethod
    def of(cls, w: Windows) -> Kernels:
        rng, d = w.paths.units.chance("kernels"), len(w.names)
        channels, weights, dilations = list[Rows](), list[Floats](), list[int]()
        for _ in range(KERNELS):
            taps = min(int(rng.choice((3, 5, 7, 9))), w.width)
            n = min(int(rng.integers(1, 4)), d)
            channels.append(rng.choice(d, n, replace=False))
            weight = rng.normal(size=(taps, n))
            weights.append(weight - weight.mean(axis=0))
            widest = (w.width - 1) // max(1, taps - 1)
            dilations.append(int(2 ** rng.uniform(0, np.log2(max(1, widest)))))
        made = cls(channels, weights, dilations, np.zeros(KERNELS))
        some = w.at(w.starts(w.paths.units.train, 200, "kernel windows"))
        levels = rng.uniform(0.1, 0.9, KERNELS)
        bounds = [np.quantile(made._convolved(some, k), q) for k, q in enumerate(levels)] if len(some) else levels
        return cls(channels, weights, dilations, np.array(bounds))

    def _convolved(self, x: Floats, k: int) -> Floats:
        """(windows, width, d) -> (windows, width - span)"""
        weight, dilation = self.weights[k], self.dilations[k]
        part = x[:, :, self.channels[k]]
        long = x.shape[1] - (len(weight) - 1) * dilation
        return sum(part[:, i * dilation : i * dilation + long] @ taps for i, taps in enumerate(weight))

    def features(self, x: Floats) -> Floats:
        """(windows, 2 kernels): the share above the bound, and the highest value."""
        found = [self._convolved(x, k) for k in range(len(self.bounds))]
        above = [(f > bound).mean(axis=1) for f, bound in zip(found, self.bounds, strict=True)]
        return np.stack(above + [f.max(axis=1) for f in found], axis=1)


# ------------------------------------------------------------------------------------------- a detector


def detector(w: Windows, kernels: Kernels) -> tuple[Measure, dict[str, Any]]:
    """Synthetic windows beside unseen ones, and the same for windows of train."""
    units = w.paths.units
    pools = [w.starts(of, MOST, f"detector {role}") for role, of in _sets(w).items()]
    n = min(len(pools[1]), len(pools[2]))
    if n < FEW or min(len(units.holdout), len(units.synthetic)) < FOLDS:
        return AUC.absent(f"{len(pools[1]):,} hold-out and {len(pools[2]):,} synthetic windows are too few"), {}
    train, holdout, synthetic = (_evenly(pool, n) for pool in pools)
    found = _detected(w, kernels, holdout, synthetic, "detector")
    base = _detected(w, kernels, holdout, train, "detector floor")
    gain = found.gain - base.gain
    verdict, grade = told(
        found.auc, base.auc, float(np.hypot(found.error, base.error)), found.names[int(gain.argmax())]
    )
    worst = np.argsort(-gain, kind="stable")[:20].tolist()
    total = float(np.maximum(gain, 0).sum()) or 1.0
    details = {
        "roc": found.roc, "roc_floor": base.roc, "width": w.width,
        "gains": {found.names[i]: round(float(gain[i]) / total, 5) for i in worst if gain[i] > 0},
    }  # fmt: skip
    return AUC.found(found.auc, found.error, base.auc, verdict, grade), {"detector": details}


@dataclass(frozen=True, slots=True)
class _Detected:
    auc: float
    error: float
    roc: list[list[float]]
    gain: Floats
    names: list[str]


def _detected(w: Windows, kernels: Kernels, real: Rows, new: Rows, purpose: str) -> _Detected:
    rows = np.concatenate([real, new])
    features, names = told_of(w, rows)
    features = np.concatenate([features, kernels.features(w.at(rows))], axis=1)
    names += [
        f"a pattern over {', '.join(w.names[i] for i in kernels.channels[k % KERNELS])}" for k in range(2 * KERNELS)
    ]
    label = np.arange(len(rows)) >= len(real)
    unit = w.paths.unit[rows]
    score, gains = classify(_bytes(features), label, FOLDS, w.paths.units.chance(purpose), TREES, unit)
    value = auc(score, label)
    return _Detected(
        value, auc_error(score, label, unit), roc(score, label).round(5).tolist(), gains.sum(axis=0), names
    )


def _bytes(features: Floats) -> np.typing.NDArray[np.uint8]:
    """(n, p) -> (p, n) quantile cells of both sets together, at least 16 windows each."""
    cells = int(np.clip(len(features) // 16, *CELLS))
    out = np.empty(features.shape[::-1], np.uint8)
    for k, values in enumerate(features.T):
        values = np.round(values, 9)
        edges = np.unique(np.quantile(values, np.linspace(0, 1, cells)[:-1], method="nearest"))
        out[k] = np.searchsorted(edges, values, "left")
    return out


def auc_error(score: Floats, label: Bools, unit: Rows) -> float:
    """The standard error of an AUC whose windows come in units (Obuchowski, 1997), times the root of 2.

    Each fold's trees learn from the labels that the other folds are judged by: hence the root.
    """
    real, new = score[~label], score[label]
    above = _placed(new, real) - auc(score, label)
    below = 1 - _placed(real, new) - auc(score, label)
    variance = 0.0
    for parts, of in ((above, unit[label]), (below, unit[~label])):
        sums = np.bincount(np.unique(of, return_inverse=True)[1], parts)
        k = len(sums)
        variance += float((sums**2).sum()) * k / max(1, k - 1) / len(parts) ** 2
    return float(np.sqrt(2 * variance))


def _placed(values: Floats, among: Floats) -> Floats:
    """The share of the others that lie below each value, ties half."""
    among = np.sort(among)
    return (np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")) / 2 / len(among)


def _evenly(rows: Rows, n: int) -> Rows:
    return rows[np.linspace(0, len(rows) - 1, n).astype(np.int64)] if len(rows) else rows


def _sets(w: Windows) -> dict[str, Rows]:
    units = w.paths.units
    return {"train": units.train, "holdout": units.holdout, "synthetic": units.synthetic}


# ------------------------------------------------------------------------------------------- distance of features


def distance(w: Windows, kernels: Kernels) -> Measure:
    """The Frechet distance of the features of train and of synthetic windows, over the number of features."""
    units = w.paths.units
    n = min(MOST, *(len(w.starts(of, MOST, "distance")) for of in (units.train, units.synthetic)))
    if n < FEW or len(units.real) < FEW:
        return DISTANCE.absent(f"{n:,} windows are too few")
    train = kernels.features(w.at(w.starts(units.train, n, "distance train")))
    mean, sd = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-9)

    def features(of: Rows, purpose: str) -> Floats:
        scaled = (kernels.features(w.at(w.starts(of, n, purpose))) - mean) / sd
        return np.clip(scaled, -FARTHEST, FARTHEST)

    value = frechet(np.clip((train - mean) / sd, -FARTHEST, FARTHEST), features(units.synthetic, "distance synthetic"))
    rng, floors = units.chance("distance floor"), []
    for k in range(SPLITS):
        order, half = rng.permutation(units.real), len(units.real) // 2
        one, two = (features(part, f"distance {k} {i}") for i, part in enumerate((order[:half], order[half:])))
        floors.append(frechet(one, two))
    floor, error = float(np.mean(floors)), float(np.std(floors, ddof=1))
    if value <= 1.1 * floor + SURE * error:
        return DISTANCE.found(value, error, floor, WITHIN_NOISE)
    grade: Grade = "near" if value <= 3 * floor else "far"
    return DISTANCE.found(value, error, floor, f"{value / max(floor, 1e-9):.1f} times the noise of real", grade)


def frechet(a: Floats, b: Floats) -> float:
    """|mean - mean|^2 + trace of (C + D - 2 (C D)^(1/2)), over the number of features.

    >>> x = np.array([[0.0], [2.0]])
    >>> frechet(x, x + 3)
    9.0
    """
    one, two = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    between = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0)).sum()
    gap = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    return max(0.0, gap + float(np.trace(one) + np.trace(two) - 2 * between)) / a.shape[1]


# ------------------------------------------------------------------------------------------- copying


def copying(w: Windows) -> tuple[Measure, Measure]:
    """How near synthetic windows come to those of train, beside how near unseen windows come."""
    units = w.paths.units
    train = w.starts(units.train, TRAIN, "copied train")
    new, unseen = (w.starts(of, MOST, f"copied {i}") for i, of in enumerate((units.synthetic, units.holdout)))
    if len(unseen) < FEW or not len(train) or not len(new):
        few = f"{len(unseen):,} windows were never seen"
        return NEAREST.absent(few), TYPICAL.absent(few)
    mine, theirs = (nearest(w.at(of), w.at(train)) for of in (new, unseen))
    where = w.paths.unit
    bound = float(np.quantile(theirs, 0.02))
    share, share_error = _of_units(mine <= bound, where[new])
    usual, usual_error = _of_units(theirs <= bound, where[unseen])
    error = 100 * float(np.hypot(share_error, usual_error))
    verdict, grade = UNCOPIED, "noise"
    if 100 * (share - usual) > SURE * error:
        verdict, grade = f"copying: {100 * share:.1f} % lie closer to train than 98 % of unseen windows do", "far"
    close = NEAREST.found(100 * share, error, 100 * usual, verdict, grade)  # type: ignore[arg-type]
    return close, _typical(mine, theirs, where[new], where[unseen])


def _typical(mine: Floats, theirs: Floats, unit: Rows, other: Rows) -> Measure:
    value, floor = float(np.median(mine)), float(np.median(theirs))
    _, above = _of_units(mine > floor, unit)
    _, usual = _of_units(theirs > floor, other)
    spread = float(np.hypot(above, usual))  # of the share that lies beyond the unseen median
    share = float((mine > floor).mean() + (mine == floor).mean() / 2)
    low, high = np.quantile(theirs, np.clip([0.5 - spread, 0.5 + spread], 0, 1))
    if share >= 0.5 - SURE * spread:
        return TYPICAL.found(value, float(high - low) / 2, floor, UNCOPIED, "noise")
    grade: Grade = "far" if share < 0.4 else "near"
    return TYPICAL.found(
        value, float(high - low) / 2, floor, "leans to train: nearer to it than unseen windows are", grade
    )


def nearest(queries: Floats, reference: Floats) -> Floats:
    """(q,) the distance of each window to the nearest of the reference: root mean square over its values."""
    q, r = (x.reshape(len(x), -1).astype(np.float32) for x in (queries, reference))
    squares, out = (r * r).sum(axis=1), np.empty(len(q))
    for begin in range(0, len(q), 256):
        part = q[begin : begin + 256]
        between = squares - 2 * (part @ r.T) + (part * part).sum(axis=1)[:, None]
        # float32 loses what is nearly equal: the nearest one is measured again
        at = between.argmin(axis=1)
        out[begin : begin + 256] = np.sqrt(((part - r[at]).astype(np.float64) ** 2).mean(axis=1))
    return out


def _of_units(hits: Bools, unit: Rows) -> tuple[float, float]:
    """A share, and its standard error where windows come in units."""
    share = float(hits.mean())
    sums = np.bincount(np.unique(unit, return_inverse=True)[1], hits - share)
    k = len(sums)
    floor = np.sqrt(0.5 / len(hits)) / np.sqrt(len(hits))  # of no hits at all, half of one
    return share, max(float(np.sqrt((sums**2).sum() * k / max(1, k - 1))) / len(hits), float(floor))

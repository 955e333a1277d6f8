"""What runs across tables: keys, children per parent, relations over one and two keys, and whole families.

Definitions are those of SyntheRela (Jurkovic et al., 2024) and SDMetrics, so that numbers compare with published ones:
cardinality is 1 - Kolmogorov-Smirnov of children per parent, those without any included; a trend is that of `fidelity`
over rows joined along their keys; c2st_agg is the accuracy of a detector that sees each parent with what its children
sum up to, beside unseen parents. Floors keep the rows of one person together: rows of one family are no independent
draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.evaluation.axes import BARS
from verosim.evaluation.columns import compare
from verosim.evaluation.copying import DCR, near
from verosim.evaluation.families import Family, Key, Kin, Side, children, keys_of, label, paths
from verosim.evaluation.fidelity import (
    Pairs,
    beside,
    clues,
    detect,
    detectable,
    detected,
    given_away,
    shape_errors,
    trend_errors,
)
from verosim.evaluation.floors import FEW, splits_of
from verosim.evaluation.report import WITHIN_NOISE, Findings, Grade, Measure
from verosim.evaluation.words import severity
from verosim.keys import DANGLING, Ints
from verosim.models import Progress, silent
from verosim.relational.graph import Frames, name_of
from verosim.schema import Column, ForeignKey, Schema, Table

FOLDS: Final = 5  # of the detector: SyntheRela's
SPLITS: Final = 64  # random pairs of real sets for the floor of cardinality, which costs little
LONG: Final = 5.0  # standard errors that make a single Kolmogorov-Smirnov statistic sure: its tail is long
CLUSTERED: Final = 4.0  # ... or a mean over pairs of columns that share a few rows above them
PARENTS: Final = 20_000  # at most, whose children are compared
LONGEST: Final = 60  # paths of two keys that are looked at; more are drawn by chance

KEYS: Final = Measure("broken keys", "lower", "%", about="keys that name nobody, or stand twice where they may not")
CARDINALITY: Final = Measure(
    "cardinality", "higher", about="1 - Kolmogorov-Smirnov of children per parent, the mean over all keys"
)
TRENDS: Final = {
    hops: Measure(
        f"trend over {said}", "lower", "%",
        about=f"distance of each relation of a column to one of the row {said} above, their mean",
    )
    for hops, said in ((1, "one key"), (2, "two keys"))
}  # fmt: skip
C2ST: Final = Measure(
    "c2st_agg", "lower", about="share of rows, with what their children sum up to, told rightly from unseen ones; worst"
)

# ----------------------------------------------------------------------------------------------------------- keys


def broken_keys(dataset: Frames, schema: Schema) -> dict[str, int]:
    """For each foreign key, how many rows name nobody; for each primary key, how many rows repeat another's or lack it.

    schema: with the parent's columns of each key written out, as that of a synthesizer.
    """
    side, out = Side.of(dataset, schema), dict[str, int]()
    for name, key in keys_of(schema):
        out[f"{name}: {key}"] = int((side.rows[name_of(name, key)] == DANGLING).sum())
    for name, table in schema.items():
        if own := list(table.primary_key):
            known = dataset[name].select(own).drop_nulls()
            out[f"{name}: {', '.join(own)}"] = dataset[name].height - known.n_unique() if known.height else 0
    return out


def keys(family: Family, progress: Progress = silent) -> Findings:
    """Whether every key names a row, and no primary key stands twice. Details: schema, keys (docs/report.md)."""
    progress(0.0, "following keys")
    new, real = (broken_keys(part.side.dataset, family.schema) for part in (family.synthetic, family.train))
    checked, before = (_checked(part.side.dataset, family.schema) for part in (family.synthetic, family.train))
    details = {"schema": _drawn(family), "keys": {name: [wrong, checked[name]] for name, wrong in new.items()}}
    total = sum(checked.values())
    if not total:
        return Findings((KEYS.absent("no rows"),), details)
    share, usual = (100 * sum(x.values()) / max(1, sum(of.values())) for x, of in ((new, checked), (real, before)))
    worst = max(new, key=lambda name: new[name] - real[name] * checked[name] / max(1, before[name]))
    verdict, grade = _keys_said(worst, new[worst], checked[worst], real[worst] / max(1, before[worst]))
    return Findings((KEYS.found(share, None, usual, verdict, grade),), details)


def _keys_said(name: str, wrong: int, of: int, usual: float) -> tuple[str, Grade]:
    table, _, key = name.partition(": ")
    if wrong <= usual * of + 3 * (usual * of) ** 0.5:  # keys that named nobody in the real data do so here
        return f"{WITHIN_NOISE}: every key is as valid as in the real data", "noise"
    what = "name nobody" if " -> " in key else "have a key that stands twice, or none"
    return f"{wrong:,} of {of:,} rows of {table} {what}: {key}", "far"


def _checked(dataset: Frames, schema: Schema) -> dict[str, int]:
    """How many rows each of `broken_keys` looks at."""
    foreign = {f"{name}: {key}": dataset[name].height for name, key in keys_of(schema)}
    own = {f"{n}: {', '.join(t.primary_key)}": dataset[n].height for n, t in schema.items() if t.primary_key}
    return foreign | own


def _drawn(family: Family) -> dict[str, Any]:
    """The tables with their keys, as plain values: what the picture of the schema is drawn from."""
    roles = {link.name: link.role for link in family.graph.links}
    return {
        "tables": {
            name: {
                "rows": family.synthetic.side.dataset[name].height,
                "columns": len(table.columns),
                "primary_key": list(table.primary_key),
                "keep": table.keep,
            }
            for name, table in family.schema.items()
        },
        "keys": [
            {
                "name": name_of(name, key), "table": name, "columns": list(key.columns), "parent": key.parent,
                "parent_columns": list(key.parent_columns), "role": roles[name_of(name, key)],
            }
            for name, key in keys_of(family.schema)
        ],
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------- cardinality


def cardinality(family: Family, progress: Progress = silent) -> Findings:
    """How many children each parent has, by key, beside real parents. Details: children (docs/report.md)."""
    found, drawn = list[tuple[Measure, int]](), {}
    for name, key in keys_of(family.schema):
        progress(0.0, f"counting {name}")
        counts = _counts(family, name, key)
        measure = replace(CARDINALITY, of=(name_of(name, key),), about="1 - Kolmogorov-Smirnov of children per parent")
        found.append((_cardinality(family, measure, counts), 1))
        drawn[name_of(name, key)] = _bars(counts)
    whole = _mean(CARDINALITY, found)
    return Findings((whole, *(m for m, _ in found)), {"children": drawn})


def _counts(family: Family, name: str, key: ForeignKey) -> list[Ints]:
    """The children of each parent in train, hold-out and synthetic data.

    Where the parents of all three are the same rows, such as countries, their number does not follow that of the rows
    drawn, and the mean says nothing: the side with more children per parent is thinned to the mean of the other.
    """
    counts = [children(part, name, key) for part in family.parts]
    if family.schema[key.parent].keep or (len(family.holdout.numbers[name]) and not len(counts[1])):
        real, new = (float(c.mean()) if len(c) else 0.0 for c in (counts[0], counts[2]))
        rng, least = family.chance("thinned", name_of(name, key)), min(real, new)
        shares = (least / real if real else 1.0, 1.0, least / new if new else 1.0)
        counts = [rng.binomial(c, share) for c, share in zip(counts, shares, strict=True)]
    return counts


def _cardinality(family: Family, like: Measure, counts: Sequence[Ints]) -> Measure:
    chance = family.chance("parents", like.label)
    some = (chance.permutation(c)[:PARENTS].astype(np.float64) for c in counts)
    train, holdout, new = (pl.DataFrame({"rows": c}) for c in some)
    table = Table(like.label, (Column("rows", "number", "float64"),))
    c = compare(train, holdout, new, table, replace(family.limits, splits=SPLITS), family.seed)
    if reason := c.nothing():
        return like.absent(reason.replace("rows", "parents"))
    errors = shape_errors(c.columns, c.train, c.synthetic)
    splits = splits_of(c, "cardinality", lambda a, b: shape_errors(c.columns, a, b))
    floor = splits.floor() if splits else None
    means = [float(x.mean()) for x in (counts[0], counts[2])]
    said = f"{means[1]:,.3g} children on average, real rows have {means[0]:,.3g}"
    return _flipped(beside(like, errors, floor, lambda _: said, sure=LONG))


def _flipped(m: Measure) -> Measure:
    """An error as a likeness: 1 is best."""
    flip = [None if x is None else 1 - x for x in (m.value, m.floor)]
    return replace(m, value=flip[0], floor=flip[1], verdict=m.verdict.replace(": mostly ", ": "))


def _mean(like: Measure, found: Sequence[tuple[Measure, int]]) -> Measure:
    """The mean of measures with their weights; the verdict is that of the worst."""
    known = [(m, n) for m, n in found if n and m.value is not None]
    if not known:
        return like.absent(found[0][0].verdict.removeprefix("not measured: ") if found else "no keys")
    total = sum(n for _, n in known)
    value = sum(n * (m.value or 0.0) for m, n in known) / total
    judged = [(m, n) for m, n in known if m.floor is not None and m.error is not None]
    worst = max((m for m, _ in known), key=severity)
    floor = sum(n * (m.floor or 0.0) for m, n in judged) / sum(n for _, n in judged) if judged else None
    error = float(np.sqrt(sum((n * (m.error or 0.0)) ** 2 for m, n in judged))) / total if judged else None
    where = "" if worst.grade in ("noise", "none") else f" ({', '.join(worst.of)})"
    return like.found(value, error, floor, f"{worst.verdict}{where}", worst.grade)


def _bars(counts: Sequence[Ints]) -> dict[str, Any]:
    """The share of parents with 0, 1, 2 ... children; the last bar holds those with more."""
    most = int(max((c.max(initial=0) for c in counts), default=0))
    step = max(1, -(-(most + 1) // BARS))
    labels = [str(i) if step == 1 else f"{i} - {i + step - 1}" for i in range(0, most + 1, step)]
    roles = zip(("train", "holdout", "synthetic"), counts, strict=True)
    shares = {
        role: (np.bincount(c // step, minlength=len(labels)) / max(1, len(c))).round(6).tolist() for role, c in roles
    }
    return {"labels": labels, **shares}


# -------------------------------------------------------------------------------------------------------- trends


def trends(family: Family, progress: Progress = silent) -> Findings:
    """How a row's columns go with those of the row one key above it, and two keys above it.

    Details: worst_relations, the paths of keys by how far their trend lies above its floor.
    """
    measures, notes = list[Measure](), list[str]()
    one, two = paths(family.schema, 1), paths(family.schema, 2)
    if len(two) > LONGEST:
        notes.append(f"trend over two keys looks at {LONGEST:,} of {len(two):,} paths")
        two = [two[i] for i in np.sort(family.chance("paths").permutation(len(two))[:LONGEST]).tolist()]
    done, total = 0, max(1, len(one) + len(two))
    for hops, way in ((1, one), (2, two)):
        found = []
        for path in way:
            progress(done / total, f"comparing along {label(path)}")
            found.append(_trend(family, path, replace(TRENDS[hops], of=(label(path),))))
            done += 1
        measures += [_mean(TRENDS[hops], found)] if way else []
        measures += [m for m, n in found if n]
    return Findings(tuple(measures), notes=tuple(notes))


def _trend(family: Family, path: Sequence[Key], like: Measure) -> tuple[Measure, int]:
    """The mean over all pairs of a column below and one above, and how many pairs there are."""
    kin = family.along(path)
    c, pairs = kin.arrays, _across(kin)
    if reason := ("" if len(pairs) else "one of the tables has keys alone") or c.nothing():
        return like.absent(reason), 0
    pairs = c.chance("pairs").permutation(pairs)[: c.limits.pairs]
    errors = trend_errors(c.columns, pairs, c.train, c.synthetic)
    if not np.isfinite(errors).any():
        return like.absent("no two columns vary"), 0
    some, judged = pairs[: c.limits.floor_pairs], slice(c.limits.floor_pairs)
    splits = splits_of(c, "trend floor", lambda a, b: trend_errors(c.columns, some, a, b))
    names = [column.name for column in c.columns]
    floor = splits.floor() if splits else None
    said = beside(like, errors, floor, lambda i: " x ".join(names[k] for k in some[i]), judged, CLUSTERED)
    return said, int(np.isfinite(errors).sum())


def _across(kin: Kin) -> Pairs:
    low = np.array(kin.low, np.int64)
    high = np.setdiff1d(np.arange(len(kin.arrays.columns)), low)
    return np.stack([np.repeat(low, len(high)), np.tile(high, len(low))], axis=1)


# ------------------------------------------------------------------------------------------------------ families


@dataclass(frozen=True, slots=True)
class _Told:
    """What a detector found of the families of one table."""

    measure: Measure
    details: dict[str, Any]


def families(family: Family, progress: Progress = silent) -> Findings:
    """Parents with what their children sum up to: a detector (c2st_agg), and copying, for each table that has children.

    Details: families, by table: what the detector saw (docs/report.md).
    """
    tables = [name for name in family.schema if family.into(name) and not family.schema[name].keep]
    told, copied = list[_Told](), list[Measure]()
    for i, name in enumerate(tables):
        progress(i / len(tables), f"looking at families of {name}")
        kin = family.with_children(name)
        told.append(_told(kin, replace(C2ST, of=(name,), about=C2ST.about.removesuffix("; worst"))))
        if family.graph.root(name) == name:  # the unit of privacy is the person, with all that is of them
            copied.append(_copied(kin, name))
    details = {t.measure.of[0]: t.details for t in told if t.details}
    return Findings((_worst(told), *(t.measure for t in told), *copied), {"families": details})


def _told(kin: Kin, like: Measure) -> _Told:
    c = kin.arrays
    n = min(len(c.holdout), len(c.synthetic), c.limits.detector_rows)
    if reason := c.nothing():
        return _Told(like.absent(reason), {})
    assert c.groups is not None  # those of families
    unseen, drawn = (len(np.unique(c.groups[rows])) for rows in (c.holdout, c.synthetic))
    if min(unseen, drawn) < FEW:
        return _Told(like.absent(f"{unseen:,} unseen and {drawn:,} synthetic families; {FEW} are needed"), {})
    seen = detectable(c, shape_errors(c.columns, c.train, c.synthetic))
    columns = [c.columns[i] for i in seen]
    holdout, new, train = (
        c.some(rows, n, f"families {i}") for i, rows in enumerate((c.holdout, c.synthetic, c.train))
    )  # fmt: skip
    found = detect(columns, holdout, new, c.chance("families"), FOLDS, c.groups)
    base = detect(columns, holdout, train, c.chance("families floor"), FOLDS, c.groups) if len(train) >= FEW else None
    names = [column.name for column in columns]
    floor = base.accuracy if base else None
    verdict, grade = detected(found.accuracy, found.accuracy_error, floor, lambda: given_away(found, base, names))
    return _Told(like.found(found.accuracy, found.accuracy_error, floor, verdict, grade), clues(found, base, names))


def _worst(told: Sequence[_Told]) -> Measure:
    """The table whose families are told best."""
    known = [t.measure for t in told if t.measure.value is not None]
    if not known:
        return C2ST.absent(told[0].measure.verdict.removeprefix("not measured: ") if told else "no table has children")
    worst = max(known, key=lambda m: (*severity(m)[:2], (m.value or 0.0) - (m.floor or 0.5)))
    return replace(worst, of=(), about=C2ST.about, verdict=f"{worst.verdict} ({worst.of[0]})")


def _copied(kin: Kin, name: str) -> Measure:
    """Whether families lie nearer to those learned from than to unseen ones."""
    about = "synthetic rows, with what their children sum up to, nearer to train than to unseen ones: a share"
    return replace(near(kin.arrays)[0], name=f"{DCR.name} of families", of=(name,), about=about)

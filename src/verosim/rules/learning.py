"""Rules that always hold in given data, and would not by chance.

Each search runs on a sample of rows first, where almost all candidates fall at once; what is left is checked on every
row. So the cost is linear in rows, and at most quadratic in columns on the sample. Nothing here is drawn at random.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.expressions import kind_of, quoted
from verosim.rules.difference import MEASURES
from verosim.rules.kinds import NUMBERS, TIMES, FixedSum, Inequality, OneHot, Rule
from verosim.rules.parsing import parse
from verosim.schema import Table

SAMPLE: Final = 2_000  # rows that every search looks at first
ROWS: Final = 30  # rows in which a rule must show itself
EXPECTED: Final = 10  # rows that would break it, at least, if its columns had nothing to do with each other
SHARE: Final = 0.01  # ... and their share, for an inequality of times, or of numbers that come close to each other
CLEAR: Final = 0.1  # ... of other numbers
CHANCES: Final = 400  # pairs of rows that chance is measured on
COMBINATIONS: Final = 5_000
NUMBER_LEVELS: Final = 100  # a number of more levels tells no other column's value
SUM_COLUMNS: Final = 30
SHOWN: Final = 5  # rows that must hold a value before a rule may name it

VALUES: Final = NUMBERS | TIMES | {"duration", "text", "boolean"}  # what a column must hold to take part

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Spec = dict[str, Any]


def learn(frame: pl.DataFrame, table: Table) -> tuple[Rule, ...]:
    """The rules that hold in every row of `frame`, and that chance would break; each with a reason.

    Inequalities (without those that follow from others), fixed sums, fixed combinations, one-hot groups, and columns
    that are missing together or where a category says so. Nothing is learned from fewer than 30 rows.
    """
    if frame.height < ROWS:
        return ()
    data = _Data(frame.fill_nan(None), table)  # in rules, NaN is missing
    with np.errstate(all="ignore"):  # sums of very large numbers
        groups, sums = list(_one_hot(data)), list(_sums(data))
        orders = list(_inequalities(data, sums))
    spent = {c for spec in groups for c in spec["columns"]} | {spec["total"] for spec in sums}
    combinations = list(_combinations(data, spent))
    return parse([*groups, *combinations, *sums, *orders, *_missing(data, combinations)], table)


@dataclass
class _Data:
    """A frame, its table, and what several searches ask of them."""

    frame: pl.DataFrame
    table: Table

    @cached_property
    def types(self) -> dict[str, pl.DataType]:
        return dict(self.frame.schema)

    @cached_property
    def sample(self) -> pl.DataFrame:
        if self.frame.height <= SAMPLE:
            return self.frame
        return self.frame[np.linspace(0, self.frame.height - 1, SAMPLE).astype(np.int64)]

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Columns that may take part, with their kinds."""
        left_out = {"id", "personal", "constant", "empty"}
        usable = {name for name, dtype in self.types.items() if kind_of(dtype) in VALUES}
        return {c.name: c.kind for c in self.table.columns if c.kind not in left_out and c.name in usable}

    @cached_property
    def nulls(self) -> dict[str, int]:
        return dict(zip(self.types, self.frame.null_count().row(0), strict=True))

    def numbers(self, names: list[str], frame: pl.DataFrame) -> Floats:
        """(rows, names) as floats, what is missing or infinite as NaN; times in microseconds."""
        out = np.empty((frame.height, len(names)))
        for j, name in enumerate(names):
            out[:, j] = _float_values(frame[name]).to_numpy()
        return out

    def codes(self, names: list[str]) -> npt.NDArray[np.int32]:
        """(sample rows, names): equal numbers for equal values; missing is a value."""
        out = np.empty((self.sample.height, len(names)), dtype=np.int32)
        for j, name in enumerate(names):
            values = self.sample[name]
            plain = values.cast(pl.String) if kind_of(values.dtype) in ("text", "boolean", "decimal") else values
            out[:, j] = plain.rank("dense").fill_null(0).cast(pl.Int32).to_numpy()
        return out


def _float_values(values: pl.Series) -> pl.Series:
    if not values.dtype.is_numeric():
        unit = {"ms": 1e3, "us": 1.0, "ns": 1e-3}
        size = 86_400e6 if values.dtype == pl.Date else 1e-3 if values.dtype == pl.Time else None
        return values.to_physical().cast(pl.Float64).fill_null(float("nan")) * (size or unit[values.dtype.time_unit])  # type: ignore[attr-defined]
    wide = values.cast(pl.Float64)
    return wide.set(~wide.is_finite().fill_null(False), float("nan"))


# ------------------------------------------------------------------------------------------------- inequalities


def _inequalities(data: _Data, sums: Iterable[Spec]) -> Iterator[Spec]:
    said = {(part, spec["total"]) for spec in sums for part in spec["plus"]}
    for names in _comparable(data):
        low, high = _ordered_pairs(data.numbers(names, data.sample), data.kinds[names[0]] == "number")
        edges = np.zeros((len(names), len(names)), dtype=bool)
        edges[low, high] = True
        for i, j in np.argwhere(_verified(edges, names, data)):
            if (names[i], names[j]) in said:
                continue  # the sum holds it, too
            strict = not data.frame.select((pl.col(names[i]) == pl.col(names[j])).any()).item()
            exact = not (data.types[names[i]].is_float() or data.types[names[j]].is_float())
            rule = {"rule": "inequality", "low_column": names[i], "high_column": names[j]}
            reason = f"{names[i]} is never above {names[j]} in {data.frame.height:,} rows"
            yield {**rule, **({"strict": True} if strict and exact else {}), "reason": reason}


def _comparable(data: _Data) -> list[list[str]]:
    """Columns that are measures of the same unit, group by group."""
    groups: dict[tuple[str, object], list[str]] = {}
    units = {c.name: c.unit for c in data.table.columns}
    for name, kind in data.kinds.items():
        held = kind_of(data.types[name])
        if kind not in MEASURES or held not in NUMBERS | TIMES | {"duration"}:
            continue
        family = "number" if held in NUMBERS else "moment" if held in ("date", "datetime") else held
        detail = getattr(data.types[name], "time_zone", None) is not None or units[name]
        groups.setdefault((family, detail), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _ordered_pairs(x: Floats, numbers: bool) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Pairs (i, j) of columns with x[:, i] <= x[:, j] wherever both are known, that would be broken by chance."""
    n = len(x)
    known = np.isfinite(x)
    low, high = _ranks(x, known)
    broken = _above(low, high, np.linspace(0, n - 1, min(n, 64)).astype(int), 0) > 0
    if (~broken).sum() * 8 > broken.size:
        broken |= _above(low, high, np.arange(n), 0) > 0
    else:
        i, j = np.nonzero(~broken)
        for part in np.array_split(np.arange(len(i)), len(i) // 2_000 + 1):  # in parts, for memory
            broken[i[part], j[part]] = (low[:, i[part]] > high[:, j[part]]).any(0)
    tries = np.linspace(0, n - 1, CHANCES).astype(int)
    chance = sum(_above(low, high, tries[k::3], n * step // 7) for k, step in enumerate((2, 3, 5))) / CHANCES
    both = known.astype(np.float32).T @ known.astype(np.float32)
    pairs = ~broken & broken.T & (chance >= SHARE) & (chance * n >= EXPECTED) & (both >= ROWS)
    if numbers:
        i, j = np.nonzero(pairs & (chance < CLEAR))
        for part in np.array_split(np.arange(len(i)), len(i) // 2_000 + 1):
            pairs[i[part], j[part]] = _meet(x[:: n // 500 + 1, i[part]], x[:: n // 500 + 1, j[part]])
    found: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] = np.nonzero(pairs)  # type: ignore[assignment]
    return found


def _ranks(x: Floats, known: Bools) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """All values by their rank among all, for the low and the high side: what is missing is never above nor below."""
    ranks = np.zeros(x.shape, dtype=np.int32)
    ranks[known] = np.unique(x[known], return_inverse=True)[1]
    return np.where(known, ranks, np.int32(-1)), np.where(known, ranks, np.int32(2**31 - 1))


def _above(
    low: npt.NDArray[np.int32], high: npt.NDArray[np.int32], rows: npt.NDArray[np.intp], shift: int
) -> npt.NDArray[np.int16]:
    """(i, j): in how many of the rows column i lies above column j, `shift` rows further on."""
    out = np.zeros((low.shape[1], low.shape[1]), dtype=np.int16)
    for row in rows:
        out += low[row][:, None] > high[(row + shift) % len(high)][None, :]
    return out


def _meet(a: Floats, b: Floats) -> Bools:
    """Whether b comes down to a in some rows: two numbers may also lie apart because one is just much larger."""
    gap = np.where(np.isfinite(b - a), b - a, np.inf)
    return np.asarray((gap <= 0.05 * np.median(gap, axis=0)).mean(0) >= SHARE / 2)


def _verified(edges: Bools, names: list[str], data: _Data) -> Bools:
    """The edges that hold in every row and do not follow from two others; only those are checked."""
    whole = np.array([data.nulls[name] == 0 for name in names])  # through a missing value nothing follows
    sure = np.zeros_like(edges)
    while True:
        weights = edges.astype(np.float32)
        needed = edges & ~(weights * whole @ weights > 0)
        todo = np.argwhere(needed & ~sure)
        if not len(todo):
            return needed
        for i, j in todo:
            sure[i, j] = edges[i, j] = Inequality(names[i], names[j]).count(data.frame) == 0


# ------------------------------------------------------------------------------------------------- sums


def _sums(data: _Data) -> Iterator[Spec]:
    names = [n for n, k in data.kinds.items() if k == "number" and kind_of(data.types[n]) in NUMBERS]
    x = data.numbers(names[:SUM_COLUMNS], data.sample)
    moving = [j for j in range(x.shape[1]) if len(np.unique(x[np.isfinite(x[:, j]), j])) > 1]
    names, x = [names[j] for j in moving], x[:, moving]
    totals: set[int] = set()
    for total, plus, minus in _candidate_sums(x, totals):
        rule = FixedSum(names[total], tuple(names[j] for j in plus), tuple(names[j] for j in minus))
        if total not in totals and totals.isdisjoint({*plus, *minus}) and _is_sum(rule, data):
            totals.add(total)
            reason = f"{rule} in {data.frame.height:,} rows"
            yield {**rule.spec(), "reason": reason}  # type: ignore[dict-item]


def _is_sum(rule: FixedSum, data: _Data) -> bool:
    """Whether it holds in all rows, and each of its parts counts in enough of them."""
    if rule.count(data.frame):
        return False
    known = data.frame.select(rule.columns).drop_nulls().drop_nans()
    parts = known.select((pl.col(c) != 0).sum() for c in rule.columns)
    return known.height >= ROWS and min(parts.row(0)) >= EXPECTED


def _candidate_sums(x: Floats, totals: set[int]) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """(total, plus, minus) as columns of x: copies, then sums of two, then of more. `totals` grows while this runs."""
    n, width = x.shape
    size = np.nanmax(np.where(np.isfinite(x), np.abs(x), 0.0), initial=0.0, axis=0) if n else np.zeros(width)

    def agrees(value: Floats, total: int, scale: float) -> bool:
        off = np.abs(value - x[:, total])
        return not (off > 1e-6 * scale).any() and int(np.isfinite(off).sum()) >= ROWS

    for i in range(width):
        yield from ((j, (i,), ()) for j in range(i + 1, width) if agrees(x[:, i], j, size[i]))
    for i in range(width):
        for j in range(i + 1, width):
            value = x[:, i] + x[:, j]
            near: list[int] = np.nonzero(~(np.abs(value[:64, None] - x[:64]) > 1e-6 * (size[i] + size[j])).any(0))[
                0
            ].tolist()
            yield from ((t, (i, j), ()) for t in near if t not in (i, j) and agrees(value, t, size[i] + size[j]))
    for positive in (True, False):
        for total in range(width):
            if total not in totals:
                yield from _long_sum(x, total, [j for j in range(width) if j != total and j not in totals], positive)


def _long_sum(
    x: Floats, total: int, others: list[int], positive: bool
) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """The total as a sum of three or more others, by least squares; with subtractions where not `positive`."""
    rows = x[np.isfinite(x[:, [total, *others]]).all(1)]
    if len(others) < 3 or len(rows) < 2 * max(ROWS, len(others)):
        return
    others = _apart(rows, others)
    if len(others) < 3:
        return
    scale = rows[:, others].std(0)
    weights = np.linalg.lstsq(rows[:, others] / scale, rows[:, total], rcond=None)[0] / scale
    whole = np.round(weights)
    plus = tuple(others[k] for k in np.nonzero(whole == 1)[0])
    minus = tuple(others[k] for k in np.nonzero(whole == -1)[0])
    plain = np.abs(weights - whole).max() < 1e-3 and np.abs(whole).max() == 1 and len(plus) + len(minus) >= 3
    if plain and plus and not (minus and positive):
        yield total, plus, minus


def _apart(rows: Floats, columns: list[int]) -> list[int]:
    """Without those that are another one in other units, between which least squares cannot choose."""
    columns = [c for c in columns if 0 < rows[:, c].std() < 1e100]
    alike = np.abs(np.corrcoef(rows[:, columns].T)).reshape(len(columns), -1) > 1 - 1e-9
    return [c for k, c in enumerate(columns) if not alike[k, :k].any()]


# ------------------------------------------------------------------------------------------------- one-hot


def _one_hot(data: _Data) -> Iterator[Spec]:
    """Columns of 0 and 1 of which one is 1 in every row: those of one stem (color_red, color_blue), then neighbours."""
    ones = _ones(data)
    stems: dict[str, list[str]] = {}
    for name in ones:
        if match := re.fullmatch(r"(.+)[_.=: -].*", name):
            stems.setdefault(match[1], []).append(name)
    found: set[str] = set()
    for names in [*stems.values(), *_neighbours(ones, data.frame.height)]:
        whole = sum(ones[name] for name in names) == data.frame.height
        if len(names) > 1 and whole and found.isdisjoint(names) and OneHot(tuple(names)).count(data.frame) == 0:
            found.update(names)
            reason = f"exactly one of {len(names)} columns is 1 in {data.frame.height:,} rows"
            yield {"rule": "one_hot", "columns": names, "reason": reason}


def _ones(data: _Data) -> dict[str, int]:
    """Columns that hold nothing but 0 and 1, and both, with how many ones."""
    names = [n for n in data.kinds if data.nulls[n] == 0 and kind_of(data.types[n]) in ("integer", "boolean")]
    ends = data.sample.select(names).select(
        pl.all().cast(pl.Int128).min().name.prefix("<"), pl.all().cast(pl.Int128).max()
    )
    names = [n for n in names if ends["<" + n].item() == 0 and ends[n].item() == 1]
    if not names:
        return {}
    whole = data.frame.select(names).select(pl.all().cast(pl.Int128))
    bounds = whole.select(pl.all().min().name.prefix("<"), pl.all().max().name.prefix(">"), pl.all().sum())
    return {n: int(bounds[n].item()) for n in names if bounds["<" + n].item() == 0 and bounds[">" + n].item() == 1}


def _neighbours(ones: dict[str, int], height: int) -> Iterator[list[str]]:
    names = list(ones)
    start = 0
    while start < len(names):
        end, total = start, 0
        while end < len(names) and total < height:
            total += ones[names[end]]
            end += 1
        yield names[start:end]
        start = end if total == height else start + 1


# ------------------------------------------------------------------------------------------------- combinations


def _combinations(data: _Data, spent: set[str]) -> Iterator[Spec]:
    """Columns that another one determines, such as the country of a city: a rule for each that none determines."""
    names = [n for n in data.kinds if n not in spent and data.kinds[n] != "text"]
    codes = data.codes(names)
    levels = np.array([len(np.unique(codes[:, j])) for j in range(len(names))])
    spread = np.array([_spread(codes[:, j]) for j in range(len(names))])
    said: set[int] = set()
    for i in np.argsort(-levels, kind="stable"):  # what determines a column has at least as many values as it
        most = NUMBER_LEVELS if data.kinds[names[i]] in MEASURES else COMBINATIONS
        if i in said or not 2 <= levels[i] <= most:
            continue
        told = _told(codes, i, spread)
        if not len(told) or data.frame[names[i]].n_unique() > most or not _common(data.frame[names[i]]):
            continue
        row = f"{names[i]} row"
        group = data.frame.select(names[i]).with_row_index(row).select(pl.col(row).first().over(names[i])).to_series()
        sure = [j for j in told if _tells(group, data.frame[names[j]])]
        if sure:
            said.update(sure)
            columns = [names[j] for j in sorted([i, *sure])]
            reason = f"each {names[i]} has one {', '.join(names[j] for j in sure)} in {data.frame.height:,} rows"
            yield {"rule": "fixed_combinations", "columns": columns, "reason": reason}


def _tells(first: pl.Series, values: pl.Series) -> bool:
    """Whether each value is that of the first row of its group."""
    return bool(values.equals(values.gather(first), null_equal=True))


def _common(values: pl.Series) -> bool:
    """Whether nearly all rows hold a value that several others hold too, so that it may be named."""
    rows = values.value_counts(name="rows")["rows"]
    return bool(rows.filter(rows >= SHOWN).sum() >= 0.95 * len(values)) and int((rows >= SHOWN).sum()) > 1


def _spread(codes: npt.NDArray[np.int32]) -> float:
    """The chance that two rows differ."""
    share = np.bincount(codes) / len(codes)
    return float(1 - (share**2).sum())


def _told(codes: npt.NDArray[np.int32], i: int, spread: Floats) -> npt.NDArray[np.intp]:
    """The columns that never differ between two rows of the sample that are equal in column i, though chance would."""
    order = np.argsort(codes[:, i], kind="stable")
    equal = np.nonzero(np.diff(codes[order, i]) == 0)[0]
    first, second = order[equal], order[equal + 1]
    candidates = np.nonzero(spread * len(equal) >= EXPECTED)[0]
    candidates = candidates[candidates != i]
    for rows in (slice(0, None, max(1, len(equal) // 100)), slice(None)):  # a few rows first
        a, b = codes[np.ix_(first[rows], candidates)], codes[np.ix_(second[rows], candidates)]
        candidates = candidates[(a == b).all(0)]
    return candidates


# ------------------------------------------------------------------------------------------------- missing values


def _missing(data: _Data, combinations: Iterable[Spec]) -> Iterator[Spec]:
    """Columns that are missing in the same rows; and a column that is missing just where a category says so."""
    together = [set(spec["columns"]) for spec in combinations]
    names = [n for n in data.kinds if EXPECTED <= data.nulls[n] <= data.frame.height - EXPECTED]
    groups: dict[bytes, list[str]] = {}
    for name in names:
        groups.setdefault(data.sample[name].is_null().to_numpy().tobytes(), []).append(name)
    for first, *others in groups.values():
        for name in others:
            if any({first, name} <= columns for columns in together):
                continue
            if (data.frame[first].is_null() == data.frame[name].is_null()).all():
                yield _empties(name, f"{quoted(first)} is null", data)
        if (condition := _explained(first, data)) is not None:
            yield _empties(first, condition, data)


def _empties(name: str, condition: str, data: _Data) -> Spec:
    reason = f"{name} is missing there and nowhere else: {data.nulls[name]:,} of {data.frame.height:,} rows"
    return {"when": condition, "then": f"{quoted(name)} is null", "exactly": True, "reason": reason}


def _explained(name: str, data: _Data) -> str | None:
    """The shortest condition on a category that says where a column is missing."""
    missing = data.sample[name].is_null()
    found: list[list[Any]] = []
    for other, kind in data.kinds.items():
        if other == name or kind not in ("category", "ordinal", "boolean") or _mixed(data.sample[other], missing):
            continue
        counts = data.frame.group_by(pl.col(other).alias("value")).agg(
            share=pl.col(name).is_null().mean() if other != name else pl.lit(0.0), rows=pl.len()
        )
        empty = counts.filter(pl.col("share") == 1).sort("value", nulls_last=True)
        shown = empty.height <= 10 and (empty["rows"] >= SHOWN).all() and empty["value"].null_count() == 0
        if shown and empty.height and counts["share"].is_in([0.0, 1.0]).all():
            found.append([other, *empty["value"].to_list()])
    if not found:
        return None
    other, *values = min(found, key=len)
    plain = [_written(value) for value in values]
    return f"{quoted(other)} = {plain[0]}" if len(plain) == 1 else f"{quoted(other)} in ({', '.join(plain)})"


def _mixed(values: pl.Series, missing: pl.Series) -> bool:
    """Whether, in the sample, some value stands both with and without the missing one, or there are too many values."""
    if kind_of(values.dtype) not in ("text", "boolean", "integer"):
        return True
    pairs = pl.DataFrame({"value": values, "missing": missing}).unique()
    levels = pairs["value"].n_unique()
    return levels < pairs.height or levels > 50


def _written(value: object) -> str:
    """A value as it stands in an expression."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value).lower()

"""What is the same in a whole sequence because it follows from what happens in it: `Derived`, made and not drawn.

The number of rows, or of one activity, how long it took, when it began or ended; and names of the way a case goes, such
as the number of its variant. A way that fewer than k real cases went has the name of the nearest that more went.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.errors import ModelFileError
from verosim.infer.measures import decimals
from verosim.keys import Ints
from verosim.models import Array, Floats, State, saved_array
from verosim.schema import Table, parse_dtype
from verosim.sequences.activities import traced
from verosim.sequences.order import Clock, sequence_of

LEAST: Final = 20  # sequences, from which something is seen to follow
SURE: Final = 0.999  # share of the cases that go alike which have one name
OFTEN: Final = 0.5  # share of the cases that go like another one, from which names are looked for
USUAL: Final = 0.95  # share of the cases that have one value, from which that it follows says nothing
HOURS: Final = {"seconds": 1 / 3600, "minutes": 1 / 60, "hours": 1.0, "days": 24.0}
TOGETHER: Final = 1000  # ways that are compared at once


@dataclass(frozen=True, slots=True)
class Happened:
    """Rows of sequences, end to end. number: (n,) whose each is, of s. activity: (n,) of so many kinds; of logs."""

    number: Ints
    place: Ints
    ticks: Ints | None
    activity: Array | None
    kinds: int
    clock: Clock | None

    @property
    def s(self) -> int:
        return int(self.number.max(initial=-1)) + 1

    def first(self, last: bool = False) -> Ints:
        """(s,) when each begins, or ends."""
        assert self.ticks is not None
        at = np.append(np.diff(self.number) != 0, True) if last else self.place == 0
        return self.ticks[at]

    def bags(self) -> Floats:
        """(s, kinds) how often each activity comes."""
        assert self.activity is not None
        cells = self.number * self.kinds + self.activity
        return np.bincount(cells, minlength=self.s * self.kinds).reshape(self.s, self.kinds).astype(float)

    def traces(self) -> Array:
        """(s,) uint64, alike where two go alike."""
        out = np.zeros(self.s, np.uint64)
        if self.activity is not None:
            np.add.at(out, self.number, traced(self.activity, self.place))
        return out


@dataclass(frozen=True, slots=True)
class Names:
    """Names of ways. traces: (t,) uint64 ways, ascending; bags: (t, kinds) of activities; values: a row each."""

    traces: Array
    bags: Floats
    values: pl.DataFrame

    def of(self, happened: Happened) -> pl.DataFrame:
        """(s,) rows: the names of each case."""
        traces, one, back = np.unique(happened.traces(), return_index=True, return_inverse=True)
        at = np.minimum(np.searchsorted(self.traces, traces), len(self.traces) - 1)
        new = np.flatnonzero(self.traces[at] != traces)
        bags = happened.bags()[one[new]]
        for begin in range(0, len(new), TOGETHER):
            some = slice(begin, begin + TOGETHER)
            at[new[some]] = np.abs(bags[some, None] - self.bags[None]).sum(2).argmin(1)
        return self.values[at[back]]


@dataclass(frozen=True, slots=True)
class Derived:
    """formulas: column -> what it is (`_formulas`). digits: of those that are rounded."""

    formulas: Mapping[str, str] = field(default_factory=dict)
    digits: Mapping[str, int] = field(default_factory=dict)
    names: Names | None = None

    @property
    def columns(self) -> list[str]:
        return [*self.formulas, *(self.names.values.columns if self.names else [])]

    @classmethod
    def of(cls, cases: pl.DataFrame, happened: Happened, table: Table, k: int) -> Self:
        """cases: the row of each sequence."""
        statics = [n for n in sequence_of(table).statics if cases.height >= LEAST and cases[n].n_unique() > 1]
        formulas, digits = dict[str, str](), dict[str, int]()
        for name in statics:
            places = decimals(cases[name].drop_nulls()) if cases[name].dtype.is_float() else 0
            if found := next((f for f in _formulas(happened) if _holds(cases[name], f, places or 0, happened)), None):
                formulas[name], digits[name] = found, places or 0
        names = None
        if happened.activity is not None:
            names = _names(cases.select(n for n in statics if n not in formulas), happened, k)
        return cls(formulas, digits, names)

    def made(self, happened: Happened, types: Mapping[str, pl.DataType]) -> dict[str, pl.Series]:
        """(s,) the columns of each sequence."""
        out = {n: _value(f, self.digits[n], happened).cast(types[n]) for n, f in self.formulas.items()}
        if self.names is not None:
            named = self.names.of(happened)
            out |= {n: named[n] for n in named.columns}
        return {name: series.alias(name) for name, series in out.items()}

    def explain(self) -> dict[str, str]:
        ways = dict.fromkeys(self.names.values.columns if self.names else [], "names the way a case goes")
        return {n: f"follows from the rows: {f}" for n, f in self.formulas.items()} | ways

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta: dict[str, Any] = {"formulas": dict(self.formulas), "digits": dict(self.digits)}
        if self.names is None:
            return meta, {}
        meta["values"] = self.names.values.with_columns(pl.selectors.temporal().to_physical()).write_json()
        return meta, {"traces": self.names.traces, "bags": self.names.bags}

    @classmethod
    def restore(cls, table: Table, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        names, formulas = None, {str(n): str(f) for n, f in meta["formulas"].items()}
        if "values" in meta:
            values = pl.DataFrame(json.loads(str(meta["values"])), infer_schema_length=None)
            values = values.with_columns(
                pl.col(n).cast(parse_dtype(table[n].dtype, table[n].levels)) for n in values.columns
            )
            traces, bags = saved_array(arrays, "traces", np.uint64), saved_array(arrays, "bags", np.float64, 2)
            if not len(traces) == len(bags) == values.height > 0 or (traces[1:] <= traces[:-1]).any():
                raise ModelFileError("the saved names of ways are damaged.")
            names = Names(traces, bags, values)
        return cls(formulas, {n: int(meta["digits"][n]) for n in formulas}, names)


def _formulas(happened: Happened) -> Iterator[str]:
    """What a column may follow from, the likeliest first."""
    yield "rows"
    if happened.activity is not None:
        yield from ("activities", *(f"activity {i}" for i in range(happened.kinds)))
    if happened.ticks is not None:
        yield from ("beginning", "end")
        if happened.clock is not None and happened.clock.hours(happened.ticks[:1]) is not None:
            yield from HOURS


def _value(formula: str, digits: int, happened: Happened) -> pl.Series:
    """(s,) what a formula says."""
    if formula == "rows":
        return pl.Series(np.bincount(happened.number))
    if formula == "activities":
        return pl.Series((happened.bags() > 0).sum(1))
    if formula.startswith("activity "):
        own = happened.number[happened.activity == int(formula.removeprefix("activity "))]
        return pl.Series(np.bincount(own, minlength=happened.s))
    assert happened.clock is not None
    if formula in ("beginning", "end"):
        return happened.clock.series(happened.first(last=formula == "end"))
    begin, end = happened.clock.hours(happened.first()), happened.clock.hours(happened.first(last=True))
    assert begin is not None
    assert end is not None
    return pl.Series(np.round((end - begin) / HOURS[formula], digits))


def _holds(series: pl.Series, formula: str, digits: int, happened: Happened) -> bool:
    said = _value(formula, digits, happened)
    if series.null_count() or series.dtype.is_numeric() != said.dtype.is_numeric():
        return False
    if series.dtype.is_numeric():
        off = np.abs(series.cast(pl.Float64).to_numpy() - said.cast(pl.Float64).to_numpy())
        return bool((off <= 0.51 * 10.0**-digits if formula in HOURS else off == 0).all())
    return series.dtype == said.dtype and bool((series == said).all())


def _names(cases: pl.DataFrame, happened: Happened, k: int) -> Names | None:
    """The columns that name ways, and their names."""
    if not cases.width:
        return None
    frame = cases.with_columns(pl.Series(".way", happened.traces()))
    ways = frame.group_by(".way").agg(pl.len().alias(".n"), pl.all().exclude(".way").mode().first())
    several = frame.join(ways.filter(pl.col(".n") > 1), on=".way", suffix=" named", maintain_order="left")
    if several.height < OFTEN * frame.height or not several.height:
        return None
    chosen = []
    for name in cases.columns:
        same = several.select(pl.col(name).eq_missing(pl.col(f"{name} named")).mean()).item()
        usual = max(cases[name].value_counts(name=".n")[".n"].to_list()) / cases.height
        if same >= SURE and usual < USUAL:
            chosen.append(name)
    known = ways.filter(pl.col(".n") >= k).sort(".way")
    if not chosen or not known.height:
        return None
    traces = known[".way"].to_numpy()
    one = pl.Series(happened.traces())
    at = pl.DataFrame({".way": one}).with_row_index().unique(".way", keep="first")
    rows = known.select(".way").join(at, on=".way", maintain_order="left")["index"].to_numpy()
    return Names(traces, happened.bags()[rows], known.select(chosen))

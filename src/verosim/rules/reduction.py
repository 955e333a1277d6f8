"""Rules by construction: a frame of other columns, whatever is drawn for which, the restored rows hold the rules.

Each rule becomes a step (see `steps`) where its columns are still free; the steps form no circle, so they are undone in
an order in which each finds what it needs. What cannot be constructed stays in `Reduction.remaining`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import polars as pl

from verosim.errors import ArgumentError, SchemaError, did_you_mean
from verosim.rules.difference import Difference, seldom_broken
from verosim.rules.kinds import (
    FixedCombinations,
    FixedIncrements,
    FixedSum,
    Implication,
    Inequality,
    OneHot,
    Range,
    Rule,
)
from verosim.rules.parsing import apply_ranges, parse, types_of
from verosim.rules.steps import STEPS, Joint, Missing, Multiple, Step, Total
from verosim.schema import Column, Schema, Table

FREE_KINDS = frozenset({"id", "personal"})  # made anew, never learned: no step may take them


@dataclass(frozen=True, slots=True)
class Reduction:
    """How a frame was reduced, and back. `table` says what the reduced columns mean, `original` what they were."""

    original: Table
    steps: tuple[Step, ...] = ()  # in the order in which they are undone
    remaining: tuple[Rule, ...] = ()  # to be checked after `restore`, and held by drawing again
    table: Table = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", _reduced_table(self.original, self.steps))

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The reduced columns of a frame that holds the rules."""
        columns = {c.name: c for c in frame.get_columns()}
        for step in self.steps:
            columns |= {c.name: c for c in step.reduce(frame, self.original).get_columns()}
        return pl.DataFrame({name: columns[name] for name in self.table.names})

    def restore(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The original columns, in their order; each constructed rule holds in every row."""
        for step in self.steps:
            frame = frame.with_columns(step.restore(frame, self.original).get_columns())
        return frame.select(self.original.names)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON. Combinations of values stand in it: those of at least `k` rows."""
        return {
            "table": Schema().with_table(self.original).to_dict(),
            "steps": [{"kind": step.KIND, **asdict(step)} for step in self.steps],  # type: ignore[call-overload]
            "remaining": [rule.spec() for rule in self.remaining],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reduction:
        """What `to_dict` wrote; a SchemaError for anything else."""
        try:
            (table,) = Schema.from_dict(data["table"]).tables.values()
            steps = tuple(_step(spec) for spec in data["steps"])
            return cls(table, steps, parse(data["remaining"], table))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, SchemaError):
                raise
            raise SchemaError(f"not a saved reduction: {error}.") from error


def _step(spec: Mapping[str, Any]) -> Step:
    kind = STEPS.get(spec["kind"])
    if kind is None:
        raise SchemaError(f"unknown step {spec['kind']!r}; {did_you_mean(spec['kind'], STEPS)}")
    values = {name: _tuples(value) for name, value in spec.items() if name != "kind"}
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if set(values) != known:
        raise SchemaError(f"the step {spec['kind']!r} has not the keys {', '.join(sorted(known))}.")
    return kind(**values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _reduced_table(original: Table, steps: Iterable[Step]) -> Table:
    """The columns after all steps: the new ones stand where the first of the removed ones stood."""
    new: dict[str, list[Column]] = {}
    for step in steps:
        first, *others = (name for name in original.names if name in step.removes)
        new |= {first: step.columns(original), **{name: [] for name in others}}
    columns = [c for old in original.columns for c in new.get(old.name, [old])]
    order = [c.name for name in original.order for c in new.get(name, [original[name]])]
    return replace(original, columns=tuple(columns), order=tuple(order), rules=())


# ------------------------------------------------------------------------------------------------- reduce


def reduce(
    frame: pl.DataFrame, rules: Iterable[Rule], table: Table, *, k: int = 1, keep: Collection[str] = ()
) -> tuple[pl.DataFrame, Reduction]:
    """The frame without what the rules say, and the way back.

    frame: holds the rules (see `verify`). Combinations of fewer than `k` rows are not kept. `keep`: columns that no
    step may take, such as foreign keys; the primary key is never taken. With k = 1 `restore` gives back the frame,
    exactly for whole numbers, decimals, times and floats of at most 9 decimals, to rounding for other floats.

    Raises ArgumentError where the frame's columns are not those of the table.
    """
    rules, table = tuple(rules), apply_ranges(table, rules)
    _check_types(frame, table, rules)
    plan = _Plan(frame, table, k, {*keep, *table.primary_key, *(c.name for c in table.columns if c.kind in FREE_KINDS)})
    for rule in rules:
        plan.add(rule, rules)
    reduction = Reduction(table, tuple(plan.ordered()), tuple(plan.left(rules)))
    return reduction.apply(frame.select(table.names)), reduction


def _check_types(frame: pl.DataFrame, table: Table, rules: Iterable[Rule]) -> None:
    missing = [name for name in table.names if name not in frame.columns]
    if missing:
        raise ArgumentError(f"table {table.name!r}: the frame has no column {missing[0]!r}.")
    types = types_of(table)
    for name in dict.fromkeys(c for rule in rules for c in rule.columns):
        if frame.schema[name] != types[name]:
            held = frame.schema[name]
            raise ArgumentError(f"table {table.name!r}, column {name!r}: the schema says {types[name]}, not {held}.")


class _Plan:
    """Steps that are found one rule after the other, none of them taking a column that another took."""

    def __init__(self, frame: pl.DataFrame, table: Table, k: int, locked: set[str]) -> None:
        self.frame, self.table, self.k, self.locked = frame, table, k, locked
        self.by_column: dict[str, Step] = {}  # removed column -> the step that restores it
        self.done: set[int] = set()  # id of each rule that holds by construction

    def add(self, rule: Rule, rules: tuple[Rule, ...]) -> None:
        if id(rule) in self.done:
            return
        if isinstance(rule, Inequality):
            self._difference(rule.high_column, [r for r in rules if isinstance(r, Inequality)])
        elif isinstance(rule, FixedSum):
            self._take(Total.make(self.frame, self.table, rule), rule)
        elif isinstance(rule, FixedIncrements) and self.table[rule.column].step is None:
            self._take(Multiple.make(self.frame, self.table, rule.column, rule.step), rule)
        elif isinstance(rule, FixedCombinations | OneHot):
            self._joint(rule)
        elif isinstance(rule, Implication) and (column := rule.emptied) is not None:
            self._missing(column, [r for r in rules if isinstance(r, Implication) and r.emptied == column])

    def _free(self, removes: Collection[str]) -> bool:
        return not any(c in self.by_column or c in self.locked for c in removes)

    def _take(self, step: Step | None, *rules: Rule) -> None:
        """Use the step, if its columns are free and it closes no circle."""
        if step is None or not self._free(step.removes) or self._reaches(step.needs, set(step.removes)):
            return
        self.by_column |= dict.fromkeys(step.removes, step)
        self.done |= {id(rule) for rule in rules}

    def _reaches(self, names: Iterable[str], wanted: set[str]) -> bool:
        """Whether restoring these columns needs one of the wanted ones."""
        todo, seen = list(names), set[str]()
        while todo:
            name = todo.pop()
            if name in wanted:
                return True
            if name in self.by_column and name not in seen:
                todo += self.by_column[name].needs
            seen.add(name)
        return False

    def _difference(self, high: str, orders: list[Inequality]) -> None:
        """All that must lie below `high`, together; left out are those that would close a circle, and those that a
        model breaks so seldom that drawing again does less harm than learning a difference in the column's place."""
        orders = [r for r in orders if r.high_column == high and not seldom_broken(self.frame, r)]
        usable = [r for r in orders if not self._reaches([r.low_column], {high})]
        if usable and self._free([high]):
            lows, strict = tuple(r.low_column for r in usable), tuple(r.strict for r in usable)
            self._take(Difference.make(self.frame, self.table, high, lows, strict), *usable)

    def _joint(self, rule: FixedCombinations | OneHot) -> None:
        if not self._free(rule.of):
            return
        if isinstance(rule, OneHot) or rule.combinations is not None:
            step = Joint.make(self.frame, self.table, rule.of, self.k, rule.check(self.frame))
        else:
            step = Joint.make(self.frame, self.table, rule.of, self.k)
        self._take(step, rule)

    def _missing(self, column: str, implications: list[Implication]) -> None:
        usable = [r for r in implications if not self._reaches(r.when.columns, {column})]
        reads = tuple(dict.fromkeys(c for r in usable for c in r.when.columns))
        if usable:
            halves = [r for r in usable if not r.exactly]  # that it is there elsewhere, only a check can tell
            self._take(Missing(column, tuple(r.when.text for r in usable), reads), *halves)

    def ordered(self) -> Iterator[Step]:
        """Each step once, after those that restore what it needs."""
        done: set[int] = set()

        def visit(step: Step) -> Iterator[Step]:
            if id(step) not in done:
                done.add(id(step))
                for name in step.needs:
                    if name in self.by_column:
                        yield from visit(self.by_column[name])
                yield step

        for step in self.by_column.values():
            yield from visit(step)

    def left(self, rules: Iterable[Rule]) -> Iterator[Rule]:
        """The rules that must be checked: not constructed, or about a column that now comes out of a computation."""
        computed = {c for step in self.by_column.values() if isinstance(step, Difference | Total) for c in step.removes}
        for rule in rules:
            if isinstance(rule, FixedIncrements) and rule.column not in computed and self._stepped(rule):
                continue  # the codec holds to Column.step
            if isinstance(rule, Range) and rule.column not in computed:
                continue  # the codec holds to Column.minimum and maximum
            if isinstance(rule, FixedCombinations) and rule.combinations is None and id(rule) not in self.done:
                yield self._seen(rule)
            elif id(rule) not in self.done:
                yield rule

    def _stepped(self, rule: FixedIncrements) -> bool:
        return id(rule) in self.done or self.table[rule.column].step is not None

    def _seen(self, rule: FixedCombinations) -> Rule:
        """The rule with the combinations of these data."""
        joint = Joint.make(self.frame, self.table, rule.of, self.k)
        if joint is None:
            raise SchemaError(
                f"table {self.table.name!r}: no combination in `{rule}` is held by {self.k} rows, so none can be kept; "
                "leave this rule out."
            )
        return replace(rule, combinations=joint.combinations, text="")

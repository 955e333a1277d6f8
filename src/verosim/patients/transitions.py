"""The six kinds of transition: which state follows, for many patients at once.

Each choice takes at most one uniform number a patient.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.errors import FileError
from verosim.patients.conditions import Condition, condition
from verosim.patients.forms import (
    AT_AGE,
    AT_TIME,
    VALUE,
    Choice,
    Column,
    Draw,
    Form,
    Go,
    Least,
    Look,
    Named,
    Negated,
    Options,
    Test,
)
from verosim.patients.names import NONE
from verosim.patients.population import NIL, NUMBER, TEXT, Array, civil, instant
from verosim.patients.reading import Place, listing, mapping, number_of

if TYPE_CHECKING:
    from verosim.patients.plan import Plan
    from verosim.patients.world import World

Choose = Callable[["World", Array, Array, Array | None], Array | int]
Target = Callable[[object], int]  # a state's name -> its number; raises SchemaError
KINDS: Final = (
    "direct_transition", "distributed_transition", "conditional_transition", "complex_transition",
    "lookup_table_transition", "type_of_care_transition", "alt_direct_transition",
)  # fmt: skip


@dataclass(frozen=True)
class Transition:
    """choose(world, patients (k,), time (k,), uniform (k,) or None: draw) -> one state's number, or (k,) of them.

    attributes, codes: what the choice depends on besides time; polls: it depends on more. form: the same as data, where
    the kernel can tell it too.
    """

    choose: Choose
    attributes: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    polls: bool = False
    form: Choice | None = None


def _uniform(world: World, patients: Array, uniform: Array | None) -> Array:
    return world.uniform(patients) if uniform is None else uniform


def transition(spec: Mapping[str, Any], plan: Plan, place: Place, target: Target) -> Transition | None:
    """Compile a state's transition; None where it has none. Raises SchemaError."""
    if "alt_direct_transition" in spec:  # a physiology model that is not run
        return _always(target(spec["alt_direct_transition"]))
    for kind, compiled in _COMPILED.items():
        if kind in spec:
            return compiled(spec[kind], plan, place, target)
    return None


def targets(spec: object) -> list[str]:
    """The names of all states that the transitions within a state's JSON can lead to."""
    if isinstance(spec, list):
        return [name for part in spec for name in targets(part)]
    if not isinstance(spec, Mapping):
        return []
    found = [spec["transition"]] if isinstance(spec.get("transition"), str) else []
    return found + [name for key in ("distributions",) for name in targets(spec.get(key))]


def successors(spec: Mapping[str, Any]) -> list[str]:
    """The names of the states that may follow a state."""
    found = [spec[k] for k in ("direct_transition", "alt_direct_transition") if isinstance(spec.get(k), str)]
    for kind in ("distributed_transition", "conditional_transition", "complex_transition", "lookup_table_transition"):
        found += targets(spec.get(kind))
    care = spec.get("type_of_care_transition")
    return found + [str(v) for v in care.values()] if isinstance(care, Mapping) else found


def _always(number: int) -> Transition:
    return Transition(lambda world, patients, time, uniform: number, form=Go(number))


def _direct(spec: object, plan: Plan, place: Place, target: Target) -> Transition:
    return _always(target(spec))


def _distributed(spec: object, plan: Plan, place: Place, target: Target) -> Transition:
    """One uniform number; the first option whose share, summed up, is above it; the last one if none is."""
    options = [mapping(o, "an option", place) for o in listing(spec, "a distribution", place)]
    numbers = np.array([target(o.get("transition")) for o in options], np.int16)
    shares = [o.get("distribution") for o in options]
    if not any(isinstance(share, Mapping) for share in shares):
        for option in options:
            share = number_of(option, "distribution", place)
            place.check(0 <= share <= 1, f"a probability of {share:g} cannot be: it must lie between 0 and 1.")
        return _fixed(np.cumsum(np.array(shares, np.float64)), numbers)
    named = [(plan.attribute(str(s["attribute"])), number_of(s, "default", place))
             if isinstance(s, Mapping) else (None, number_of(o, "distribution", place))
             for o, s in zip(options, shares, strict=True)]  # fmt: skip

    def choose(world: World, patients: Array, time: Array, uniform: Array | None) -> Array:
        found = np.empty((len(patients), len(named)))
        for column, (attribute, default) in enumerate(named):
            found[:, column] = default
            if attribute is not None:
                is_number = world.attributes.kind[attribute, patients] == NUMBER
                found[is_number, column] = world.attributes.value[attribute, patients][is_number]
        return numbers[_picked(np.cumsum(found, axis=1), _uniform(world, patients, uniform))]

    form = Named([(NONE if a is None else a, default) for a, default in named], numbers.tolist())
    return Transition(choose, frozenset(a for a, _ in named if a is not None), form=form)


def _fixed(steps: Array, numbers: Array) -> Transition:
    if len(numbers) == 1:
        return _always(int(numbers[0]))
    inner = steps[:-1]
    return Transition(
        lambda world, patients, time, uniform: numbers[
            inner.searchsorted(_uniform(world, patients, uniform), side="right")
        ],
        form=Draw(inner.tolist(), numbers.tolist()),
    )


def _picked(steps: Array, uniform: Array) -> Array:
    """(k,) the first column of cumulative shares (k, c) that is above the uniform number, or the last."""
    return np.minimum((steps <= uniform[:, None]).sum(axis=1), steps.shape[1] - 1)


def _by_condition(options: list[tuple[Condition | None, Transition]]) -> Transition:
    """The first option whose condition holds or that has none; the last one anyway."""

    def choose(world: World, patients: Array, time: Array, uniform: Array | None) -> Array | int:
        left, out = np.arange(len(patients)), np.empty(len(patients), np.int16)
        for place, (test, follow) in enumerate(options):
            every = len(left) == len(patients)
            some, at, drawn = (patients, time, uniform) if every else _some(left, patients, time, uniform)
            last = test is None or place == len(options) - 1
            holds = np.ones(len(left), bool) if last else test.holds(world, some, at)  # type: ignore[union-attr]
            if holds.all():
                if every:
                    return follow.choose(world, patients, time, uniform)
                out[left] = follow.choose(world, some, at, drawn)
                return out
            if holds.any():
                out[left[holds]] = follow.choose(world, *_some(holds, some, at, drawn))
                left = left[~holds]
        return out

    tests = [test for test, _ in options if test is not None]
    follows = [follow for _, follow in options]
    return Transition(
        choose,
        frozenset().union(*(t.attributes for t in tests), *(f.attributes for f in follows)),
        frozenset().union(*(t.codes for t in tests), *(f.codes for f in follows)),
        any(t.polls for t in tests) or any(f.polls for f in follows),
        _options_form([(None if test is None else test.form, follow.form, test is None) for test, follow in options]),
    )


def _options_form(options: list[tuple[Form | None, Choice | None, bool]]) -> Choice | None:
    """Options as data: (condition, choice, whether there is no condition), up to the first that has none."""
    found: list[tuple[Form, Choice]] = []
    for place, (test, follow, always) in enumerate(options):
        if follow is None:
            return None
        if always or place == len(options) - 1:
            return Options(tuple(found), follow)
        if test is None:
            return None
        found.append((test, follow))
    return None


def _some(where: Array, patients: Array, time: Array, uniform: Array | None) -> tuple[Array, Array, Array | None]:
    return patients[where], time[where], None if uniform is None else uniform[where]


def _conditional(spec: object, plan: Plan, place: Place, target: Target) -> Transition:
    options = [mapping(o, "an option", place) for o in listing(spec, "a conditional transition", place)]
    return _by_condition([
        (condition(o["condition"], plan, place) if o.get("condition") is not None else None,
         _always(target(o.get("transition")))) for o in options
    ])  # fmt: skip


def _complex(spec: object, plan: Plan, place: Place, target: Target) -> Transition:
    options = [mapping(o, "an option", place) for o in listing(spec, "a complex transition", place)]
    return _by_condition([
        (condition(o["condition"], plan, place) if o.get("condition") is not None else None,
         _distributed(o["distributions"], plan, place, target) if o.get("distributions")
         else _always(target(o.get("transition")))) for o in options
    ])  # fmt: skip


# ------------------------------------------------------------------------------------------------- lookup tables


@dataclass(frozen=True)
class LookupTable:
    """A table file: the columns as they are named, and the rows' cells."""

    name: str
    header: list[str]
    rows: list[list[str]]


def read_table(path: Path) -> LookupTable:
    """Read a CSV file of probabilities. Raises FileError, SchemaError with the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if any(line)]
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path} cannot be read as CSV: {error}.") from error
    place = Place(f"lookup_tables/{path.name}")
    place.check(len(lines) > 1, "the table has no rows.")
    for number, line in enumerate(lines[1:], 2):
        place.check(len(line) == len(lines[0]), f"line {number} has {len(line)} cells, the header {len(lines[0])}.")
    return LookupTable(path.name, lines[0], lines[1:])


def _lookup(spec: object, plan: Plan, place: Place, target: Target) -> Transition:
    options = [mapping(o, "an option", place) for o in listing(spec, "a lookup table transition", place)]
    name = str(options[0].get("lookup_table_name", ""))
    table = plan.table(name, place)
    names = [str(o.get("transition")) for o in options]
    keys = table.header[: len(table.header) - len(names)]
    for column in table.header[len(keys) :]:
        place.known(column, names, f"lookup table {name}: the column")
    numbers = np.array([target(column) for column in table.header[len(keys) :]], np.int16)
    try:
        shares = np.array([[float(cell) for cell in row[len(keys) :]] for row in table.rows])
    except ValueError as error:
        place.fail(f"lookup table {name}: a probability must be a number: {error}.")
    defaults = {str(o.get("transition")): float(o.get("default_probability") or 0) for o in options}
    usual = np.cumsum([defaults[column] for column in table.header[len(keys) :]])
    steps = np.vstack([np.cumsum(shares, axis=1), usual])  # the last row where no row fits
    columns = [_key(key, [row[i] for row in table.rows], plan, place, name) for i, key in enumerate(keys)]
    grid = _grid([column.of_row for column in columns])

    def choose(world: World, patients: Array, time: Array, uniform: Array | None) -> Array:
        row = grid[tuple(column.of(world, patients, time) for column in columns)]
        return numbers[_picked(steps[row], _uniform(world, patients, uniform))]

    form = Look([column.form for column in columns], grid, steps, numbers.tolist())
    return Transition(choose, frozenset(c.attribute for c in columns if c.attribute is not None), form=form)


def _grid(of_row: list[Array]) -> Array:
    """The first row for each combination of the columns' keys; the number of rows, for none, where none fits."""
    rows = len(of_row[0])
    grid = np.full([column.max() + 2 for column in of_row], rows)
    for row in reversed(range(rows)):
        grid[tuple(slice(column[row, 0], column[row, 1] + 1) for column in of_row)] = row
    return grid


@dataclass(frozen=True)
class Key:
    """A column of a lookup table: the first and last of the keys that a row (rows, 2) stands for, and the key of each
    patient (k,), -1 for none of them."""

    of_row: Array
    of: Callable[[World, Array, Array], Array]
    form: Column
    attribute: int | None = None


def _key(key: str, cells: list[str], plan: Plan, place: Place, table: str) -> Key:
    if key in ("age", "time"):
        return _range_key(key, cells, place, table)
    number = plan.attribute(key)
    texts, of_row = np.unique([plan.catalogue.texts(cell) for cell in cells], return_inverse=True)
    values = np.array([_float(plan.catalogue.texts.texts[text]) for text in texts])

    def of(world: World, patients: Array, time: Array) -> Array:
        kind, value = world.attributes.kind[number, patients], world.attributes.value[number, patients]
        if (kind == NIL).any():
            place.fail(f"lookup table {table} asks for the attribute {key!r}, which a patient does not have.")
        out = np.full(len(patients), -1)
        for option, (text, real) in enumerate(zip(texts, values, strict=True)):
            out[np.where(kind == TEXT, value == text, value == real)] = option
        return out

    form = Column(VALUE, number, [float(text) for text in texts], values.tolist())
    return Key(np.stack([of_row, of_row], axis=1), of, form, number)


def _float(text: str) -> float:
    """The number that a cell stands for, true and false too; NaN where none."""
    text = {"true": "1", "false": "0"}.get(text.lower(), text)
    return float(text) if _is_number(text) else np.nan


def _range_key(key: str, cells: list[str], place: Place, table: str) -> Key:
    """Ranges, which may overlap: cut where any begins or ends."""
    ranges = np.array([_range(key, cell, place, table) for cell in cells])
    low, after = ranges[:, 0], ranges[:, 1] + 1
    place.check((after > low).all(), f"lookup table {table}: a range of {key} ends before it begins.")
    cuts = np.unique([low, after])
    of_row = np.stack([cuts.searchsorted(low), cuts.searchsorted(after) - 1], axis=1)

    def of(world: World, patients: Array, time: Array) -> Array:
        value = world.people.age(patients, time) if key == "age" else time
        which = cuts.searchsorted(value, side="right") - 1
        return np.where(which < len(cuts) - 1, which, -1)

    return Key(of_row, of, Column(AT_AGE if key == "age" else AT_TIME, NONE, cuts.tolist()))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _range(key: str, cell: str, place: Place, table: str) -> tuple[int, int]:
    parts = cell.split("-")
    try:
        if key == "time" and len(parts) == 6:
            year, month, day = (int(part) for part in parts[3:])
            return instant(*(int(part) for part in parts[:3])), instant(year, month, day) + 86_400_000 - 1
        low, high = (int(part) for part in parts)
    except ValueError:
        place.fail(f"lookup table {table}: {cell!r} is no range of {key}.")
    return low, high


# ------------------------------------------------------------------------------------------------- type of care

TELEMEDICINE_FROM: Final = 2020
OFTEN_EMERGENCY: Final = ("Medicaid", "Dual Eligible", "NO_INSURANCE")
CARE: Final[Mapping[tuple[bool, bool], tuple[float, float, float]]] = {
    # (since 2020, insured by one of OFTEN_EMERGENCY): shares of ambulatory, emergency, telemedicine
    (False, True): (0.65, 0.35, 0.0), (False, False): (0.75, 0.25, 0.0),
    (True, True): (0.66, 0.25, 0.09), (True, False): (0.56, 0.2, 0.24),
}  # fmt: skip


def _type_of_care(spec: object, plan: Plan, place: Place, target: Target) -> Transition:
    found = mapping(spec, "`type_of_care_transition`", place)
    numbers = np.array([target(found.get(k)) for k in ("ambulatory", "emergency", "telemedicine")], np.int16)
    payer = plan.attribute("insurance_payer")  # the name of who pays, set by the insurance
    often = [plan.catalogue.texts(name) for name in OFTEN_EMERGENCY]

    def choose(world: World, patients: Array, time: Array, uniform: Array | None) -> Array:
        late = civil(time)[0] >= TELEMEDICINE_FROM
        kinds, values = world.attributes.kind[payer, patients], world.attributes.value[payer, patients]
        high = (kinds == TEXT) & np.isin(values, often)
        steps = np.empty((len(patients), 3))
        for (after, emergency), shares in CARE.items():
            steps[(late == after) & (high == emergency)] = np.cumsum(shares)
        return numbers[_picked(steps, _uniform(world, patients, uniform))]

    cases = [(after, emergency, Draw(np.cumsum(shares)[:-1].tolist(), numbers.tolist()))
             for (after, emergency), shares in CARE.items()]  # fmt: skip
    return Transition(choose, frozenset([payer]), form=_care_form(payer, often, cases))


def _care_form(payer: int, often: list[int], cases: Sequence[tuple[bool, bool, Choice]]) -> Choice:
    late = Test(AT_TIME, instant(TELEMEDICINE_FROM))
    high = Least(1, tuple(Test(VALUE, payer, TEXT, 0, float(text)) for text in often))
    options = [
        (Least(2, (late if after else Negated(late), high if emergency else Negated(high))), choice)
        for after, emergency, choice in cases
    ]
    return Options(tuple(options), cases[-1][2])


_COMPILED: Final = {
    "direct_transition": _direct, "distributed_transition": _distributed, "conditional_transition": _conditional,
    "complex_transition": _complex, "lookup_table_transition": _lookup, "type_of_care_transition": _type_of_care,
}  # fmt: skip

"""The 19 kinds of condition, each compiled to a test of many patients at once, and to what can change its answer.

nil is no number: every comparison with a missing value is false, `!=` too, except `is nil` and `is not nil`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.patients import forms
from verosim.patients.amounts import unit_of
from verosim.patients.forms import COMPARED, Form, Test
from verosim.patients.names import NONE, coding
from verosim.patients.population import (
    CODE,
    DAY,
    ENTRY,
    FLAG,
    FORETOLD,
    NIL,
    NUMBER,
    OLDEST,
    TEXT,
    Array,
    civil,
    instant,
)
from verosim.patients.reading import Place, listing, mapping, number_of

if TYPE_CHECKING:
    from verosim.patients.plan import Plan
    from verosim.patients.world import World

Holds = Callable[["World", Array, Array], Array]
Moments = Callable[["World", Array], list[Array]]
ORDERINGS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
NILS: Final = ("is nil", "is not nil")
LONG: Final = {"years": 365 * DAY, "months": 30 * DAY, "weeks": 7 * DAY, "days": DAY, "hours": 3_600_000,
               "minutes": 60_000, "seconds": 1000}  # fmt: skip


def never(world: World, patients: Array) -> list[Array]:
    return []


@dataclass(frozen=True)
class Condition:
    """holds(world, patients (k,), time (k,)) -> (k,) bool, and what may change it while a patient waits.

    moments: times (k,) from which on the answer may differ. attributes, codes: a change of these. polls: anything else,
    looked at every week. form: the same as data, where the kernel can tell it too.
    """

    holds: Holds
    moments: Moments = never
    attributes: frozenset[int] = field(default_factory=frozenset)
    codes: frozenset[str] = field(default_factory=frozenset)
    polls: bool = False
    form: Form | None = None


def condition(spec: object, plan: Plan, place: Place) -> Condition:
    """Compile a condition. Raises SchemaError."""
    found = mapping(spec, "a condition", place)
    kind = str(found.get("condition_type", "")).replace(" ", "").lower()
    names = {name.replace(" ", "").lower(): name for name in CONDITIONS}
    if kind not in names:
        place.known(found.get("condition_type"), CONDITIONS, "the condition type")
    return CONDITIONS[names[kind]](found, plan, place)


# ------------------------------------------------------------------------------------------------- combinations


def _parts(spec: Mapping[str, Any], plan: Plan, place: Place) -> list[Condition]:
    return [condition(part, plan, place) for part in listing(spec.get("conditions"), "`conditions`", place)]


def _joined(parts: list[Condition], holds: Holds, form: Form | None) -> Condition:
    return Condition(
        holds,
        lambda world, patients: [m for part in parts for m in part.moments(world, patients)],
        frozenset().union(*(part.attributes for part in parts)),
        frozenset().union(*(part.codes for part in parts)),
        any(part.polls for part in parts),
        form,
    )


def _least(least: float, parts: list[Condition]) -> Form | None:
    return forms.joined(least, [part.form for part in parts])


def _counted(parts: list[Condition], enough: Callable[[Array], Array], form: Form | None) -> Condition:
    def holds(world: World, patients: Array, time: Array) -> Array:
        return enough(np.sum([part.holds(world, patients, time) for part in parts], axis=0))

    return _joined(parts, holds, form)


def _and(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    parts = _parts(spec, plan, place)

    def holds(world: World, patients: Array, time: Array) -> Array:
        found = parts[0].holds(world, patients, time)
        for part in parts[1:]:
            if not found.any():
                break
            found = found & part.holds(world, patients, time)
        return found

    return _joined(parts, holds, _least(len(parts), parts))


def _or(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    parts = _parts(spec, plan, place)

    def holds(world: World, patients: Array, time: Array) -> Array:
        found = parts[0].holds(world, patients, time)
        for part in parts[1:]:
            if found.all():
                break
            found = found | part.holds(world, patients, time)
        return found

    return _joined(parts, holds, _least(1, parts))


def _not(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    part = condition(spec.get("condition"), plan, place)
    return _joined([part], lambda world, patients, time: ~part.holds(world, patients, time), forms.negated(part.form))


def _at_least(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    least, parts = number_of(spec, "minimum", place), _parts(spec, plan, place)
    return _counted(parts, lambda n: n >= least, _least(least, parts))


def _at_most(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    most, parts = number_of(spec, "maximum", place), _parts(spec, plan, place)
    return _counted(parts, lambda n: n <= most, forms.negated(_least(floor(most) + 1, parts)))


def _true(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    return Condition(lambda world, patients, time: np.ones(len(patients), bool), form=Test(forms.TRUE))


def _false(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    return Condition(lambda world, patients, time: np.zeros(len(patients), bool), form=forms.NEVER)


# ------------------------------------------------------------------------------------------------- who and when


def _operator(spec: Mapping[str, Any], place: Place, *, nils: bool = False) -> str:
    operator = spec.get("operator")
    place.known(operator, [*ORDERINGS, *(NILS if nils else ())], "the operator")
    return str(operator)


def _gender(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    place.known(spec.get("gender"), ["F", "M"], "the gender")
    male = spec["gender"] == "M"
    return Condition(lambda world, patients, time: world.people.male[patients] == male, form=Test(forms.MALE, male))


def _race(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    race = plan.catalogue.texts(str(spec.get("race", "")).lower())
    return Condition(lambda world, patients, time: world.people.race[patients] == race, form=Test(forms.RACE, race))


def _socioeconomic(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    place.known(spec.get("category"), ["Low", "Middle", "High"], "the category")
    return _text("socioeconomic_category", "==", spec["category"], plan)


def _age(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    operator, quantity = _operator(spec, place), number_of(spec, "quantity", place)
    unit = str(spec.get("unit", "years"))
    if unit != "years":
        return _young(operator, quantity, unit, place)
    place.check(quantity >= 0, f"an age of {quantity:g} years cannot be.")
    reached, passed = (min(n, OLDEST - 1) for n in (ceil(quantity), floor(quantity) + 1))
    return _since(
        operator, whole=quantity == floor(quantity),
        reached=lambda world, patients: world.people.birthdays[patients, reached],
        passed=lambda world, patients: world.people.birthdays[patients, passed],
        forms_=(Test(forms.AT_AGE, reached), Test(forms.AT_AGE, passed)),
    )  # fmt: skip


def _since(
    operator: str, whole: bool, reached: Callable[[World, Array], Array], passed: Callable[[World, Array], Array],
    forms_: tuple[Form, Form],
) -> Condition:  # fmt: skip
    """A comparison of something that only grows: from `reached` on it is >= the value, from `passed` on it is >."""
    tests: dict[str, Holds] = {
        ">=": lambda w, p, t: t >= reached(w, p),
        ">": lambda w, p, t: t >= passed(w, p),
        "<": lambda w, p, t: t < reached(w, p),
        "<=": lambda w, p, t: t < passed(w, p),
        "==": lambda w, p, t: (t >= reached(w, p)) & (t < passed(w, p)) & whole,
        "!=": lambda w, p, t: (t < reached(w, p)) | (t >= passed(w, p)) | (not whole),
    }
    return Condition(
        tests[operator], lambda w, p: [reached(w, p), passed(w, p)], form=_since_form(operator, whole, *forms_)
    )


def _since_form(operator: str, whole: bool, reached: Form, passed: Form) -> Form:
    same: Form = forms.Least(2, (reached, forms.Negated(passed))) if whole else forms.NEVER
    known = {">=": reached, ">": passed, "<": forms.Negated(reached), "<=": forms.Negated(passed), "==": same}
    return known[operator] if operator in known else forms.Negated(same)


def _young(operator: str, quantity: float, unit: str, place: Place) -> Condition:
    """Ages in months, weeks, days: of the young, and so looked at every week."""
    place.known(unit, LONG, "the unit")
    compare = ORDERINGS[operator]

    def holds(world: World, patients: Array, time: Array) -> Array:
        birth = world.people.birth[patients]
        if unit != "months":
            return compare((time - birth) // LONG[unit], quantity)
        (y0, m0, d0), (y1, m1, d1) = civil(birth), civil(time)
        return compare((y1 - y0) * 12 + m1 - m0 - (d1 < d0), quantity)

    form = None if unit == "months" else Test(forms.YOUNG, LONG[unit], COMPARED.index(operator), x=quantity)
    return Condition(holds, polls=True, form=form)


def _date(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    operator = _operator(spec, place)
    if "month" in spec and "year" not in spec:
        compare, month = ORDERINGS[operator], number_of(spec, "month", place)
        return Condition(lambda world, patients, time: compare(civil(time)[1], month), polls=True)
    if "year" in spec:
        year = int(number_of(spec, "year", place))
        reached, passed = instant(year), instant(year + 1)
    else:
        date = mapping(spec.get("date"), "`date`", place)
        parts = ("year", "month", "day", "hour", "minute", "second", "millisecond")
        reached = instant(*(int(date.get(part, 1 if part in ("month", "day") else 0)) for part in parts))
        passed = reached + 1
    return _since(
        operator, True,
        lambda world, patients: np.full(len(patients), reached),
        lambda world, patients: np.full(len(patients), passed),
        (Test(forms.AT_TIME, reached), Test(forms.AT_TIME, passed)),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- attributes


def _attribute(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    name, operator = str(spec.get("attribute", "")), _operator(spec, place, nils=True)
    place.check(name, "`attribute` must name an attribute.")
    number = plan.attribute(name)
    watched = frozenset([number])
    if operator in NILS:
        wanted = operator == "is nil"
        nil = Test(forms.KIND, number, NIL)
        return Condition(
            lambda w, p, t: (w.attributes.kind[number, p] == NIL) == wanted,
            attributes=watched, form=nil if wanted else forms.Negated(nil),
        )  # fmt: skip
    value = spec.get("value")
    if isinstance(value, Mapping):
        code = plan.catalogue.codes(coding(value))
        return _typed(number, CODE, operator, code)
    if isinstance(value, bool):
        differs = operator != "=="  # any ordering of true and false means that they differ, as in the reference
        return _typed(number, FLAG, "!=" if differs else "==", value)
    if isinstance(value, int | float):
        return _typed(number, NUMBER, operator, value)
    place.check(isinstance(value, str), f"the attribute {name!r} is compared with {value!r}, which is no value.")
    place.check(operator in ("==", "!="), f"texts are compared by == and !=, not by {operator}.")
    return _text(name, operator, str(value), plan)


def _typed(number: int, kind: int, operator: str, value: float) -> Condition:
    """A comparison of an attribute; false for patients whose attribute is missing, or of another kind."""
    compare = ORDERINGS[operator]

    def holds(world: World, patients: Array, time: Array) -> Array:
        attributes = world.attributes
        return (attributes.kind[number, patients] == kind) & compare(attributes.value[number, patients], value)

    form = Test(forms.VALUE, number, kind, COMPARED.index(operator), float(value))
    return Condition(holds, attributes=frozenset([number]), form=form)


def _text(name: str, operator: str, value: object, plan: Plan) -> Condition:
    return _typed(plan.attribute(name), TEXT, operator, plan.catalogue.texts(str(value)))


# ------------------------------------------------------------------------------------------------- the record


def _active(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    """Whether any of the codes is active: of a condition, allergy, medication, care plan, device or past procedure."""
    if "codes" not in spec and "referenced_by_attribute" in spec:
        number = plan.attribute(str(spec["referenced_by_attribute"]))
        return Condition(
            lambda world, patients, time: world.entry_active(patients, number),
            attributes=frozenset([number]), polls=True, form=Test(forms.ENTRY_ACTIVE, number),
        )  # fmt: skip
    codes = [coding(code).code for code in listing(spec.get("codes"), "`codes`", place)]
    slots = [plan.slots_of(code) for code in codes]  # lists that grow until all modules are compiled

    def holds(world: World, patients: Array, time: Array) -> Array:
        found = np.zeros(len(patients), bool)
        for of_code in slots:
            for slot in of_code:
                found |= world.present[slot, patients] >= 0
        return found

    return Condition(holds, codes=frozenset(codes), form=Test(forms.ACTIVE, places=slots))


def _observation(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    operator = _operator(spec, place, nils=True)
    if "codes" not in spec:
        number = plan.attribute(str(spec.get("referenced_by_attribute", "")))
        nil = Test(forms.KIND, number, NIL)
        return Condition(
            lambda w, p, t: (w.attributes.kind[number, p] == NIL) == (operator == "is nil"),
            polls=True, form=nil if operator == "is nil" else forms.Negated(nil),
        )  # fmt: skip
    seen = [plan.observed(coding(code).code) for code in listing(spec["codes"], "`codes`", place)]
    value: float
    if operator in NILS:
        value, kind = 0.0, NIL
    elif "value_code" in spec:
        value, kind = plan.catalogue.codes(coding(spec["value_code"])), CODE
    else:
        value, kind = number_of(spec, "value", place), NUMBER

    def holds(world: World, patients: Array, time: Array) -> Array:
        kinds, values = world.last_observation(patients, seen)
        if operator in NILS:
            return (kinds == NIL) == (operator == "is nil")
        return (kinds == kind) & ORDERINGS[operator](values, value)

    nil = Test(forms.OBSERVED_NIL, places=[seen])
    if operator in NILS:
        return Condition(holds, polls=True, form=nil if operator == "is nil" else forms.Negated(nil))
    form = Test(forms.OBSERVED, b=kind, c=COMPARED.index(operator), x=float(value), places=[seen])
    return Condition(holds, polls=True, form=form)


def _prior_state(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    name = str(spec.get("name", ""))
    tracked = plan.track(place, name)
    since = plan.track(place, str(spec["since"])) if spec.get("since") else None
    within: int | None = None
    if spec.get("within"):
        limit = mapping(spec["within"], "`within`", place)
        unit, quantity = unit_of(limit, place), number_of(limit, "quantity", place)
        place.check(quantity >= 0, f"a time of {quantity:g} {unit} is negative.")
        within = int(quantity * LONG[unit])

    def holds(world: World, patients: Array, time: Array) -> Array:
        order = world.left_order[tracked, patients]
        found = order > 0
        if since is not None:
            found &= order > world.left_order[since, patients]
        if within is not None:
            found &= world.left_at[tracked, patients] > time - within
        return found

    def moments(world: World, patients: Array) -> list[Array]:
        if within is None:
            return []
        left = world.left_at[tracked, patients]
        return [np.where(world.left_order[tracked, patients] > 0, left + within, np.iinfo(np.int64).max)]

    limits = NONE if since is None else since, NONE if within is None else within
    return Condition(holds, moments, form=Test(forms.PRIOR, tracked, *limits))


# ------------------------------------------------------------------------------------------------- signs


def _symptom(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    operator, value = _operator(spec, place), number_of(spec, "value", place)
    symptom, compare = plan.symptom(str(spec.get("symptom", ""))), ORDERINGS[operator]
    form = Test(forms.SYMPTOM, symptom, COMPARED.index(operator), x=value)
    return Condition(lambda w, p, t: compare(w.symptom(p, symptom), value), polls=True, form=form)


def _vital_sign(spec: Mapping[str, Any], plan: Plan, place: Place) -> Condition:
    operator, value = _operator(spec, place), number_of(spec, "value", place)
    compare = ORDERINGS[operator]
    name = plan.vital(str(spec.get("vital_sign", "")), place)
    form = Test(forms.SIGN, plan.signs[name], COMPARED.index(operator), x=value)
    return Condition(lambda w, p, t: compare(w.vital(p, name, t), value), polls=True, form=form)


CONDITIONS: Final[Mapping[str, Callable[[Mapping[str, Any], Plan, Place], Condition]]] = {
    "And": _and, "Or": _or, "Not": _not, "At Least": _at_least, "At Most": _at_most, "True": _true, "False": _false,
    "Gender": _gender, "Race": _race, "Socioeconomic Status": _socioeconomic, "Age": _age, "Date": _date,
    "Attribute": _attribute, "Symptom": _symptom, "Observation": _observation, "Vital Sign": _vital_sign,
    "Active Condition": _active, "Active Medication": _active, "Active CarePlan": _active, "Active Allergy": _active,
    "PriorState": _prior_state,
}  # fmt: skip
HELD: Final = (ENTRY, FORETOLD)  # kinds of attributes that stand for something of the record

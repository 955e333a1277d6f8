"""The engine on small modules, worked by hand: states, transitions, and above all when things happen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from verosim.errors import DataError, SchemaError
from verosim.patients import Patients
from verosim.patients.exports.block import Block
from verosim.patients.module import library, parse
from verosim.patients.names import NONE, coding
from verosim.patients.plain import PlainLife, PlainPeople
from verosim.patients.population import DAY, FLAG, NUMBER, TEXT, WEEK
from verosim.patients.record import OPEN, PANEL
from verosim.patients.transitions import LookupTable
from verosim.patients.world import World

States = dict[str, dict[str, Any]]
CODE = {"system": "SNOMED-CT", "code": "1", "display": "one"}


def code(number: int) -> dict[str, str]:
    return {"system": "SNOMED-CT", "code": str(number), "display": f"thing {number}"}


def live(
    modules: Mapping[str, States] | States,
    n: int = 20,
    age: tuple[float, float] = (30, 30),
    seed: int = 1,
    tables: Mapping[str, LookupTable] | None = None,
    history: float | None = None,
) -> World:
    """One block of n patients, who live these modules: {"name": states}, or the states of one."""
    many = modules if "Initial" not in modules else {"one": modules}
    parsed = {key: parse({"name": key, "states": states}, key) for key, states in many.items()}
    life = PlainLife(PlainPeople(age=age))
    return next(Patients(library(parsed, tables or {}), life=life, history=history).blocks(n, seed))


def states(*chain: tuple[str, dict[str, Any]], **more: dict[str, Any]) -> States:
    """States one after the other, from Initial to Terminal; further ones by name."""
    names = ["Initial", *(name for name, _ in chain), "Terminal"]
    out: States = {"Initial": {"type": "Initial"}} | {name: dict(state) for name, state in chain}
    for name, after in pairwise(names):
        if not any(key.endswith("transition") for key in out[name]):
            out[name]["direct_transition"] = after
    return out | {"Terminal": {"type": "Terminal"}} | more


def delay(quantity: float, unit: str = "days") -> dict[str, Any]:
    return {"type": "Delay", "exact": {"quantity": quantity, "unit": unit}}


def observe(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "Observation", "category": "exam", "unit": "", "codes": [code(number)], **more}


def encounter(number: int = 7, kind: str = "ambulatory", **more: Any) -> dict[str, Any]:
    return {"type": "Encounter", "encounter_class": kind, "codes": [code(number)], **more}


def shares(*pairs: tuple[str, float]) -> list[dict[str, Any]]:
    return [{"transition": name, "distribution": share} for name, share in pairs]


END = {"type": "EncounterEnd"}


def rows(world: World, table: str, number: int) -> np.ndarray:
    """Rows of a table whose leading code has this number, patient by patient."""
    found = world.record[table]
    codes = [world.catalogue.items[item].codes[0].code for item in found["item"]]
    chosen = np.flatnonzero(np.array(codes) == str(number))
    return chosen[np.lexsort((found["seq"][chosen], found["patient"][chosen]))]


def age(world: World, table: str, number: int, column: str = "start") -> np.ndarray:
    """Milliseconds of life at which rows with this code begin."""
    chosen = rows(world, table, number)
    return world.record[table][column][chosen] - world.people.birth[world.record[table]["patient"][chosen]]


def value(world: World, name: str) -> np.ndarray:
    number = world.attributes.number[name]
    return world.attributes.value[number][world.lived]


def kind(world: World, name: str) -> np.ndarray:
    return world.attributes.kind[world.attributes.number[name]][world.lived]


# ------------------------------------------------------------------------------------------------- time


def test_delays_end_on_their_day_within_the_week() -> None:
    world = live(
        states(
            ("A", delay(1)), ("B", observe(1)), ("C", delay(2)), ("D", observe(2)), ("E", delay(5)), ("F", observe(3))
        )
    )
    assert set(age(world, "observations", 1)) == {DAY}
    assert set(age(world, "observations", 2)) == {3 * DAY}
    assert set(age(world, "observations", 3)) == {8 * DAY}


@pytest.mark.parametrize(
    ("state", "days"),
    [
        (delay(4, "years"), 1461),  # real years: rounded down to days of a year of 365.25
        ({"type": "Delay", "distribution": {"kind": "EXACT", "parameters": {"value": 4}}, "unit": "years"}, 1460),
        (delay(1.5, "months"), 45),
        ({"type": "Delay", "distribution": {"kind": "EXACT", "parameters": {"value": 1.5}}, "unit": "months"}, 30),
        (
            {
                "type": "Delay",
                "distribution": {"kind": "UNIFORM", "parameters": {"low": -3, "high": -1}},
                "unit": "days",
            },
            0,
        ),
    ],
)
def test_units_of_time_are_converted_as_in_the_reference(state: dict[str, Any], days: int) -> None:
    assert set(age(live(states(("A", state), ("B", observe()))), "observations", 1)) == {days * DAY}


def test_a_delay_with_a_distribution_is_cut_to_whole_units() -> None:
    spec = {"type": "Delay", "distribution": {"kind": "UNIFORM", "parameters": {"low": 1, "high": 3}}, "unit": "days"}
    found = age(live(states(("A", spec), ("B", observe())), 400), "observations", 1)
    assert set(found) == {DAY, 2 * DAY}
    assert abs(np.mean(found == DAY) - 0.5) < 4 * 0.5 / math.sqrt(400)


def test_an_exponential_number_is_shifted_by_one() -> None:
    spec = {
        "type": "SetAttribute",
        "attribute": "x",
        "distribution": {"kind": "EXPONENTIAL", "parameters": {"mean": 2}},
    }
    found = value(live(states(("A", spec)), 2000), "x")
    assert found.min() >= 1
    assert abs(found.mean() - 3) < 4 * 2 / math.sqrt(2000)


def test_a_procedure_blocks_until_it_is_over() -> None:
    spec = {"type": "Procedure", "codes": [code(5)], "duration": {"low": 2, "high": 2, "unit": "hours"}}
    quick = {"type": "Procedure", "codes": [code(6)]}
    world = live(states(("A", delay(1)), ("B", spec), ("C", quick), ("D", observe())))
    assert set(age(world, "procedures", 5, "stop")) == {DAY + 2 * 3_600_000}
    assert set(age(world, "procedures", 6)) == set(age(world, "observations", 1)) == {DAY + 2 * 3_600_000}
    assert set(age(world, "procedures", 6, "stop")) == {DAY + 2 * 3_600_000 + 15 * 60_000}


def test_a_guard_on_age_opens_at_the_first_step_after_the_birthday() -> None:
    allow = {"condition_type": "Age", "operator": ">=", "quantity": 18, "unit": "years"}
    world = live(states(("A", {"type": "Guard", "allow": allow}), ("B", observe())))
    birthday = world.people.birthdays[0, 18] - world.people.birth[0]
    assert set(age(world, "observations", 1)) == {-(-birthday // WEEK) * WEEK}


def test_conditions_of_a_delay_go_by_the_step_not_by_its_end() -> None:
    """364 days are a step, at which they are not yet one year old; what ends a little later is judged at step 371."""
    young = {"condition_type": "Age", "operator": "<", "quantity": 1, "unit": "years"}
    options = [{"condition": young, "transition": "Young"}, {"transition": "Old"}]
    for days, expected in ((364, 1), (363.5, 1), (364.5, 2)):  # the step after 364.5 is at 371, when they are one
        after = states(
            ("A", delay(days) | {"conditional_transition": options}),
            Young=observe(1) | {"direct_transition": "Terminal"},
            Old=observe(2) | {"direct_transition": "Terminal"},
        )
        found = age(live(after), "observations", expected)
        assert set(found) == {int(days * DAY)}


def test_what_wakes_a_guard_comes_in_the_same_week_only_from_a_module_before() -> None:
    allow = {"condition_type": "Attribute", "attribute": "ready", "operator": "==", "value": True}
    wait = states(("A", {"type": "Guard", "allow": allow}), ("B", observe()))
    tell = states(("A", delay(1)), ("B", {"type": "SetAttribute", "attribute": "ready", "value": True}))
    before = age(live({"a": tell, "b": wait}), "observations", 1)
    after = age(live({"a": wait, "b": tell}), "observations", 1)
    assert set(before) == {WEEK}
    assert set(after) == {2 * WEEK}


# ------------------------------------------------------------------------------------------------- transitions


def test_shares_that_do_not_reach_one_leave_the_rest_to_the_last() -> None:
    start = {"type": "Initial", "distributed_transition": shares(("A", 0.5), ("B", 0.1))}
    after = {
        "Initial": start,
        "A": observe(1) | {"direct_transition": "Terminal"},
        "B": observe(2) | {"direct_transition": "Terminal"},
        "Terminal": {"type": "Terminal"},
    }
    found = len(rows(live(after, 1000), "observations", 1))
    assert abs(found - 500) < 4 * math.sqrt(250)


def test_a_share_can_be_an_attribute() -> None:
    named = [
        {"transition": "A", "distribution": {"attribute": "risk", "default": 0.0}},
        {"transition": "Terminal", "distribution": 1},
    ]
    chain = states(
        ("S", {"type": "SetAttribute", "attribute": "risk", "value": 1, "distributed_transition": named}),
        ("A", observe(1)),
    )
    assert len(rows(live(chain), "observations", 1)) == 20
    chain["S"] |= {"attribute": "other"}
    assert len(rows(live(chain), "observations", 1)) == 0


def test_no_condition_that_holds_leads_to_the_last_option() -> None:
    male = {"condition_type": "Gender", "gender": "M"}
    both = {"condition_type": "And", "conditions": [male, {"condition_type": "Not", "condition": male}]}
    start = {
        "type": "Initial",
        "conditional_transition": [{"condition": both, "transition": "A"}, {"condition": both, "transition": "B"}],
    }
    after = {
        "Initial": start,
        "A": observe(1) | {"direct_transition": "Terminal"},
        "B": observe(2) | {"direct_transition": "Terminal"},
        "Terminal": {"type": "Terminal"},
    }
    world = live(after)
    assert (len(rows(world, "observations", 1)), len(rows(world, "observations", 2))) == (0, 20)


def test_a_complex_transition_chooses_a_distribution_by_condition() -> None:
    male = {"condition_type": "Gender", "gender": "M"}
    options = [{"condition": male, "distributions": shares(("A", 1.0), ("B", 0.0))}, {"transition": "B"}]
    after = {
        "Initial": {"type": "Initial", "complex_transition": options},
        "A": observe(1) | {"direct_transition": "Terminal"},
        "B": observe(2) | {"direct_transition": "Terminal"},
        "Terminal": {"type": "Terminal"},
    }
    world = live(after, 50)
    assert len(rows(world, "observations", 1)) == world.people.male[world.lived].sum()


def looked_up(cells: list[list[str]], header: list[str]) -> World:
    options = [
        {"transition": t, "default_probability": p, "lookup_table_name": "t.csv"} for t, p in (("A", 0), ("B", 1))
    ]
    after = states(
        ("W", delay(20, "years") | {"lookup_table_transition": options}),
        A=observe(1) | {"direct_transition": "Terminal"},
        B=observe(2) | {"direct_transition": "Terminal"},
    )
    return live(after, 60, tables={"t.csv": LookupTable("t.csv", header, cells)})


def test_a_lookup_table_goes_by_attributes_and_ranges_and_the_first_row_that_fits() -> None:
    header = ["gender", "age", "A", "B"]
    world = looked_up([["M", "15-20", "1", "0"], ["M", "10-30", "0", "1"]], header)
    assert len(rows(world, "observations", 1)) == world.people.male[world.lived].sum()
    assert len(rows(looked_up([["M", "21-25", "1", "0"]], header), "observations", 1)) == 0


def test_a_lookup_table_that_asks_for_what_nobody_has_says_so() -> None:
    with pytest.raises(SchemaError, match=r"t\.csv asks for the attribute 'colour'"):
        looked_up([["red", "1", "0"]], ["colour", "A", "B"])


def test_a_monthly_chance_is_geometric_and_heeds_what_changes() -> None:
    """A delay that leads back to itself is looked through at once: as going round by round."""
    stay = delay(1, "months") | {"distributed_transition": shares(("B", 0.1), ("A", 0.9))}
    found = age(live(states(("A", stay), ("B", observe())), 1000, age=(60, 60)), "observations", 1) / (30 * DAY)
    assert np.array_equal(found, np.round(found))
    assert abs(found.mean() - 10) < 4 * math.sqrt(90 / 1000)
    named = [
        {"transition": "B", "distribution": {"attribute": "risk", "default": 0.0}},
        {"transition": "A", "distribution": 1},
    ]
    waits = states(("A", delay(1, "months") | {"distributed_transition": named}), ("B", observe()))
    tells = states(("A", delay(95)), ("B", {"type": "SetAttribute", "attribute": "risk", "value": 1}))
    assert set(age(live({"a": tells, "b": waits}), "observations", 1)) == {120 * DAY}


# ------------------------------------------------------------------------------------------------- encounters


def test_one_encounter_at_a_time() -> None:
    """The second module waits for the first one's stay of ten days, and starts in the step after its end."""
    stay = states(("W", delay(1)), ("A", encounter(8, "inpatient")), ("B", delay(10)), ("C", END))
    visit = states(("W", delay(2)), ("A", encounter(9)), ("B", END))
    world = live({"a": stay, "b": visit})
    assert set(age(world, "encounters", 8)) == {DAY}
    assert set(age(world, "encounters", 8, "stop")) == {11 * DAY}
    assert set(age(world, "encounters", 9)) == {2 * WEEK}
    assert set(age(world, "encounters", 9, "stop")) == {2 * WEEK + 15 * 60_000}


def test_the_end_of_a_module_closes_its_encounter() -> None:
    world = live(
        {
            "a": states(("W", delay(1)), ("A", encounter(8)), ("B", delay(1))),
            "b": states(("W", delay(9)), ("A", encounter(9))),
        }
    )
    assert set(age(world, "encounters", 8, "stop")) == {2 * DAY}
    assert set(age(world, "encounters", 9)) == {9 * DAY}


def test_check_ups_come_as_often_as_age_asks() -> None:
    world = live(states(), age=(3, 3))
    child = age(world, "encounters", 410620009)[: len(age(world, "encounters", 410620009)) // 20] / WEEK
    #  months of 30 days: at birth, 1, then each after 2 until 5 months, after 3 until 17, after 6
    assert list(child[:7]) == [0, 5, 14, 23, 36, 49, 62]


def test_modules_share_a_visit_once_each() -> None:
    share = {"type": "Encounter", "wellness": True}
    loop = {
        "Initial": {"type": "Initial", "direct_transition": "A"},
        "A": share | {"direct_transition": "B"},
        "B": observe(1) | {"direct_transition": "C"},
        "C": END | {"direct_transition": "A"},
    }
    world = live({"a": loop, "b": loop}, age=(10, 10))
    visits = len(rows(world, "encounters", 410620009))
    assert visits > 0
    assert len(rows(world, "observations", 1)) == 2 * visits


def test_a_condition_is_known_from_its_target_encounter_on() -> None:
    onset = {"type": "ConditionOnset", "codes": [code(3)], "target_encounter": "E", "assign_to_attribute": "ill"}
    ask = {"condition_type": "Active Condition", "codes": [code(3)]}
    held = {"condition_type": "Attribute", "attribute": "ill", "operator": "is not nil"}
    world = live(
        states(
            (
                "A",
                onset
                | {
                    "conditional_transition": [
                        {"condition": ask, "transition": "Terminal"},
                        {"condition": held, "transition": "W"},
                    ]
                },
            ),
            ("W", delay(9)),
            ("E", encounter(8)),
            (
                "G",
                {
                    "type": "Simple",
                    "conditional_transition": [{"condition": ask, "transition": "O"}, {"transition": "Terminal"}],
                },
            ),
            ("O", observe(1)),
            ("X", END),
            ("Y", {"type": "ConditionEnd", "condition_onset": "A"}),
        )
    )
    assert set(age(world, "conditions", 3)) == {9 * DAY}
    assert len(rows(world, "observations", 1)) == 20
    assert set(age(world, "conditions", 3, "stop")) == {9 * DAY}


def test_what_is_active_goes_on_and_ends_by_state_attribute_or_code() -> None:
    onset = {"type": "ConditionOnset", "codes": [code(3)], "assign_to_attribute": "ill"}
    ends = [{"condition_onset": "B"}, {"referenced_by_attribute": "ill"}, {"codes": [code(3)]}]
    for end in ends:
        world = live(
            states(("A", onset), ("W", delay(1)), ("B", onset), ("V", delay(1)), ("C", {"type": "ConditionEnd"} | end))
        )
        assert len(rows(world, "conditions", 3)) == 20
        assert set(age(world, "conditions", 3)) == {0}
        assert set(age(world, "conditions", 3, "stop")) == {2 * DAY}
    world = live(
        states(("A", onset), ("W", delay(1)), ("B", onset), ("C", {"type": "ConditionEnd", "condition_onset": "A"}))
    )
    assert set(world.record["conditions"]["stop"][rows(world, "conditions", 3)]) == {OPEN}  # it is called B by now


def test_a_state_is_a_reason_while_what_it_began_goes_on_or_if_it_never_began() -> None:
    operate = {"type": "Procedure", "reason": "A"}
    world = live(
        states(
            ("A", {"type": "ConditionOnset", "codes": [code(3)], "target_encounter": "E"}),
            ("E", encounter(8, reason="A")),  # finds it, and is for it
            ("P", {"type": "CarePlanStart", "codes": [code(4)], "reason": "A"}),
            ("X", END),
            ("Y", {"type": "ConditionEnd", "condition_onset": "A"}),
            ("Q", operate | {"codes": [code(5)]}),
            ("R", operate | {"codes": [code(6)], "reason": "Never"}),
            Never={"type": "ConditionOnset", "codes": [code(9)], "direct_transition": "Terminal"},
        )
    )
    codes = {number: world.catalogue.codes(coding(code(number))) for number in (3, 9)}
    found = {n: set(world.record[table]["reason"][rows(world, table, n)])
             for table, n in (("encounters", 8), ("careplans", 4), ("procedures", 5), ("procedures", 6))}  # fmt: skip
    assert found == {8: {codes[3]}, 4: {codes[3]}, 5: {NONE}, 6: {codes[9]}}


def test_chronic_medication_is_renewed_at_check_ups_once_a_year() -> None:
    order = {"type": "MedicationOrder", "codes": [code(4)], "chronic": True}
    share = {"type": "Encounter", "wellness": True}
    loop = {
        "Initial": {"type": "Initial", "direct_transition": "W"},
        "W": delay(21, "years") | {"direct_transition": "M"},
        "M": order | {"direct_transition": "A"},
        "A": share | {"direct_transition": "C"},
        "C": END | {"direct_transition": "A"},
    }
    world = live(loop, n=10, age=(26, 26))
    one = rows(world, "medications", 4)[world.record["medications"]["patient"][rows(world, "medications", 4)] == 0]
    start, stop = world.record["medications"]["start"][one], world.record["medications"]["stop"][one]
    assert np.array_equal(stop[:-1], start[1:])
    assert stop[-1] == OPEN
    assert set(np.diff(start[1:]) // DAY) == {53 * 7}


def test_symptoms_lead_to_visits_that_see_to_the_largest() -> None:
    feel = [("S" + str(i), {"type": "Symptom", "symptom": f"ache {i}", "exact": {"quantity": 90}}) for i in range(6)]
    world = live(states(("W", delay(1)), *feel))
    assert set(age(world, "encounters", 50849002)) == {2 * WEEK}  # 540: an emergency, the week after
    assert set(age(world, "encounters", 702927004)) == {3 * WEEK, 4 * WEEK}  # 450 are left, then 360; 270 are borne
    for more, visits in ((90, {2 * WEEK}), (95, {2 * WEEK, 6 * WEEK})):  # 360; then 270 + 90 are as many as before
        late = ("S", {"type": "Symptom", "symptom": "ache 4", "exact": {"quantity": more}})
        world = live({"a": states(("W", delay(1)), *feel[:4]), "b": states(("W", delay(30)), late)})
        assert set(age(world, "encounters", 702927004)) == visits


# ------------------------------------------------------------------------------------------------- conditions


def test_attributes_are_set_counted_copied_and_deleted() -> None:
    def put(name: str, **how: Any) -> tuple[str, dict[str, Any]]:
        return f"{name}{len(how)}{how}", {"type": "SetAttribute", "attribute": name, **how}

    world = live(
        states(
            put("a", value=3),
            put("b", value="x"),
            put("c", value=True),
            put("d", value_attribute="b"),
            put("e", value_code=code(5)),
            put("f", range={"low": 2, "high": 2}),
            put("g", value=1),
            put("g"),
            ("N", {"type": "Counter", "attribute": "n", "action": "increment", "amount": 4}),
            ("M", {"type": "Counter", "attribute": "n", "action": "decrement"}),
        )
    )
    assert [set(kind(world, name)) for name in "abcdg"] == [{NUMBER}, {TEXT}, {FLAG}, {TEXT}, {0}]
    assert set(value(world, "a")) == {3}
    assert set(value(world, "d")) == {world.catalogue.texts("x")}
    assert set(value(world, "f")) == {2}
    assert set(value(world, "n")) == {3}


def held(test: dict[str, Any], *before: tuple[str, dict[str, Any]]) -> int:
    """How many of 20 patients a condition holds for, after some states."""
    ask = {
        "type": "Simple",
        "conditional_transition": [{"condition": test, "transition": "O"}, {"transition": "Terminal"}],
    }
    return len(rows(live(states(*before, ("Ask", ask), ("O", observe(99)))), "observations", 99))


def compare(kind: str, operator: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"condition_type": kind, "operator": operator, "value": value} | more


A5 = ("A5", {"type": "SetAttribute", "attribute": "x", "value": 5})
TRUE, FALSE = {"condition_type": "True"}, {"condition_type": "False"}


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        (compare("Attribute", ">", 4, attribute="x"), True),
        (compare("Attribute", "!=", 5, attribute="x"), False),
        (compare("Attribute", "!=", 5, attribute="nothing"), False),  # nil is no number
        (compare("Attribute", "is nil", None, attribute="nothing"), True),
        (compare("Attribute", "is not nil", None, attribute="x"), True),
        ({"condition_type": "At Least", "minimum": 2, "conditions": [TRUE, FALSE, TRUE]}, True),
        ({"condition_type": "At Most", "maximum": 1, "conditions": [TRUE, FALSE, TRUE]}, False),
        ({"condition_type": "Or", "conditions": [FALSE, TRUE]}, True),
        ({"condition_type": "And", "conditions": [FALSE, TRUE]}, False),
        ({"condition_type": "Not", "condition": FALSE}, True),
        ({"condition_type": "Race", "race": "White"}, True),
        ({"condition_type": "Socioeconomic Status", "category": "High"}, False),
        ({"condition_type": "Date", "operator": ">", "year": 1990}, True),
        ({"condition_type": "Date", "operator": "<", "date": {"year": 1997, "month": 1, "day": 1}}, True),
        ({"condition_type": "Age", "operator": "<", "quantity": 1, "unit": "months"}, True),
        (compare("Vital Sign", ">=", 122, vital_sign="Systolic Blood Pressure"), True),
        (compare("Observation", "<=", 3, codes=[code(2)]), True),
        (compare("Observation", "is nil", None, codes=[code(77)]), True),
        (compare("Symptom", ">", 10, symptom="ache"), True),
        ({"condition_type": "Active CarePlan", "codes": [code(12)]}, True),
        ({"condition_type": "Active Medication", "codes": [code(13)]}, False),
        ({"condition_type": "Active Condition", "codes": [code(14)]}, True),  # a procedure, once done, is never over
        ({"condition_type": "Active Allergy", "codes": [code(15)]}, True),
        ({"condition_type": "PriorState", "name": "A5"}, True),
        ({"condition_type": "PriorState", "name": "Terminal"}, False),
        ({"condition_type": "PriorState", "name": "A5", "within": {"quantity": 1, "unit": "days"}}, False),
        ({"condition_type": "PriorState", "name": "A5", "within": {"quantity": 3, "unit": "days"}}, True),
        ({"condition_type": "PriorState", "name": "A5", "since": "Wait"}, False),
        ({"condition_type": "PriorState", "name": "Wait", "since": "A5"}, True),
    ],
)
def test_conditions(test: dict[str, Any], holds: bool) -> None:
    before = (
        A5,
        ("Wait", delay(2)),
        ("Obs", observe(2, exact={"quantity": 3})),
        ("Ache", {"type": "Symptom", "symptom": "ache", "exact": {"quantity": 11}}),
        ("Plan", {"type": "CarePlanStart", "codes": [code(12)]}),
        ("Drug", {"type": "MedicationOrder", "codes": [code(13)]}),
        ("Stop", {"type": "MedicationEnd", "medication_order": "Drug"}),
        ("Cut", {"type": "Procedure", "codes": [code(14)]}),
        ("Nuts", {"type": "AllergyOnset", "codes": [code(15)], "allergy_type": "allergy", "category": "food"}),
    )
    assert held(test, *before) == (20 if holds else 0)


# ------------------------------------------------------------------------------------------------- other states


def test_observations_panels_and_reports() -> None:
    parts = [observe(i, range={"low": i, "high": i}) | {"type": ""} for i in (21, 22)]
    world = live(
        states(
            ("P", {"type": "MultiObservation", "category": "exam", "codes": [code(20)], "observations": parts}),
            ("R", {"type": "DiagnosticReport", "codes": [code(30)], "observations": parts}),
            ("C", observe(23, value_code=code(5))),
            ("V", observe(24, vital_sign="Height")),
        )
    )
    record = world.record["observations"]
    panel, parts_of = rows(world, "observations", 20), rows(world, "observations", 21)
    assert set(record["kind"][panel]) == {PANEL}
    assert set(record["value"][parts_of]) == {21.0}
    assert (np.sort(record["panel"][parts_of[record["panel"][parts_of] >= 0]]) == np.sort(panel)).all()
    assert len(rows(world, "reports", 30)) == 20
    assert set(record["value"][rows(world, "observations", 24)]) == {170.0}
    assert record["value"][rows(world, "observations", 23)[0]] == world.catalogue.codes(
        world.catalogue.codes.codings[int(record["value"][rows(world, "observations", 23)[0]])]
    )


def test_devices_supplies_vaccines_and_images() -> None:
    image = {
        "type": "ImagingStudy",
        "procedure_code": code(43),
        "series": [{"body_site": CODE, "modality": CODE, "instances": []}],
    }
    world = live(
        states(
            ("D", {"type": "Device", "code": code(40)}),
            ("W", delay(1)),
            ("E", {"type": "DeviceEnd", "device": "D"}),
            ("S", {"type": "SupplyList", "supplies": [{"quantity": 2, "code": code(41)}]}),
            ("V", {"type": "Vaccine", "series": 3, "codes": [code(42)]}),
            ("I", image),
        )
    )
    assert set(age(world, "devices", 40, "stop")) == {DAY}
    assert set(world.record["supplies"]["quantity"]) == {2}
    assert set(world.record["immunizations"]["series"]) == {3}
    assert set(age(world, "procedures", 43, "stop") - age(world, "procedures", 43)) == {30 * 60_000}
    assert len(rows(world, "imaging", 43)) == 20


def test_a_vital_sign_that_a_module_sets_is_read_by_all() -> None:
    sets = states(("A", {"type": "VitalSign", "vital_sign": "Height", "unit": "cm", "exact": {"quantity": 150}}))
    reads = states(("A", observe(1, vital_sign="Height")))
    assert set(live({"a": sets, "b": reads}).record["observations"]["value"]) == {150.0}


def test_a_submodule_takes_time_and_begins_anew_when_called_again() -> None:
    inner = states(("W", delay(1)), ("O", observe(1)))
    outer = states(
        ("A", {"type": "CallSubmodule", "submodule": "in/ner"}),
        ("O", observe(2)),
        ("B", {"type": "CallSubmodule", "submodule": "in/ner"}),
        ("P", observe(3)),
    )
    world = live({"outer": outer, "in/ner": inner})
    assert set(age(world, "observations", 1)) == {DAY, 2 * DAY}
    assert (set(age(world, "observations", 2)), set(age(world, "observations", 3))) == ({DAY}, {2 * DAY})


def test_an_encounter_opened_in_a_submodule_is_the_callers() -> None:
    inner = states(("E", encounter(8)))
    outer = states(
        ("W", delay(1)), ("A", {"type": "CallSubmodule", "submodule": "in/ner"}), ("V", delay(3)), ("X", END)
    )
    assert set(age(live({"outer": outer, "in/ner": inner}), "encounters", 8, "stop")) == {4 * DAY}


# ------------------------------------------------------------------------------------------------- death and chance


def test_whoever_dies_stops_and_is_followed_by_another() -> None:
    start = {"type": "Initial", "distributed_transition": shares(("W", 0.3), ("Terminal", 0.7))}
    dies = {
        "Initial": start,
        "W": delay(9) | {"direct_transition": "D"},
        "Terminal": {"type": "Terminal"},
        "D": {"type": "Death", "codes": [code(6)], "direct_transition": "O"},
        "O": observe(1) | {"direct_transition": "Terminal"},
    }
    world = live(dies, 100)
    dead = world.lived & (world.people.death < world.people.stop)
    assert (world.lived & ~dead).sum() == 100
    assert dead.sum() > 10
    assert set((world.people.death - world.people.birth)[dead]) == {9 * DAY}
    assert len(rows(world, "observations", 1)) == 0
    assert {world.catalogue.codes.codings[c].code for c in world.people.cause[dead]} == {"6"}
    assert sorted(world.people.slot[world.lived & ~dead]) == list(range(100))


def test_what_was_done_on_a_day_after_death_is_not_shown() -> None:
    late, dies = states(("W", delay(5)), ("O", observe(1))), states(("V", delay(3)), ("D", {"type": "Death"}))
    world = live({"a": late, "b": dies}, n=5, age=(1, 1))  # in the same week, so that a comes first
    assert set(age(world, "observations", 1)) == {5 * DAY}
    assert not len(Block(world, world.lived).rows("observations"))


def test_a_death_to_come_leaves_no_delay_that_ends_after_it() -> None:
    chain = states(
        ("D", {"type": "Death", "exact": {"quantity": 10, "unit": "days"}}),
        ("W", delay(6)),
        ("O", observe(1)),
        ("V", delay(2)),
        ("P", observe(2)),
    )
    start = {"Initial": {"type": "Initial", "distributed_transition": shares(("D", 0.5), ("Terminal", 0.5))}}
    world = live(chain | start, 40)
    dead = (world.people.death < world.people.stop).sum()
    assert len(rows(world, "observations", 1)) == dead
    assert len(rows(world, "observations", 2)) == 0


def test_the_same_seed_gives_the_same_lives_in_blocks_of_any_size() -> None:
    chain = states(
        ("W", {"type": "Delay", "range": {"low": 1, "high": 900, "unit": "days"}}),
        ("O", observe(1, range={"low": 0, "high": 9})),
    )

    def lives(*blocks: World) -> list[tuple[int, int, float]]:
        out = []
        for world in blocks:
            found = world.record["observations"]
            people = found["patient"]
            out += list(zip(world.people.slot[people], found["start"], found["value"], strict=True))
        return sorted(out)

    module = library({"one": parse({"states": chain}, "one")}, {})
    patients = Patients(module, life=PlainLife())
    whole = lives(*patients.blocks(40, 3))
    assert whole == lives(*patients.blocks(25, 3), *patients.blocks(15, 3, first=25))
    assert whole != lives(*patients.blocks(40, 4))


# ------------------------------------------------------------------------------------------------- bad modules


@pytest.mark.parametrize(
    ("state", "what"),
    [
        ({"type": "Simple", "direct_transition": "Termnal"}, "'Termnal' does not exist; did you mean 'Terminal'"),
        ({"type": "Simplest", "direct_transition": "Terminal"}, "the state type 'Simplest' does not exist"),
        ({"type": "Simple"}, "no transition leads on"),
        (
            {"type": "CallSubmodule", "submodule": "no/where", "direct_transition": "Terminal"},
            "the submodule 'no/where'",
        ),
        (delay(-1) | {"direct_transition": "Terminal"}, "a time of -1 days is negative"),
        ({"type": "Delay", "direct_transition": "Terminal"}, "a Delay needs"),
        ({"type": "Simple", "distributed_transition": shares(("Terminal", 1.5))}, "a probability of 1.5"),
        (
            {"type": "Guard", "allow": {"condition_type": "Moon"}, "direct_transition": "Terminal"},
            "condition type 'Moon'",
        ),
        ({"type": "Simple", "direct_transition": "A"}, "an endless loop without delay: A > A"),
        (
            {"type": "Encounter", "encounter_class": "party", "codes": [CODE], "direct_transition": "Terminal"},
            "class 'party'",
        ),
        (
            {"type": "Simple", "lookup_table_transition": [{"transition": "Terminal", "lookup_table_name": "x.csv"}]},
            "table 'x.csv'",
        ),
        (
            {"type": "Guard", "allow": {"condition_type": "PriorState", "name": "Q"}, "direct_transition": "Terminal"},
            "'Q' does not exist",
        ),
        (observe(vital_sign="Hight") | {"direct_transition": "Terminal"}, "did you mean 'Height'"),
    ],
)
def test_bad_modules_are_named_with_file_and_state(state: dict[str, Any], what: str) -> None:
    with pytest.raises(SchemaError, match=r"one\.json: state 'A': ") as error:
        live({"Initial": {"type": "Initial", "direct_transition": "A"}, "A": state, "Terminal": {"type": "Terminal"}})
    assert what in str(error.value)


def test_modules_that_call_each_other_in_a_circle_are_named() -> None:
    call = {"type": "CallSubmodule", "submodule": "in/ner"}
    with pytest.raises(SchemaError, match=r"in a circle: one > in/ner > in/ner"):
        live({"one": states(("A", call)), "in/ner": states(("A", call))})


def test_an_endless_loop_that_only_shows_when_run_is_named_with_its_path() -> None:
    never = {"condition_type": "Attribute", "attribute": "x", "operator": "==", "value": 1}
    loop = states(
        A={"type": "Simple", "direct_transition": "B"},
        B={
            "type": "Simple",
            "conditional_transition": [{"condition": never, "transition": "Terminal"}, {"transition": "A"}],
        },
    )
    loop["Initial"]["direct_transition"] = "A"
    path = r"one\.json: ([AB]) > one\.json: [AB] > one\.json: \1"
    with pytest.raises(DataError, match=rf"an endless loop without delay: {path}"):
        live(loop, 2)


# ------------------------------------------------------------------------------------------------- history


YEARLY: States = {
    "Initial": {"type": "Initial", "direct_transition": "Year"},
    "Year": {**delay(365), "conditional_transition": [
        {"condition": {"condition_type": "Age", "operator": ">=", "quantity": 20, "unit": "years"},
         "transition": "Die"},
        {"transition": "Report"},
    ]},
    "Report": {"type": "DiagnosticReport", "codes": [code(2)], "observations": [observe(3, exact={"quantity": 1})],
               "direct_transition": "Scan"},
    "Scan": {"type": "ImagingStudy", "procedure_code": code(4), "series": [{}], "direct_transition": "Year"},
    "Die": {"type": "Death", "exact": {"quantity": 0, "unit": "days"}, "direct_transition": "Terminal"},
    "Terminal": {"type": "Terminal"},
}  # fmt: skip


def test_the_dead_keep_the_years_before_their_death_and_parts_stay_with_their_whole() -> None:
    world = live(YEARLY, n=3, age=(30, 30), history=3)
    record, people = world.record, world.people
    lived = record["observations"]["patient"]
    ages = (record["observations"]["start"] - people.birth[lived]) / (365.25 * DAY)
    assert ages.min() > 16.5  # all died at twenty, ten years before the end
    assert set(np.bincount(lived)) <= {0, 3}
    for table, column, target in (("observations", "report", "reports"), ("imaging", "procedure", "procedures")):
        whole = record[table][column]
        assert (record[target]["start"][whole] == record[table]["start"]).all()
        assert (record[target]["patient"][whole] == record[table]["patient"]).all()

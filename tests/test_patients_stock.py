"""The public module library, unchanged: all of it is read and compiled, and some of it is lived."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from verosim.patients import Patients
from verosim.patients.module import load
from verosim.patients.plain import PlainLife
from verosim.patients.record import KINDS, OPEN

MODULES = Path(__file__).parents[2] / "shared" / "data" / "patients" / "modules"
pytestmark = pytest.mark.skipif(not MODULES.is_dir(), reason="shared/data/patients/modules is not here")


def test_all_of_the_library_is_read_and_compiled() -> None:
    patients = Patients(MODULES, life=PlainLife())
    library, plan = patients.library, patients.plan
    assert (len(library.modules), len(library.top), len(library.tables)) == (242, 85, 69)
    assert len(plan.states) == 6970
    assert {type(state).__name__ for state in plan.states} >= {
        "Guard",
        "Loop",
        "Encounter",
        "DiagnosticReport",
        "Vaccine",
    }
    assert plan.order.index("Encounter") == 0
    assert plan.order[1].startswith("AIS_From")  # capitals come first
    assert all("which begins nothing here" in note for note in patients.notes)


def test_the_deepest_module_brings_all_that_it_calls() -> None:
    assert len(load(MODULES, ["myocardial_infarction"]).modules) == 27


def test_appendicitis_and_sinusitis_are_lived() -> None:
    patients = Patients(MODULES, only=["appendicitis", "sinusitis"], life=PlainLife(), history=None)
    world = next(patients.blocks(400, 5))
    record, codes = world.record, patients.plan.item_code
    conditions = record["conditions"]
    named = np.array([world.catalogue.codes.codings[c].code for c in codes[conditions["item"]]])
    appendix = np.flatnonzero(named == "74400008")
    assert 0.02 < len(appendix) / world.lived.sum() < 0.2  # 7 to 9 percent of a long life
    assert (conditions["stop"][appendix] > conditions["start"][appendix]).all()
    kinds = record["encounters"]["kind"][conditions["encounter"][appendix]]
    assert set(kinds) <= {KINDS.index("emergency"), KINDS.index("inpatient")}
    assert (named == "444814009").sum() > 400  # viral sinusitis, again and again
    encounters = record["encounters"]
    assert (encounters["stop"][:] < OPEN).all()
    assert (encounters["stop"] > encounters["start"]).all()
    for patient in range(20):  # one encounter at a time
        own = np.flatnonzero(encounters["patient"] == patient)
        own = own[np.argsort(encounters["start"][own])]
        beginnings = encounters["start"][own[1:]]
        lasting = record["encounters"]["stop"][own[:-1]]
        assert (beginnings - lasting > -86_400_000).all()

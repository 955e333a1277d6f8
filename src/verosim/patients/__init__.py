"""Patients: lives simulated by modules that are state machines, as records of care.

    patients = Patients("modules/")          # a folder of modules in the JSON format of Synthea
    for world in patients.blocks(10_000, seed=7):
        world.record["conditions"]

    reading.py      files to values, with the place of each
    module.py       a library of modules, read and checked
    plan.py         a library compiled: all that it names as numbers
    amounts.py      what is drawn: numbers, lengths of time
    conditions.py   conditions; transitions.py: which state follows, and lookup tables
    states.py       states that steer; care.py: states of care; observing.py: observations
    names.py        texts, codes and items by number
    population.py   who the patients are; record.py: what happened to them
    world.py        a block of patients in the middle of their lives
    engine.py       who does what next
    following.py    who lives after whom
    visits.py       check-ups, and visits that symptoms lead to
    hooks.py        what plugs in: people, vital signs, modules that are code; plain.py: stand-ins for tests
    life/           people, bodies, risks, insurance, costs
    exports/        tables and documents
    library/        our own modules

All chance is keyed by seed, patient and module: the same seed gives the same lives, in blocks of any size.
"""

from __future__ import annotations

from verosim.patients.simulating import Patients

__all__ = ["Patients"]

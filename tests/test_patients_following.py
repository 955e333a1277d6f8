"""Who follows whom: in broods that double, and whoever lives in a block hangs on no schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from verosim.patients import Patients, engine
from verosim.patients.following import Following
from verosim.patients.kernel import available
from verosim.patients.module import library, parse
from verosim.patients.plain import PlainLife, PlainPeople
from verosim.patients.world import World

DEADLY: dict[str, Any] = {  # three in four die, at any age up to 29
    "Initial": {"type": "Initial", "direct_transition": "Wait"},
    "Wait": {
        "type": "Delay",
        "range": {"low": 0, "high": 29, "unit": "years"},
        "distributed_transition": [
            {"transition": "Dies", "distribution": 0.75},
            {"transition": "Terminal", "distribution": 0.25},
        ],
    },
    "Dies": {"type": "Death", "direct_transition": "Terminal"},
    "Terminal": {"type": "Terminal"},
}


def lived(n: int, compiled: bool) -> list[World]:
    """The blocks of n patients of 30 years."""
    modules = library({"deadly": parse({"name": "deadly", "states": DEADLY}, "deadly")}, {})
    return list(Patients(modules, life=PlainLife(PlainPeople(age=(30, 30))), compiled=compiled).blocks(n, 3))


def people(world: World) -> list[tuple[int, int]]:
    """Slot and attempt of those who are told of, in their order."""
    return sorted(zip(world.people.slot[world.lived].tolist(), world.people.attempt[world.lived].tolist(), strict=True))


def test_as_many_follow_as_died_before() -> None:
    following = Following(np.array([7]), np.zeros(1, np.int32), 100)
    used, sizes = 0, []
    for _ in range(4):
        slot, attempt, spare = following.births(used, idle=True)
        assert slot.tolist() == [7] * len(slot)
        assert attempt.tolist() == list(range(used, used + len(slot)))
        assert spare.tolist() == [False] + [True] * (len(slot) - 1)
        used += len(slot)
        sizes.append(len(slot))
        following.look(np.ones(used, bool), np.zeros(used, bool))
    assert sizes == [1, 1, 2, 4]
    survived = np.array([False, False, False, False, False, True, False, True])
    assert following.needed(survived).tolist() == [True] * 6 + [False] * 2  # who comes after the first to live on


def test_a_generation_that_may_lack_room_waits_until_all_is_known() -> None:
    following = Following(np.array([1, 2, 3]), np.zeros(3, np.int32), 4)
    assert following.births(0, idle=True)[0].tolist() == [1, 2, 3]
    following.look(np.array([False, True, False]), np.zeros(3, bool))
    assert not len(following.births(3, idle=False)[0])  # all three may die, and there is room for one more
    following.look(np.ones(3, bool), np.array([False, False, True]))
    assert following.births(3, idle=True)[0].tolist() == [1]  # the first slot, not the first to die
    assert following.left[0].tolist() == [2]


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.skipif(not available(), reason="numba"))]
)
def test_more_die_than_there_is_room_for(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = lived(60, compiled)
    assert len(usual) > 1  # not all found room in one block
    monkeypatch.setattr(engine, "FOLLOW", 1)  # another schedule
    assert [people(world) for world in lived(60, compiled)] == [people(world) for world in usual]
    assert [people(world) for world in lived(60, False)] == [people(world) for world in usual]


def test_every_slot_ends_with_one_who_lives_on() -> None:
    worlds = lived(60, False)
    every = sorted(pair for world in worlds for pair in people(world))
    counts = np.bincount([slot for slot, _ in every], minlength=60)
    assert every == [(slot, attempt) for slot in range(60) for attempt in range(counts[slot])]
    alive = [world.lived & (world.people.death > world.people.stop) for world in worlds]
    assert sorted(slot for w, a in zip(worlds, alive, strict=True) for slot in w.people.slot[a].tolist()) == list(
        range(60)
    )
    dies = [s.name for s in worlds[0].plan.states].index("Dies")
    assert sum(int(world.visits[dies]) for world in worlds) == len(every) - 60  # needless lives are not counted

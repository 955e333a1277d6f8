"""The engine: it lets the patients of a block live, always at the state where most of them wait.

Patients have nothing to do with each other, so each has a clock of its own, and whoever stands at the same state of the
same module can be moved together, at whatever age. A patient's week runs its modules in order, each as far as it goes;
modules that wait for a time, a change, an encounter or a visit are not looked at before that comes.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.errors import DataError
from verosim.patients.following import Following
from verosim.patients.names import NONE
from verosim.patients.plan import Plan
from verosim.patients.population import Array
from verosim.patients.record import KINDS
from verosim.patients.states import CallSubmodule, Loop, State, Terminal, Wait
from verosim.patients.world import NOT_AGAIN, STAYS, World

if TYPE_CHECKING:
    from verosim.patients.kernel import Kernel

IDLE: Final = -1
MOST: Final = 10_000  # states that a module may go through in one step, before we call it an endless loop
PATIENCE: Final = (
    1 / 16
)  # of builtins and vital signs, a run of which costs as much as of many states: they gather more
CHAIN: Final = 64  # states that patients go through at once, before we look who else waits
LOOK: Final = 1024  # how often we look whether one does
ROWS: Final = 250_000  # of the record that we do not mind
TELLING: Final = 1 / 16  # a run of vital signs costs about as much as of a builtin
FOLLOW: Final = 256  # rounds after which those who died are followed, while others live on: many move quickly
MANY: Final = 1000  # so many who follow others are worth a round of their own


class Engine:
    """One block: `admit` patients, `run` until all have lived. kernel: of this plan, for what needs no Python."""

    def __init__(self, world: World, kernel: Kernel | None = None) -> None:
        self.world, self.plan = world, world.plan
        self.n_states = len(world.plan.states)
        builtins = [(world.plan.slot[name], b) for name, b in world.plan.builtins.items()]
        self.builtins = [b for _, b in builtins]
        self.waiting = np.zeros(self.n_states + len(builtins), np.int64)  # patients at each state and builtin
        self.action = np.full(world.people.n, IDLE, np.int16)  # what each patient does next
        self.spins = np.zeros(world.people.n, np.int32)  # states gone through since the module's turn came
        self.done = np.zeros(world.people.n, bool)
        self.used = 0  # rows that have a patient
        self.kept = 0  # rows of the record that were left when we last forgot
        self.rounds = 0
        self._starts = np.zeros(world.modules, np.int16)
        for slot, name in enumerate(world.plan.order):
            self._starts[slot] = world.plan.initial.get(name, 0)
        for number, (slot, _) in enumerate(builtins):
            self._starts[slot] = self.n_states + number
        self._slots = np.array([slot for slot, _ in builtins], np.int64)
        self._worth = np.ones(len(self.waiting))
        self._worth[self.n_states :] = PATIENCE
        self._worth[[state.number for state in self.plan.states if state.reads_vitals]] = PATIENCE
        self._columns = np.arange(world.modules, dtype=np.int16)
        self._kernel = kernel
        self._asking = np.zeros(len(self.waiting) + 1, bool)  # actions before which vital signs are read; last: IDLE
        if kernel is not None:
            self._asking[: self.n_states] = kernel.asking
        self.given = np.empty((len(world.plan.signs), world.people.n))  # vital signs as read
        self.told = np.full(world.people.n, NONE, np.int16)  # the state for which they were read

    # --------------------------------------------------------------------------------------------- births

    def admit(self, slot: Array, attempt: Array, spare: Array | None = None) -> None:
        """Let new patients be born. spare (k,): whose states are counted apart, for they may prove needless."""
        world, people = self.world, self.world.people
        patients = np.arange(self.used, self.used + len(slot))
        self.used += len(slot)
        people.admit(patients, slot, attempt)
        if spare is not None:
            self._tally(patients[spare])
        self.plan.life.demographics.born(people, world.attributes, patients)
        world.state.reshape(-1, world.modules)[patients] = self._starts
        world.wake[patients] = 0
        for start in self._starts[self._starts < self.n_states]:
            np.add.at(world.visits[:, start], world.tally[patients], 1)
        for builtin, slot_of in zip(self.builtins, self._slots, strict=True):
            world.module[patients] = slot_of
            world.wake[patients, slot_of] = np.minimum(builtin.begin(world, patients), NOT_AGAIN)
        world.module[patients] = NONE
        self._advance(patients)

    def _tally(self, patients: Array) -> None:
        """Give patients (k,) counts of states of their own."""
        world = self.world
        world.tally[patients] = len(world.visits) + np.arange(len(patients))
        world.visits = np.pad(world.visits, ((0, len(patients)), (0, 0)))

    def live(self, slot: Array, attempt: Array, last: bool = True) -> tuple[Array, Array]:
        """Let patients of these slots and attempts live, and whoever follows those who died, as far as there is room.

        Gives slots and attempts of those who are still to follow: none, or few where this is not the last block, since
        it takes many to move quickly.
        """
        following, busy = Following(slot, attempt, self.world.people.n), False
        while True:
            if last or not self.used or len(following.left[0]) >= MANY:
                born = following.births(self.used, not busy)
                busy |= len(born[0]) > 0
                self.admit(*born)
            if not busy:
                break
            busy = self.run(FOLLOW if last else None)
            following.look(self.done[: self.used], self._survived())
        self._close(following.needed(self._survived()))
        return following.left

    def _survived(self) -> Array:
        """(used,) bool: who lives on at the end."""
        people = self.world.people
        return (self.done & (people.death >= people.stop))[: self.used]

    def _close(self, needed: Array) -> None:
        """The end of the block: what needless lives were is not told."""
        world = self.world
        world.lived[: self.used] = needed
        world.visits = world.visits[np.unique(np.append(0, world.tally[: self.used][needed]))].sum(axis=0)
        self._forget()

    def _forget(self) -> None:
        """Drop what is too long ago to be told of: that many years before the end, before death, or before now."""
        world, people = self.world, self.world.people
        if world.history is None:
            return
        end = np.minimum(people.death, people.stop)
        world.record.since[:] = np.where(self.done, end, np.minimum(people.now, end)) - world.history
        world.record.forget(world.record.since)
        self.kept = world.record.passing

    # --------------------------------------------------------------------------------------------- rounds

    def run(self, rounds: int | None = None) -> bool:
        """Live on, for so many rounds or until nobody has anything to do; whether somebody has.

        Raises DataError for an endless loop.
        """
        score, asking = np.empty(len(self.waiting)), np.flatnonzero(self._asking)
        self._without_python(np.flatnonzero(self.action != IDLE))
        for _ in count() if rounds is None else range(rounds):
            np.multiply(self.waiting, self._worth, out=score)
            wanting, score[asking] = self.waiting[asking].sum(), 0
            action = int(score.argmax())
            if wanting * TELLING > score[action]:
                self._tell()
            elif self.waiting[action]:
                self._take(action)
            else:
                return False
            self.rounds += 1
            if self.rounds % LOOK == 0:
                self._look()
        return True

    def _take(self, action: int) -> None:
        """Let all who wait for an action do it."""
        patients = np.flatnonzero(self.action == action)
        self.waiting[action] = 0
        self.action[patients] = IDLE
        self._do(action, patients)
        self._without_python(patients)

    def _tell(self) -> None:
        """Read vital signs for all who wait for some, at whatever state: the kernel goes on with them."""
        assert self._kernel is not None
        patients = np.flatnonzero(self._asking[self.action])
        self._kernel.tell(self, patients)
        self._without_python(patients)

    def _look(self) -> None:
        """Look whether somebody is caught in a loop, or the record has grown much."""
        if self.spins.max() > MOST:
            self._endless(int(self.spins.argmax()))
        if self.world.record.passing > 2 * self.kept + ROWS:
            self._forget()

    def _without_python(self, patients: Array) -> None:
        """Let patients go on as far as the kernel can take them."""
        if self._kernel is not None:
            trapped = self._kernel.live(self, patients)
            if trapped is not None:
                self._endless(trapped)

    def _do(self, action: int, patients: Array) -> None:
        if action >= self.n_states:
            number = action - self.n_states
            world = self.world
            world.wake[patients, self._slots[number]] = NOT_AGAIN
            again = self.builtins[number].run(world, patients)
            world.wake_at(patients, self._slots[number], again)
            self._advance(patients)
            return
        people = self.world.people
        dead = people.death[patients] <= people.now[patients]
        if dead.any():
            self._finish(patients[dead])
            patients = patients[~dead]
            if not len(patients):
                return
        for _ in range(CHAIN if self._kernel is None else 1):
            self.spins[patients] += 1
            action, patients = self._move(self.plan.states[action], patients)
            if action == IDLE:
                return
        self._again(patients, np.full(len(patients), action))

    def _move(self, state: State, patients: Array) -> tuple[int, Array]:
        """Do a state; where all go on to the same one, at which nobody waits, that one's number and they; or IDLE."""
        if isinstance(state, CallSubmodule):
            return self._call(state, patients), patients
        if isinstance(state, Terminal):
            self._end(state, patients)
            return IDLE, patients
        goes = state.run(self.world, patients)
        if goes is not None and not goes.all():
            self._stay(state, patients[~goes])
            patients = patients[goes]
        if not len(patients):
            return IDLE, patients
        return self._go(state, patients), patients

    def _go(self, state: State, patients: Array, time: Array | None = None) -> int:
        """Leave a state for the next one: its number, if all can go there at once, or IDLE.

        time: what the transition goes by, where that is not the state's own.
        """
        at_once = time is None and not state.waits
        world = self.world
        if time is None:
            time = (world.at if isinstance(state, Wait) and state.waits else world.people.now)[patients]
        if state.tracks:
            world.left(state.tracks, patients, world.people.now[patients])
        if isinstance(state, Loop):
            return self._push(patients, world.chosen[patients])
        return self._push(patients, state.transition.choose(world, patients, time, None), at_once)

    def _push(self, patients: Array, action: Array | int, at_once: bool = False) -> int:
        """Let patients wait at states. at_once: time has not moved; if nobody waits there, they need not either."""
        if isinstance(action, int):
            np.add.at(self.world.visits[:, action], self.world.tally[patients], 1)
            if at_once and not self.waiting[action]:
                return action
            self.action[patients] = action
            self.waiting[action] += len(patients)
            return IDLE
        self.action[patients] = action
        np.add.at(self.waiting, action, 1)
        np.add.at(self.world.visits, (self.world.tally[patients], action), 1)
        return IDLE

    def _again(self, patients: Array, actions: Array) -> None:
        """Look again at where modules wait."""
        self.action[patients] = actions
        np.add.at(self.waiting, actions, 1)

    def _stay(self, state: State, patients: Array) -> None:
        """Wait at a state: first once more at the step's own time, if time was turned back; then until woken."""
        world, people = self.world, self.world.people
        time = people.time(patients)
        back = people.now[patients] < time
        if back.any():
            some = patients[back]
            people.now[some], world.rewound[some] = time[back], -1
            self._again(some, np.full(len(some), state.number))
            patients = patients[~back]
        if len(patients):
            world.state[world.cell(patients)] = state.number
            world.wake[patients, world.module[patients]] = state.wake(world, patients)
            self._advance(patients)

    # --------------------------------------------------------------------------------------------- submodules

    def _call(self, state: CallSubmodule, patients: Array) -> int:
        world = self.world
        cell = world.cell(patients)
        depth = world.depth[cell]
        world.calls[cell, depth] = state.number
        world.depth[cell] = depth + 1
        for track in self.plan.tracks_of[state.submodule]:
            world.left_order[track, patients] = 0
        return self._push(patients, self.plan.initial[state.submodule], at_once=True)

    def _end(self, state: State, patients: Array) -> None:
        """The end of a module: back to the caller, or no more."""
        world = self.world
        cell = world.cell(patients)
        depth = world.depth[cell].astype(np.int64) - 1
        inner = depth >= 0
        if inner.any():
            self._return(patients[inner], cell[inner], depth[inner])
        last = patients[~inner]
        if len(last):
            own = last[world.lock[last] == world.module[last]]
            if len(own):
                world.close_encounter(own, world.people.now[own])
            world.state[cell[~inner]] = state.number
            world.wake[last, world.module[last]] = NOT_AGAIN
            self._advance(last)

    def _return(self, patients: Array, cell: Array, depth: Array) -> None:
        """Go on after a call; by the step's own time, if time was turned back only within it."""
        world, people = self.world, self.world.people
        world.depth[cell] = depth
        inside = world.rewound[patients] == depth + 1
        time = np.where(inside, people.time(patients), people.now[patients])
        world.rewound[patients[inside]] = depth[inside]
        callers = world.calls[cell, depth]
        for caller in np.unique(callers):
            some = callers == caller
            self._go(self.plan.states[caller], patients[some], time[some])

    # --------------------------------------------------------------------------------------------- the week

    def _advance(self, patients: Array) -> None:
        """On to the next module whose turn has come: in this step, or in the next one that has any."""
        world, people = self.world, self.world.people
        wake, step = world.wake[patients], people.step[patients].astype(np.int16)
        due = wake <= step[:, None]
        due &= self._columns > world.module[patients][:, None]
        module = due.argmax(axis=1)
        here = due[np.arange(len(patients)), module]
        if not here.all():
            later = np.flatnonzero(~here)
            step = np.maximum(wake[later].min(axis=1), step[later] + 1)
            module[later] = (wake[later] <= step[:, None]).argmax(axis=1)
            some = patients[later]
            over = ~self._begin_step(some, step)
            if over.any():
                self._finish(some[over])
                here[later[~over]] = True
                patients, module = patients[here], module[here]
                if not len(patients):
                    return
        self.spins[patients] = 0
        people.now[patients], world.rewound[patients] = people.time(patients), -1
        world.module[patients] = module
        self._again(patients, world.state[patients * world.modules + module])

    def _begin_step(self, patients: Array, step: Array) -> Array:
        """Go to a later step (k,); whether they live to see it."""
        people = self.world.people
        limit = np.minimum(people.death[patients], people.stop[patients])
        last = self.world.step_of(patients, limit) - 1  # the last step before the end
        people.step[patients] = np.minimum(step, np.maximum(last, people.step[patients]))
        return step <= last

    def _finish(self, patients: Array) -> None:
        """The end of life, or of the simulation: encounters that are open are closed."""
        world, people = self.world, self.world.people
        self.done[patients] = True
        open_ = patients[world.lock[patients] != NONE]
        if len(open_):
            kind = world.record["encounters"]["kind"][world.open[open_]]
            end = np.where(np.isin(kind, STAYS), people.stop[open_], people.time(open_))
            stop = world.record["encounters"]["stop"]
            rows = world.open[open_]
            stop[rows] = np.minimum(
                np.maximum(stop[rows], end), np.maximum(people.death[open_], world.record["encounters"]["start"][rows])
            )
            world.lock[open_] = world.open[open_] = NONE

    def _endless(self, patient: int) -> None:
        """Name the loop that a patient is caught in."""
        path: list[str] = []
        action, alone = int(self.action[patient]), np.array([patient])
        self.waiting[action] -= 1
        while True:
            state = self.plan.states[action]
            name = f"{state.module}.json: {state.name}"
            if name in path:
                loop = " > ".join([*path[path.index(name) :], name])
                raise DataError(f"an endless loop without delay: {loop}.", fix="Let time pass in it, by a Delay.")
            path.append(name)
            action, _ = self._move(state, alone)
            if action == IDLE:
                action = int(self.action[patient])
                self.waiting[action] -= 1


__all__ = ["KINDS", "Engine", "Plan"]

"""Many sequences, learned and drawn anew: `Keyed`.

A row a key says what is the same in the whole sequence, when it begins and how long it is, and is learned as any table
(cases.py). Then all sequences go on together, step by step (walk.py): for event logs a chain of activities says what
happens next, or that it is over (activities.py); how long that takes is drawn (timing.py), then the other columns of
the step, by trees given all that came before (steps.py, parts.py).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.codec import TableCodec
from verosim.control import derived
from verosim.draws import BLOCK, stream
from verosim.errors import ModelFileError
from verosim.keys import Ints
from verosim.models import Array, Codes, Floats, Progress, State, part, silent, stage
from verosim.schema import Table, parse_dtype
from verosim.sequences.activities import Activities, activity_codec, encoded, field_of, traces
from verosim.sequences.cases import LENGTH, case_table, cases_of, labelled, told_codec
from verosim.sequences.contest import KNOWN, Contest, Seen
from verosim.sequences.derived import Derived, Happened
from verosim.sequences.engine import Engine, Steps
from verosim.sequences.long import restored_clock, saved_clock
from verosim.sequences.order import FEW, Clock, Runs, held_out, sequence_of
from verosim.sequences.parts import Moving, Parts, gaps_of, moving_of, rest_of
from verosim.sequences.rows import rows_of
from verosim.sequences.steps import Calendar, Stepper
from verosim.sequences.timing import Times, Timing
from verosim.sequences.walk import PLAIN, Asked, Walk
from verosim.sequences.wholes import Whole, Wholes
from verosim.table_model import Options, TableModel

TOGETHER: Final = 4 * BLOCK  # steps, about, of the sequences that advance together
SELDOM: Final = 0.5  # share of rows without a value, from which a column is not remembered
LEARNED: Final = 150_000  # steps that the trees learn from, at most
LEAST: Final = 100  # sequences: of fewer it is not told how whole ones are
PILOT: Final = 10_000  # sequences that are drawn to see how those are, at most ...
STEPS: Final = 100_000  # ... with so many steps, about
LONGEST: Final = 1_000_000  # steps after which any sequence ends
DAMAGED: Final = "the parts of the sequences do not fit each other."


class Keyed:
    """cases: the model of a row a key. roster: the keys themselves where they are few, and names."""

    clock: Clock | None
    first: int  # the first time that there was ...
    end: int  # ... and the last
    pace: float  # the mean time from a step to the next
    parts: Parts  # the columns of a step
    told: TableCodec  # what is the same in a whole sequence
    kept: list[int]  # fields of a step that are remembered
    activities: Activities | None  # of logs
    timing: Timing | None  # where the steps are not regular
    engine: Engine  # what draws the columns of a step, once its time is known
    stepper: Stepper  # what they are drawn given

    def __init__(self, table: Table, cases: TableModel | None, rows: int, sequences: int) -> None:
        self.table, self.cases, self.rows, self.sequences = table, cases, rows, sequences
        self.roster: pl.DataFrame | None = None
        self.derived = Derived()  # what is the same in a whole sequence, and follows from its rows
        self.wholes: Wholes | None = None  # which sequences stay

    @property
    def moving(self) -> tuple[Moving, ...]:
        """The columns that are drawn by their change."""
        return self.parts.moving

    # ---------------------------------------------------------------------------------------------- learning

    @classmethod
    def fit(cls, frame: pl.DataFrame, table: Table, options: Options, seed: int, progress: Progress = silent) -> Self:
        """frame: all rows of the real sequences; those held out are left out here."""
        whole = Runs.of(frame, table)
        runs = Runs.of(frame.filter(pl.Series(held_out(frame, table, options.holdout, seed) == 0)), table)
        new = cls(table, None, frame.height, int(whole.new.sum()))
        timed = new._learn(whole, runs, options, seed, progress)
        if timed is not None and new.timing is not None and new.cases is not None and len(runs.lengths) >= LEAST:
            new._fit_wholes(runs, timed[1], options.k, seed)
        return new

    def _learn(
        self, whole: Runs, runs: Runs, options: Options, seed: int, progress: Progress
    ) -> tuple[Ints, Ints] | None:
        """Learn `runs`, of a `whole` table; their times and the gaps before them."""
        timed, said = self._fit_clock(whole, runs), sequence_of(self.table)
        steps = [c for c in self.table.columns if c.name not in (said.key, said.time, said.activity, *said.statics)]
        moving = tuple(moving_of(runs.frame, steps, runs.new))
        self._fit_cases(whole, runs, moving, options, seed, stage(progress, 0.0, 0.3))
        apart = replace(runs, new=runs.new | self._apart(runs, timed))
        self._fit_steps(apart, timed, moving, options, seed, stage(progress, 0.3, 1.0))
        return timed

    def _people(self, runs: Runs) -> pl.Series:
        """(n,) whom each row belongs to: its sequence; of few keys that stay, as those of sensors, each to itself."""
        return pl.Series(runs.number if self.roster is None else np.arange(len(runs.number)))

    def _derived(self, cases: pl.DataFrame, happened: Happened, k: int) -> Derived:
        return Derived.of(cases, happened, self.table, k)

    def _fit_clock(self, whole: Runs, runs: Runs) -> tuple[Ints, Ints] | None:
        """(n,) the times of the learned rows, and the gaps before them."""
        said, ends = sequence_of(self.table), np.zeros(1, np.int64)
        self.clock = Clock.of(whole.frame[said.time], self.table[said.time], said.step) if said.time else None
        if self.clock and said.time:
            ends = self.clock.ticks(whole.frame[said.time])
        self.first, self.end, self.pace = int(ends.min()), int(ends.max()), 1.0
        timed = gaps_of(runs, self.clock, said.time)
        if timed is not None and (~runs.new).any():
            self.pace = max(1.0, float(timed[1][~runs.new].mean()))
        return timed

    def _apart(self, runs: Runs, timed: tuple[Ints, Ints] | None) -> Array:
        """(n,) where held-out rows stood before a row: it does not follow the row before. Of few keys only."""
        if self.sequences >= FEW or timed is None:
            return np.zeros(len(runs.new), bool)
        usual = np.median(timed[1][~runs.new]) if (~runs.new).any() else 0
        return timed[1] > 20 * max(usual, 1)

    def _fit_cases(
        self, whole: Runs, runs: Runs, moving: tuple[Moving, ...], options: Options, seed: int, progress: Progress
    ) -> None:
        table = case_table(self.table, moving)
        if labelled(self.table, self.sequences):
            self.roster = cases_of(whole, table)
            return
        known = options.model if options.model not in ("auto",) else "chain"
        plain = replace(options, model=known, settings=options.settings if known == options.model else {}, unit=None)
        frame = cases_of(runs, table)
        self.cases = TableModel.fit(frame, table, plain, seed, frame.height, progress)

    def _fit_steps(
        self, runs: Runs, timed: tuple[Ints, Ints] | None, moving: tuple[Moving, ...], options: Options, seed: int,
        progress: Progress,
    ) -> None:  # fmt: skip
        said, people = sequence_of(self.table), self._people(runs)
        regular = self.clock is not None and self.clock.grid is not None
        even = timed is not None and regular and (timed[1][~runs.new] == 1).all()
        out = {said.key, said.time, said.activity, *said.statics, *(m.column.name for m in moving)}
        still = rest_of(self.table, [n for n in self.table.names if n not in out])
        self.parts = Parts.fit(runs, still, None if timed is None or even else timed[1], moving, options.k, people)
        codec = activity_codec(self.table[said.activity], runs, people, options.k) if said.activity else None
        cases = runs.frame.filter(pl.Series(runs.new))
        if self.roster is None:
            activity, kinds = (encoded(codec, runs), field_of(codec).levels) if codec else (None, 0)
            ticks = None if timed is None else timed[0]
            happened = Happened(runs.number, runs.place, ticks, activity, kinds, self.clock)
            self.derived = self._derived(cases, happened, options.k)
        self.told = told_codec(self.table, runs, self.derived.columns, self.roster is not None, options.k)
        told, rng = self.tell(cases), stream(seed, self.table.name, "activities")
        self.activities = Activities.fit(codec, runs, told, options.k, rng) if codec else None
        some = _some(runs, stream(seed, self.table.name, "some"))
        told = told.take(runs.number[some])
        runs = Runs(runs.frame[some], runs.order[some], runs.new[some])
        timed = None if timed is None else (timed[0][some], timed[1][some])
        self._fit_engine(runs, timed, told, options, seed, progress)

    def _fit_engine(
        self, runs: Runs, timed: tuple[Ints, Ints] | None, told: Codes, options: Options, seed: int, progress: Progress
    ) -> None:
        """The time and the columns of a step given what came before. told: of each row."""
        ticks, gaps = (np.zeros(len(runs.new), np.int64), None) if timed is None else timed
        codes = self.parts.encode(runs, gaps)
        self.kept = [i for i, a in enumerate(codes.arrays) if np.mean(a < 0) < SELDOM]
        self._set_stepper()
        activity = self.activities.encode(runs) if self.activities else None
        left = None if activity is not None else (runs.lengths[runs.number] - runs.place).astype(float)
        values = [runs.frame[m.column.name].cast(pl.Float64).to_numpy() for m in self.moving]
        levels = [m.scaled(np.where(runs.new, v, np.roll(v, 1))) for m, v in zip(self.moving, values, strict=True)]
        past = self.stepper.history(codes, activity, told.arrays, runs, left, levels)
        born = ticks[np.flatnonzero(runs.new)][runs.number]
        self.timing, gap = None, None
        if self.clock is not None and self.parts.gap is not None and gaps is not None:
            self._fit_timing(runs, ticks, gaps, past, activity, options.k, seed, stage(progress, 0.0, 0.4))
            gap = codes.arrays[0]
        rest = Codes(codes.fields[gap is not None :], codes.arrays[gap is not None :], codes.n)
        steps = Steps(runs, self.with_gap(self.stepper.at(past, ticks, ticks - born), gap), rest)

        def seen(some: Array) -> Seen:
            rows, still = np.flatnonzero(some), codes.arrays[self.parts.n_moved :]
            at = [m.scaled(v[rows]) for m, v in zip(self.moving, values, strict=True)]
            new = (runs.new | np.diff(some, prepend=False))[rows]
            return Seen.of(self.parts.still.fields, [a[rows] for a in still], at, new)

        def auc(engine: Engine, flags: Array) -> float:
            self.engine, known = engine, flags == 0
            contest = Contest(seen(known & (np.cumsum(known) <= KNOWN)), seen(flags == 1), derived(seed, "contest"))
            return contest.auc(self)

        part = stage(progress, 0.4, 1.0)
        self.engine = Engine.fit(steps, self.table, self.stepper, options, seed, part, auc)

    def _fit_timing(
        self, runs: Runs, ticks: Ints, gaps: Ints, past: Codes, activity: Array | None, k: int, seed: int,
        progress: Progress,
    ) -> None:  # fmt: skip
        """Of rows that have one before."""
        assert self.clock is not None
        assert self.parts.gap is not None
        later = np.flatnonzero(~runs.new) if (~runs.new).any() else np.arange(len(runs.new))
        born = ticks[np.flatnonzero(runs.new)][runs.number]
        times = Times(born[later], (ticks - gaps)[later], ticks[later])
        given = self.stepper.at(past.take(later), times.before, times.before - times.born)
        what, kinds = np.zeros(len(later), np.int64), 1
        if activity is not None and self.activities is not None:
            what, kinds = activity[later], self.activities.field.levels
        rng = stream(seed, self.table.name, "times")
        self.timing = Timing.fit(self.parts.gap, self.clock, times, given, what, kinds, k, rng, progress)

    def _fit_wholes(self, runs: Runs, gaps: Ints, k: int, seed: int) -> None:
        """How whole sequences are, beside some that are drawn."""
        seed, size = derived(seed, "wholes"), min(PILOT, int(STEPS / runs.lengths.mean()))
        drawn = list[Whole]()
        for cases in self.cases_of(seed):
            cases = cases.head(size)
            walk = Walk(self, cases, self.lengths_of(cases), PLAIN, np.arange(cases.height))
            deque(walk.all(LONGEST, stream(seed, self.table.name, len(drawn)), seed), 0)
            drawn.append(walk.whole)
            size -= cases.height
            if size <= 0:
                break
        trace = (
            traces(runs, self.activities.encode(runs)) if self.activities else np.zeros(len(runs.lengths), np.uint64)
        )
        real = Whole(np.add.reduceat(gaps, np.flatnonzero(runs.new)), runs.lengths, trace)
        parts = ([getattr(d, name) for d in drawn] for name in ("lasted", "lengths", "traces"))
        self.wholes = Wholes.of(real, Whole(*(np.concatenate(p) for p in parts)), k)

    def lengths_of(self, cases: pl.DataFrame) -> Ints:
        """(s,) steps after which sequences end; of logs, activities say so."""
        if self.activities:
            return np.full(cases.height, LONGEST)
        return np.minimum(cases[LENGTH].to_numpy().astype(np.int64), LONGEST)

    def _set_stepper(self) -> None:
        """What steps see, from what is the same in all of them."""
        calendar = Calendar(self.clock, self.first, self.end, self.pace, self.parts.gap is not None)
        activity = self.activities.field if self.activities else None
        self.stepper = Stepper(self.parts.fields, self.told.fields, len(self.moving), activity, self.kept, calendar)

    def with_gap(self, given: Codes, gap: Floats | None) -> Codes:
        """What a step is drawn given, once its time is known: the gap before it too."""
        if gap is None or self.parts.gap is None:
            return given
        return given.beside(Codes((self.parts.gap.field,), (gap,), given.n))

    # ---------------------------------------------------------------------------------------------- what a walk asks

    def tell(self, cases: pl.DataFrame) -> Codes:
        """What the steps of these sequences (s,) know of them."""
        if not self.told.table.columns:
            return Codes((), (), cases.height)
        return self.told.encode(cases.select(self.told.table.names))

    def begins(self, cases: pl.DataFrame) -> Ints:
        """(s,) when they begin."""
        said = sequence_of(self.table)
        if self.clock is None or said.time is None:
            return np.zeros(cases.height, np.int64)
        return self.clock.ticks(cases[said.time]).copy()

    @property
    def notes(self) -> list[str]:
        """What was protected or made up."""
        acts = [self.activities.codec] if self.activities else []
        models = [self.cases, self.parts.still, self.parts.moved, *acts]
        out = [note for model in models if model is not None for note in model.notes] + self.engine.notes
        if self.roster is not None:
            out.append(
                f"the {self.roster.height:,} keys stay as they are, with what is the same in each; they are drawn "
                "apart, so where they move together, make a column of each"
            )
        return out

    def explain(self) -> dict[str, str]:
        """For each field, how it is drawn."""
        said, out = sequence_of(self.table), dict[str, str]()
        if said.activity and self.activities:
            out[said.activity] = self.activities.explained
        timed = self.timing.chain.explain() if self.timing else {}
        return out | self.derived.explain() | timed | self.engine.explain()

    # ---------------------------------------------------------------------------------------------- drawing

    def cases_of(self, seed: int) -> Iterator[pl.DataFrame]:
        """Rows a key, as drawn, without end."""
        return self._cases(None, seed, PLAIN, 0)

    def blocks(self, rows: int, seed: int, asked: Asked = PLAIN) -> Iterator[pl.DataFrame]:
        """The first `rows` rows; the last sequence may be cut."""
        done = 0
        for frame in self.whole(None, seed, asked, rows):
            yield frame.head(rows - done)
            done += frame.height
            if done >= rows:
                return

    def whole(
        self,
        sequences: int | None,
        seed: int,
        asked: Asked = PLAIN,
        rows: int = 0,
    ) -> Iterator[pl.DataFrame]:
        """So many whole sequences, or without end, batch by batch."""
        mean = max(1.0, self.rows / max(self.sequences, 1)) if asked.length is None else float(asked.length)
        size = max(1, min(BLOCK, int(TOGETHER / mean))) if asked.begin is None else BLOCK * BLOCK
        done = made = 0
        for number, cases in enumerate(self._cases(sequences, seed, asked, rows)):
            for begin in range(0, cases.height, size):
                some = cases.slice(begin, size)
                if sequences is not None:
                    some = some.head(sequences - done)
                if not some.height:
                    return
                frame, n = self._advance(some, made, seed, (number, begin), asked)
                done, made = done + n, made + frame.height
                yield frame
                if sequences is not None and done >= sequences:
                    return

    def _cases(self, sequences: int | None, seed: int, asked: Asked, rows: int) -> Iterator[pl.DataFrame]:
        """Rows a key, block by block."""
        if asked.cases is not None:
            yield asked.cases
            return
        if asked.source is not None:
            yield from asked.source(seed)
            return
        if self.roster is not None:
            factor = rows / max(self.rows, 1) if rows else 1.0
            grown = (pl.col(LENGTH) * max(factor, 1.0)).ceil().cast(pl.Int64) if LENGTH in self.roster.columns else None
            yield self.roster if grown is None else self.roster.with_columns(grown.alias(LENGTH))
            return
        assert self.cases is not None
        number, seen = 0, list[set[int]]()
        model = self.cases.directed(temperature=asked.temperature)
        while True:
            seen = seen or [set() for _ in model.unique_rules]
            frame = model.block(number, seed)
            yield model.without_repeats(frame, number, seen, seed, None) if seen else frame
            number += 1

    def _advance(
        self, cases: pl.DataFrame, made: int, seed: int, key: tuple[int, int], asked: Asked
    ) -> tuple[pl.DataFrame, int]:
        """All steps of these sequences, sequence by sequence, and how many there are: some that take a time which few
        real ones do are left out. made: rows drawn before."""
        rng, s = stream(seed, self.table.name, *key, "steps"), cases.height
        before = np.zeros(s, np.int64) if asked.begin is None else asked.begin.lengths
        if asked.length is not None:
            lengths = np.minimum(asked.length + before, LONGEST)
        else:
            lengths = self.lengths_of(cases)
        order = np.argsort(-lengths, kind="stable")
        cases, lengths, before = cases[order], lengths[order], before[order]
        walk = Walk(self, cases, lengths.copy(), asked, order)
        steps, stays = list(walk.all(LONGEST, rng, seed)), np.ones(s, bool)
        if self.wholes is not None and walk.bound and asked.cases is None and asked.source is None:  # shares stay
            stays = self.wholes.stay(walk.whole, rng)
        chosen = [step.take(stays[step.who] & (step.number >= before[step.who])) for step in steps]
        bound = walk.bound and not asked.exact
        return rows_of(self, cases, chosen, order, made, rng, seed, asked, bound), int(stays.sum())

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta: dict[str, Any] = {name: getattr(self, name) for name in ("rows", "sequences", "first", "end", "pace")}
        meta["kept"] = self.kept
        models: dict[str, Any] = {
            "engine": self.engine, "still": self.parts.still, "moved": self.parts.moved, "told": self.told,
            "cases": self.cases, "activities": self.activities, "timing": self.timing, "wholes": self.wholes,
            "derived": self.derived,
        }  # fmt: skip
        arrays = dict[str, Array]()
        for name, model in models.items():
            if model is not None:
                meta[name], own = model.state()
                arrays |= {f"{name}/{n}": a for n, a in own.items()}
        if self.clock:
            meta["clock"] = saved_clock(self.clock)
        meta["moving"] = [[m.column.name, m.low, m.high, m.digits] for m in self.moving]
        if self.roster is not None:
            meta["roster"] = self.roster.with_columns(pl.selectors.temporal().to_physical()).write_json()
        return meta, arrays

    @classmethod
    def restore(cls, engine: str, table: Table, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        known = "chain" if engine == "auto" else engine
        cases = TableModel.restore(known, meta["cases"], part(arrays, "cases/")) if "cases" in meta else None
        new = cls(table, cases, int(meta["rows"]), int(meta["sequences"]))
        new.first, new.end = int(meta["first"]), int(meta["end"])
        new.pace, new.kept = max(1.0, float(meta["pace"])), [int(i) for i in meta["kept"]]
        new.clock, new.timing, new.activities = restored_clock(table, meta.get("clock")), None, None
        if "timing" in meta and new.clock is not None:
            new.timing = Timing.restore(new.clock, meta["timing"], part(arrays, "timing/"))
        moving = tuple(
            Moving(table[str(n)], float(a), float(b), None if d is None else int(d)) for n, a, b, d in meta["moving"]
        )
        still, moved, told = (TableCodec.restore(meta[n], part(arrays, f"{n}/")) for n in ("still", "moved", "told"))
        new.parts, new.told = Parts(still, moved, new.timing.gap if new.timing else None, moving), told
        if sequence_of(table).activity:
            new.activities = Activities.restore(meta["activities"], part(arrays, "activities/"), len(told.fields))
        new._set_stepper()
        new.engine = Engine.restore(new.stepper, meta["engine"], part(arrays, "engine/"))
        new._check()
        new.wholes = Wholes.restore(part(arrays, "wholes/")) if "wholes" in meta else None
        new.derived = Derived.restore(table, meta["derived"], part(arrays, "derived/"))
        new.roster = _roster(table, str(meta["roster"])) if "roster" in meta else None
        return new

    def _check(self) -> None:
        """Raise ModelFileError where the parts of a model file do not fit each other."""
        gap = [self.parts.gap.field] if self.parts.gap else []
        wanted = [*self.stepper.given, *gap, *self.parts.fields[len(gap) :]]
        if self.engine.chain is None:
            wanted = [wanted[i] for i in self.engine.asked] + wanted[self.engine.known :]
        fit = [f.name for f in self.engine.fields] == [f.name for f in wanted]
        if self.timing is not None:
            fit &= len(self.timing.spans) == (self.activities.field.levels if self.activities else 1)
            fit &= [f.name for f in self.timing.chain.fields_] == [f.name for f in (*self.stepper.given, *gap)]
        if not fit:
            raise ModelFileError(DAMAGED)


def _roster(table: Table, saved: str) -> pl.DataFrame:
    types = {c.name: parse_dtype(c.dtype, c.levels) for c in table.columns} | {LENGTH: pl.Int64()}
    rows = pl.DataFrame(json.loads(saved), infer_schema_length=None)
    return rows.with_columns(pl.col(n).cast(types[n]) for n in rows.columns)


def _some(runs: Runs, rng: np.random.Generator) -> Array:
    """The rows of all sequences, or of so many of them as have `LEARNED` rows."""
    lengths = runs.lengths
    order = rng.permutation(len(lengths))
    chosen = np.zeros(len(lengths), bool)
    chosen[order[: max(1, int(np.searchsorted(np.cumsum(lengths[order]), LEARNED, "right")))]] = True
    return np.flatnonzero(chosen[runs.number])

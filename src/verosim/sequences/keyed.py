"""Many sequences, learned and drawn anew: `Keyed`.

A row a key says what is the same in the whole sequence, when it begins and how long it is, and is learned as any table.
Then all sequences go on together, step by step: for event logs a chain of activities says what happens next, or that it
is over; the other columns of a step are drawn by trees given all that came before (steps.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.codec import TableCodec
from verosim.draws import BLOCK, scattered, stream
from verosim.errors import ModelFileError
from verosim.keys import Ints
from verosim.models import Array, Codes, Field, Floats, Progress, State, part, saved_array, silent, stage
from verosim.models.chain import Chain
from verosim.models.chain import Options as Chained
from verosim.models.features import to_codes
from verosim.models.markov import Markov
from verosim.models.trees import Tree, grow, pack, unpack
from verosim.schema import Column, Table, parse_dtype
from verosim.sequences.long import restored_clock, saved_clock
from verosim.sequences.order import FEW, Clock, Runs, held_out, sequence_of
from verosim.sequences.steps import Gap, Moving, Parts, Stepper, gaps_of, moving_of, rest_of
from verosim.sequences.walk import PLAIN, Asked, Lead, Walk
from verosim.table_model import Options, TableModel, rules_of

LENGTH: Final = "steps"
TOGETHER: Final = 4 * BLOCK  # steps, about, of the sequences that advance together
NAMED: Final = 0.95  # share of the cases of a level that go alike, from which it is but a name of what happened
ASKED: Final = 24  # columns that a column of a step may depend on
GROUPS: Final = 24  # levels of a column that may tell groups apart
GROUPED: Final = 50  # cases in a group by which what happens next is told, at least
SELDOM: Final = 0.5  # share of rows without a value, from which a column is not remembered
LEARNED: Final = 150_000  # steps that the trees learn from, at most
LONGEST: Final = 1_000_000  # steps after which any sequence ends


class Keyed:
    """cases: the model of a row a key. roster: the keys themselves where they are few, and names."""

    clock: Clock | None
    first: int  # the first time that there was ...
    end: int  # ... and the last
    moving: tuple[Moving, ...]  # columns drawn by their change
    parts: Parts  # the columns of a step
    told: TableCodec  # what is the same in a whole sequence
    kept: list[int]  # fields of a step that are remembered
    stepper: Stepper
    chain: Chain
    acts: TableCodec  # of logs: the activities ...
    markov: Markov  # ... how they follow each other ...
    groups: Tree  # ... in which groups of cases ...
    telling: list[int]  # ... told by these of `told`

    def __init__(self, table: Table, cases: TableModel | None, rows: int, sequences: int) -> None:
        self.table, self.cases, self.rows, self.sequences = table, cases, rows, sequences
        self.roster: pl.DataFrame | None = None
        self.pace = 1.0  # the mean time from a step to the next

    # ---------------------------------------------------------------------------------------------- learning

    @classmethod
    def fit(cls, frame: pl.DataFrame, table: Table, options: Options, seed: int, progress: Progress = silent) -> Self:
        """frame: all rows of the real sequences; those held out are left out here."""
        said = sequence_of(table)
        kept = frame.filter(pl.Series(held_out(frame, table, options.holdout, seed) == 0))
        runs = Runs.of(kept, table)
        whole = Runs.of(frame, table)
        clock = Clock.of(whole.frame[said.time], table[said.time], said.step) if said.time else None
        new = cls(table, None, frame.height, int(whole.new.sum()))
        new.clock = clock
        timed = gaps_of(runs, clock, said.time)
        ends = clock.ticks(whole.frame[said.time]) if clock and said.time else np.zeros(1, np.int64)
        new.first, new.end = int(ends.min()), int(ends.max())
        apart = new._apart(runs, timed)
        steps = [c for c in table.columns if c.name not in (said.key, said.time, said.activity, *said.statics)]
        new.moving = tuple(moving_of(runs.frame, steps, runs.new))
        cases = new._case_table(runs)
        new._fit_cases(Runs.of(frame, table) if new._labelled(frame) else runs, cases, options, seed, progress)
        new._fit_steps(replace(runs, new=runs.new | apart), timed, options, seed, stage(progress, 0.3, 1.0))
        return new

    def _labelled(self, frame: pl.DataFrame) -> bool:
        """Whether the keys are few names, such as those of sensors, that stay."""
        return self.sequences < FEW and self.table[str(sequence_of(self.table).key)].kind != "id"

    def _apart(self, runs: Runs, timed: tuple[Ints, Ints] | None) -> Array:
        """(n,) where held-out rows stood before a row: it does not follow the row before. Of few keys only."""
        if self.sequences >= FEW or timed is None:
            return np.zeros(len(runs.new), bool)
        usual = np.median(timed[1][~runs.new]) if (~runs.new).any() else 0
        return timed[1] > 20 * max(usual, 1)

    def _case_table(self, runs: Runs) -> Table:
        """What a row a key is about."""
        said = sequence_of(self.table)
        chosen = [
            str(said.key),
            *([said.time] if said.time else []),
            *said.statics,
            *(m.column.name for m in self.moving),
        ]
        own = rest_of(self.table, [n for n in self.table.names if n in chosen])
        columns = list(own.columns)
        key = self.table[str(said.key)]
        columns = [
            replace(c, unique=True, kind="id") if c.name == key.name and key.kind == "id" else c for c in columns
        ]
        if not said.activity:
            columns.append(Column(LENGTH, "number", "int64", minimum=1))
        names = {c.name for c in columns}
        told = tuple(
            r.spec() for r in rules_of(replace(self.table, primary_key=())) if {*r.columns} <= names & {*said.statics}
        )
        return Table(self.table.name, tuple(columns), rules=told)

    def _fit_cases(self, runs: Runs, cases: Table, options: Options, seed: int, progress: Progress) -> None:
        said = sequence_of(self.table)
        frame = runs.frame.filter(pl.Series(runs.new))
        if not said.activity:
            frame = frame.with_columns(pl.Series(LENGTH, runs.lengths))
        frame = frame.select(cases.names)
        if self._labelled(frame):
            self.roster = frame
            return
        known = options.model if options.model not in ("auto",) else "chain"
        plain = replace(options, model=known, settings=options.settings if known == options.model else {}, unit=None)
        self.cases = TableModel.fit(frame, cases, plain, seed, frame.height, stage(progress, 0.0, 0.3))

    def _fit_steps(
        self, runs: Runs, timed: tuple[Ints, Ints] | None, options: Options, seed: int, progress: Progress
    ) -> None:
        said, frame = sequence_of(self.table), runs.frame
        people = pl.Series(runs.number)
        if timed is not None and (~runs.new).any():
            self.pace = max(1.0, float(timed[1][~runs.new].mean()))
        regular = timed is not None and self.clock is not None and self.clock.grid is not None
        even = regular and timed is not None and (timed[1][~runs.new] == 1).all()
        gaps = None if timed is None or even else timed[1]
        moved = {m.column.name for m in self.moving}
        out = {said.key, said.time, said.activity, *said.statics} | moved
        still = rest_of(self.table, [n for n in self.table.names if n not in out])
        self.parts = Parts.fit(runs, still, gaps, self.moving, options.k, people)
        cases = frame.filter(pl.Series(runs.new))
        self.told = self._told_codec(cases, options)
        told = self._tell(cases)
        activity = self._fit_activity(runs, told, options, seed, people) if said.activity else None
        some = _some(runs, stream(seed, self.table.name, "some"))
        told = told.take(runs.number[some])
        runs = Runs(frame[some], runs.order[some], runs.new[some])
        timed = None if timed is None else (timed[0][some], timed[1][some])
        self._fit_chain(
            runs,
            timed,
            None if gaps is None else gaps[some],
            told,
            None if activity is None else activity[some],
            seed,
            progress,
        )

    def _fit_chain(
        self, runs: Runs, timed: tuple[Ints, Ints] | None, gaps: Ints | None, told: Codes, activity: Array | None,
        seed: int, progress: Progress,
    ) -> None:  # fmt: skip
        """The columns of a step given what came before. told, activity: of each row."""
        codes, hours = self.parts.encode(runs, gaps), None
        self.kept = [i for i, a in enumerate(codes.arrays) if np.mean(a < 0) < SELDOM]
        self.stepper = Stepper(self.parts.fields, told.fields, len(self.moving), self._activity_field, self.kept)
        since: Floats = np.zeros(len(runs.new))
        if timed is not None and self.clock is not None:
            before = np.where(runs.new, timed[0], timed[0] - timed[1])
            hours = self.clock.hours(before)
            since = self.elapsed(before - timed[0][np.flatnonzero(runs.new)][runs.number])
        left = None if activity is not None else (runs.lengths[runs.number] - runs.place).astype(float)
        values = [runs.frame[m.column.name].cast(pl.Float64).to_numpy() for m in self.moving]
        levels = [m.scaled(np.where(runs.new, v, np.roll(v, 1))) for m, v in zip(self.moving, values, strict=True)]
        given = self.stepper.history(codes, activity, told.arrays, runs, hours, since, left, levels)
        chain = Chain(Chained(judged=False, max_features=ASKED))
        self.chain = chain.fit(codes, given, stream(seed, self.table.name, "steps"), progress)

    def elapsed(self, ticks: Ints) -> Floats:
        """(n,) how long a sequence has gone on, on a scale from 0 to 1."""
        return np.maximum(ticks, 0) / (np.maximum(ticks, 0) + 8.0 * self.pace)

    def _told_codec(self, cases: pl.DataFrame, options: Options) -> TableCodec:
        """What steps know of their sequence."""
        said = sequence_of(self.table)
        names = [*said.statics, *([str(said.key)] if self.roster is not None else [])]
        table = rest_of(self.table, names)
        plain = tuple(replace(c, protect=False) if self.roster is not None else c for c in table.columns)
        k = 1 if self.roster is not None else options.k
        return TableCodec(replace(table, columns=plain), k).fit(cases.select(table.names))

    def _fit_activity(self, runs: Runs, told: Codes, options: Options, seed: int, people: pl.Series) -> Array:
        said = sequence_of(self.table)
        column = replace(self.table[str(said.activity)], kind="category", unique=False)
        self.acts = TableCodec(Table(self.table.name, (column,)), options.k).fit(runs.frame.select(column.name), people)
        activity = self.acts.encode(runs.frame.select(column.name)).arrays[0].astype(np.int64)
        n, first = self.acts.fields[0].levels, np.flatnonzero(runs.new)
        lengths = runs.lengths
        counts = np.zeros((len(first), n))
        np.add.at(counts, (runs.number, activity), 1.0)
        ends = np.eye(n)[activity[first + lengths - 1]]
        about = np.concatenate([np.minimum(counts, 5) / 2, ends], 1)
        trace = np.zeros(len(first), np.uint64)
        np.add.at(trace, runs.number, scattered(activity * 1_000_003 + runs.place))
        self.telling = [i for i, a in enumerate(told.arrays) if not _named_by(a, trace)]
        X = self._told_features(told)
        tree, group = grow(
            X, about - about.mean(0), min_leaf=max(GROUPED, 4 * options.k), max_depth=4, min_gain=float(n)
        )
        self.groups = tree
        rng = stream(seed, self.table.name, "activities")
        self.markov = Markov().fit(activity, lengths, n, group, options.k, rng)
        return activity

    def _tell(self, cases: pl.DataFrame) -> Codes:
        """What the steps of these sequences (s,) know of them."""
        if not self.told.table.columns:
            return Codes((), (), cases.height)
        return self.told.encode(cases.select(self.told.table.names))

    def _told_features(self, told: Codes) -> Array:
        """(F, s) uint16 of what is the same in a whole sequence. Levels past `GROUPS` tell too few cases apart."""
        rows = [
            to_codes(a, f) if f.ordered else a.astype(np.uint16)
            for a, f in ((told.arrays[i], told.fields[i]) for i in self.telling)
            if f.ordered or f.levels <= GROUPS
        ]
        return np.stack(rows) if rows else np.zeros((1, told.n), np.uint16)

    @property
    def _activity_field(self) -> Field | None:
        return self.acts.fields[0] if sequence_of(self.table).activity else None

    @property
    def notes(self) -> list[str]:
        """What was protected or made up."""
        models = [self.cases, self.parts.still, self.parts.moved, *([self.acts] if hasattr(self, "acts") else [])]
        out = [note for model in models if model is not None for note in model.notes]
        if self.roster is not None:
            out.append(f"the {self.roster.height:,} keys stay as they are, with what is the same in each")
        return out

    def explain(self) -> dict[str, str]:
        """For each field, how it is drawn."""
        said, out = sequence_of(self.table), dict[str, str]()
        if said.activity:
            deep = self.markov.depth_
            out[said.activity] = (
                f"a chain that remembers up to {deep} activities, in {self.groups.n_leaves} groups of cases"
            )
        return out | self.chain.explain()

    def cases_of(self, seed: int) -> Iterator[pl.DataFrame]:
        """Rows a key, as drawn, without end."""
        return self._cases(None, seed, PLAIN, 0)

    # ---------------------------------------------------------------------------------------------- drawing

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
                frame = self._advance(some, made, seed, (number, begin), asked)
                done, made = done + some.height, made + frame.height
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

    def _advance(self, cases: pl.DataFrame, made: int, seed: int, key: tuple[int, int], asked: Asked) -> pl.DataFrame:
        """All steps of these sequences, sequence by sequence. made: rows drawn before."""
        said, rng = sequence_of(self.table), stream(seed, self.table.name, *key, "steps")
        s = cases.height
        lengths = np.full(s, LONGEST)
        if not said.activity:
            lengths = cases[LENGTH].to_numpy().astype(np.int64) if asked.length is None else np.full(s, asked.length)
        elif asked.length is not None:
            lengths = np.full(s, asked.length)
        before = asked.begin.lengths if asked.begin is not None else np.zeros(s, np.int64)
        lengths = np.minimum(lengths + (before if asked.length is not None else 0), LONGEST)
        order = np.argsort(-lengths, kind="stable")
        cases, lengths, before = cases[order], lengths[order], before[order]
        lead = Lead.of(self, asked.begin, order) if asked.begin is not None else None
        told = self._tell(cases)
        walk = Walk.begin(self, cases, told, asked)
        t, alive = 0, np.arange(s)
        parts = list[tuple[Array, int, Any]]()
        while len(alive):
            alive = alive[lengths[alive] > t]
            if not len(alive):
                break
            alive, codes, acts, values = walk.step(alive, t, lengths, rng, seed, asked, lead)
            new = t >= before[alive]
            if new.any():
                own = [c[new] for c in codes], None if acts is None else acts[new]
                parts.append((alive[new], t, (*own, walk.ticks[alive[new]].copy(), [v[new] for v in values])))
            t += 1
        return self._assembled(cases, parts, order, made, rng, seed, asked)

    def _assembled(
        self, cases: pl.DataFrame, parts: list[tuple[Array, int, Any]], order: Array, made: int,
        rng: np.random.Generator, seed: int, asked: Asked,
    ) -> pl.DataFrame:  # fmt: skip
        """The rows of all steps, in the order of the sequences."""
        said = sequence_of(self.table)
        who = np.concatenate([p[0] for p in parts]) if parts else np.zeros(0, np.int64)
        when = np.repeat([p[1] for p in parts], [len(p[0]) for p in parts]) if parts else who
        sort = np.lexsort((when, order[who]))
        owner = who[sort]
        n_moved = self.parts.n_moved
        still = self.parts.still
        arrays = [np.concatenate([p[2][0][n_moved + i] for p in parts])[sort] for i in range(len(still.fields))]
        rows = made + np.arange(len(owner))
        columns = {
            c.name: c
            for c in still.decode(Codes(still.fields, tuple(arrays), len(owner)), rows, rng, seed).get_columns()
        }
        if said.activity:
            acts = np.concatenate([p[2][1] for p in parts])[sort].astype(np.int32)
            columns |= {
                c.name: c
                for c in self.acts.decode(Codes(self.acts.fields, (acts,), len(owner)), rows, rng, seed).get_columns()
            }
        if self.clock is not None and said.time:
            ticks = np.concatenate([p[2][2] for p in parts])[sort]
            bound = asked.ticks is None and asked.length is None and asked.begin is None
            columns[said.time] = self.clock.series(self._inside(ticks, owner) if bound else ticks)
        for j, m in enumerate(self.moving):
            values = np.concatenate([p[2][3][j] for p in parts])[sort] if parts else np.zeros(0)
            columns[m.column.name] = pl.Series(m.column.name, values).cast(cases[m.column.name].dtype)
        for name in (str(said.key), *said.statics):
            columns[name] = cases[name][owner]
        return pl.DataFrame([columns[name].alias(name) for name in self.table.names])

    def _inside(self, ticks: Ints, owner: Array) -> Ints:
        """The times of whole sequences, of which those past the end of what was observed came weeks before."""
        assert self.clock is not None
        last = np.full(int(owner.max(initial=-1)) + 1, self.first)
        np.maximum.at(last, owner, ticks)
        hours = self.clock.hours(np.arange(2))
        week = 1 if hours is None else max(1, round(168 / max(float(hours[1] - hours[0]), 1e-12)))
        week = week if week * 8 <= self.end - self.first else 1
        late = np.maximum(last - self.end, 0)
        earlier = ticks - (-(-late // week) * week)[owner]
        begin = np.full(len(last), self.end)
        np.minimum.at(begin, owner, earlier)
        return earlier + np.maximum(self.first - begin, 0)[owner]  # as long as all there was: from its beginning on

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta: dict[str, Any] = {
            "rows": self.rows,
            "sequences": self.sequences,
            "first": self.first,
            "end": self.end,
            "pace": self.pace,
        }
        arrays = dict[str, Array]()
        said = sequence_of(self.table)
        models: list[tuple[str, Any]] = [
            ("chain", self.chain),
            ("still", self.parts.still),
            ("moved", self.parts.moved),
            ("told", self.told),
        ]
        models += [("cases", self.cases)] if self.cases else []
        models += [("acts", self.acts), ("markov", self.markov)] if said.activity else []
        for name, model in models:
            meta[name], own = model.state()
            arrays |= {f"{name}/{n}": a for n, a in own.items()}
        if said.activity:
            arrays |= {f"groups/{n}": a for n, a in pack([self.groups]).items()}
            meta["telling"] = self.telling
        if self.clock:
            meta["clock"] = saved_clock(self.clock)
        meta["kept"] = self.kept
        meta["moving"] = [[m.column.name, m.low, m.high, m.digits] for m in self.moving]
        if self.parts.gap:
            gap = self.parts.gap
            meta["gap"], arrays["often"] = [gap.low, gap.high, gap.step], gap.often
        if self.roster is not None:
            meta["roster"] = self.roster.with_columns(pl.selectors.temporal().to_physical()).write_json()
        return meta, arrays

    @classmethod
    def restore(cls, engine: str, table: Table, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        said = sequence_of(table)
        known = "chain" if engine == "auto" else engine
        cases = TableModel.restore(known, meta["cases"], part(arrays, "cases/")) if "cases" in meta else None
        new = cls(table, cases, int(meta["rows"]), int(meta["sequences"]))
        new.pace = max(1.0, float(meta["pace"]))
        new.first, new.end, new.clock = int(meta["first"]), int(meta["end"]), restored_clock(table, meta.get("clock"))
        new.moving = tuple(
            Moving(table[str(n)], float(a), float(b), None if d is None else int(d)) for n, a, b, d in meta["moving"]
        )
        still, moved, told = (TableCodec.restore(meta[n], part(arrays, f"{n}/")) for n in ("still", "moved", "told"))
        gap = _gap(meta["gap"], saved_array(arrays, "often", np.int64)) if "gap" in meta else None
        new.parts, new.told = Parts(still, moved, gap, new.moving), told
        if said.activity:
            new.acts = TableCodec.restore(meta["acts"], part(arrays, "acts/"))
            new.telling = [int(i) for i in meta["telling"]]
            new.markov = Markov.restore(meta["markov"], part(arrays, "markov/"))
            (new.groups,) = unpack(part(arrays, "groups/"), [max(1, len(told.fields))])
            if new.markov.n_symbols_ != new.acts.fields[0].levels:
                raise ModelFileError("the parts of the sequences do not fit each other.")
        new.chain = Chain.restore(meta["chain"], part(arrays, "chain/"))
        new.kept = [int(i) for i in meta["kept"]]
        new.stepper = Stepper(new.parts.fields, told.fields, len(new.moving), new._activity_field, new.kept)
        wanted = [*(f.name for f in new.stepper.given), *(f.name for f in new.parts.fields)]
        if [f.name for f in new.chain.fields_] != wanted:
            raise ModelFileError("the parts of the sequences do not fit each other.")
        if "roster" in meta:
            types = {c.name: parse_dtype(c.dtype, c.levels) for c in table.columns} | {LENGTH: pl.Int64()}
            rows = pl.DataFrame(json.loads(str(meta["roster"])), infer_schema_length=None)
            new.roster = rows.with_columns(pl.col(n).cast(types[n]) for n in rows.columns)
        return new


def _some(runs: Runs, rng: np.random.Generator) -> Array:
    """The rows of all sequences, or of so many of them as have `LEARNED` rows."""
    lengths = runs.lengths
    order = rng.permutation(len(lengths))
    chosen = np.zeros(len(lengths), bool)
    chosen[order[: max(1, int(np.searchsorted(np.cumsum(lengths[order]), LEARNED, "right")))]] = True
    return np.flatnonzero(chosen[runs.number])


def _named_by(values: Array, trace: Array) -> bool:
    """Whether a column (s,) but names what happened, as a number of the variant does: it is no cause of it."""
    _, value = np.unique(values, return_inverse=True)
    _, kind = np.unique(trace, return_inverse=True)
    pairs, counts = np.unique(value * (int(kind.max()) + 1) + kind, return_counts=True)
    cases = np.bincount(value)
    most = np.zeros(len(cases), np.int64)
    np.maximum.at(most, pairs // (int(kind.max()) + 1), counts)
    several = cases >= 2
    told, usual = most[several].sum() / max(cases[several].sum(), 1), np.bincount(kind).max() / len(kind)
    return bool(several.any() and told > NAMED and usual < NAMED)


def _gap(said: Any, often: Array) -> Gap:
    low, high, step = map(int, said)
    if not low < high or step < 1:
        raise ModelFileError("the saved gaps in time are damaged.")
    return Gap(low, high, step, often)

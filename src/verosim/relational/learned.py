"""One table of a database, learned: its rows given their owners, whom else they name, and what they sum up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.errors import ModelFileError
from verosim.keys import NONE, Ints
from verosim.models import Array, Floats, Progress, State, part, silent
from verosim.relational.context import (
    SUMMARIES,
    Known,
    Shared,
    befores,
    beside,
    chosen,
    gathered,
    known_of,
    of_owner,
    places,
    prefixed,
    said,
    summary_table,
    together,
    with_before,
)
from verosim.relational.copies import NEVER, Copy, copied, marked_together, steady
from verosim.relational.counts import Counts
from verosim.relational.courses import grid, serial
from verosim.relational.graph import FEW, LATE, OWNER, REFERENCE, SURE, Link, depths, name_of
from verosim.relational.kin import Kin, kin_of
from verosim.relational.links import Groups, told_of
from verosim.relational.real import Real
from verosim.relational.signals import carried_on, signals
from verosim.rules import Aggregate, Rule, learn, parse
from verosim.schema import Column, Table
from verosim.sequences.order import sequence_of
from verosim.sequences.owned import Owned
from verosim.table_model import Given, Options, TableModel
from verosim.timeline import times_of

DEEPEST: Final = 60  # steps below the top that are told apart in a table that names itself
GOING: Final = 0.15  # correlation with the row before, within an owner's rows, from which a column goes on
_TIMES: Final = ("date", "datetime")


@dataclass(slots=True)
class Learned:
    """One table. Columns that are not drawn by `model`: foreign keys, the serial number, and copies."""

    table: Table
    rows: int  # of the real table
    model: TableModel | Owned | None = None  # None: there was no row to learn from, or the table is kept or bare
    bare: bool = False  # there are no columns to draw: keys are all that it has
    known: Known | None = None  # what rows are drawn given; None: they have no owner
    serial: tuple[str, int] | None = None  # a column that counts the rows of one owner, and where it begins
    grid: tuple[str, int] | None = None  # a time that goes on by equal steps from an owner's row to its next; the step
    order: str = ""  # the column by which the rows of one owner stand
    gap: str = ""  # the drawn column that says how long after the row before of its owner a row comes, by `order`
    copies: tuple[Copy, ...] = ()  # columns that repeat one of a row that is named
    labels: Mapping[str, str] = field(default_factory=dict)  # key -> the column that says which group it names
    constant: Mapping[str, int] = field(default_factory=dict)  # key -> the group that all its rows name, or NONE
    named: Mapping[str, float] = field(default_factory=dict)  # key -> the share of rows that name a row by it
    kin: Mapping[str, Kin] = field(default_factory=dict)  # of each key that stays in the family: how
    dangling: Mapping[str, float] = field(default_factory=dict)  # key -> the share whose key names nobody there is
    summary: TableModel | None = None  # None: no key names the table's rows
    shared: tuple[Shared, ...] = ()  # what its children have in common
    counts: Mapping[str, Counts] = field(default_factory=dict)  # of each key that names the table's rows
    groups: Mapping[str, Groups] = field(default_factory=dict)
    totals: Mapping[Aggregate, str] = field(default_factory=dict)  # rules about sums of children, and by which key
    kept: pl.DataFrame | None = None  # the rows themselves ...
    kept_counts: Mapping[str, Ints] = field(default_factory=dict)  # ... and how often each key names them

    @classmethod
    def of(cls, name: str, real: Real, options: Options) -> Self:
        """What is known of a table before its rows are learned: who names them how often, and what keys decide."""
        new = cls(real.schema[name], real.dataset[name].height)
        new.named = {k.name: float(np.mean(real.rows[k.name] >= 0)) if new.rows else 0.0 for k in real.graph.of(name)}
        new.kin = kin_of(name, real)
        new._look_at_keys(real, options)
        owner = real.graph.owner(name)
        if new.table.keep:
            new.kept = real.dataset[name]
        elif owner:
            new._look_at_order(real, owner)
            new.known = known_of(owner, real.schema, real.graph, real.shared[owner.name])
        if not new.table.keep:
            new.totals = real.totals[name]
            new._look_at_copies(real)
            new._look_at_steps(real)
        return new

    def fit(self, real: Real, groups: Mapping[str, Ints], options: Options, seed: int, progress: Progress) -> None:
        """Learn the rows, and what they sum up to. groups: for each key, the group of each row that it may name."""
        if self.table.keep or not len(real.train[self.table.name]):
            return
        people = pl.Series(real.people[self.table.name][real.train[self.table.name]])
        self._fit_rows(real, groups, options, seed, people, progress)
        self._fit_summary(real, options, seed, people)

    def goes_on(self, owner: Link | None) -> bool:
        """Whether the rows of an owner are drawn as one sequence."""
        said = self.table.sequence
        return said is not None and owner is not None and owner.key.columns == (said.key,)

    @property
    def steady(self) -> set[str]:
        """The keys by which all rows of an owner name one row: their columns stay the same in a sequence."""
        same = {*self.table.sequence.statics} if self.table.sequence else set[str]()
        return {name_of(self.table.name, key) for key in self.table.foreign_keys if {*key.columns} <= same}

    @property
    def distinct(self) -> list[str]:
        """The drawn columns of a primary key whose other columns name the owner."""
        key, keys = self.table.primary_key, {n for key in self.table.foreign_keys for n in key.columns}
        drawn = [n for n in key if n not in self._decided()]
        told = self.known is not None and not self.serial and not self.grid
        return drawn if told and 0 < len(drawn) < len(key) and {*key} - {*drawn} <= keys else []

    # ------------------------------------------------------------------------------------- named by others

    def _look_at_keys(self, real: Real, options: Options) -> None:
        """What is learned for the keys that name this table's rows."""
        name, links = self.table.name, real.graph.into(self.table.name, OWNER, REFERENCE, LATE)
        found, train = real.summary(name), real.train[name]
        counts = {link.name: found.to_series(i).to_numpy() for i, link in enumerate(links)}
        if self.table.keep:
            self.kept_counts = counts
        else:
            k = 1 if self.rows < FEW else options.k  # how often an entry of a list is used tells of no one person
            self.counts = {link.name: Counts.fit(counts[link.name][train], k, link.alone) for link in links}
            self.shared = tuple(s for link in links for s in real.shared.get(link.name, ()))
        groups = dict[str, Groups]()
        for link in links:
            if link.role != OWNER and not link.acyclic:
                told = told_of(_signals_of(link, real), real.rows[link.name], self.rows)
                rows, table = self._seen(real.profile(name), found)
                groups[link.name] = Groups.fit(chosen(rows, train), table, told[train], options.k, self.table.keep)
        self.groups = groups

    def _seen(self, profile: pl.DataFrame, summaries: pl.DataFrame) -> tuple[pl.DataFrame, Table]:
        """What groups are told by: profile and counts."""
        counts = [c for c in summaries.columns if summaries[c].dtype.is_integer()]
        columns = [*said(self.table), *(Column(c, "number", "int64") for c in counts)]
        table = Table(self.table.name, tuple(replace(c, unique=False, reason="") for c in columns))
        return together(profile, summaries.select(counts)), table

    def group(self, link: Link, profile: pl.DataFrame, summaries: pl.DataFrame) -> Ints:
        """(n,) the group of each row, for one of the keys that name them."""
        if link.name not in self.groups:
            return np.zeros(profile.height, np.int64)
        return self.groups[link.name].of(self._seen(profile, summaries)[0])

    # ------------------------------------------------------------------------------------- its own rows

    def _look_at_order(self, real: Real, owner: Link) -> None:
        """Columns that the owner and the place among its rows decide."""
        frame, rows = real.dataset[self.table.name], real.rows[owner.name]
        keys = {n for key in self.table.foreign_keys for n in key.columns}
        free = [c for c in self.table.columns if c.name not in keys]
        self.serial = next((s for c in free if (s := serial(frame[c.name], rows))), None)
        if self.goes_on(owner):
            said = sequence_of(self.table)
            self.order = said.time or (self.serial[0] if self.serial else "")
            return
        times = [c.name for c in free if c.kind in _TIMES and frame[c.name].dtype.is_temporal()]
        self.order = self.serial[0] if self.serial else next(iter(times), "")
        self.grid = next((g for name in times if (g := grid(frame[name], rows))), None)

    def _look_at_copies(self, real: Real) -> None:
        """Columns that repeat one of a row that is named, or of the sibling before: in all rows, or in many."""
        name, frame, owner = self.table.name, real.dataset[self.table.name], real.graph.owner(self.table.name)
        free = [c.name for c in self.table.columns if c.kind not in NEVER and c.name not in self._placed()]
        found = dict[str, tuple[float, Copy]]()
        for link in real.graph.of(name, OWNER, REFERENCE):
            for column in free:
                share, other = copied(frame[column], real.dataset[link.parent], real.rows[link.name])
                mark = "" if share >= SURE else beside(f"{column}: as {prefixed(link.parent, other)}", self.table.names)
                if share > found.get(column, (0.0,))[0] and not real.sums(link.parent, other, name):
                    found[column] = share, Copy(column, link.name, other, mark)
        copies = marked_together(found, self._marks((copy for _, copy in found.values()), real))
        held, ruled = self._held(copies), {n for rule in self._told() for n in rule.columns}
        kept, before = [c for c in copies.values() if not c.mark or c.column not in held], self._before(real)
        of_owner = {mark for mark, marked in self._marks(kept, real).items() if steady(marked, before)}
        self.copies = tuple(
            Copy(column, "", column, beside(f"{column}: as before", self.table.names))
            for column in free
            if column not in ruled | {c.column for c in kept if not c.mark}
            and copied(frame[column], frame.select(column), before)[0]
        )
        self.copies += tuple(
            replace(c, steady=owner is not None and c.key == owner.name and c.mark in of_owner) for c in kept
        )

    def _held(self, copies: Mapping[str, Copy]) -> set[str]:
        """Columns that many rows copy, but that stay as they are drawn: a rule ties them to others. One that was found
        may be copied whole, for it holds above too; one that speaks of what is always copied is none of drawn rows."""
        held, always = set[str](), {column for column, copy in copies.items() if not copy.mark}
        for rule in self._told():
            whole = len({copies[n].mark if n in copies else n for n in rule.columns}) == 1
            if not (rule.reason and whole) and not always & {*rule.columns}:
                held |= {*rule.columns}
        return held

    def _look_at_steps(self, real: Real) -> None:
        """Columns that go on from one row of an owner to its next, as a balance does; with them their times."""
        owner = real.graph.owner(self.table.name)
        if owner is None or self.goes_on(owner):
            return
        others = {n for key in self.table.foreign_keys for n in key.columns} | {copy.column for copy in self.copies}
        others |= {self.order, *([self.serial[0]] if self.serial else [])}
        before, rows = self._before(real), real.rows[owner.name]
        measures = [s for s in signals(real.dataset[self.table.name], self.table) if s.level is None]
        found = {s.column: carried_on(s.values, rows, before) for s in measures if s.column not in others}
        going = sorted((n for n in found if found[n] >= GOING), key=lambda n: -found[n])[:SUMMARIES]
        if going and self.order and not self.serial and not self.grid:
            told = {n for rule in self._told() for n in rule.columns}
            self.gap = "" if self.order in told else beside(f"{self.order}: gap", self.table.names)
            going.append(self.order)
        self.known = known_of(owner, real.schema, real.graph, real.shared[owner.name], going)

    def _told(self) -> list[Rule]:
        """The rules that the schema says, which may name what the rows are drawn given."""
        others = self.known.table.columns if self.known else ()
        return list(parse(self.table.rules, Table(self.table.name, (*self.table.columns, *others))))

    def _placed(self) -> set[str]:
        """The columns that tell rows apart, or say where they stand."""
        keys = {n for key in self.table.foreign_keys for n in key.columns} | {*self.table.primary_key, self.order}
        return keys | {placed[0] for placed in (self.serial, self.grid) if placed}

    def _before(self, real: Real) -> Ints:
        """(n,) for each real row the one of the same owner that stands before it; NONE for the first."""
        owner, n = real.graph.owner(self.table.name), self.rows
        if owner is None:
            return np.full(n, NONE)
        return befores(real.rows[owner.name], self._order(real))

    def _order(self, real: Real) -> Ints:
        """(n,) numbers by which the real rows of one owner stand."""
        frame = real.dataset[self.table.name]
        if not self.order:
            return np.arange(frame.height)
        return times_of(frame[self.order], self.table[self.order]).rank("ordinal").fill_null(0).to_numpy()

    def _fit_rows(
        self, real: Real, groups: Mapping[str, Ints], options: Options, seed: int, people: pl.Series, progress: Progress
    ) -> None:
        name, frame, train = self.table.name, real.dataset[self.table.name], real.train[self.table.name]
        labels, context = self._labels(real, groups), self._context(real)
        whole = together(frame, labels, context)[train]
        decided, others = self._decided(), self.known.table.columns if self.known else ()
        own = [c for c in self.table.columns if c.name not in decided]
        rules = self._rules(whole, own, others)
        asked = {n for rule in rules for n in rule.columns}
        drawn = (*own, *(Column(n, "category", "int64") for n in labels.columns if n != self.gap))
        drawn = (Column(self.gap, "number", "int64", minimum=0), *drawn) if self.gap else drawn
        columns = (*drawn, *(c for c in others if c.name in asked))
        key = self.table.primary_key if not decided & {*self.table.primary_key} else ()
        order = tuple(n for n in self.table.order if n not in decided)
        table = Table(name, columns, key, tuple(r.spec() for r in rules), order)
        given = Given(context[train], self.known.table) if self.known else None
        whole, self.bare = whole.select(table.names), not drawn
        if self.bare:
            return
        owner = real.graph.owner(name)
        if owner and given and self.goes_on(owner):
            told, owners = self._told_of_owner(given), real.rows[owner.name][train]
            said = sequence_of(self.table)
            said = replace(said, statics=(*said.statics, *(self.labels[n] for n in self.steady if n in self.labels)))
            self.model = Owned.fit(
                whole, table, said, owners, told, options, seed, frame.height, progress, people, self.distinct
            )
            return
        self.model = TableModel.fit(whole, table, options, seed, frame.height, progress, given, people=people)

    def _told_of_owner(self, given: Given) -> Given:
        """What is given of the owner alone."""
        assert self.known is not None
        frame = of_owner(given.frame, self.known)
        return Given(frame, replace(given.table, columns=tuple(given.table[n] for n in frame.columns)))

    def _decided(self) -> set[str]:
        """The columns that are not drawn."""
        keys = {n for key in self.table.foreign_keys for n in key.columns}
        return keys | {c.column for c in self.copies if not c.mark} | ({self.serial[0]} if self.serial else set())

    def _labels(self, real: Real, groups: Mapping[str, Ints]) -> pl.DataFrame:
        """What is drawn beside the columns: for each key that is assigned later the group of the row that it names,
        marks, and gaps. Keys of one group are noted."""
        columns, self.labels, self.constant = list[pl.Series](), {}, {}
        for link in real.graph.of(self.table.name, REFERENCE, LATE):
            named = real.rows[link.name]
            if link.acyclic and (depth := depths(named)) is not None:
                values = np.minimum(depth, DEEPEST)
            else:
                values = np.append(groups[link.name], NONE)[np.where(named < 0, -1, named)]
            if len(np.unique(values)) < 2:
                self.constant[link.name] = int(values.max(initial=NONE))
                continue
            self.labels[link.name] = beside(f"{link.name}: group", self.table.names)
            columns.append(pl.Series(self.labels[link.name], values, pl.Int64))
        gap = [self._gap(real)] if self.gap else []
        return pl.DataFrame([*columns, *self._marks(self.copies, real).values(), *gap])

    def _gap(self, real: Real) -> pl.Series:
        """How long after the row before each real row comes, in units of the type; null for the first."""
        times = real.dataset[self.table.name][self.order].to_physical().cast(pl.Int64)
        return (times - gathered(times, self._before(real))).alias(self.gap)

    def _marks(self, copies: Iterable[Copy], real: Real) -> dict[str, pl.Series]:
        """By mark: in which real rows all columns that it is of repeat those of the row that is named."""
        marks = dict[str, pl.Series]()
        for copy in copies:
            if copy.mark:
                own = self._mark(copy, real)
                marks[copy.mark] = marks.get(copy.mark, own) * own
        return marks

    def _mark(self, copy: Copy, real: Real) -> pl.Series:
        """In which real rows a column repeats that of the row that is named."""
        frame = real.dataset[self.table.name]
        rows = real.rows[copy.key] if copy.key else self._before(real)
        above = real.dataset[real.graph.named(copy.key).parent] if copy.key else frame
        marks = frame[copy.column].eq_missing(gathered(above[copy.other], rows)) & pl.Series(rows >= 0)
        return marks.cast(pl.Int64).alias(copy.mark)

    def _context(self, real: Real) -> pl.DataFrame:
        """What the real rows would have been drawn given."""
        owner = real.graph.owner(self.table.name)
        if self.known is None or owner is None:
            return pl.DataFrame()
        context = real.context(self.known, owner, places(real.rows[owner.name], self._order(real)))
        return with_before(self.known, context, real.dataset[self.table.name], self._before(real))

    def _rules(self, whole: pl.DataFrame, own: Sequence[Column], others: Sequence[Column]) -> list[Rule]:
        """The table's rules about columns that are drawn, and orders of times between a row and its owner's."""
        here = {c.name for c in (*own, *others)}
        rules = [rule for rule in self._told() if {*rule.columns} <= here and not isinstance(rule, Aggregate)]
        others = others[: len(others) - len(self.known.before)] if self.known else others  # the row before may lie late
        both = Table(self.table.name, tuple(c for c in (*own, *others) if c.kind in _TIMES))
        mine, known = {c.name for c in own}, {frozenset(rule.columns) for rule in rules}
        across = (r for r in learn(whole.select(both.names), both) if {*r.columns} & mine and {*r.columns} - mine)
        return rules + [r for r in across if frozenset(r.columns) not in known]

    def _fit_summary(self, real: Real, options: Options, seed: int, people: pl.Series) -> None:
        """Learn the summaries of rows that keys name, given their profiles."""
        name, links = self.table.name, real.graph.into(self.table.name, OWNER, REFERENCE, LATE)
        if not links:
            return
        train, owner = real.train[name], real.graph.owner(name)
        columns = list(said(self.table))
        if owner:
            columns += [replace(c, name=prefixed(owner.parent, c.name)) for c in said(real.schema[owner.parent])]
        known = Table(name, tuple(replace(c, unique=False, reason="") for c in columns))
        seen = chosen(together(real.profile(name), real.over(name)), train)
        given = Given(seen, known) if columns else None
        plain = replace(options, model="chain", settings={"judged": False}, unit=None)
        table, frame = summary_table(name, links, self.shared), real.summary(name)[train]
        self.summary = TableModel.fit(frame, table, plain, seed, self.rows, silent, given, people=people)

    # ------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta: dict[str, Any] = {n: getattr(self, n) for n in ("rows", "bare", "serial", "grid", "order", "gap")}
        meta |= {n: dict(getattr(self, n)) for n in ("labels", "constant", "named", "dangling")}
        meta["before"] = list(self.known.before) if self.known else []
        meta["totals"] = [[rule.spec(), key] for rule, key in self.totals.items()]
        meta["copies"] = [[c.column, c.key, c.other, c.mark, c.steady] for c in self.copies]
        meta["kin"] = [[key, kin.top, kin.own, kin.other] for key, kin in self.kin.items()]
        meta["shared"] = [[s.link, s.column, s.level] for s in self.shared]
        arrays = dict[str, Array]()
        for what, model in (("model", self.model), ("summary", self.summary)):
            if model:
                meta[what], own = model.state()
                arrays |= {f"{what}/{n}": a for n, a in own.items()}
        meta["counts"], meta["groups"] = list(self.counts), []
        for i, counts in enumerate(self.counts.values()):
            arrays |= {f"counts{i}/{n}": a for n, a in counts.arrays().items()}
        for i, (key, groups) in enumerate(self.groups.items()):
            own_meta, own = groups.state()
            meta["groups"].append([key, own_meta])
            arrays |= {f"groups{i}/{n}": a for n, a in own.items()}
        if self.kept is not None:
            buffer = BytesIO()
            self.kept.write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
            arrays["kept"] = np.frombuffer(buffer.getvalue(), np.uint8)
            meta["kept"] = list(self.kept_counts)
            arrays |= {f"kept{i}": c.astype(np.int64) for i, c in enumerate(self.kept_counts.values())}
        return meta, arrays

    @classmethod
    def restore(
        cls, engine: str, table: Table, known: Known | None, meta: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        new = cls(table, int(meta["rows"]), known=known, order=str(meta["order"]), bare=bool(meta["bare"]))
        new.gap = str(meta["gap"])
        new.serial = (str(meta["serial"][0]), int(meta["serial"][1])) if meta["serial"] else None
        new.grid = (str(meta["grid"][0]), int(meta["grid"][1])) if meta["grid"] else None
        rules = parse((spec for spec, _ in meta["totals"]), table)
        keys = (str(key) for _, key in meta["totals"])
        new.totals = {r: key for r, key in zip(rules, keys, strict=True) if isinstance(r, Aggregate)}
        new.copies = tuple(Copy(str(a), str(b), str(c), str(d), bool(e)) for a, b, c, d, e in meta["copies"])
        new.labels = {str(a): str(b) for a, b in meta["labels"].items()}
        new.constant = {str(a): int(b) for a, b in meta["constant"].items()}
        new.named = {str(a): float(b) for a, b in meta["named"].items()}
        new.dangling = {str(a): float(b) for a, b in meta["dangling"].items()}
        new.kin = {str(key): Kin(str(top), bool(own), bool(other)) for key, top, own, other in meta["kin"]}
        new.shared = tuple(Shared(str(a), str(c), None if v is None else str(v)) for a, c, v in meta["shared"])
        if "model" in meta:
            kind = Owned if "sequences" in meta["model"] else TableModel
            new.model = kind.restore(engine, meta["model"], part(arrays, "model/"))
        if "summary" in meta:
            new.summary = TableModel.restore("chain", meta["summary"], part(arrays, "summary/"))
        new.counts = {str(k): Counts.restore(part(arrays, f"counts{i}/")) for i, k in enumerate(meta["counts"])}
        new.groups = {str(k): Groups.restore(m, part(arrays, f"groups{i}/")) for i, (k, m) in enumerate(meta["groups"])}
        if "kept" in meta:
            new.kept = pl.read_ipc(BytesIO(arrays["kept"].tobytes()))
            new.kept_counts = {str(k): arrays[f"kept{i}"] for i, k in enumerate(meta["kept"])}
            if any(len(c) != new.kept.height for c in new.kept_counts.values()) or new.kept.columns != table.names:
                raise ModelFileError(f"the kept rows of table {table.name!r} are damaged.")
        return new


def _signals_of(link: Link, real: Real) -> list[Floats]:
    """What is known of the rows that name others by a key: their own columns, and their owners'."""
    own = [s.values for s in signals(real.dataset[link.child], real.schema[link.child])]
    owner = real.graph.owner(link.child)
    if owner:
        rows = real.rows[owner.name]
        there = np.maximum(rows, 0)
        for s in signals(real.dataset[owner.parent], real.schema[owner.parent]):
            own.append(np.where(rows >= 0, s.values[there], np.nan))
    return own

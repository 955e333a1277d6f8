"""The learned source: `Synthesizer` learns a dataset and draws new ones.

Each table is a `TableModel` (table_model.py), which knows how; here they are learned together, drawn, saved and loaded.
What a call asks of the rows beyond their number is the work of control/.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from verosim import archive
from verosim import workers as by_workers
from verosim.control import Balance, Control, Controlled, derived
from verosim.draws import BLOCK, stream
from verosim.errors import (
    ArgumentError,
    DataError,
    MissingExtraError,
    ModelFileError,
    NotFittedError,
    RuleError,
    did_you_mean,
)
from verosim.files import Layout
from verosim.frames import Shape, enter, leave_completed, loosen, with_beside
from verosim.infer import check_key
from verosim.models import STARTING, Array, Progress, part, silent
from verosim.relational import Database, held_out, settled
from verosim.rules import verify
from verosim.schema import Schema, Table
from verosim.sequences import Course, SequenceModel
from verosim.sequences import held_out as held_sequences
from verosim.sequences.control import check_course
from verosim.sequences.owned import Owned
from verosim.table_model import Options, TableModel, people_of, rules_of, whole

Dataset = Mapping[str, pl.DataFrame]
TRIED: Final = 64  # rows of the largest table that are drawn to see that a saved database is whole


def split(
    dataset: Dataset, options: Options, seed: int, schema: Schema | None = None
) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
    """Rows to learn from, and a hold-out that no model sees, of people apart; none of tables below 20 people.

    schema: where its keys tie tables together, whoever is held out takes along the rows that it owns.
    """
    if schema is not None and tied(schema):
        family = settled(dataset, schema, options.orphans)
        away_of = held_out(family.dataset, family.schema, family.rows, options, seed)
        parts = [(n, f, pl.Series(away_of[n], dtype=pl.Boolean)) for n, f in family.dataset.items()]
        return {n: f.filter(~away) for n, f, away in parts}, {n: f.filter(away) for n, f, away in parts}
    train, held = {}, {}
    for name, frame in dataset.items():
        if schema is not None and schema[name].sequence is not None:
            away = pl.Series(held_sequences(frame, schema[name], options.holdout, seed))
            train[name], held[name] = frame.filter(away == 0), frame.filter(away == 1)
            continue
        people = people_of(frame, options.unit)
        n = int(people.max(initial=-1)) + 1
        out = np.zeros(n, bool)
        out[stream(seed, name, "hold-out").permutation(n)[: int(n * options.holdout) if n >= 20 else 0]] = True
        train[name], held[name] = frame.filter(pl.Series(~out[people])), frame.filter(pl.Series(out[people]))
    return train, held


def tied(schema: Schema) -> bool:
    """Whether tables are learned together: by keys, or with some that are kept."""
    return any(table.foreign_keys or table.keep for table in schema.values())


def rare_values(frame: pl.DataFrame, column: str, options: Options) -> pl.Series:
    """The values of a column, as text, that fewer than k people hold."""
    held = pl.DataFrame({"value": frame[column].cast(pl.String), "person": people_of(frame, options.unit)})
    people = held.group_by("value").agg(pl.col("person").n_unique())
    return people.filter(pl.col("person") < options.k)["value"].drop_nulls()


class Synthesizer:
    """A dataset, learned: `fit` learns, `sample` and `blocks` draw, `save` and `load` keep it.

    >>> from verosim.infer import infer
    >>> dataset = {"t": pl.DataFrame({"x": [1, 2, 3, 4] * 25, "y": ["a", "b"] * 50})}
    >>> Synthesizer().fit(dataset, infer(dataset), seed=1).sample(3).shape
    (3, 2)
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.shape: Shape | None = None  # the kind of data that `sample` gives: by default polars
        self.layout: Layout | None = None  # how the file looked that the data came from
        self.report: Mapping[str, Any] = {}  # the first measure, as JSON
        self.entry: tuple[str, ...] = ()  # what was decided when the data came in: a sentence each

    def fit(
        self,
        dataset: Dataset,
        schema: Schema,
        seed: int = 0,
        progress: Progress = silent,
        *,
        start: Dataset | None = None,
    ) -> Self:
        """Learn the tables of a dataset, but for a hold-out (`split`). Where keys tie tables, `auto` is the chain.

        start: other tables by the names of these, whose rows networks learn first: see `starting`.
        Raises DataError, SchemaError or ArgumentError before long work.
        """
        _check(dataset, schema, self.options, seed)
        _check_start(dataset, start or {}, self.options.model)
        self.seed_, self.schema_ = seed, _plain(schema)
        self.tables_: dict[str, TableModel] = {}
        self.sequences_: dict[str, SequenceModel] = {}  # those of them whose rows follow each other
        self.database_: Database | None = None  # where keys tie tables together: what draws them
        self.settled_: tuple[str, ...] = ()  # what was done with keys that name nobody
        self._controlled: dict[str, Controlled] = {}
        with threadpool_limits(1, "blas"):  # on small matrices more threads wait more than they work
            if tied(schema):
                if start:
                    raise ArgumentError("start: tables that keys tie together cannot start from others; fit one alone.")
                self._fit_database(dataset, schema, seed, progress)
            else:
                train, _ = split(dataset, self.options, seed, schema)
                self._fit_tables(dataset, train, seed, progress, start or {})
        progress(1.0, "learned")
        return self

    def _fit_tables(self, dataset: Dataset, train: Dataset, seed: int, progress: Progress, start: Dataset) -> None:
        for number, (name, frame) in enumerate(train.items()):

            def show(share: float, what: str, number: int = number) -> None:
                progress((number + share) / len(train), what)

            rows, table = dataset[name].height, self.schema_[name]
            if table.sequence is not None:
                if name in start:
                    raise ArgumentError(f"start: table {name!r} is a sequence, which cannot start from other rows.")
                self.sequences_[name] = SequenceModel.fit(dataset[name], table, self.options, seed, show)
                continue
            self.tables_[name] = TableModel.fit(frame, table, self.options, seed, rows, show, start=start.get(name))

    def _fit_database(self, dataset: Dataset, schema: Schema, seed: int, progress: Progress) -> None:
        if self.options.model == "auto":  # networks cost more there than they bring: docs/decisions.md, 30
            self.options = replace(self.options, model="chain")
        family = settled(dataset, schema, self.options.orphans)
        self.schema_, self.settled_ = _plain(family.schema), family.notes
        out = held_out(family.dataset, family.schema, family.rows, self.options, seed)
        train = {name: np.flatnonzero(~away) for name, away in out.items()}
        self.database_ = Database.fit(family, train, self.options, seed, progress)
        self.tables_ = self.database_.models

    def sample(
        self,
        rows: int | Mapping[str, int] | None = None,
        *,
        scale: float | None = None,
        seed: int | None = None,
        workers: int = 1,
        where: Mapping[str, Any] | str | None = None,
        balance: Balance | None = None,
        edges: float | None = None,
        fair: Mapping[str, Any] | None = None,
        temperature: float = 1.0,
        m: int | None = None,
        course: Course | None = None,
        anomalies: Any = None,
    ) -> Any:
        """New rows: a frame, or a mapping of them, of the kind that was learned.

        rows: how many, for several tables by name (those not named are not drawn); by default as many as the real data,
        times `scale`. The same seed, by default that of `fit`, gives the same rows, whatever `workers` (processes).
        where: {column: value, [values] or (low, high)}, or an expression, that each row meets. balance: a column whose
        levels come equally often, or {column: {level: share}}. edges: the share of rows at the borders of what there
        is. fair: {target: [columns that it is made independent of]}. temperature: below 1 more typical rows, above 1
        more variety. m: a list of so many samples, by seeds derived from this one, the first by this one.
        course: what is asked of sequences: how many, how long, from when, going on from what (see `Course`).
        anomalies: kinds that are put into sequences, such as "spike" or {"spike": 0.01, "stuck": 0.02}, or `Anomaly`s;
        two more columns, `anomaly` and `anomaly_column`, say where they are.
        """
        course = course or Course()
        if anomalies is not None:
            course = replace(course, anomalies=anomalies)
        if course.any:
            if scale is not None:
                rows = sum(self.sizes(rows, scale).values())
            return self._courses(course, rows, seed, m, Control(where, balance, edges, fair, temperature))
        sizes, control = self.sizes(rows, scale), Control(where, balance, edges, fair, temperature)
        asked = next(iter(rows)) if isinstance(rows, Mapping) and len(rows) == 1 else None
        if m is not None:
            return [self._sample(sizes, each, workers, control, asked) for each in self.seeds(m, seed)]
        return self._sample(sizes, seed, workers, control, asked)

    def _sample(
        self, sizes: Mapping[str, int], seed: int | None, workers: int, control: Control, asked: str | None
    ) -> Any:
        streams = self.streams(sizes, seed, workers, control, asked)
        drawn = {name: pl.concat(blocks) for name, blocks in streams.items()}
        frames = {n: self.shape.leave_table(n, f) for n, f in drawn.items()} if self.shape else dict(drawn)
        one = self.shape.one if self.shape else len(self.schema_) == 1
        return frames.popitem()[1] if one else frames

    def _courses(self, course: Course, rows: Any, seed: int | None, m: int | None, control: Control) -> Any:
        """The only table, whose rows follow each other, as asked: one sample, or a list of m."""
        if len(self._fitted) > 1 or isinstance(rows, Mapping):
            raise ArgumentError("`course` is asked of one table that is learned alone; rows is a number then.")
        name = next(iter(self._fitted))
        given, begin = (None if f is None else self._entered(f, name)[1] for f in (course.given, course.begin))
        course = replace(course, given=given, begin=begin)
        out = []
        for each in self.seeds(m or 1, seed):
            frame = pl.concat(self.course(name, course, rows, each, control))
            labels = frame.select(n for n in frame.columns if n not in self.schema_[name].names)
            left = self.shape.leave_table(name, frame.drop(labels.columns)) if self.shape else frame
            out.append(with_beside(left, labels) if self.shape and labels.width else left)
        return out if m is not None else out[0]

    def course(
        self,
        table: str,
        course: Course,
        rows: int | None = None,
        seed: int | None = None,
        control: Control | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Sequences as asked, a block at a time; see `sample`."""
        check_course(course, self.schema_[table])
        return self.sequences_[table].directed(control or Control()).course(course, rows, self._seed(seed))

    def complete(self, frame: Any, *, table: str | None = None, seed: int | None = None) -> Any:
        """The rows of a frame that has some of the columns, in their order and untouched, with the others drawn.

        Missing values that are given are values given. Raises DataError for columns or values that were not learned.
        """
        name, given, shape = self._entered(frame, table)
        full = self._filler(name).complete(given, self._seed(seed))
        learned = self.shape.tables.get(name) if self.shape else None
        return leave_completed(full, shape.tables[name], learned, name)

    def around(self, frame: Any, *, table: str | None = None, seed: int | None = None) -> Any:
        """A whole dataset around rows of one table: these rows, with the columns that they lack drawn, all that they
        own, and other tables in proportion.

        Raises ArgumentError for a table whose rows another one owns, DataError for values that cannot be.
        """
        name, given, _ = self._entered(frame, table)
        if self.database_ is None or self.database_.graph.owner(name):
            raise ArgumentError(
                f"table {name!r} stands alone, or its rows are owned: give rows of one that owns others."
            )
        model, seed = self._table(name), self._seed(seed)
        full = given if {*model.table.names} <= {*given.columns} else self._control(name).complete(given, seed)
        key = [n for n in self.schema_[name].primary_key if n in given.columns]
        if key and given.select(key).is_duplicated().any():
            raise DataError("two rows have one key.", table=name, column=tuple(key), fix="Give each row its own.")

        def rows(other: str, n: int, seed: int) -> Iterator[pl.DataFrame]:
            if other != name:
                return self._table(other).blocks(n, seed)
            return (full[i : i + BLOCK].select(model.table.names) for i in range(0, max(n, 1), BLOCK))

        sizes = self.database_.sizes({name: full.height})
        drawing = self.database_.draw(sizes, seed, rows, self.database_.owned(name))
        drawn = {other: pl.concat(drawing.blocks(other)) for other in self.schema_}
        return {n: self.shape.leave_table(n, f) for n, f in drawn.items()} if self.shape else drawn

    def impute(self, frame: Any, m: int | None = None, *, table: str | None = None, seed: int | None = None) -> Any:
        """A frame with its missing cells drawn given all others, which stay; m: a list of so many, drawn apart."""
        name, given, shape = self._entered(frame, table)
        number = 1 if m is None else whole("m", m, 1)
        filled = [shape.leave_table(name, f) for f in self._filler(name).impute(given, self._seed(seed), number)]
        return filled[0] if m is None else filled

    def _entered(self, frame: Any, table: str | None) -> tuple[str, pl.DataFrame, Shape]:
        """The name of the table that a frame is of, its rows, and what kind of frame it is."""
        if table is None and len(self._fitted) > 1:
            raise ArgumentError(f"there are {len(self._fitted)} tables: say with `table` which this is a frame of.")
        name = next(iter(self._fitted)) if table is None else table
        self._known(name)
        dataset, shape = loosen(*enter(frame, name))
        if list(dataset) != [name]:
            raise ArgumentError("one frame was wanted, not a mapping of them.")
        return name, dataset[name], shape

    def _control(self, name: str) -> Controlled:
        return self._controlled.setdefault(name, Controlled(self._table(name), self.seed_))

    def _filler(self, name: str) -> Controlled | SequenceModel:
        """What fills cells of a table."""
        return self.sequences_[name] if name in self.sequences_ else self._control(name)

    def _seed(self, seed: int | None) -> int:
        return self.seed_ if seed is None else whole("seed", seed, 0)

    def seeds(self, m: int, seed: int | None = None) -> list[int]:
        """The seeds of m samples: this one, and those derived from it."""
        first = self._seed(seed)
        return [first, *(derived(first, "sample", number) for number in range(1, whole("m", m, 1)))]

    def sizes(self, rows: int | Mapping[str, int] | None = None, scale: float | None = None) -> dict[str, int]:
        """How many rows each table gets; see `sample`."""
        tables = self._fitted
        check_sizes(rows, scale)
        if self.database_ is not None and (rows is None or isinstance(rows, Mapping)):
            asked = {name: int(n) for name, n in (rows or {}).items() if self.schema_[name]}
            return self.database_.sizes(asked, 1.0 if scale is None else scale)
        if rows is None:
            return {name: round(model.rows * (1 if scale is None else scale)) for name, model in tables.items()}
        if isinstance(rows, Mapping):
            return {name: int(n) for name, n in rows.items() if self._known(name)}
        if len(tables) > 1:
            raise ArgumentError(f"there are {len(tables)} tables: give rows as {{table: rows}}, or a scale.")
        return {name: int(rows) for name in tables}

    def streams(
        self,
        sizes: Mapping[str, int],
        seed: int | None = None,
        workers: int = 1,
        control: Control | None = None,
        asked: str | None = None,
    ) -> dict[str, Iterator[pl.DataFrame]]:
        """The rows of several tables, a block at a time; their keys fit each other. sizes: see `sizes`.

        control: what is asked of the table `asked`, by default the only one; the rows that it owns follow.
        """
        if control is not None and control.any and asked is None and len(sizes) > 1:
            one = "name it with its rows, rows={table: n} or --rows table=n."
            raise ArgumentError(f"what is asked of the rows is asked of one table: {one}")
        if self.database_ is None:
            return {name: self.blocks(name, n, seed, workers, control) for name, n in sizes.items()}
        control, seed = control or Control(), self._seed(seed)
        if control.any and asked is not None and self.database_.graph.owner(asked):
            root = self.database_.graph.root(asked)
            raise ArgumentError(f"the rows of {asked!r} follow from those of {root!r}: ask for rows of that table.")

        def rows(name: str, n: int, seed: int) -> Iterator[pl.DataFrame]:
            model = self._table(name)
            if control.any and name == asked:
                return self._control(name).blocks(control, n, seed)
            return model.directed(temperature=control.temperature).blocks(n, seed)

        free = self.database_.owned(asked) if control.any and asked is not None else ()
        drawing = self.database_.draw(sizes, seed, rows, free)
        return {name: drawing.blocks(name) for name in self.schema_ if name in sizes}

    def blocks(
        self, table: str, rows: int, seed: int | None = None, workers: int = 1, control: Control | None = None
    ) -> Iterator[pl.DataFrame]:
        """The rows of one table as polars frames, a block at a time; for 0 rows one frame without any.

        control: what is asked of them; see `sample`. What it asks beyond a temperature is drawn in this process.
        """
        whole("workers", workers, 1)
        if self._fitted and self.database_ is not None:
            sizes = self.database_.sizes({table: whole("rows", rows, 0)})
            return self.streams(sizes, seed, workers, control, table)[table]
        control, seed = control or Control(), self._seed(seed)
        if self._known(table) in self.sequences_:
            return self.sequences_[table].directed(control).blocks(whole("rows", rows, 0), seed)
        model = self._table(table)
        for column, room in model.codec.rooms.items():
            if whole("rows", rows, 0) > room:
                raise RuleError(
                    f"table {table!r}, column {column!r}: its pattern holds {room:,} different ids, and {rows:,} rows "
                    "are asked. Ask for fewer rows, or give it a wider `pattern` in the schema."
                )
        if control.any:
            asked = self._control(table).blocks(control, max(whole("rows", rows, 0), 1), seed)
            return asked if rows else (frame.head(0) for frame in asked)
        if whole("rows", rows, 0) == 0:
            return iter([model.block(0, seed).head(0)])
        model = model.directed(temperature=control.temperature)
        drawn = None if workers == 1 else by_workers.blocks(model, self.options.model, rows, seed, workers)
        return model.blocks(rows, seed, drawn)

    @property
    def effects(self) -> tuple[str, ...]:
        """What the last draw that was asked for fairness did, a sentence each."""
        asked = [*(c.effects for c in self._controlled.values()), *(s.effects for s in self.sequences_.values())]
        return tuple(effect for effects in asked for effect in effects)

    def __repr__(self) -> str:
        """What was learned, in a line."""
        learned = (
            f"{name}: {m.rows:,} x {len(m.table.columns)}"
            for name, m in (self._fitted if hasattr(self, "tables_") else {}).items()
        )
        return f"<Synthesizer {self.options.model}: {', '.join(learned) or 'nothing learned yet'}>"

    @property
    def notes(self) -> list[str]:
        """What was protected, merged or made up on the way: a sentence each."""
        several = len(self._fitted) > 1
        learned = ((n, note) for n, m in self._fitted.items() for note in m.notes)
        return [*self.entry, *self.settled_, *(f"{name}: {note}" if several else note for name, note in learned)]

    def explain(self) -> dict[str, dict[str, str]]:
        """For each table and column: what the model drew it from, and why."""
        return {name: model.explain() for name, model in self._fitted.items()}

    @property
    def _fitted(self) -> dict[str, TableModel | SequenceModel | Owned]:
        if not hasattr(self, "tables_"):
            raise NotFittedError("this synthesizer has learned nothing yet: call `fit` first.")
        owned = self.database_.sequences if self.database_ else {}
        models: dict[str, TableModel | SequenceModel | Owned] = {**self.tables_, **self.sequences_, **owned}
        return {name: models[name] for name in self.schema_ if name in models}

    def _known(self, name: str) -> str:
        if name not in self._fitted:
            raise ArgumentError(f"no table {name!r}; {did_you_mean(name, self._fitted)}")
        return name

    def _table(self, name: str) -> TableModel:
        if self._known(name) not in self.tables_:
            raise ArgumentError(
                f"table {name!r} is a sequence: its rows are no rows of their own. Sample with a Course."
            )
        return self.tables_[name]

    # --------------------------------------------------------------------------------------------- model file

    def save(self, path: str | Path) -> None:
        """Write a model file (see archive.py)."""
        tables = self._fitted
        states = {name: model.state() for name, model in tables.items()} if self.database_ is None else {}
        meta = {
            "options": dataclasses.asdict(self.options) | {"settings": _without_paths(self.options.settings)},
            "seed": self.seed_,
            "schema": json.loads(json.dumps(self.schema_.to_dict(), default=str)),
            "shape": self.shape.to_dict() if self.shape else None,
            "layout": self.layout.to_dict() if self.layout else None,
            "report": dict(self.report),
            "entry": list(self.entry),
            "tables": {name: m for name, (m, _) in states.items()},
        }
        arrays = {f"{i}/{n}": a for i, (_, part) in enumerate(states.values()) for n, a in part.items()}
        if self.database_ is not None:
            meta["database"], arrays = self.database_.state()
            meta["settled"] = list(self.settled_)
        archive.write(path, meta, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """What `save` wrote. Raises ModelFileError for a damaged, forged or newer file."""
        meta, arrays = archive.read(path)
        try:
            return cls._restore(meta, arrays)
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from error
        except Exception as error:  # whatever the parts raise when they are given nonsense
            raise ModelFileError(f"{path}: the model file is damaged ({type(error).__name__}: {error}).") from error

    @classmethod
    def _restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        new = cls(Options(**meta["options"]))
        new.shape = Shape.from_dict(meta["shape"]) if meta["shape"] else None
        new.layout = Layout.from_dict(meta["layout"]) if meta["layout"] else None
        new.report, new.schema_ = dict(meta["report"]), Schema.from_dict(meta["schema"])
        new.seed_, new.entry = whole("seed", meta["seed"], 0), tuple(map(str, meta["entry"]))
        new.tables_, new._controlled, new.database_, new.settled_ = {}, {}, None, ()
        new.sequences_ = {}
        if "database" in meta:
            new.database_ = Database.restore(new.options.model, new.schema_, meta["database"], arrays)
            new.tables_, new.settled_ = new.database_.models, tuple(map(str, meta["settled"]))
            new._try()
            return new
        for i, (name, table) in enumerate(meta["tables"].items()):
            if new.schema_[name].sequence is not None:
                own = part(arrays, f"{i}/")
                new.sequences_[name] = SequenceModel.restore(new.options.model, new.schema_[name], table, own)
                continue
            new.tables_[name] = TableModel.restore(new.options.model, table, part(arrays, f"{i}/"))
        if {*new.tables_, *new.sequences_} != {*new.schema_}:
            raise ModelFileError("the tables of the model are not those of its schema.")
        new._try()
        return new

    def _try(self) -> None:
        """Draw some rows as `sample` does: parts that do not fit each other show now, not when rows are asked for."""
        for name, frame in self._trials():
            if self.shape:
                with suppress(MissingExtraError):  # this machine can still write files
                    self.shape.leave_table(name, frame)

    def _trials(self) -> Iterator[tuple[str, pl.DataFrame]]:
        if self.database_ is None:
            yield from ((name, model.trial(self.seed_)) for name, model in self.tables_.items())
            yield from ((name, model.trial(self.seed_)) for name, model in self.sequences_.items())
            return
        small = self.database_.sizes({}, TRIED / max(1, *(t.rows for t in self.database_.tables.values())))
        yield from ((name, pl.concat(blocks)) for name, blocks in self.streams(small).items())


def _check(dataset: Dataset, schema: Schema, options: Options, seed: int) -> None:
    """Refuse what cannot be learned, before any work."""
    whole("seed", seed, 0)
    if not any(frame.height for frame in dataset.values()):
        fix = "Give a table with at least one row."
        raise DataError("there are no rows to learn from.", table=", ".join(dataset), fix=fix)
    for name, frame in dataset.items():
        if frame.width == 0:
            raise DataError(
                "it has no columns: there is nothing to learn.", table=name, fix="Give a table with columns."
            )
    names = [column for frame in dataset.values() for column in frame.columns]
    if options.unit is not None and options.unit not in names:
        raise ArgumentError(f"unit: no column {options.unit!r}; {did_you_mean(options.unit, names)}")
    unknown = next((name for name in dataset if name not in schema), None)
    if unknown is not None:
        raise ArgumentError(f"the schema has no table {unknown!r}; {did_you_mean(unknown, schema)}")
    for name, frame in dataset.items():
        if tied(schema):
            check_key(schema[name], frame)
        else:
            verify(frame, rules_of(schema[name]), name)


def _check_start(dataset: Dataset, start: Dataset, model: str) -> None:
    if start and model not in STARTING:
        raise ArgumentError(f"start: the model {model!r} cannot start from other rows; {' and '.join(STARTING)} can.")
    for name, frame in start.items():
        if name not in dataset:
            raise ArgumentError(f"start: there is no table {name!r}; {did_you_mean(name, dataset)}")
        if not frame.height:
            raise DataError("there are no rows to start from.", table=name)


def check_sizes(rows: int | Mapping[str, int] | None, scale: float | None) -> None:
    """Raise ArgumentError for what `Synthesizer.sizes` cannot take, whatever was learned."""
    if rows is not None and scale is not None:
        raise ArgumentError("give `rows` or `scale`, not both.")
    if scale is not None and (isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 <= scale < 1e9):
        raise ArgumentError(f"scale: a number of 0 or more was wanted, such as 2.5, not {scale!r}.")
    if isinstance(rows, Mapping):
        if not rows:
            raise ArgumentError("rows: the mapping names no table.")
        for name, n in rows.items():
            whole(f"rows of {name!r}", n, 0)
    elif rows is not None:
        whole("rows", rows, 0)


def _without_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A model file does not tell where checkpoints lay."""
    return {name: value for name, value in settings.items() if name != "checkpoint"}


def _plain(schema: Schema) -> Schema:
    """The schema without its reasons, which tell counts of the real data."""

    def plain(table: Table) -> Table:
        columns = tuple(replace(c, reason="") for c in table.columns)
        rules = tuple(
            rule if isinstance(rule, str) else {name: part for name, part in rule.items() if name != "reason"}
            for rule in table.rules
        )
        return replace(table, columns=columns, rules=rules)

    return Schema({name: plain(table) for name, table in schema.items()})

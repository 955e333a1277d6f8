"""The learned source: `Synthesizer` learns a dataset and draws new ones.

    read the rules -> reduce -> encode -> model          fit
    model -> decode -> restore -> hold the rules         sample, block by block

A table's rows come in blocks of `BLOCK`; each draws from its own keyed streams, so that the same seed gives the same
rows for any number of rows asked, any chunk size and any number of workers.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim import archive
from verosim.codec import TableCodec
from verosim.draws import BLOCK, stream
from verosim.errors import (
    ArgumentError,
    DataError,
    ModelFileError,
    NotFittedError,
    RuleError,
    VerosimError,
    did_you_mean,
)
from verosim.files import Layout
from verosim.frames import Shape, leave
from verosim.models import Array, Codes, Model, Progress, State, model_class, silent
from verosim.rules import Reduction, Rule, Unique, parse, reduce, verify
from verosim.schema import Schema, Table

Dataset = Mapping[str, pl.DataFrame]
_TRIES: Final = 200  # times that rows which break a rule are drawn again
_AT_LEAST: Final = 512  # rows drawn at a time then: few rows cost as much as these


@dataclass(frozen=True, slots=True)
class Options:
    """How a dataset is learned. The command line's options are read from here."""

    model: str = "chain"  # the engine: chain, copula or independent
    k: int = 5  # values that fewer people hold are not reproduced
    unit: str | None = None  # the column that says whom a row belongs to; otherwise each row is its own person
    holdout: float = 0.1  # share of the rows that the model never sees, kept to measure it


class TableModel:
    """One table, learned: rules, codec and model."""

    def __init__(self, reduction: Reduction, codec: TableCodec, model: Model, order: Array, rows: int) -> None:
        self.table, self.reduction, self.codec, self.model = reduction.original, reduction, codec, model
        self.order = order  # (fields,) which field of the codec the model sees first, second ...
        self.rows = rows  # of the real table, hold-out included
        self.row_rules = tuple(r for r in reduction.remaining if not isinstance(r, Unique))
        self.unique_rules = tuple(r for r in reduction.remaining if isinstance(r, Unique))

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, table: Table, options: Options, seed: int, real_rows: int, progress: Progress
    ) -> TableModel:
        rules = parse(table.rules, table)
        verify(frame, rules, table.name)
        unit = _unit(frame, table, options.unit)
        reduced, reduction = reduce(frame, rules, table, k=options.k)
        codec = TableCodec(reduction.table, options.k).fit(reduced, unit)
        rows = codec.encode(reduced)
        first = {name: place for place, name in enumerate(reduction.table.order)}
        order = np.argsort([first.get(owner, len(first)) for owner in codec.owners], kind="stable")
        model = model_class(options.model)().fit(
            _in_order(rows, order), None, stream(seed, table.name, "fit"), progress
        )
        return cls(reduction, codec, model, order, real_rows)

    # ------------------------------------------------------------------------------------------------ drawing

    def block(self, number: int, seed: int) -> pl.DataFrame:
        """Rows number * BLOCK and after, (BLOCK, columns), which hold every rule but uniqueness."""
        rows = np.arange(number * BLOCK, (number + 1) * BLOCK)
        frame = self._draw(rows, seed, number, 0)
        if not self.row_rules:
            return frame
        return self._redraw(frame, rows, ~_holds(frame, self.row_rules), seed, number)

    def _draw(self, rows: Array, seed: int, block: int, attempt: int) -> pl.DataFrame:
        rng = stream(seed, self.table.name, block, "rows", attempt)
        codes = _in_order(self.model.sample(len(rows), None, rng), np.argsort(self.order))
        return self.reduction.restore(self.codec.decode(codes, rows, rng, seed))

    def _redraw(self, frame: pl.DataFrame, rows: Array, bad: Array, seed: int, block: int) -> pl.DataFrame:
        """The frame with the rows marked in `bad` (n,) drawn again until they hold the rules, each in its place."""
        todo, broken = np.flatnonzero(bad), 0
        parts, places = [frame.filter(pl.Series(~bad))], [np.flatnonzero(~bad)]
        for attempt in range(1, _TRIES + 1):
            if not len(todo):
                break
            wanted = np.tile(todo, -(-_AT_LEAST // len(todo)))
            drawn = self._draw(rows[wanted], seed, block, attempt)
            good = np.flatnonzero(_holds(drawn, self.row_rules))
            broken = len(drawn) - len(good)
            place, first = np.unique(wanted[good], return_index=True)
            parts.append(drawn[good[first]])
            places.append(place)
            todo = np.setdiff1d(todo, place, assume_unique=True)
            asked = len(wanted)
        if len(todo):
            worst = max(self.row_rules, key=lambda rule: rule.count(drawn))
            raise RuleError(
                f"table {self.table.name!r}: the rule `{worst}` cannot be held: {broken / asked:.1%} of the rows drawn "
                f"broke it, {_TRIES} times over. Loosen the rule, or learn from data that hold it."
            )
        return pl.concat(parts)[np.argsort(np.concatenate(places), kind="stable")]

    def blocks(self, rows: int, seed: int, workers: int) -> Iterator[pl.DataFrame]:
        """The first `rows` rows, block by block; the blocks are drawn by `workers` threads, a few ahead."""
        numbers = range(-(-rows // BLOCK))
        drawn: Iterable[pl.DataFrame]
        if workers == 1:
            drawn = (self.block(n, seed) for n in numbers)
        else:
            drawn = _ahead(lambda n: self.block(n, seed), numbers, workers)
        for number, frame in enumerate(self._unique(drawn, seed)):
            yield frame.head(rows - number * BLOCK)

    def _unique(self, blocks: Iterable[pl.DataFrame], seed: int) -> Iterator[pl.DataFrame]:
        """The blocks with rows drawn again that repeat what an earlier row has, where a rule says unique."""
        if not self.unique_rules:
            yield from blocks
            return
        seen: list[set[int]] = [set() for _ in self.unique_rules]
        for number, frame in enumerate(blocks):
            rows = np.arange(number * BLOCK, (number + 1) * BLOCK)
            for attempt in range(_TRIES + 1):
                bad = _repeats(frame, self.unique_rules, seen)
                if not bad.any():
                    break
                if attempt == _TRIES:
                    named, made = ", ".join(map(str, self.unique_rules)), number * BLOCK + int((~bad).sum())
                    raise RuleError(
                        f"table {self.table.name!r}: no new values are left for the rule `{named}` after {made:,} "
                        "rows. Ask for fewer rows, or leave the rule out."
                    )
                new = self._draw(rows[bad], seed, number, _TRIES + 1 + attempt)
                wrong = ~_holds(new, self.row_rules)
                if wrong.any():
                    new = self._redraw(new, rows[bad], wrong, seed, number)
                order = np.argsort(np.concatenate([np.flatnonzero(~bad), np.flatnonzero(bad)]), kind="stable")
                frame = pl.concat([frame.filter(pl.Series(~bad)), new])[order]
            for known, keys in zip(seen, _keys(frame, self.unique_rules), strict=True):
                known.update(keys[0][keys[1]].tolist())
            yield frame

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        codec, codec_arrays = self.codec.state()
        model, model_arrays = self.model.state()
        meta: dict[str, Any] = {"reduction": self.reduction.to_dict(), "codec": codec, "model": model}
        meta |= {"order": self.order.tolist(), "rows": self.rows}
        arrays = {f"codec/{name}": a for name, a in codec_arrays.items()}
        return meta, arrays | {f"model/{name}": a for name, a in model_arrays.items()}

    @classmethod
    def restore(cls, engine: str, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> TableModel:
        """What `state` gave, checked. Raises ModelFileError."""
        part = {
            of: {n.removeprefix(f"{of}/"): a for n, a in arrays.items() if n.startswith(f"{of}/")}
            for of in ("codec", "model")
        }
        reduction = Reduction.from_dict(meta["reduction"])
        codec = TableCodec.restore(meta["codec"], part["codec"])
        model = model_class(engine).restore(meta["model"], part["model"])
        order = np.array(meta["order"], np.int64)
        if sorted(order) != list(range(len(codec.fields))) or codec.table != reduction.table:
            raise ModelFileError("the parts of the model do not fit each other.")
        drawn = model.sample(0, None, stream(0)).fields
        if [(f.name, f.levels, f.marks) for f in drawn] != [
            (f.name, f.levels, f.marks) for f in (codec.fields[i] for i in order)
        ]:
            raise ModelFileError("the model does not draw what the codec reads.")
        return cls(reduction, codec, model, order, int(meta["rows"]))


def _in_order(codes: Codes, order: Array) -> Codes:
    """The same rows with the fields in another order."""
    return Codes(tuple(codes.fields[i] for i in order), tuple(codes.arrays[i] for i in order), codes.n)


def _holds(frame: pl.DataFrame, rules: Iterable[Rule]) -> Array:
    """(n,) which rows hold all rules."""
    good = np.ones(frame.height, bool)
    for rule in rules:
        good &= rule.check(frame).to_numpy()
    return good


def _keys(frame: pl.DataFrame, rules: Iterable[Unique]) -> Iterator[tuple[Array, Array]]:
    """For each rule: a hash of each row's values, and whether none of them is missing."""
    for rule in rules:
        part = frame.select(rule.columns)
        complete = part.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
        yield part.hash_rows(0).to_numpy(), complete.to_numpy()


def _repeats(frame: pl.DataFrame, rules: Iterable[Unique], seen: Iterable[set[int]]) -> Array:
    """(n,) which rows repeat an earlier row of the frame, or one already seen."""
    bad = np.zeros(frame.height, bool)
    for known, (hashes, complete) in zip(seen, _keys(frame, rules), strict=True):
        again = np.ones(frame.height, bool)
        again[np.unique(hashes, return_index=True)[1]] = False
        if known:
            again |= np.fromiter((h in known for h in hashes.tolist()), bool, len(hashes))
        bad |= again & complete
    return bad


def _ahead(make: Any, numbers: Iterable[int], workers: int) -> Iterator[pl.DataFrame]:
    """make(number) for each number, in order, by threads that work at most two blocks a worker ahead."""
    with ThreadPoolExecutor(workers) as pool:
        todo = iter(numbers)
        waiting = [pool.submit(make, n) for n in islice(todo, 2 * workers)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(make, n) for n in islice(todo, 1)]


def _unit(frame: pl.DataFrame, table: Table, name: str | None) -> pl.Series | None:
    """The column that says whom a row belongs to, where the table has it."""
    return frame[name] if name is not None and name in frame.columns else None


def split(dataset: Dataset, share: float, seed: int) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
    """Rows to learn from, and a hold-out of this share that no model sees; no hold-out of tables below 20 rows."""
    train, held = {}, {}
    for name, frame in dataset.items():
        n = int(frame.height * share) if frame.height >= 20 else 0
        out = np.zeros(frame.height, bool)
        out[stream(seed, name, "hold-out").permutation(frame.height)[:n]] = True
        train[name], held[name] = frame.filter(pl.Series(~out)), frame.filter(pl.Series(out))
    return train, held


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

    def fit(self, dataset: Dataset, schema: Schema, seed: int = 0, progress: Progress = silent) -> Self:
        """Learn the tables of a dataset, but for a hold-out (`split`).

        Raises DataError, SchemaError or ArgumentError before long work.
        """
        _check(dataset, schema, self.options, seed)
        train, _ = split(dataset, self.options.holdout, seed)
        self.seed_, self.schema_ = seed, _plain(schema)
        self.tables_: dict[str, TableModel] = {}
        for number, (name, frame) in enumerate(train.items()):

            def show(share: float, what: str, number: int = number) -> None:
                progress((number + share) / len(train), what)

            rows = dataset[name].height
            self.tables_[name] = TableModel.fit(frame, self.schema_[name], self.options, seed, rows, show)
        progress(1.0, "learned")
        return self

    def sample(
        self,
        rows: int | Mapping[str, int] | None = None,
        *,
        scale: float | None = None,
        seed: int | None = None,
        workers: int = 1,
    ) -> Any:
        """New rows: a frame, or a mapping of them, of the kind that was learned.

        rows: how many, for several tables by name; by default as many as the real data, times `scale`. The same seed
        gives the same rows, whatever `workers` (threads); by default it is that of `fit`.
        """
        sizes = self.sizes(rows, scale)
        dataset = {name: pl.concat(self.blocks(name, n, seed, workers)) for name, n in sizes.items()}
        if self.shape is None:
            return dataset if len(dataset) > 1 else next(iter(dataset.values()))
        return leave(dataset, self.shape)

    def sizes(self, rows: int | Mapping[str, int] | None = None, scale: float | None = None) -> dict[str, int]:
        """How many rows each table gets; see `sample`."""
        tables = self._fitted
        if rows is not None and scale is not None:
            raise ArgumentError("give `rows` or `scale`, not both.")
        if scale is not None and (
            isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 <= scale < 1e9
        ):
            raise ArgumentError(f"scale: a number of 0 or more was wanted, such as 2.5, not {scale!r}.")
        if rows is None:
            return {name: round(model.rows * (1 if scale is None else scale)) for name, model in tables.items()}
        if isinstance(rows, Mapping):
            return {name: _whole(f"rows of {name!r}", n, 0) for name, n in rows.items() if self._table(name)}
        if len(tables) > 1:
            raise ArgumentError(f"there are {len(tables)} tables: give rows as {{table: rows}}, or a scale.")
        return {name: _whole("rows", rows, 0) for name in tables}

    def blocks(self, table: str, rows: int, seed: int | None = None, workers: int = 1) -> Iterator[pl.DataFrame]:
        """The rows of one table as polars frames, a block at a time; for 0 rows one frame without any."""
        model = self._table(table)
        _whole("workers", workers, 1)
        seed = self.seed_ if seed is None else _whole("seed", seed, 0)
        if _whole("rows", rows, 0) == 0:
            return iter([model.block(0, seed).head(0)])
        return model.blocks(rows, seed, workers)

    @property
    def notes(self) -> list[str]:
        """What was protected, merged or made up on the way: a sentence each."""
        several = len(self._fitted) > 1
        return [f"{name}: {n}" if several else n for name, model in self._fitted.items() for n in model.codec.notes]

    def explain(self) -> dict[str, dict[str, str]]:
        """For each table and column: what the model drew it from, and why."""
        return {name: model.model.explain() for name, model in self._fitted.items()}

    @property
    def _fitted(self) -> dict[str, TableModel]:
        if not hasattr(self, "tables_"):
            raise NotFittedError("this synthesizer has learned nothing yet: call `fit` first.")
        return self.tables_

    def _table(self, name: str) -> TableModel:
        if name not in self._fitted:
            raise ArgumentError(f"no table {name!r}; {did_you_mean(name, self.tables_)}")
        return self.tables_[name]

    # --------------------------------------------------------------------------------------------- model file

    def save(self, path: str | Path) -> None:
        """Write a model file (see archive.py)."""
        states = {name: model.state() for name, model in self._fitted.items()}
        meta = {
            "options": dataclasses.asdict(self.options),
            "seed": self.seed_,
            "schema": json.loads(json.dumps(self.schema_.to_dict(), default=str)),
            "shape": self.shape.to_dict() if self.shape else None,
            "layout": self.layout.to_dict() if self.layout else None,
            "report": dict(self.report),
            "tables": {name: m for name, (m, _) in states.items()},
        }
        arrays = {f"{i}/{n}": a for i, (_, part) in enumerate(states.values()) for n, a in part.items()}
        archive.write(path, meta, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """What `save` wrote. Raises ModelFileError for a damaged, forged or newer file."""
        meta, arrays = archive.read(path)
        try:
            return cls._restore(meta, arrays)
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from error
        except (VerosimError, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise ModelFileError(f"{path}: the model file is damaged ({type(error).__name__}: {error}).") from error

    @classmethod
    def _restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        new = cls(Options(**meta["options"]))
        new.shape = Shape.from_dict(meta["shape"]) if meta["shape"] else None
        new.layout = Layout.from_dict(meta["layout"]) if meta["layout"] else None
        new.report, new.seed_, new.schema_ = dict(meta["report"]), int(meta["seed"]), Schema.from_dict(meta["schema"])
        new.tables_ = {}
        for i, (name, part) in enumerate(meta["tables"].items()):
            own = {n.removeprefix(f"{i}/"): a for n, a in arrays.items() if n.startswith(f"{i}/")}
            new.tables_[name] = TableModel.restore(new.options.model, part, own)
        if list(new.tables_) != list(new.schema_):
            raise ModelFileError("the tables of the model are not those of its schema.")
        return new


def _check(dataset: Dataset, schema: Schema, options: Options, seed: int) -> None:
    """Refuse what cannot be learned, before any work."""
    _whole("seed", seed, 0)
    _whole("k", options.k, 1)
    if not isinstance(options.holdout, int | float) or not 0 <= options.holdout < 1:
        raise ArgumentError(f"holdout is a share of the rows, from 0 to below 1, not {options.holdout!r}.")
    model_class(options.model)
    for name, frame in dataset.items():
        if frame.height == 0:
            raise DataError("it has no rows: there is nothing to learn.", table=name, fix="Give a table with rows.")
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


def _whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least `least`, or an ArgumentError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ArgumentError(f"{name}: a whole number of {least} or more was wanted, not {value!r}.")
    return int(value)


def _plain(schema: Schema) -> Schema:
    """The schema without its reasons, which tell counts of the real data."""
    tables = (replace(t, columns=tuple(replace(c, reason="") for c in t.columns)) for t in schema.values())
    return Schema({t.name: t for t in tables})

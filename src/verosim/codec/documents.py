"""`Document`: JSON in text cells. What documents hold is learned as columns are, and written as documents again.

The documents of a column are taken apart as those of a file are (files/nested.py). The leaves are columns with codecs
of their own, whose fields the table's model draws beside all others. Of a list the model draws how many items it has;
the items are drawn by trees of their own, for no row has room for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from verosim.codec.column import Draw, Guard
from verosim.codec.grid import Ints
from verosim.codec.saved import Saved, nest
from verosim.draws import stream
from verosim.errors import DataError, FileError, VerosimError
from verosim.files.nested import ABSENT, HERE, join
from verosim.files.nested import Field as Shape
from verosim.files.objects import in_cells
from verosim.infer.columns import guess
from verosim.infer.documents import LONGEST, longest
from verosim.infer.measures import facts_of
from verosim.models import Array, Codes, Field, State
from verosim.models.chain import Chain, Options
from verosim.schema import Column, Table, parse_dtype

if TYPE_CHECKING:
    from verosim.codec import TableCodec


@dataclass(frozen=True, slots=True)
class _List:
    """Where the items of a list lie, and which column of the table above says how many there are."""

    above: str
    table: str
    key: str
    position: str
    item: Shape
    state: str | None = None  # the column of the table above that says whether the list is there

    @property
    def count(self) -> str:
        return _count(self.table)

    def rows(self, frames: Mapping[str, pl.DataFrame]) -> Ints:
        """(items,) the row of the table above that each item is of."""
        return frames[self.table][self.key].cast(pl.Int64).to_numpy()


@dataclass(frozen=True, slots=True)
class _Items:
    """The items of a list, learned. chain: None where they hold nothing to be drawn."""

    codec: TableCodec
    chain: Chain | None

    def draw(self, n: int, first: int, draw: Draw) -> pl.DataFrame:
        """So many items; first: the number of the first, by which ids are told apart."""
        codes = self.chain.sample(n, None, draw.rng) if self.chain else Codes((), (), n)
        frame = self.codec.decode(codes, first + np.arange(n), draw.rng, draw.seed)
        return frame if frame.width else pl.DataFrame(height=n)


class Document:
    """Texts of JSON <-> the fields of what the documents hold.

    root: the codec of the parts that each document has once. items: by the name of their table.
    """

    def __init__(self, column: Column, shape: Shape, root: TableCodec, items: Mapping[str, _Items]) -> None:
        self.column, self.shape, self.root, self.items = column, shape, root, dict(items)
        self.lists = list(_lists(shape, column.name))
        self.dtype = parse_dtype(column.dtype, column.levels)
        self.fields: tuple[Field, ...] = tuple(replace(f, name=f"{column.name}: {f.name}") for f in root.fields)
        self.note = "; ".join(note for codec in (root, *(one.codec for one in items.values())) for note in codec.notes)

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        """Raises DataError for text that is no JSON, or whose parts are of several kinds."""
        frames, shape = _taken_apart(series.alias(column.name))
        if longest(frames, shape, column.name) > LONGEST:
            fix = "Give the column the kind text, or hold the items in a table of their own."
            raise DataError(f"a list has more than {LONGEST:,} items.", column=column.name, fix=fix)
        lists = list(_lists(shape, column.name))
        people = {column.name: np.arange(len(series)) if guard.people is None else guard.people}
        root = _learned(_part(column.name, shape, frames, lists), column, guard.k, people[column.name], frames)
        items = dict[str, _Items]()
        for one in lists:
            people[one.table] = people[one.above][one.rows(frames)]
            part = _part(one.table, one.item, frames, lists)
            codec, chain = _learned(part, column, guard.k, people[one.table], frames), None
            if codec.fields:
                rng = stream(0, "items of documents", column.name, one.table)
                chain = Chain(Options(judged=False)).fit(codec.encode(part), None, rng)
            items[one.table] = _Items(codec, chain)
        return cls(column, shape, root, items)

    def encode(self, series: pl.Series) -> list[Array]:
        """Parts that no document had in `fit` are left aside; those that these lack are missing."""
        frames, shape = _taken_apart(series.alias(self.column.name))
        found = _part(self.column.name, shape, frames, list(_lists(shape, self.column.name)))
        states, columns = {*_states(self.shape)}, []
        for column in self.root.table.columns:
            without = HERE if column.name in states else None  # where all are there nothing says so
            own = (
                found[column.name] if column.name in found.columns else pl.Series(column.name, [without] * len(series))
            )
            columns.append(own.cast(parse_dtype(column.dtype, column.levels), strict=False))
        return list(self.root.encode(pl.DataFrame(height=len(series)).with_columns(columns)).arrays)

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        codes = Codes(self.root.fields, tuple(arrays), len(draw.rows))
        frames = {self.column.name: self.root.decode(codes, draw.rows, draw.rng, draw.seed)}
        for one in self.lists:
            above = frames[one.above]
            counts = above[one.count].cast(pl.Int64, strict=False).fill_null(0).clip(0, LONGEST).to_numpy()
            counts = counts * (above[one.state] == HERE).fill_null(False).to_numpy() if one.state else counts
            frames[one.above] = above.with_columns(pl.Series(one.key, np.arange(above.height)))
            first = int(draw.rows[0]) << 20 if len(draw.rows) else 0
            places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            keys = {one.key: np.repeat(np.arange(len(counts)), counts), one.position: places}
            frames[one.table] = self.items[one.table].draw(len(places), first, draw).with_columns(**keys)
        found = join(frames, self.column.name, self.shape)
        texts = [None if v is ABSENT else json.dumps(v, ensure_ascii=False, allow_nan=False) for v in found]
        return pl.Series(self.column.name, texts, pl.String).cast(self.dtype)

    def state(self) -> State:
        parts = {"root": self.root.state()}
        for i, items in enumerate(self.items.values()):
            parts[f"codec{i}"] = items.codec.state()
            if items.chain:
                parts[f"chain{i}"] = items.chain.state()
        meta, arrays = nest(**parts)
        return {**meta, "shape": self.shape.to_dict()}, arrays

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self:
        from verosim.codec import TableCodec

        try:
            shape = Shape.from_dict(saved.meta.get("shape"))  # type: ignore[arg-type]
            lists = list(_lists(shape, column.name))
        except VerosimError as error:
            saved.refuse(str(error))
        root = saved.part("root")
        codec = TableCodec.restore(root.meta, root.arrays)
        items = dict[str, _Items]()
        for i, one in enumerate(lists):
            own, learned = saved.part(f"codec{i}"), saved.meta.get(f"chain{i}")
            part, chain = TableCodec.restore(own.meta, own.arrays), None
            if learned is not None:
                chain = Chain.restore(saved.part(f"chain{i}").meta, saved.part(f"chain{i}").arrays)
            drawn = [(f.name, f.levels, f.marks) for f in chain.fields_] if chain else []
            saved.need(drawn == [(f.name, f.levels, f.marks) for f in part.fields], "items of other fields")
            items[one.table] = _Items(part, chain)
        document = cls(column, shape, codec, items)
        document._check(saved)
        return document

    def _check(self, saved: Saved) -> None:
        """Whether the tables have the columns that the shape names."""
        names = {self.column.name: {*self.root.table.names}}
        names |= {table: {*items.codec.table.names} for table, items in self.items.items()}
        for one in self.lists:
            saved.need(one.above in names and one.count in names[one.above], "a list without a number of items")
            names[one.above].add(one.key)
            names[one.table] |= {one.key, one.position}
        for table, column in _named(self.shape, self.column.name):
            saved.need(column in names.get(table, ()), f"no column {column!r}")


def _taken_apart(series: pl.Series) -> tuple[dict[str, pl.DataFrame], Shape]:
    try:
        return in_cells(series)
    except (FileError, DataError) as error:
        fix = "Give the column the kind text, or mend the documents."
        reason = error.reason if isinstance(error, DataError) else str(error)
        raise DataError(reason, column=series.name, fix=fix) from error


def _lists(shape: Shape, table: str) -> Iterator[_List]:
    """The lists of documents of a shape, those above first. Raises ArgumentError for one without items."""
    if shape.kind == "list":
        if not (shape.item and shape.table and shape.key and shape.position):
            raise DataError("a list without items.")
        yield _List(table, shape.table, shape.key, shape.position, shape.item, shape.state)
        yield from _lists(shape.item, shape.table)
    for part in shape.fields.values():
        yield from _lists(part, table)


def _named(shape: Shape, table: str) -> Iterator[tuple[str, str]]:
    """The columns that a shape names, with their tables."""
    yield from ((table, column) for column in _columns(shape))
    within = [shape]
    while within:
        part = within.pop()
        within += part.fields.values()
        if part.item and part.table:
            yield from _named(part.item, part.table)


def _part(name: str, shape: Shape, frames: Mapping[str, pl.DataFrame], lists: Sequence[_List]) -> pl.DataFrame:
    """A table of documents, of objects of a shape, without its keys, and with the number of items of each list."""
    keys = {n for one in lists for n in (one.key, one.position) if name in (one.above, one.table)}
    height, own = frames[name].height, [s for s in frames[name] if s.name not in keys]
    mine = (one for one in lists if one.above == name)
    own += [pl.Series(one.count, np.bincount(one.rows(frames), minlength=height)) for one in mine]
    return _filled(
        pl.DataFrame(height=height).with_columns(own), shape, stream(0, "documents that are not there", name)
    )


def _filled(frame: pl.DataFrame, shape: Shape, rng: np.random.Generator) -> pl.DataFrame:
    """The parts of objects that are not there as those of others that are: they are left out when documents are
    written, and so say nothing of parts that are missing in an object."""
    if shape.state is not None:
        here = (frame[shape.state] == HERE).fill_null(False).to_numpy()
        rows, inner = np.arange(len(here)), [n for n in _columns(shape) if n != shape.state]
        if here.any():
            rows[~here] = rng.choice(np.flatnonzero(here), int((~here).sum()))
        frame = frame.with_columns(frame[name].gather(rows) for name in inner)
    for part in shape.fields.values():
        frame = _filled(frame, part, rng)
    return frame


def _columns(shape: Shape) -> Iterator[str]:
    """The columns, of one table, that objects of a shape fill; of a list the number of its items."""
    if shape.kind == "value":
        yield shape.column or ""
    if shape.state is not None:
        yield shape.state
    if shape.kind == "list":
        yield _count(shape.table or "")
    for part in shape.fields.values():
        yield from _columns(part)


def _states(shape: Shape) -> Iterator[str]:
    """The columns, of one table, that say whether something is there."""
    if shape.state is not None:
        yield shape.state
    for part in shape.fields.values():
        yield from _states(part)


def _count(table: str) -> str:
    return f"items of {table}"


def _learned(frame: pl.DataFrame, column: Column, k: int, people: Ints, tables: Iterable[str]) -> TableCodec:
    """The codec of parts of documents. people: (n,) whom they are of. tables: of items, whose numbers are parts too."""
    from verosim.codec import TableCodec

    facts, counts = facts_of(frame), {_count(name) for name in tables}
    columns = tuple(
        Column(s.name, "number", "int64", minimum=0) if s.name in counts else guess(s, facts[s.name]) for s in frame
    )
    table = Table(column.name, tuple(replace(c, protect=column.protect) for c in columns))
    return TableCodec(table, k).fit(frame, pl.Series(people))

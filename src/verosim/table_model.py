"""One table, learned: `TableModel`.

    read the rules -> reduce -> encode -> model          fit
    model -> decode -> restore -> hold the rules         blocks

A table's rows come in blocks of `BLOCK`; each draws from its own keyed streams, so that the same seed gives the same
rows for any number of rows asked, any chunk size and any number of workers. A table may be learned, and its rows drawn,
*given* those of another frame, row by row: some of its own columns, a label, a parent's row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, Self, cast

import numpy as np
import polars as pl

from verosim.codec import TableCodec
from verosim.distinct import hashes, with_spare
from verosim.draws import BLOCK, stream
from verosim.errors import (
    ArgumentError,
    ModelFileError,
    RuleError,
)
from verosim.models import Array, Codes, Model, Progress, Start, Starting, State, build, model_class, part
from verosim.rules import Reduction, Rule, Unique, parse, reduce
from verosim.rules.parsing import types_of
from verosim.schema import Table
from verosim.starting import start_of

_TRIES: Final = 1000  # times that rows which break a rule are drawn again
_TRIES_GIVEN: Final = 100  # of a row given another, for which no way may be left to hold the rule
_HOPELESS: Final = 30  # times after which it is clear what share of the rows holds ...
_STUCK: Final = 40  # times after which a key that repeats gets one of those that are left
_RAREST: Final = 0.002  # ... and that it is one with which the block will be full in time
_TRIAL: Final = 64  # rows drawn to see that a model file is whole
_PART: Final = 512  # rows drawn again together, at the least: fewer cost as much. BLOCK is a multiple


@dataclass(frozen=True, slots=True)
class Options:
    """How a dataset is learned. Raises ArgumentError for a value that cannot be."""

    model: str = "auto"  # the engine: one of verosim.models.MODELS
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the engine: fields of the `Options` beside its class
    k: int = 5  # values that fewer people hold are not reproduced
    unit: str | None = None  # the column that says whom a row belongs to; otherwise each row is its own person
    holdout: float = 0.1  # share of the people that the model never sees, kept to measure it
    orphans: str = "error"  # rows whose foreign key names nobody that there is: error, drop, null or keep

    def __post_init__(self) -> None:
        build(self.model, self.settings)
        whole("k", self.k, 1)
        if self.unit is not None and not isinstance(self.unit, str):
            raise ArgumentError(f"unit: the name of a column was wanted, not {self.unit!r}.")
        if isinstance(self.holdout, bool) or not isinstance(self.holdout, int | float) or not 0 <= self.holdout < 1:
            raise ArgumentError(f"holdout is a share of the rows, from 0 to below 1, not {self.holdout!r}.")
        if self.orphans not in ("error", "drop", "null", "keep"):
            raise ArgumentError(f"orphans: error, drop, null or keep was wanted, not {self.orphans!r}.")


def whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least `least`, or an ArgumentError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ArgumentError(f"{name}: a whole number of {least} or more was wanted, not {value!r}.")
    return int(value)


class Wish(Protocol):
    """What must hold in each row: a rule, or what a call asks for. The frame has the given columns beside its own."""

    def check(self, frame: pl.DataFrame) -> pl.Series: ...

    def count(self, frame: pl.DataFrame) -> int: ...


@dataclass(frozen=True, slots=True)
class Given:
    """Rows that others are learned given: a frame, and what its columns mean.

    A column that the learned table has as well is not drawn, but taken over from here.
    """

    frame: pl.DataFrame
    table: Table


@dataclass(frozen=True, slots=True)
class _Beside:
    """The given rows of a block, and how the model sees them: None where it does not."""

    frame: pl.DataFrame
    codes: Codes | None

    def take(self, rows: Array) -> _Beside:
        return _Beside(self.frame[rows], self.codes.take(rows) if self.codes else None)


class TableModel:
    """One table, learned: rules, codec and model. known: the codec of given rows, where it was learned given some."""

    def __init__(
        self,
        reduction: Reduction,
        codec: TableCodec,
        model: Model,
        order: Array,
        rows: int,
        known: TableCodec | None = None,
    ) -> None:
        self.table, self.reduction, self.codec, self.model = reduction.original, reduction, codec, model
        self.order = order  # (fields,) which field of the codec the model sees first, second ...
        self.rows = rows  # of the real table, hold-out included
        self.known = known
        self.temperature = 1.0
        self.row_rules: tuple[Wish, ...] = tuple(r for r in reduction.remaining if not isinstance(r, Unique))
        self.unique_rules = tuple(r for r in reduction.remaining if isinstance(r, Unique))

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        table: Table,
        options: Options,
        seed: int,
        real_rows: int,
        progress: Progress,
        given: Given | None = None,
        start: pl.DataFrame | None = None,
        people: pl.Series | None = None,
    ) -> Self:
        """given: as many rows as `frame`, given which those are learned. start: another table's rows, learned first.

        people: whom each row belongs to, where it is no column of the frame.
        """
        unit = frame[options.unit] if options.unit in frame.columns else people
        taken = {*given.table.names} if given else set[str]()
        reduced, reduction = reduce(frame, rules_of(table), table, k=options.k, keep=taken & {*table.names})
        drawn = _without(reduction.table, taken)
        codec = TableCodec(drawn, options.k).fit(reduced.select(drawn.names), unit)
        known = TableCodec(given.table, options.k).fit(given.frame, people) if given else None
        codes = known.encode(given.frame) if known and given else None
        first = {name: place for place, name in enumerate(drawn.order)}
        order = np.argsort([first.get(owner, len(first)) for owner in codec.owners], kind="stable")
        rows = _in_order(codec.encode(reduced.select(drawn.names)), order)
        model, rng = build(options.model, options.settings), stream(seed, table.name, "fit")
        if start is None:
            model.fit(rows, codes, rng, progress)
        else:
            built = tuple(rule for rule in rules_of(table) if rule not in reduction.remaining)
            before = start_of(start, frame, reduction, built, codec, stream(seed, table.name, "start"))
            before = Start(_in_order(before.rows, order), before.unknown[:, order])
            cast(Starting, model).fit(rows, codes, rng, progress, start=before)
        return cls(reduction, codec, model, order, real_rows, known)

    def directed(self, *wishes: Wish, temperature: float = 1.0) -> Self:
        """The same model, whose rows hold these wishes too and are drawn at this temperature."""
        new = copy(self)
        new.row_rules, new.temperature = (*self.row_rules, *wishes), temperature
        return new

    def unruled(self) -> Self:
        """The same model, whose rows may break the rules that are not held by construction."""
        new = copy(self)
        new.row_rules = new.unique_rules = ()
        return new

    @property
    def notes(self) -> list[str]:
        """What was protected, merged or mended while it was learned."""
        return [*self.codec.notes, *getattr(self.model, "notes", ())]

    def explain(self) -> dict[str, str]:
        """For each field, how the model draws it."""
        return self.model.explain()

    # ------------------------------------------------------------------------------------------------ drawing

    def blocks(self, rows: int, seed: int, drawn: Iterable[pl.DataFrame] | None = None) -> Iterator[pl.DataFrame]:
        """The first `rows` rows, block by block. drawn: the blocks, where others draw them (workers.py)."""
        return blocks(lambda number: self, rows, seed, drawn)

    def block(
        self,
        number: int,
        seed: int,
        asked: int = BLOCK,
        given: pl.DataFrame | None = None,
        first: int | None = None,
    ) -> pl.DataFrame:
        """Rows number * BLOCK and after, at most `asked` of them, which hold every rule but uniqueness.

        given: the given rows of the block, at most BLOCK: it has as many. first: the number of its first row, where
        blocks are not all of one size.
        """
        rows = (number * BLOCK if first is None else first) + np.arange(BLOCK if given is None else given.height)
        asked = min(asked, len(rows))
        return self._holding(rows, self._beside(given), np.arange(asked), seed, number).head(asked)

    def trial(self, seed: int) -> pl.DataFrame:
        """A few rows, whatever rules they break."""
        frame = self._draw(np.arange(_TRIAL), None, seed, "trial")
        _holds(frame, self.row_rules)
        _repeats(frame, self.unique_rules, [set() for _ in self.unique_rules])
        return frame

    def _beside(self, given: pl.DataFrame | None) -> _Beside | None:
        return None if given is None else _Beside(given, self.known.encode(given) if self.known else None)

    def _draw(self, rows: Array, beside: _Beside | None, seed: int, *key: int | str) -> pl.DataFrame:
        """Rows of these numbers (n,), with the given columns beside their own."""
        rng = stream(seed, self.table.name, *key)
        codes = self.model.sample(len(rows), beside.codes if beside else None, rng, self.temperature)
        frame = self.codec.decode(_in_order(codes, np.argsort(self.order)), rows, rng, seed)
        if beside is None:
            return self.reduction.restore(frame)
        given = beside.frame.get_columns()
        return self.reduction.restore(frame.with_columns(given)).with_columns(given)

    def _holding(self, rows: Array, beside: _Beside | None, needed: Array, seed: int, *key: int | str) -> pl.DataFrame:
        """Rows of these numbers (n,); those that break a rule are drawn again, each in its place.

        needed: the places whose rows must hold. The others are drawn again with them, so that a row is the same
        whatever is needed beside it.
        """
        frame = self._draw(rows, beside, seed, *key, "rows", 0)
        parts, where, todo = [frame], np.arange(len(rows)), np.flatnonzero(~_holds(frame, self.row_rules))
        n_drawn, n_good = len(rows), len(rows) - len(todo)
        for attempt in range(1, 1 + (_TRIES_GIVEN if beside else _TRIES)):
            if not np.isin(needed, todo).any():
                return (pl.concat(parts)[where] if len(parts) > 1 else frame).select(self.table.names)
            if attempt > _HOPELESS and n_good < _RAREST * n_drawn:
                break
            wanted = np.tile(todo, -(-min(BLOCK, _PART * attempt) // len(todo)))
            frame = self._draw(rows[wanted], beside.take(wanted) if beside else None, seed, *key, "rows", attempt)
            held = np.flatnonzero(_holds(frame, self.row_rules))
            place, first = np.unique(wanted[held], return_index=True)
            where[place] = sum(map(len, parts)) + np.arange(len(place))
            parts.append(frame[held[first]])
            todo = np.setdiff1d(todo, place, assume_unique=True)
            n_drawn, n_good = n_drawn + len(wanted), n_good + len(held)
        worst = max(self.row_rules, key=lambda rule: rule.count(frame))
        broken = f"{1 - n_good / n_drawn:.2%} of the {n_drawn:,} rows drawn broke the rules"
        if beside:
            broken += f", and all drawn for row {rows[needed[np.isin(needed, todo)][0]]:,} of those given"
        raise RuleError(
            f"table {self.table.name!r}: the rule `{worst}` cannot be held: {broken}. "
            "Loosen it, or learn from data in which more rows hold it."
        )

    def without_repeats(
        self,
        frame: pl.DataFrame,
        number: int,
        seen: list[set[int]],
        seed: int,
        given: pl.DataFrame | None,
        first: int | None = None,
    ) -> pl.DataFrame:
        """The first rows of a block; those that repeat an earlier row, where a rule says unique, are drawn again.

        A row is replaced only for the sake of rows before it, by rows drawn for its number: so the rows after it, and
        whether they are asked for, change nothing. seen: for each rule what the blocks before hold; is added to.
        """
        beside = self._beside(given) if self.unique_rules else None
        begin = number * BLOCK if first is None else first
        for attempt in range(_TRIES):
            bad = np.flatnonzero(_repeats(frame, self.unique_rules, seen))
            if not len(bad):
                for known, (keys, complete) in zip(seen, _keys(frame, self.unique_rules), strict=True):
                    known.update(keys[complete].tolist())
                return frame
            parts = np.unique(bad // _PART)
            others = []
            for piece in parts.tolist():
                places = np.arange(piece * _PART, min((piece + 1) * _PART, BLOCK if given is None else given.height))
                needed = bad[bad // _PART == piece] % _PART
                own = beside.take(places) if beside else None
                others.append(self._holding(begin + places, own, needed, seed, number, "again", piece, attempt))
            order = np.arange(frame.height)
            order[bad] = frame.height + np.searchsorted(parts, bad // _PART) * _PART + bad % _PART
            frame = pl.concat([frame, *others])[order]
            if attempt == _STUCK:
                frame = self._with_spare(frame, seen, stream(seed, self.table.name, number, "spare"))
        named, made = ", ".join(map(str, self.unique_rules)), begin + int(bad[0])
        raise RuleError(
            f"table {self.table.name!r}: no new values are left for the rule `{named}` after {made:,} rows. "
            "Ask for fewer rows, or leave the rule out."
        )

    def _with_spare(self, frame: pl.DataFrame, seen: list[set[int]], rng: np.random.Generator) -> pl.DataFrame:
        """The frame with keys that are left in the rows that still repeat one, where all rows then hold the rules."""
        for rule, known in zip(self.unique_rules, seen, strict=True):
            missing = frame.select(rule.columns).null_count().sum_horizontal().item()
            repeated = not missing and _repeats(frame, [rule], [known]).any()
            other = with_spare(frame, rule.columns, self.table, known, rng) if repeated else None
            if other is not None and _holds(other, self.row_rules).all():
                frame = other
        return frame

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        codec, codec_arrays = self.codec.state()
        model, model_arrays = self.model.state()
        meta: dict[str, Any] = {"reduction": self.reduction.to_dict(), "codec": codec, "model": model}
        meta |= {"order": self.order.tolist(), "rows": self.rows}
        arrays = {f"codec/{name}": a for name, a in codec_arrays.items()}
        arrays |= {f"model/{name}": a for name, a in model_arrays.items()}
        if self.known:
            meta["known"], known_arrays = self.known.state()
            arrays |= {f"known/{name}": a for name, a in known_arrays.items()}
        return meta, arrays

    @classmethod
    def restore(cls, engine: str, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> TableModel:
        """What `state` gave, checked. Raises ModelFileError."""
        reduction = Reduction.from_dict(meta["reduction"])
        codec = TableCodec.restore(meta["codec"], part(arrays, "codec/"))
        model = model_class(engine).restore(meta["model"], part(arrays, "model/"))
        known = TableCodec.restore(meta["known"], part(arrays, "known/")) if "known" in meta else None
        order = np.array(meta["order"], np.int64)
        taken = {*known.table.names} if known else set[str]()
        if sorted(order) != list(range(len(codec.fields))) or codec.table != _without(reduction.table, taken):
            raise ModelFileError("the parts of the model do not fit each other.")
        none = known.encode(pl.DataFrame(schema=types_of(known.table))) if known else None
        drawn = model.sample(0, none, stream(0)).fields
        if [(f.name, f.levels, f.marks) for f in drawn] != [
            (f.name, f.levels, f.marks) for f in (codec.fields[i] for i in order)
        ]:
            raise ModelFileError("the model does not draw what the codec reads.")
        return cls(reduction, codec, model, order, whole("rows", meta["rows"], 0), known)


def blocks(
    model_of: Callable[[int], TableModel],
    rows: int,
    seed: int,
    drawn: Iterable[pl.DataFrame] | None = None,
    given: Callable[[int], pl.DataFrame] | None = None,
) -> Iterator[pl.DataFrame]:
    """The first `rows` rows, each block by the model for its number, given the rows for its number.

    drawn: the blocks, where others draw them (workers.py).
    """
    numbers, seen = range(-(-rows // BLOCK)), list[set[int]]()
    ready = iter(drawn) if drawn is not None else None
    for number in numbers:
        model, beside = model_of(number), given(number) if given else None
        seen = seen or [set() for _ in model.unique_rules]
        frame = next(ready) if ready else model.block(number, seed, rows - number * BLOCK, beside)
        yield model.without_repeats(frame, number, seen, seed, beside) if seen else frame


def _without(table: Table, names: Collection[str]) -> Table:
    """The table without these columns and its rules."""
    columns = tuple(c for c in table.columns if c.name not in names)
    key, order = (tuple(n for n in of if n not in names) for of in (table.primary_key, table.order))
    return replace(table, columns=columns, primary_key=key, order=order, rules=())


def _in_order(codes: Codes, order: Array) -> Codes:
    """The same rows with the fields in another order."""
    return Codes(tuple(codes.fields[i] for i in order), tuple(codes.arrays[i] for i in order), codes.n)


def _holds(frame: pl.DataFrame, rules: Iterable[Wish]) -> Array:
    """(n,) which rows hold all rules."""
    good = np.ones(frame.height, bool)
    for rule in rules:
        good &= rule.check(frame).to_numpy()
    return good


def _keys(frame: pl.DataFrame, rules: Iterable[Unique]) -> Iterator[tuple[Array, Array]]:
    """For each rule: a hash of each row's values, and whether none of them is missing."""
    for rule in rules:
        chosen = frame.select(rule.columns)
        complete = chosen.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
        yield hashes(chosen), complete.to_numpy()


def _repeats(frame: pl.DataFrame, rules: Iterable[Unique], seen: Iterable[set[int]]) -> Array:
    """(n,) which rows repeat an earlier row of the frame, or one already seen."""
    bad = np.zeros(frame.height, bool)
    for known, (keys, complete) in zip(seen, _keys(frame, rules), strict=True):
        again = np.ones(frame.height, bool)
        again[np.unique(keys, return_index=True)[1]] = False
        if known:
            again |= np.fromiter((key in known for key in keys.tolist()), bool, len(keys))
        bad |= again & complete
    return bad


def rules_of(table: Table) -> tuple[Rule, ...]:
    """The table's rules, and what its key and unique columns say; ids and unique people are made so."""
    rules = parse(table.rules, table)
    made = {c.name for c in table.columns if c.kind == "id" or (c.kind == "personal" and c.unique)}
    keys = {table.primary_key, *((c.name,) for c in table.columns if c.unique)} - {()}
    held = {rule.of for rule in rules if isinstance(rule, Unique)}
    return (*rules, *(Unique(of=key) for key in sorted(keys - held) if not made & {*key}))


def people_of(frame: pl.DataFrame, unit: str | None) -> Array:
    """(n,) whom each row belongs to, numbered from 0; rows of nobody belong to one."""
    if unit is None or unit not in frame.columns:
        return np.arange(frame.height)
    text = frame[unit].cast(pl.String) if isinstance(frame[unit].dtype, pl.Categorical | pl.Enum) else frame[unit]
    people = text.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    return people - people.min(initial=len(people))

"""Children drawn family by family: the rows of one owner together, in blocks, in their order of time or one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl

from verosim.distinct import with_spare
from verosim.draws import BLOCK, stream
from verosim.errors import RuleError
from verosim.keys import NONE, Ints
from verosim.relational.context import given, of_owner, places, with_before
from verosim.relational.learned import Learned
from verosim.rules.parsing import types_of
from verosim.sequences.keyed import TOGETHER
from verosim.sequences.owned import Owned
from verosim.table_model import TableModel

LONG: Final = 256  # siblings that are drawn one after the other, each given the one before
TRIES: Final = 40  # times that rows which repeat a sibling's key are drawn again, before they get what is left


@dataclass(frozen=True, slots=True)
class Families:
    """The rows of one table, by whom they belong to."""

    learned: Learned
    owners: Ints  # (n,) the number of each row's owner, side by side; NONE for rows of nobody
    profile: pl.DataFrame  # of all owners: their own columns ...
    over: pl.DataFrame  # ... those of their owners ...
    summaries: pl.DataFrame  # ... and what their rows have in common

    def blocks(self, seed: int) -> Iterator[tuple[int, Ints, Ints, pl.DataFrame]]:
        """Block by block: the number of the first row; owners (m,); places among the siblings (m,); the rows."""
        learned = self.learned
        assert learned.known is not None
        unique = learned.model.unique_rules if isinstance(learned.model, TableModel) else ()
        seen: list[set[int]] = [set() for _ in unique]
        for number, (first, last) in enumerate(_cuts(self.owners, isinstance(learned.model, Owned))):
            mine = self.owners[first:last]
            place = places(mine, np.arange(len(mine)))
            context = given(learned.known, self.profile, self.over, self.summaries, mine, place)
            if learned.model is None:
                (frame,) = bare(len(mine))
            elif isinstance(learned.model, Owned):
                frame = learned.model.draw(mine, of_owner(context, learned.known), seed, number, first)
            else:
                one = _Block(learned, learned.model, seed, number, first)
                frame, context = one.rows(context, np.where(mine < 0, 0, place))
                if seen:
                    frame = learned.model.without_repeats(frame, number, seen, seed, context, first)
                frame = one.distinct(frame, mine, context)
            yield first, mine, place, _ordered(frame, mine, place, learned)


def bare(n: int) -> Iterator[pl.DataFrame]:
    """Blocks of n rows that have keys only: of a column that no table has, for a frame without any has no rows."""
    yield from (pl.DataFrame({"": np.zeros(min(BLOCK, n - i), np.int8)}) for i in range(0, n, BLOCK))


def _cuts(owners: Ints, whole: bool = False) -> Iterator[tuple[int, int]]:
    """Where blocks of at most BLOCK rows begin and end, between families where they fit. owners: (n,) side by side.

    whole: no family is parted, however large; blocks are larger, for sequences go on together, step by step.
    """
    first, n, size = 0, len(owners), TOGETHER if whole else BLOCK
    new = np.diff(owners, prepend=-9) != 0
    starts = np.append(np.flatnonzero(new | (owners < 0) if whole else new), n)
    while first < n:
        fits = starts[np.searchsorted(starts, first + size, "right") - 1]
        last = int(fits) if fits > first else min(first + size, n)
        if whole and fits <= first:
            last = int(starts[np.searchsorted(starts, first, "right")])
        yield first, last
        first = last


@dataclass(frozen=True, slots=True)
class _Block:
    """One block, being drawn."""

    learned: Learned
    model: TableModel
    seed: int
    number: int
    first: int  # the number of its first row

    def rows(self, context: pl.DataFrame, place: Ints) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows, and what they are drawn given; where that is the sibling before as well, all first siblings, then
        all second ones, and so on."""
        known = self.learned.known
        if known is None or not known.before:
            return self.model.block(self.number, self.seed, given=context, first=self.first), context
        frames, contexts, done = list[pl.DataFrame](), list[pl.DataFrame](), 0
        at = np.full(len(place), NONE)  # where a row stands among those of the turn before
        drawn = pl.DataFrame(schema=types_of(self.learned.table))
        turns = list(_turns(place))
        for turn, mine in enumerate(turns):
            last = np.where(place[mine] > 0, at[mine - 1], NONE)
            contexts.append(with_before(known, context[mine], drawn, last))
            number = self.number + (turn << 40)  # a stream of its own
            drawn = self.model.block(number, self.seed, given=contexts[-1], first=self.first + done)
            drawn = _after(drawn, contexts[-1], self.learned)
            frames.append(drawn)
            at[:], at[mine] = NONE, np.arange(len(mine))
            done += len(mine)
        whole, order = pl.concat(frames), np.argsort(np.concatenate(turns))
        return _with_ids(whole[order], whole, self.learned), pl.concat(contexts)[order]

    def distinct(self, frame: pl.DataFrame, owners: Ints, context: pl.DataFrame) -> pl.DataFrame:
        """The rows, those of one owner apart in what tells them apart by the primary key, as the days of a panel: rows
        that repeat another's are drawn again, and in the end get what is left."""
        names = self.learned.distinct
        for attempt in range(TRIES if names else 0):
            key = frame.select(names).with_columns(pl.Series("owner of the row", owners))
            bad = np.flatnonzero(~key.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy())
            if not len(bad):
                return frame
            if attempt == TRIES - 1:
                return self._spare(frame, owners, np.unique(owners[bad]))
            seed = int(stream(self.seed, self.learned.table.name, self.number, "distinct", attempt).integers(2**62))
            again = self.model.block(self.number, seed, given=context[bad], first=self.first)
            order = np.arange(frame.height)
            order[bad] = frame.height + np.arange(len(bad))
            frame = pl.concat([frame, _with_ids(again, frame[bad], self.learned)])[order]
        return frame

    def _spare(self, frame: pl.DataFrame, owners: Ints, some: Ints) -> pl.DataFrame:
        """The rows, those of some owners with what is left of the key by which the rows of one are told apart."""
        names, table = self.learned.distinct, self.learned.table
        rng = stream(self.seed, table.name, self.number, "spare")
        for owner in some.tolist():
            mine = np.flatnonzero(owners == owner)
            family = with_spare(frame[mine], names, table, (), rng)
            if family is None:
                raise RuleError(
                    f"table {table.name!r}: no new values of {', '.join(names)} are left, by which the rows of one "
                    "owner are told apart. Ask for fewer rows, or for more of the rows that own them."
                )
            frame = frame.with_columns(frame[n].clone().scatter(mine, family[n]) for n in names)
        return frame


def _turns(place: Ints) -> Iterator[Ints]:
    """The rows (n,) by their place among siblings: those of place 0, of place 1, ...; past LONG many places at once."""
    order, last = np.argsort(place, kind="stable"), int(place.max(initial=0)) + 1
    starts = np.searchsorted(place[order], [*range(min(last, LONG)), *range(LONG, last, LONG), last])
    yield from (order[a:b] for a, b in pairwise(starts.tolist()) if b > a)


def _after(frame: pl.DataFrame, context: pl.DataFrame, learned: Learned) -> pl.DataFrame:
    """The rows with their times: that of the row before, and the gap."""
    if not learned.gap or learned.known is None:
        return frame
    place = learned.known.before.index(learned.order) - len(learned.known.before)
    drawn, last = frame[learned.order], context.to_series(place)
    times = (last.to_physical().cast(pl.Int64) + frame[learned.gap]).cast(drawn.to_physical().dtype).cast(drawn.dtype)
    return frame.with_columns(times.zip_with(times.is_not_null(), drawn).alias(learned.order))


def _ordered(frame: pl.DataFrame, owners: Ints, place: Ints, learned: Learned) -> pl.DataFrame:
    """The rows in their order of time, where they have one."""
    if learned.grid:
        return _on_grid(frame, place, *learned.grid)
    return _by_time(frame, owners, learned) if learned.order and learned.order in frame.columns else frame


def _on_grid(frame: pl.DataFrame, place: Ints, column: str, step: int) -> pl.DataFrame:
    """The times of each owner's rows from that of its first row (place 0) on, by equal steps."""
    series = frame[column]
    first = np.maximum.accumulate(np.where(place == 0, np.arange(len(place)), 0))
    times = series.to_physical().cast(pl.Int64).gather(first) + pl.Series(place * step)
    return frame.with_columns(times.cast(series.to_physical().dtype).cast(series.dtype).alias(column))


def _by_time(frame: pl.DataFrame, owners: Ints, learned: Learned) -> pl.DataFrame:
    """The rows of each owner in the order of time; ids stay where they are, and all else but the time where each row
    was drawn given the one before."""
    order = np.lexsort((frame[learned.order].rank("ordinal").fill_null(0).to_numpy(), owners))
    if learned.gap:
        return frame.with_columns(frame[learned.order][order])
    return _with_ids(frame[order], frame, learned)


def _with_ids(frame: pl.DataFrame, other: pl.DataFrame, learned: Learned) -> pl.DataFrame:
    """The frame with the ids of another one: rows move, ids do not."""
    ids = [c.name for c in learned.table.columns if c.kind == "id" and c.name in frame.columns]
    return frame.with_columns(other[name] for name in ids)

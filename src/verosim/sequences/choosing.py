"""Sequences of the kinds that a call asks for, whole: conditions, balance, edges and parity.

What is the same in a whole sequence is asked of the row a key, as of the rows of any table (control/). A condition on
columns that change asks for sequences in which at least one row meets it: sequences are drawn until they do, and where
such are rare, they are learned by themselves first, from those that the model draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.control import Control, Controlled, conditions, derived
from verosim.control.conditions import Condition
from verosim.errors import ArgumentError, RuleError
from verosim.models import Array
from verosim.sequences.keyed import Keyed
from verosim.sequences.order import sequence_of
from verosim.sequences.walk import Asked
from verosim.table_model import Options

SEED: Final = 0  # of what is drawn to learn from: the same for every call
LOOKED: Final = 100_000  # rows, in which sequences that meet a condition are counted first ...
FURTHER: Final = 16  # ... and so many times more where they are rare
RARE: Final = 0.05  # share of the sequences, below which those that meet a condition are learned by themselves
ENOUGH: Final = 300  # of them, from which they are learned; more are not looked for
FEWEST: Final = 20  # from fewer nothing can be learned
TRIES: Final = 200  # times that the sequence of a key that stays is drawn again
OPTIONS: Final = Options("chain", {"min_leaf": 10}, k=1, holdout=0.0)  # drawn rows are nobody's


@dataclass(frozen=True, slots=True)
class Kinds:
    """What is asked of the row a key, and what of the rows: None where nothing is."""

    cases: Control
    rows: Condition | None

    @classmethod
    def of(cls, control: Control, form: Keyed) -> Kinds:
        """Raises ArgumentError for what cannot be asked of sequences."""
        same = _same(form)
        for what, names in (("balance", _names(control.balance)), ("fair", _names(control.fair, deep=True))):
            changing = next((name for name in names if name not in same and name in form.table.names), None)
            if changing is not None:
                raise ArgumentError(
                    f"{what}: {changing!r} changes within a sequence, or follows from its rows; {what} is asked of "
                    f"what is the same in a whole one: {', '.join(same) or 'there is nothing here'}."
                )
        if control.where is None:
            return cls(control, None)
        asked = conditions.parse(control.where, form.table)
        if {*asked.columns} <= {*same}:
            return cls(control, None)
        if control.balance is not None or control.edges is not None or control.fair is not None:
            changing = next(name for name in asked.columns if name not in same)
            raise ArgumentError(
                f"where: {changing!r} changes within a sequence; such a condition is asked by itself, without balance, "
                "edges and fair."
            )
        told = {n: v for n, v in control.where.items() if n in same} if isinstance(control.where, Mapping) else {}
        return cls(replace(control, where=told or None), asked)


class Choosing:
    """Sequences of one fitted table, drawn as asked. What is learned for one call is kept for the next that asks it."""

    def __init__(self, form: Keyed) -> None:
        self.form = form
        self.controlled = Controlled(form.cases, SEED) if form.cases is not None else None
        self._forms: dict[str, Keyed] = {}  # condition -> where sequences that meet it come from

    @property
    def effects(self) -> tuple[str, ...]:
        return self.controlled.effects if self.controlled is not None else ()

    def draw(
        self, control: Control, asked: Asked, sequences: int | None, rows: int | None, seed: int
    ) -> Iterator[pl.DataFrame]:
        """So many whole sequences, or so many rows, of the kinds asked for."""
        kinds = Kinds.of(control, self.form)
        if self.controlled is None:
            return self._of_names(kinds, control, asked, sequences, rows, seed)
        if kinds.cases.any:
            next(self._cases(kinds.cases, SEED))  # what cannot be is said now, not with the first row
            asked = replace(asked, source=lambda seed: self._cases(kinds.cases, seed))
        if kinds.rows is None:
            if sequences is not None:
                return self.form.whole(sequences, seed, asked)
            return self.form.blocks(rows or self.form.rows, seed, asked)
        return self._meeting(kinds.rows, asked, sequences, rows or self.form.rows, seed)

    def _cases(self, control: Control, seed: int) -> Iterator[pl.DataFrame]:
        """Rows a key as asked, without end."""
        assert self.controlled is not None
        return self.controlled.blocks(control, 2**40, seed)

    def _meeting(
        self, condition: Condition, asked: Asked, sequences: int | None, rows: int, seed: int
    ) -> Iterator[pl.DataFrame]:
        form = self._form(condition, asked)
        drawn = (_met(frame, condition, form)[0] for frame in form.whole(None, seed, asked))
        return _first(drawn, form, sequences, rows)

    def _form(self, condition: Condition, asked: Asked) -> Keyed:
        """Where sequences that meet a condition come from: the model itself, or one of such sequences alone."""
        key = f"{condition.text} {asked.length}"
        if key not in self._forms:
            self._forms[key] = self._found(condition, asked)
        return self._forms[key]

    def _found(self, condition: Condition, asked: Asked) -> Keyed:
        pool, good, looked = list[pl.DataFrame](), 0, 0
        seed, seen = derived(SEED, "sequences that meet"), 0
        for frame in self.form.whole(None, seed, asked):
            if not looked:
                condition.refuse_unknown(frame)
            some, n, met = _met(frame, condition, self.form)
            pool.append(some)
            good, looked, seen = good + met, looked + n, seen + frame.height
            if good >= ENOUGH or seen >= LOOKED * (1 if good >= RARE * looked else FURTHER):
                break
        if good < FEWEST:
            raise RuleError(
                f"table {self.form.table.name!r}: {good:,} of {looked:,} sequences that the model draws have a "
                f"row that meets `{condition.text}`: too few to learn from. Ask for less at once, or for a wider range."
            )
        if good >= RARE * looked:
            return self.form
        return Keyed.fit(pl.concat(pool), self.form.table, OPTIONS, SEED)

    # ------------------------------------------------------------------------------------- few keys, which stay

    def _of_names(
        self, kinds: Kinds, control: Control, asked: Asked, sequences: int | None, rows: int | None, seed: int
    ) -> Iterator[pl.DataFrame]:
        """The keys that are asked for; where rows are to meet a condition, each is drawn until it does."""
        if control.balance is not None or control.edges is not None or control.fair is not None:
            raise ArgumentError(
                f"table {self.form.table.name!r} has few keys, which stay as they are: balance, edges and fair have "
                "nothing to choose among. Ask for some of the keys with `where`."
            )
        form = _narrowed(self.form, kinds)
        if kinds.rows is None:
            if sequences is not None:
                return form.whole(sequences, seed, asked)
            return form.blocks(rows or form.rows, seed, asked)
        drawn = _until_met(form, kinds.rows, asked, rows or 0, seed)
        return _first(drawn, form, sequences, rows or form.rows)


def _narrowed(form: Keyed, kinds: Kinds) -> Keyed:
    """The same model, of those keys alone that are asked for."""
    if kinds.cases.where is None:
        return form
    assert form.roster is not None
    asked = conditions.parse(kinds.cases.where, form.table)
    kept = asked.mask(form.roster)
    if not kept.any():
        asked.refuse_unknown(form.roster)
        raise ArgumentError(f"where: none of the {form.roster.height} keys meets `{asked.text}`.")
    new = copy(form)
    new.roster, new.sequences = form.roster.filter(pl.Series(kept)), int(kept.sum())
    new.rows = max(1, round(form.rows * new.sequences / max(form.sequences, 1)))
    return new


def _until_met(form: Keyed, condition: Condition, asked: Asked, rows: int, seed: int) -> Iterator[pl.DataFrame]:
    """The sequences of all keys that stay, each drawn until one of its rows meets the condition."""
    key, found = str(sequence_of(form.table).key), list[pl.DataFrame]()
    todo = copy(form)
    assert form.roster is not None
    left = form.roster
    left = form.roster
    for attempt in range(TRIES):
        todo.roster = left
        for frame in todo.whole(None, derived(seed, "until met", attempt), asked, rows):
            found.append(_met(frame, condition, form)[0])
        done = pl.concat(found)[key].unique().implode()
        left = form.roster.filter(~pl.col(key).is_in(done))
        if not left.height:
            sequences = {name: frame for (name,), frame in pl.concat(found).group_by(key)}
            return iter([pl.concat([sequences[name] for name in form.roster[key]])])
    condition.refuse_unknown(frame)
    raise RuleError(
        f"table {form.table.name!r}: no row of {left[key][0]!r} met `{condition.text}` in {TRIES} drawn "
        "sequences. Ask for a wider range, or for other keys."
    )


def _met(frame: pl.DataFrame, condition: Condition, form: Keyed) -> tuple[pl.DataFrame, int, int]:
    """The sequences of which a row meets the condition -> how many there were, and how many did."""
    number = _numbers(frame, form)
    n = int(number[-1]) + 1 if len(number) else 0
    met = np.zeros(n, bool)
    met[number[condition.mask(frame)]] = True
    return frame.filter(pl.Series(met[number], dtype=pl.Boolean)), n, int(met.sum())


def _numbers(frame: pl.DataFrame, form: Keyed) -> Array:
    """(n,) which sequence each row of a frame of whole ones belongs to."""
    return np.asarray(frame[str(sequence_of(form.table).key)].rle_id().to_numpy())


def _first(frames: Iterator[pl.DataFrame], form: Keyed, sequences: int | None, rows: int) -> Iterator[pl.DataFrame]:
    """The first whole sequences, or rows, of endless ones."""
    done = 0
    for frame in frames:
        numbers = _numbers(frame, form)
        taken = (
            frame.head(rows - done)
            if sequences is None
            else frame.head(int(np.searchsorted(numbers, sequences - done)))
        )
        done += taken.height if sequences is None else int(numbers[-1]) + 1 if len(numbers) else 0
        yield taken
        if done >= (rows if sequences is None else sequences):
            return


def _same(form: Keyed) -> list[str]:
    """The columns that are the same in a whole sequence, and may be asked for; the key where the keys stay. What
    follows from the rows is made after them, and so is met as a column that changes."""
    said = sequence_of(form.table)
    statics = (name for name in said.statics if name not in form.derived.columns)
    return [*statics, *([str(said.key)] if form.roster is not None else [])]


def _names(asked: Any, deep: bool = False) -> list[str]:
    """The columns that a balance, or a parity, names; anything else is refused where it is read."""
    if isinstance(asked, str):
        return [asked]
    if not isinstance(asked, Mapping):
        return []
    inner = [n for v in asked.values() for n in ([v] if isinstance(v, str) else v if isinstance(v, list) else [])]
    return [*map(str, asked), *(map(str, inner) if deep else [])]

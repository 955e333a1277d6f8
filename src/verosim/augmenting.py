"""Real rows plus synthetic ones, to balance classes or to reach a size, with the gain that they bring measured.

real -> split -> learn the train part -> draw -> score on the unseen part       several times over: the gain
real -> learn all of it -> draw -> real and synthetic rows together             the result
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from verosim import files
from verosim.control import derived
from verosim.databases import shown
from verosim.draws import stream
from verosim.errors import ArgumentError, did_you_mean
from verosim.evaluation.columns import compare
from verosim.evaluation.gain import Gain, gains
from verosim.evaluation.targets import has_classes, score
from verosim.models import Progress, silent
from verosim.run import SEED, Opened, described, open_data
from verosim.schema import Schema
from verosim.synthesizer import Synthesizer
from verosim.table_model import Options, people_of, whole
from verosim.targets import beside, check_place, check_targets, put

MEASURED: Final = 20_000  # real rows that the gain is measured with, at most
UNSEEN: Final = 0.3  # share of them that a split tests on


@dataclass(frozen=True, slots=True)
class Augmented:
    """Real rows, then synthetic ones, as the kind of frame that came in; and what the synthetic ones are worth."""

    frame: Any
    n_real: int
    n_synthetic: int
    gains: tuple[Gain, ...]
    dataset: Mapping[str, pl.DataFrame]  # the frame as polars, by the name of its table
    layout: files.Layout | None = None  # of the file that was read

    @property
    def rows(self) -> dict[str, int]:
        """How many rows there are of each."""
        return {"real": self.n_real, "synthetic": self.n_synthetic}

    def summary(self) -> str:
        """What was added, and each gain in a line."""
        added = f"{self.n_real:,} real rows and {self.n_synthetic:,} synthetic ones"
        return "\n".join([added, *map(str, self.gains)])


def augment(
    data: Any,
    target: str,
    *,
    rows: int | None = None,
    balance: bool = True,
    splits: int = 5,
    schema: Schema | str | Path | None = None,
    seed: int = SEED,
    options: Options | None = None,
    progress: Progress = silent,
) -> Augmented:
    """Real rows plus synthetic ones, for a set that is small or unbalanced, and the gain on real rows never seen.

    data: one table, as a frame or a file's path. target: the column to be predicted. rows: how many rows together; by
    default as many as bring each class to the size of the largest, or twice the real ones. balance: whether classes get
    equal sizes, where the target has classes. splits: how often the gain is measured; 0: not. Raises ArgumentError.
    """
    opened = open_data(data)
    if len(opened.dataset) != 1:
        raise ArgumentError(f"one table was wanted, not {len(opened.dataset)}.")
    ((name, frame),) = opened.dataset.items()
    if target not in frame.columns:
        raise ArgumentError(f"target: no column {target!r}; {did_you_mean(target, frame.columns)}")
    whole("splits", splits, 0)
    if rows is not None and whole("rows", rows, 0) <= frame.height:
        raise ArgumentError(f"rows: real and synthetic together, more than the {frame.height:,} real ones.")
    path = _Path(name, described(opened, schema), target, rows and rows / frame.height, balance, options)
    measured = _measured(path, frame, splits, seed, progress) if splits else ()
    progress(0.8, "learning all rows")
    synthetic = path.drawn(frame, seed)
    together = pl.concat([frame, synthetic])
    progress(1.0, "done")
    return Augmented(
        _left(opened, name, together), frame.height, synthetic.height, measured, {name: together}, opened.layout
    )


def augment_file(
    source: str | Path,
    target: str,
    out: str | Path | None = None,
    *,
    rows: int | None = None,
    balance: bool = True,
    splits: int = 5,
    schema: Schema | str | Path | None = None,
    seed: int = SEED,
    options: Options | None = None,
    progress: Progress = silent,
) -> tuple[Augmented, str]:
    """Augment a file, and write the rows beside it, looking like it. -> what was done, and where the rows are."""
    out = out or beside(source, "augmented")
    check_targets((source, schema), out)
    check_place(out)
    done = augment(
        source, target, rows=rows, balance=balance, splits=splits, schema=schema, seed=seed, options=options,
        progress=progress,
    )  # fmt: skip
    ((name, frame),) = done.dataset.items()
    put({name: frame}, out, done.layout)
    return done, shown(out)


@dataclass(frozen=True, slots=True)
class _Path:
    """How rows are learned and added, the same way for the train part of a split and for all rows."""

    name: str
    schema: Schema
    target: str
    times: float | None  # rows together, as a multiple of the real ones
    balance: bool
    options: Options | None

    def drawn(self, frame: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Synthetic rows to be added to these."""
        options = replace(self.options or Options(), holdout=0.0)
        synthesizer = Synthesizer(options).fit({self.name: frame}, self.schema, seed)
        if not (self.balance and has_classes(frame, self.schema[self.name], self.target)):
            return _rows(synthesizer, self.name, round(frame.height * ((self.times or 2) - 1)), None)
        wanted = self._wanted(frame, options)
        total = sum(wanted.values())
        shares = {self.target: {level: n / total for level, n in wanted.items()}} if total else None
        return _rows(synthesizer, self.name, total, shares)

    def _wanted(self, frame: pl.DataFrame, options: Options) -> dict[Any, int]:
        """How many rows of each class are to be added; none of classes that fewer than k people have."""
        held = frame.select(level=self.target).with_columns(person=people_of(frame, options.unit))
        counts = held.drop_nulls("level").group_by("level").agg(n=pl.len(), people=pl.col("person").n_unique())
        kept = counts.filter(pl.col("people") >= options.k).sort("n", "level", descending=[True, False])
        if kept.is_empty():
            raise ArgumentError(f"target: no class of {self.target!r} is held by {options.k} people.")
        top = kept["n"][0] if self.times is None else frame.height * self.times / kept.height
        return {level: max(0, round(top - n)) for level, n, _ in kept.iter_rows()}


def _rows(synthesizer: Synthesizer, name: str, n: int, balance: Any) -> pl.DataFrame:
    synthesizer.shape = None
    return pl.DataFrame(synthesizer.sample({name: n}, balance=balance)) if n else synthesizer.sample({name: 0})


def _measured(path: _Path, frame: pl.DataFrame, splits: int, seed: int, progress: Progress) -> tuple[Gain, ...]:
    """The gain, from splits of the real rows into those that are learned and those that are predicted."""
    real, augmented = [], []
    people = people_of(frame, path.options.unit if path.options else None)
    for number in range(splits):
        progress(0.8 * number / splits, f"measuring the gain, split {number + 1} of {splits}")
        order = stream(seed, "augment", number).permutation(int(people.max()) + 1)
        unseen = np.isin(people, order[: int(len(order) * UNSEEN)])
        some = stream(seed, "augment", number, "rows").random(frame.height) < MEASURED / frame.height
        train, test = frame.filter(pl.Series(~unseen & some)), frame.filter(pl.Series(unseen & some))
        added, table = path.drawn(train, derived(seed, "augment", number)), path.schema[path.name]
        c = compare(train, test, added, table, seed=seed)
        real.append(score(c, table, path.target, c.train, c.holdout))
        augmented.append(score(c, table, path.target, np.concatenate([c.train, c.synthetic]), c.holdout))
    return gains(real, augmented, UNSEEN / (1 - UNSEEN))


def _left(opened: Opened, name: str, frame: pl.DataFrame) -> Any:
    return opened.shape.leave_table(name, frame) if opened.shape else frame

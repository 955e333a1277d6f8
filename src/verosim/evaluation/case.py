"""What every part of an evaluation is given: the frames, the comparable arrays, and what the user asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim import schema
from verosim.draws import stream
from verosim.evaluation.columns import Comparison, Limits, check, compare, left_out
from verosim.evaluation.report import Findings
from verosim.models import Progress

STRETCHES = 64  # of a long series, which take the place of rows where chance is looked at
WEAK = 100  # hold-out rows: with fewer, every verdict that needs them is weak


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Rows that a model learned from, rows that it never saw, and synthetic ones: whole, and as comparable arrays.

    The frames hold all rows, each with the columns of `table`; the arrays at most as many as the limits allow. The
    hold-out may be empty.
    """

    table: schema.Table
    train: pl.DataFrame
    holdout: pl.DataFrame
    synthetic: pl.DataFrame
    arrays: Comparison
    target: str | None = None  # the column to be predicted
    keys: tuple[str, ...] = ()  # quasi-identifiers: what an attacker may know of a person
    cuts: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)  # role -> rows with a gap before them

    @classmethod
    def of(
        cls,
        train: pl.DataFrame,
        holdout: pl.DataFrame,
        synthetic: pl.DataFrame,
        table: schema.Table,
        *,
        target: str | None = None,
        keys: tuple[str, ...] = (),
        seed: int = 0,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        cuts: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    ) -> Case:
        """Raises DataError where a frame lacks a column of `table`.

        cuts: of sequences out of whose middle rows were held out, the rows of train and hold-out that do not follow
        the one before them; needed where no regular time shows it.
        """
        frames = {"train": train, "holdout": holdout, "synthetic": synthetic}
        check(frames, table)
        limit = max(1, min(limits.rows, limits.cells // max(1, len(table.columns))))
        some = {role: _some(frame, limit, seed, table.name, role) for role, frame in frames.items()}
        arrays = compare(some["train"], some["holdout"], some["synthetic"], table, limits, seed)
        if table.sequence:
            arrays = replace(arrays, groups=_together(list(some.values()), table.sequence))
        return cls(table, train, holdout, synthetic, arrays, target, keys, cuts or {})

    @property
    def rows(self) -> dict[str, int]:
        return {"train": len(self.train), "holdout": len(self.holdout), "synthetic": len(self.synthetic)}

    def chance(self, purpose: str) -> np.random.Generator:
        """The random stream of this purpose: no part's draws change another's."""
        return self.arrays.chance(purpose)

    def notes(self) -> Iterator[str]:
        """What was left out, sampled, or is weak."""
        if self.table.sequence:
            yield "rows follow each other: what takes them for strangers has no verdicts; read those on sequences"
        if out := left_out(self.table):
            named = [f"{name} ({why})" for name, why in out.items()]
            yield f"not compared: {', '.join(named[:8])}{f' and {len(named) - 8:,} more' if len(named) > 8 else ''}"
        if not len(self.holdout):
            yield "no hold-out: no verdict on copying, on attacks or by a detector can be had"
        elif len(self.holdout) < WEAK:
            yield f"the hold-out has only {len(self.holdout):,} rows: verdicts are weak"
        sizes = [(len(getattr(self.arrays, role)), n, role) for role, n in self.rows.items()]
        if sampled := [f"{n:,} of {of:,} {role.replace('holdout', 'hold-out')}" for n, of, role in sizes if n < of]:
            yield f"sampled {', '.join(sampled)} rows; copies are looked for in all"


Part = Callable[[Case, Progress], Findings]


def _together(frames: list[pl.DataFrame], order: schema.Sequence) -> npt.NDArray[np.int64]:
    """(n,) the sequence of each row of the frames, of one long series the stretch of it."""
    out = list[npt.NDArray[np.int64]]()
    for frame in frames:
        if order.key:
            own = frame.get_column(order.key).cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
        else:
            own = np.arange(len(frame)) * STRETCHES // max(1, len(frame))
        out.append(own + (int(out[-1].max(initial=0)) + 1 if out else 0))
    return np.concatenate(out)


def _some(frame: pl.DataFrame, limit: int, seed: int, name: str, role: str) -> pl.DataFrame:
    if len(frame) <= limit:
        return frame
    rows = stream(seed, name, "evaluate", "rows", role).choice(len(frame), limit, replace=False)
    rows.sort()
    return frame[rows]

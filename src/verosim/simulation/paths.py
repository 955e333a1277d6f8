"""Paths: where each case goes, and all that is drawn for it there, before any of them has to wait.

All cases of a batch take their first step together, then those that go on the second, and so on. What a case meets in
the queues does not change its path, only whether and when it gets along: so the paths are drawn by whole columns, and a
question such as "and with four tellers?" is asked of the same customers with the same needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from math import inf
from typing import Final

import numpy as np
import polars as pl

from verosim.draws import BLOCK
from verosim.errors import DataError
from verosim.recipe.nouns import Floats, Ints
from verosim.recipe.running import Run
from verosim.simulation.arrivals import Arrivals, Rows, merged, replayed
from verosim.simulation.plan import CASES, OUT, Model, term

STEPS: Final = 64  # of a path that are drawn at a time
ENDLESS: Final = 1_000  # steps without any service, one after the other, that no case takes who gets anywhere
NO_LIMIT: Final = 2**62


@dataclass
class Visits:
    """Visits, those of a case together and in order: arrays (m,)."""

    case: Ints  # its row in the batch
    station: Ints
    service: Floats
    patience: Floats
    balk: Floats  # so many waiting are too many
    priority: Floats
    take: Floats  # from the stock
    lead: Floats  # of an order that it sets off


OPTIONAL: Final = {"patience": inf, "balk": float(NO_LIMIT), "priority": 0.0, "take": 0.0, "lead": 0.0}


class Batch:
    """Cases that come one after the other, with their attributes and, as far as it is drawn, their paths."""

    def __init__(
        self, model: Model, run: Run, number: int, first: int, arrivals: Arrivals,
        values: dict[str, pl.Series] | None = None,
    ) -> None:  # fmt: skip
        """values: the attributes (n,), where they are known already."""
        self.model, self.run, self.number, self.first, self.arrivals = model, run, number, first, arrivals
        self.n = len(arrivals.times)
        self.rows: Ints = first + np.arange(self.n)
        self.values = self._attributes() if values is None else values
        targets = [
            model.target(s.to or (model.names[0] if model.names else None), ("sources", n, "to"))
            for n, s in model.file.sources.items()
        ]
        self.at: Ints = np.array(targets, dtype=np.int64)[arrivals.source]  # where each case goes next (n,)
        self.step = 0
        self.idle: Ints = np.zeros(self.n, np.int64)  # steps without service, of late (n,)

    def _attributes(self) -> dict[str, pl.Series]:
        """Columns (n,) of the cases, drawn by blocks as those of a recipe are."""
        names = list(self.model.file.sources)
        given = {
            "source": pl.Series(names, dtype=pl.String).gather(self.arrivals.source),
            "arrival": self.model.clock.dates(self.arrivals.times),
            **self._replayed(),
        }
        wanted = [*self.model.file.attributes, *self.model.file.parameters]
        if not wanted:
            return given
        parts = []
        for start in range(0, max(self.n, 1), BLOCK):
            chosen = np.arange(start, min(start + BLOCK, self.n))
            block = Rows(self.run, (self.first + start) // BLOCK, 0, self.rows[chosen], given, chosen)
            parts.append(pl.DataFrame([block[name].alias(name) for name in wanted]))
        frame = pl.concat(parts)
        return given | {name: frame[name] for name in wanted}

    def _replayed(self) -> dict[str, pl.Series]:
        if not self.model.replayed:
            return {}
        out = {
            name: pl.Series([None], dtype=dtype).new_from_index(0, self.n)
            for name, dtype in self.model.replayed.items()
        }
        for i, (name, source) in enumerate(self.model.file.sources.items()):
            mine = np.flatnonzero(self.arrivals.source == i)
            if source.file is None or not len(mine):
                continue
            frame = self.run.once(("replay", name), partial(replayed, self.model.folder, name, source))
            for column in frame.columns:
                if column != "time":
                    out[column] = out[column].scatter(mine, frame[column].gather(self.arrivals.row[mine]))
        return out

    def walk(self, going: np.ndarray | None = None) -> Visits:
        """The next steps of the paths of those cases that are `going` (n,), by default of all."""
        active = np.flatnonzero((self.at != OUT) if going is None else (self.at != OUT) & going)
        before = self.step
        chunks = []
        while len(active) and self.step < before + STEPS:
            at = self.at[active]
            present = np.flatnonzero(np.bincount(at, minlength=len(self.model.names)))
            for station in present:
                rows = active if len(present) == 1 else active[at == station]
                chunks.append((self.step - before, self._visit(rows, int(station))))
            active = active[self.at[active] != OUT]
            self.step += 1
        self.step = before + STEPS
        found = _assembled(chunks, self.n)
        if len(active):
            self._check_loops(found, active)
        return found

    def _check_loops(self, visits: Visits, active: Ints) -> None:
        """Raises DataError where a case goes on and on in no time at all. active: who is not at the end (n,)."""
        busy = np.bincount(visits.case, weights=visits.service > 0, minlength=self.n) > 0
        self.idle[busy] = 0
        self.idle[active[~busy[active]]] += STEPS
        if self.idle.max() > ENDLESS:
            case = int(self.idle.argmax())
            path = visits.station[visits.case == case].tolist()
            circle = [self.model.names[i] for i in path[: path.index(path[0], 1) + 1]]
            raise DataError(
                f"an endless loop that takes no time: {' -> '.join(circle)}; over {ENDLESS:,} steps.",
                table=CASES, row=int(self.rows[case]), fix="Let a station take time, or a way lead to `exit`.",
            )  # fmt: skip

    def _visit(self, rows: Ints, station: int) -> Visits:
        """One visit of each of these cases to one station, and where they go from there."""
        name = self.model.names[station]
        noun = self.model.file.stations[name]
        chosen = None if len(rows) == self.n else rows
        block = Rows(self.run, self.number, self.step + 1, self.rows[rows], self.values, chosen)
        optional = {part: self._drawn(block, name, part) for part in ("patience", "balk", "priority")}
        stock = next(iter(noun.takes), None)
        visits = Visits(
            rows, np.full(len(rows), station), self._duration(block, name, "service", 0.0), **optional,
            take=self._duration(block, name, f"takes {stock}", 0.0),
            lead=self._duration(block, str(stock), "lead", 0.0),
        )  # fmt: skip
        if noun.patience is not None:
            visits.patience = self._duration(block, name, "patience", inf)
        for key in noun.sets:
            new = block[term(name, f"sets {key}")]
            old = self.values.get(key, pl.Series([None], dtype=new.dtype).new_from_index(0, self.n))
            self.values[key] = old.scatter(rows, new.cast(old.dtype))
        self.at[rows] = self._next(block, station)
        return visits

    def _drawn(self, block: Rows, name: str, part: str) -> Floats:
        return block.numbers(term(name, part)) if self.model.has(name, part) else np.zeros(0)

    def _duration(self, block: Rows, name: str, part: str, default: float) -> Floats:
        """Times, which are 0 or more; where one is missing, the default."""
        if not self.model.has(name, part):
            return np.full(block.n, default) if part == "service" else np.zeros(0)
        values = block.numbers(term(name, part))
        least = values.min() if block.n else 0.0
        if not 0 <= least < inf or not np.isfinite(values).all():
            missing = np.isnan(values)
            bad = values[(values < 0) | np.isinf(values)]
            if len(bad) or part != "patience":
                what = f"{bad[0]:g}" if len(bad) else "missing"
                at = int(block.rows[np.flatnonzero(missing | (values < 0) | np.isinf(values))[0]])
                raise DataError(
                    f"{name!r}: `{part}` is {what}; a number from 0 up was wanted.",
                    table=CASES,
                    row=at,
                    fix="Correct the expression, or give it a `min`.",
                )
            values = np.where(missing, default, values)
        return values

    def _next(self, block: Rows, station: int) -> Ints:
        route = self.model.routes[station]
        if route.by == "one":
            return np.full(block.n, route.targets[0])
        shares = [np.full(block.n, t) if isinstance(t, float) else np.nan_to_num(block.numbers(t)) for t in route.terms]
        targets = np.array(route.targets)
        if route.by == "condition":
            return targets[np.argmax(np.array(shares) > 0, axis=0)]
        ends = np.cumsum(shares, axis=0)  # (targets, n)
        wrong = np.flatnonzero((np.abs(ends[-1] - 1) > 1e-6) | (np.array(shares).min(axis=0) < 0))
        if len(wrong):
            name = self.model.names[station]
            raise DataError(
                f"station {name!r}: the probabilities of `next` are {', '.join(f'{s[wrong[0]]:g}' for s in shares)}; "
                "they are 0 or more, and sum to 1.",
                table=CASES,
                row=int(block.rows[wrong[0]]),
                fix="Correct the expressions.",
            )
        u = block.uniform(term(self.model.names[station], "next"))
        return targets[np.minimum((u >= ends).sum(axis=0), len(targets) - 1)]


def _assembled(chunks: list[tuple[int, Visits]], n: int) -> Visits:
    """Visits step by step, as visits case by case."""
    if not chunks:
        none, ints = np.zeros(0), np.zeros(0, np.int64)
        return Visits(ints, ints, none, none, none, none, none, none)
    case = np.concatenate([v.case for _, v in chunks])
    counts = np.bincount(case, minlength=n)
    starts = np.cumsum(counts) - counts
    place = starts[case] + np.concatenate([np.full(len(v.case), step) for step, v in chunks])
    columns = {}
    for f in fields(Visits):
        parts = [getattr(v, f.name) for _, v in chunks]
        default = OPTIONAL.get(f.name)
        if default is not None and not any(map(len, parts)):
            columns[f.name] = np.full(len(case), default)
            continue
        filled = [
            p if len(p) == len(v.case) else np.full(len(v.case), default)
            for p, (_, v) in zip(parts, chunks, strict=True)
        ]
        columns[f.name] = np.empty(len(case), filled[0].dtype)
        columns[f.name][place] = np.concatenate(filled)
    return Visits(**columns)


def nobody(model: Model, run: Run) -> Batch:
    """A batch without cases."""
    return Batch(model, run, 0, 0, Arrivals(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)))


def batches(model: Model, run: Run, limit: int, begin: int = 0) -> Iterator[Batch]:
    """All cases, at most `limit`, in batches, from that of the number `begin` on."""
    first = 0
    for number, arrivals in enumerate(merged(model, run, limit)):
        if number >= begin:
            yield Batch(model, run, number, first, arrivals)
        first += len(arrivals.times)

"""The simulated source: `Scenario`, data from a process that is played through.

    scenario = Scenario.load("bank.yaml")
    found = scenario.run(100_000, seed=7)
    found.log, found.cases, found.indicators

    file.py          the file: YAML to dataclasses; values put in from outside
    nouns.py         what a scenario is made of
    clock.py         numbers to dates, hours and weekdays
    plan.py          names resolved, expressions typed; checks.py: what contradicts itself; loads.py: what is too much
    arrivals.py      when cases come
    paths.py         where each goes, and all that is drawn for it there
    kernel.py        the event calendar, over moves.py (cases from station to station), service.py (at one), queues.py
                     and state.py; windows.py: shifts and breakdowns
    calendar.py      the kernel over a whole run: batches of cases in and out
    recursion.py     stations in the order of arrival, without a calendar
    fast.py          the door to compiled.py: both, compiled
    population.py    states that change step by step; sensors.py: readings; ledger.py: payments
    processes.py     Python generator functions on SimPy
    outputs.py       tables and files; xes.py: event logs for other tools; page.py: a picture of the run
    saving.py        a run into files, part by part, which goes on where it was broken off; memory.py: the calendar put
                     down and taken up again; visits.py: what indicators are made of
    indicators.py    numbers with intervals; whatif.py: side by side

All chance is keyed: the same seed gives the same rows, with every engine that can run the scenario.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.errors import ArgumentError, SchemaError, did_you_mean
from verosim.models import Progress, silent
from verosim.recipe import reading
from verosim.recipe.nouns import PlacedError
from verosim.recipe.running import Run
from verosim.simulation import fast, file, indicators, loads, outputs, recursion, saving, whatif
from verosim.simulation.arrivals import replayed
from verosim.simulation.calendar import Calendar, Done
from verosim.simulation.checks import check
from verosim.simulation.file import library
from verosim.simulation.ledger import Accounts
from verosim.simulation.nouns import MOST_ROWS, ScenarioFile
from verosim.simulation.paths import nobody
from verosim.simulation.plan import CASES, Model
from verosim.simulation.population import Populations
from verosim.simulation.recursion import Recursion
from verosim.simulation.sensors import SensorField
from verosim.simulation.visits import Kept

__all__ = ["ENGINES", "Scenario", "Simulated", "library", "simulate"]

ENGINES: Final = ("auto", "recursion", "calendar", "fast")
USUAL_CASES: Final = 1000
UNBOUNDED: Final = 2**60  # as many cases as come until the end
PAYS: Final = 20_000  # cases from which on compiled code is worth its start


@dataclass
class Simulated:
    """One run: tables by name, indicators, and how it was done."""

    tables: dict[str, pl.DataFrame]
    engine: str
    seed: int
    notes: tuple[str, ...] = ()
    model: Model | None = None
    visits: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    end: float = 0.0  # when the last thing happened
    rows: dict[str, int] = field(default_factory=dict)  # of tables that were written, not kept
    resumed: int = 0  # parts that an earlier run had written
    replications: int = 1  # runs that the intervals of the indicators are over; 1: parts of this one

    @property
    def cases(self) -> pl.DataFrame:
        """A row a case."""
        return self.tables["cases"]

    @property
    def log(self) -> pl.DataFrame:
        """A row a visit of a station, those of a case together."""
        return self.tables["log"]

    def save(self, out: str | Path, format: str = "csv") -> None:
        """Write the tables, `indicators` and `series` into a folder."""
        folder = outputs.made(out)
        outputs.save([self.tables], folder, format)
        self.save_measures(folder, format)

    def save_measures(self, folder: Path, format: str = "csv") -> None:
        """Write `indicators` and `series`, where visits were kept."""
        if len(self.visits.get("station", ())):
            measures = {"indicators": self.indicators, "series": self.series()}
            outputs.save([measures], folder, "csv" if format == "xes" else format)

    @cached_property
    def indicators(self) -> pl.DataFrame:
        """Numbers of each station with their 95 % intervals, from the parts of this run; empty where none were kept."""
        if not len(self.visits.get("station", ())):
            return indicators.table([{}])
        return indicators.table([self.measured(indicators.GROUPS)])

    def measured(self, groups: int = 1) -> dict[tuple[str, str], Any]:
        assert self.model is not None
        return indicators.measured(self.model, self.visits, self.model.file.warmup, self.end, groups)

    def series(self, every: float | None = None) -> pl.DataFrame:
        """Queues and utilisation `every` so many units; by default by a round step, at up to 500 times."""
        assert self.model is not None
        if every is None:
            every = self.model.clock.round_step(self.end, 500)
        if not every > 0 or self.end / every > MOST_ROWS:
            raise ArgumentError(
                f"every: a step over 0 was wanted, not tiny beside a run of {self.end:g}, not {every:g}."
            )
        return outputs.series(self.model, self.visits, every, self.end)


class Scenario:
    """A process, declared.

    >>> desk = Scenario({"sources": {"people": {"every": {"exponential": 5}}},
    ...                  "stations": {"desk": {"servers": 1, "service": 3}}})
    >>> desk.run(4, seed=1).log["activity"].to_list()
    ['desk', 'desk', 'desk', 'desk']
    """

    def __init__(self, data: Mapping[str, Any] | ScenarioFile, *, folder: str | Path = ".") -> None:
        """data: what the file would say, or its dataclass. Raises SchemaError."""
        self.data, self.name, self.folder = data, "scenario", Path(folder)
        self._lines: dict[Any, int] = {}
        self.model = self._read()

    @classmethod
    def load(cls, path: str | Path, values: Mapping[str, Any] | None = None) -> Self:
        """Read a scenario file, or the library's of that name. Raises FileError, or SchemaError with file and line."""
        return cls.parse(*file.open_text(path), values or {})

    @classmethod
    def parse(
        cls, text: str, name: str = "scenario", folder: str | Path = ".", values: Mapping[str, Any] | None = None
    ) -> Self:
        """Read a scenario from a text, with values put in from outside: {"tellers.servers": 4}."""
        new = cls.__new__(cls)
        new.name, new.folder = name, Path(folder)
        try:
            data, new._lines = reading.parse(text)
        except SchemaError as error:
            raise reading.in_file(error, name) from error
        new.data = file.with_values(data, values or {}) if isinstance(data, Mapping) else data
        new.model = new._read()
        return new

    def having(self, values: Mapping[str, Any]) -> Scenario:
        """The same scenario with other values: {"tellers.servers": 4}. Raises ArgumentError, SchemaError."""
        if not isinstance(self.data, Mapping):
            raise ArgumentError("values are put into scenarios that were read from a file or from plain values.")
        new = Scenario.__new__(Scenario)
        new.name, new.folder, new._lines = self.name, self.folder, self._lines
        new.data = file.with_values(self.data, values)
        new.model = new._read()
        return new

    def _read(self) -> Model:
        try:
            found = self.data if isinstance(self.data, ScenarioFile) else file.read(self.data)
            columns: dict[str, pl.DataType] = {}
            for name, source in found.sources.items():
                if source.file is not None:
                    columns |= dict(replayed(self.folder, name, source).drop("time").schema)
            model = Model(found, self.folder, columns)
            check(model)
            self.stepwise = _stepwise(model)
            return model
        except PlacedError as error:
            where = ".".join(str(step) for step in error.where)
            line = reading.line_of(error.where, self._lines) if self._lines else None
            place = f"{self.name}, line {line}" if line else f"{self.name}"
            raise SchemaError(f"{place}: {where}: {error}" if where else f"{place}: {error}") from error

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What to know before the run: stations that are unstable, with their load."""
        return loads.notes(self.model)

    def engine(self, cases: int, wanted: str = "auto") -> str:
        """The engine that a run of so many cases takes. Raises ArgumentError where the wanted one cannot."""
        if wanted not in ENGINES:
            raise ArgumentError(f"no engine {wanted!r}; {did_you_mean(wanted, ENGINES)}")
        why = recursion.suits(self.model, cases)
        if wanted == "recursion" and why:
            raise ArgumentError(f"the engine `recursion` cannot run this scenario: {why}. Use `calendar` or `fast`.")
        if wanted != "auto":
            return wanted
        if why is None:
            return "recursion"
        return "fast" if cases >= PAYS and fast.available() else "calendar"

    def blocks(self, cases: int | None = None, seed: int | None = None, engine: str = "auto") -> Iterator[Done]:
        """What is known of the cases, once they have left, in parts: memory stays bounded."""
        limit = self._limit(cases)
        return chain.from_iterable(self.player(limit, self._seed(seed), self.engine(limit, engine)).go(limit))

    def player(self, limit: int, seed: int, engine: str) -> Calendar | Recursion:
        """What plays a run of at most so many cases. engine: as `engine` chose it."""
        run = Run(self.model.plan, {CASES: min(limit, 2**60)}, seed)
        if engine == "recursion":
            compiled = fast.workload() if limit >= PAYS and fast.available() and self._has_pools() else None
            return Recursion(self.model, run, compiled)
        return Calendar(self.model, run, fast.calendar() if engine == "fast" else None)

    def _has_pools(self) -> bool:
        return any(self.model.servers(name) > 1 for name in self.model.names)

    def _limit(self, cases: int | None) -> int:
        """How many cases may come: what is asked, or the file says, or as many as come until the end."""
        if cases is not None:
            if isinstance(cases, bool) or not isinstance(cases, int) or cases < 0:
                raise ArgumentError(f"cases: a whole number from 0 up was wanted, not {cases!r}.")
            return cases
        found = self.model.file
        if found.cases is not None:
            return found.cases
        bounded = found.until is not None or all(
            s.cases or s.at or s.file or s.population or s.until for s in found.sources.values()
        )
        return UNBOUNDED if bounded else USUAL_CASES

    def _seed(self, seed: int | None) -> int:
        seed = self.model.file.seed if seed is None else seed
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ArgumentError(f"seed: a whole number from 0 up was wanted, not {seed!r}.")
        return seed

    def run(self, cases: int | None = None, seed: int | None = None, engine: str = "auto") -> Simulated:
        """Play the process through: `cases` of them, or as many as come until the scenario's end.

        Raises DataError where a drawn value cannot be, or cases block each other for ever.
        """
        limit, seed = self._limit(cases), self._seed(seed)
        if self.model.file.until is None and MOST_ROWS < limit < UNBOUNDED:
            raise ArgumentError(
                f"cases: at most {MOST_ROWS:,} are held in memory, not {limit:,}; `save` writes any number to files."
            )
        chosen = self.engine(limit, engine)
        stepped = (part.block(seed, i) for part in self.stepwise for i in range(part.blocks))
        tables = {n: pl.concat(frames) for n, frames in _by_table(stepped).items()}
        kept = Kept(limit=None)
        if self.model.file.stations:
            parts = kept.through(self.blocks(cases, seed, chosen))
            tables |= {n: _in_order(pl.concat(frames)) for n, frames in _by_table(self.frames(parts)).items()}
        visits = kept.visits()
        return Simulated(tables, chosen, seed, self.notes, self.model, visits, self.end(visits))

    def save(
        self, out: str | Path, cases: int | None = None, *,
        seed: int | None = None, engine: str = "auto", format: str = "csv", replications: int = 1,
        progress: Progress = silent,
    ) -> Simulated:  # fmt: skip
        """Play it through and write the tables into a folder, a file each: see `saving.save`.

        replications: runs that the intervals of the indicators are over; the first is the one that is written.
        """
        found = saving.save(self, Path(out), self._limit(cases), self._seed(seed), engine, format, progress)
        if replications > 1:
            found.indicators = self.replicated(replications, cases, seed, engine)
            found.replications = replications
        found.save_measures(Path(out), format)
        return found

    def end(self, visits: Mapping[str, np.ndarray]) -> float:
        """When a run with these visits is over."""
        if self.model.file.until is not None:
            return self.model.file.until
        return float(np.nanmax(visits["complete"])) if len(visits.get("complete", ())) else 0.0

    def sweep(
        self, values: Mapping[str, Sequence[Any]], cases: int | None = None, *,
        seed: int | None = None, replications: int = 10, engine: str = "auto",
    ) -> pl.DataFrame:  # fmt: skip
        """All combinations of settings, {"tellers.servers": [3, 4]}, side by side: see `whatif.sweep`."""
        return whatif.sweep(self, values, cases, seed=self._seed(seed), replications=replications, engine=engine)

    def replicated(
        self, replications: int, cases: int | None = None, seed: int | None = None, engine: str = "auto"
    ) -> pl.DataFrame:
        """The indicators with 95 % intervals over independent runs."""
        seeds = [whatif.replication_seed(self._seed(seed), r) for r in range(replications)]
        return indicators.table([self.run(cases, own, engine).measured() for own in seeds])

    def frames(self, parts: Iterable[Done]) -> Iterator[dict[str, pl.DataFrame]]:
        """The tables of each part; of no part, tables without rows."""
        done = None
        for done in parts:
            yield self._tables(done)
        if done is None:
            yield self._tables(Done.nothing(nobody(self.model, Run(self.model.plan, {CASES: 0}, 0))))

    def _tables(self, done: Done) -> dict[str, pl.DataFrame]:
        tables = {"cases": outputs.cases(self.model, done), "log": outputs.log(self.model, done)}
        if self.model.file.stocks:
            tables["orders"] = outputs.orders(self.model, done)
        return tables


def _stepwise(model: Model) -> list[Populations | SensorField | Accounts]:
    """What goes by steps of time, not from event to event. Raises PlacedError."""
    found, clock, folder = model.file, model.clock, model.folder
    return [
        *(Populations(n, p, clock, folder, found.locale) for n, p in found.populations.items()),
        *(SensorField(n, s, clock, folder) for n, s in found.sensors.items()),
        *(Accounts(n, a, clock, folder, found.locale) for n, a in found.ledgers.items()),
    ]


def _in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows by case: cases that stayed long came out later than those after them."""
    return (
        frame if "case" not in frame.columns or frame["case"].is_sorted() else frame.sort("case", maintain_order=True)
    )


def _by_table(chunks: Iterable[Mapping[str, pl.DataFrame]]) -> dict[str, list[pl.DataFrame]]:
    out: dict[str, list[pl.DataFrame]] = {}
    for tables in chunks:
        for name, frame in tables.items():
            out.setdefault(name, []).append(frame)
    return out


def simulate(
    scenario: Scenario | str | Path | Mapping[str, Any],
    cases: int | None = None,
    *,
    seed: int | None = None,
    engine: str = "auto",
    values: Mapping[str, Any] | None = None,
) -> Simulated:
    """Play a process through: a scenario file, one of the library's names, plain values, or a `Scenario`.

    cases: how many come; by default what the scenario says. values: put in its place, {"tellers.servers": 4}.
    """
    if isinstance(scenario, Mapping):
        scenario = Scenario(scenario)
    if not isinstance(scenario, Scenario):
        scenario = Scenario.load(scenario)
    if values:
        scenario = scenario.having(values)
    return scenario.run(cases, seed, engine)

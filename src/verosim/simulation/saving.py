"""A run into files, part by part: memory is bounded, and a run that was broken off goes on from its last part."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from verosim.errors import ArgumentError, FileError, VerosimError, did_you_mean
from verosim.files import disk
from verosim.files.resuming import Parts
from verosim.models import Progress
from verosim.simulation import outputs
from verosim.simulation.calendar import Done
from verosim.simulation.visits import Kept

if TYPE_CHECKING:
    from verosim.simulation import Scenario, Simulated

FORMATS: Final = ("csv", "tsv", "parquet", "arrow", "jsonl", "xes")
PART: Final = 1_000_000  # visits of a part, about
_STATE: Final = ".state"  # in a part: what the engine knew at its end


def save(
    scenario: Scenario, out: Path, limit: int, seed: int, engine: str, format: str, progress: Progress
) -> Simulated:
    """Play a scenario through and write its tables into a folder, a file each.

    Memory is bounded, whatever the number of cases: the log is in the order in which cases leave, by parts; and
    indicators are there only for runs of up to `MEASURED` visits. A run that was broken off goes on from its last whole
    part, and gives the same bytes. format: one of FORMATS; xes holds the log alone.
    """
    from verosim.simulation import Simulated

    if format not in FORMATS:
        raise ArgumentError(f"format {format!r}: {did_you_mean(format, FORMATS)}")
    if format == "xes" and not scenario.model.file.stations:
        raise ArgumentError("XES holds event logs: this scenario has no stations. Use csv or parquet.")
    disk.check_writable(out / "any" if out.is_dir() else out)
    found = Simulated({}, scenario.engine(limit, engine), seed, scenario.notes, scenario.model)
    saving = _Saving(scenario, out, limit, found, format, progress)
    saving.go()
    found.rows, found.visits, found.resumed = saving.rows, saving.kept.visits(), saving.resumed
    found.end = scenario.end(found.visits)
    return found


class _Saving:
    """One run: parts that are written, and then put together."""

    def __init__(
        self, scenario: Scenario, out: Path, limit: int, run: Simulated, format: str, progress: Progress
    ) -> None:
        self.scenario, self.limit, self.run, self.format, self.progress = scenario, limit, run, format, progress
        self.parts = Parts(out, _settings(scenario, limit, run, format))
        self.kept, self.rows = Kept(), dict[str, int]()
        self.number = self.resumed = 0

    def go(self) -> None:
        """Raises whatever broke the run off; parts stay where another try could go on with them."""
        try:
            if self.format != "xes":
                self._steps()
            if self.scenario.model.file.stations:
                self._process()
            self.parts.put_together()
        except BaseException as error:
            if self.number == 0 or (isinstance(error, VerosimError) and not isinstance(error, FileError)):
                self.parts.drop()  # nothing is whole, or the same would come again
            raise

    def _steps(self) -> None:
        """Populations, sensors and ledgers, whose blocks do not need each other."""
        for part in self.scenario.stepwise:
            for block in range(part.blocks):
                told = self.parts.told(self.number)
                if told is None:
                    with self.parts.part(self.number) as (folder, told):
                        told["rows"] = outputs.save([part.block(self.run.seed, block)], folder, self.format)
                else:
                    self.resumed += 1
                self._count(told)

    def _process(self) -> None:
        """The queues, from the last part that is whole."""
        player = self.scenario.player(self.limit, self.run.seed, self.run.engine)
        over, last = False, None
        while not over and (told := self.parts.told(self.number)) is not None:
            last, over = self.parts.place(self.number), told["over"]
            self.kept.load(last, told["visits"])
            self.resumed += 1
            self._count(told)
        if last is not None and not over:
            player.take_up(last / _STATE)
        lists = player.go(self.limit)
        while not over:
            over = self._part(player, lists)

    def _part(self, player: Any, lists: Iterator[list[Done]]) -> bool:
        """One part of the process. -> whether it was the last."""
        before = self.kept.n
        with self.parts.part(self.number) as (folder, told):
            some = _Some(lists, lambda: self.kept.n - before < PART)
            seen = self._seen(self.kept.through(some))
            told["rows"] = outputs.save(self.scenario.frames(seen), folder, self.format)
            told |= {"over": some.over, "visits": self.kept.n - before}
            self.kept.save(folder)
            if not some.over:
                disk.make_folder(folder / _STATE)
                player.put_down(folder / _STATE)
        if self.number:  # what the part before knew is known better now
            shutil.rmtree(self.parts.place(self.number - 1) / _STATE, ignore_errors=True)
        self._count(told)
        return some.over

    def _count(self, told: Mapping[str, Any]) -> None:
        for name, rows in told["rows"].items():
            self.rows[name] = self.rows.get(name, 0) + rows
        self.number += 1

    def _seen(self, parts: Iterator[Done]) -> Iterator[Done]:
        """The same parts; how far the run has come is told."""
        cases, until = self.rows.get("cases", 0), self.scenario.model.file.until
        for part in parts:
            yield part
            cases += len(part.row)
            times = part.batch.arrivals.times
            share = float(times[-1]) / until if until and len(times) else cases / max(self.limit, 1)
            self.progress(min(share, 1.0), f"{cases:,} cases")


class _Some:
    """What comes, as long as more is wanted; afterwards, `over` says whether anything is left."""

    def __init__(self, lists: Iterator[list[Done]], more: Callable[[], bool]) -> None:
        self.lists, self.more, self.over = lists, more, False

    def __iter__(self) -> Iterator[Done]:
        while self.more():
            found = next(self.lists, None)
            if found is None:
                self.over = True
                return
            yield from found


def _settings(scenario: Scenario, limit: int, run: Simulated, format: str) -> dict[str, Any]:
    """What decides the bytes of a run."""
    text = repr(scenario.model.file)
    return {
        "scenario": text, "files": _files(scenario.data, scenario.folder),
        "cases": limit, "seed": run.seed, "engine": run.engine, "format": format,
    }  # fmt: skip


def _files(data: Any, folder: Path) -> list[tuple[str, int, int]]:
    """The files that a scenario names, with their sizes and dates."""
    if isinstance(data, Mapping):
        return [found for value in data.values() for found in _files(value, folder)]
    if isinstance(data, list | tuple):
        return [found for value in data for found in _files(value, folder)]
    if not isinstance(data, str) or len(data) > 200 or "\0" in data or not (folder / data).is_file():
        return []
    state = (folder / data).stat()
    return [(data, state.st_size, state.st_mtime_ns)]

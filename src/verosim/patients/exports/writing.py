"""Patients to files, part by part: memory is bounded, a run that was broken off goes on, and a file appears when whole.

A part is a number of patients of its own. Its tables lie in `.parts/` until all parts are there; then they are put
together. A second run with the same settings finds what is there already.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from verosim.errors import ArgumentError, DataError, FileError, did_you_mean
from verosim.files import disk
from verosim.files.resuming import Parts
from verosim.patients.choosing import Choice
from verosim.patients.exports import fhir
from verosim.patients.exports.block import Block
from verosim.patients.exports.claims import money_tables
from verosim.patients.exports.omop import Omop, Vocabulary
from verosim.patients.exports.tables import as_text, tables
from verosim.patients.exports.totals import Totals

if TYPE_CHECKING:
    from verosim.patients.simulating import Patients
    from verosim.patients.world import World

FORMS: Final = ("csv", "parquet", "fhir", "ndjson", "omop")
PART: Final = 8_000  # patients of a part
FEW: Final = 250  # patients of a part of a search, at least
SLICE: Final = 500  # patients that are written at once
PATIENCE: Final = 20_000  # patients after whom a search that found nobody stops
MOST: Final = 1_000  # times as many as are wanted: after so many a search stops
OVER_ALL: Final = 999_999  # the part with the tables over all patients


@dataclass
class Written:
    """What a run wrote: rows by file, patients kept, lived, and how often each state was entered."""

    rows: dict[str, int] = field(default_factory=dict)
    patients: int = 0
    dead: int = 0
    lived: int = 0
    resumed: int = 0  # parts that were there already
    visits: dict[tuple[str, str], int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def save(
    patients: Patients, out: str | Path, n: int, *, seed: int = 0, forms: Sequence[str] = ("csv",),
    only: str | None = None, most: int | None = None, vocabulary: str | Path | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Written:  # fmt: skip
    """Live n patients and write them into a folder. progress is told of patients done, and of how many.

    forms: some of FORMS. only: an expression (see `Choice`); patients are lived until n fit. most: at most so many.
    vocabulary: a folder of OMOP's vocabularies. Raises ArgumentError, SchemaError, FileError; DataError where nobody
    fits.
    """
    for form in forms:
        if form not in FORMS:
            raise ArgumentError(f"format {form!r}: {did_you_mean(form, FORMS)}")
    if most is not None and only is None:
        raise ArgumentError("most: it ends a search; say what is looked for with `only`, such as condition = 44054006.")
    choice = Choice(only) if only is not None else None
    disk.check_writable(Path(out) / "any" if Path(out).is_dir() else out)
    run = _Run(patients, Path(out), n, seed, tuple(forms), choice, Vocabulary.load(vocabulary) if vocabulary else None)
    run.live(most, progress)
    return run.finish()


class _Run:
    """One run: parts that are written, and then put together."""

    def __init__(
        self, patients: Patients, out: Path, n: int, seed: int, forms: tuple[str, ...], choice: Choice | None,
        vocabulary: Vocabulary | None,
    ) -> None:  # fmt: skip
        self.patients, self.out, self.n, self.seed, self.forms = patients, out, n, seed, forms
        self.choice, self.vocabulary = choice, vocabulary
        self.written = Written(notes=patients.notes)
        self.totals = Totals()
        self.size = PART if choice is None else min(PART, max(FEW, 2 * n))  # patients of a part
        self.unknown: list[str] = []  # what is asked for and no module has
        self.parts = Parts(out, self._settings())

    def _settings(self) -> dict[str, Any]:
        """What decides the bytes of a run."""
        life: Mapping[str, Any] = getattr(self.patients.life, "settings", dict)()
        return {"n": self.n, "seed": self.seed, "forms": list(self.forms), "end": self.patients.end, "life": life,
                    "only": self.choice.text if self.choice else None, "history": self.patients.history,
                    "modules": {m.key: _digest(m.states) for m in self.patients.library.modules.values()}}  # fmt: skip

    # ------------------------------------------------------------------------------------------ living

    def live(self, most: int | None, progress: Callable[[int, int], None]) -> None:
        """Part after part, until n patients are there."""
        number, limit = 0, max(PATIENCE, MOST * self.n) if most is None else most
        while self.n and (number * self.size < self.n if self.choice is None else self.written.patients < self.n):
            start = number * self.size
            count = min(self.size, self.n - start) if self.choice is None else self.size
            told = self.parts.told(number)
            if told is not None:
                self._recall(told, self.parts.place(number))
                self.written.resumed += 1
            else:
                self._part(number, start, count)
            number += 1
            progress(min(self.written.patients, self.n), self.n)
            if self.choice is not None and self._is_enough(limit):
                break

    def _is_enough(self, limit: int) -> bool:
        """Whether a search has gone on for long. Raises DataError where it found nobody."""
        assert self.choice is not None
        found, lived = self.written.patients, self.written.lived
        if found >= self.n:
            return True
        if not found and (self.unknown or lived >= min(PATIENCE, limit)):
            self.parts.drop()
            if not any(self.out.iterdir()):
                self.out.rmdir()
            known = f"no module has {' or '.join(self.unknown)}." if self.unknown else "Ask for more by --most."
            raise DataError(
                f"of {lived:,} patients nobody fits {self.choice.text!r}, and nothing was written:", fix=known
            )
        if lived < limit:
            return False
        self.written.notes += (f"{lived:,} patients were lived, and {found:,} of {self.n:,} fit {self.choice.text!r}.",)
        return True

    def _part(self, number: int, start: int, count: int) -> None:
        before = {"patients": self.written.patients, "dead": self.written.dead, "lived": self.written.lived}
        visits: dict[tuple[str, str], int] = {}
        totals = Totals()
        with self.parts.part(number) as (folder, told):
            with _Files(folder) as files:
                for world in self.patients.blocks(count, self.seed, first=start):
                    kept = self._kept(world)
                    _count(world, visits)
                    for block in slices(world, kept):
                        totals.add(block)
                        self._write(files, block)
            totals.save(folder)
            told |= {"rows": files.rows, "visits": [[*k, v] for k, v in visits.items()]}
            self._recall(told, folder)
            told |= {name: getattr(self.written, name) - n for name, n in before.items()}

    def _kept(self, world: World) -> np.ndarray:
        """Who of a block is written: of those who fit the first ones, until n are there."""
        people = world.people
        kept = world.lived.copy()
        self.written.lived += int(kept.sum())
        if self.choice is not None:
            kept &= self.choice.keep(world)
            self.unknown = self.choice.unknown(world)
            order = np.lexsort((people.attempt, people.slot))
            chosen = order[kept[order]][: self.n - self.written.patients]
            kept = np.zeros_like(kept)
            kept[chosen] = True
            self.written.patients += len(chosen)
        else:
            self.written.patients += int((kept & (people.death > people.stop)).sum())
        self.written.dead += int((kept & (people.death <= people.stop)).sum())
        return kept

    def _recall(self, told: Mapping[str, Any], folder: Path) -> None:
        """Add what a part says of itself."""
        for name in ("patients", "dead", "lived"):
            setattr(self.written, name, getattr(self.written, name) + told.get(name, 0))
        for name, rows in told["rows"].items():
            self.written.rows[name] = self.written.rows.get(name, 0) + rows
        for module, state, count in told["visits"]:
            self.written.visits[module, state] = self.written.visits.get((module, state), 0) + count
        self.totals.load(folder)

    def _write(self, files: _Files, block: Block) -> None:
        """One slice, in all forms that are wanted."""
        if {"csv", "parquet"} & set(self.forms):
            frames = {**tables(block), **money_tables(block)}
            for name, frame in frames.items():
                if "csv" in self.forms:
                    files.csv(f"{name}.csv", as_text(frame))
                if "parquet" in self.forms:
                    files.parquet(f"{name}.parquet", frame)
        if "omop" in self.forms:
            for name, frame in Omop(block, self.vocabulary).tables().items():
                files.csv(f"omop/{name}.csv", frame)
        if "ndjson" in self.forms:
            for kind, lines in fhir.ndjson(block).items():
                files.lines(f"ndjson/{kind}.ndjson", lines)
        if "fhir" in self.forms:
            for name, text in fhir.bundles(block).iter_rows():
                files.whole(f"fhir/{name}.json", text)

    # ------------------------------------------------------------------------------------------ putting together

    def finish(self) -> Written:
        """Put the parts together, each file as a whole; then they are gone."""
        self._over_all()
        self.parts.put_together()
        return self.written

    def _over_all(self) -> None:
        """The tables over all patients."""
        frames = self.totals.tables()
        with self.parts.part(OVER_ALL) as (folder, _), _Files(folder) as files:
            for name, frame in frames.items():
                if "csv" in self.forms:
                    files.csv(f"{name}.csv", as_text(frame))
                if "parquet" in self.forms:
                    files.parquet(f"{name}.parquet", frame)
            if {"fhir", "ndjson"} & set(self.forms):
                for kind, lines in fhir.people_and_places(frames).items():
                    if "ndjson" in self.forms:
                        files.lines(f"ndjson/{kind}.ndjson", lines)
                    if "fhir" in self.forms:
                        entries = ",".join(
                            f'{{"resource":{line},"request":{{"method":"POST","url":"{kind}"}}}}' for line in lines
                        )
                        bundle = f'{{"resourceType":"Bundle","type":"transaction","entry":[{entries}]}}'
                        files.whole(f"fhir/{kind.lower()}s.json", bundle)
        for name, rows in files.rows.items():
            self.written.rows[name] = self.written.rows.get(name, 0) + rows


def _digest(content: object) -> str:
    return blake2b(json.dumps(content, default=dict).encode(), digest_size=16).hexdigest()


def slices(world: World, kept: np.ndarray, size: int = SLICE) -> Iterator[Block]:
    """Blocks of at most so many of the kept patients each, in their order: what is written at once stays small."""
    order = np.lexsort((world.people.attempt, world.people.slot))
    order = order[kept[order]]
    for start in range(0, len(order), size):
        some = np.zeros_like(kept)
        some[order[start : start + size]] = True
        yield Block(world, some)


def _count(world: World, visits: dict[tuple[str, str], int]) -> None:
    for state, count in zip(world.plan.states, world.visits.tolist(), strict=True):
        key = (state.module, state.name)
        visits[key] = visits.get(key, 0) + count


class _Files:
    """Files of a folder that grow while it is open. rows: of each table or list."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, int] = {}
        self._open: dict[str, Any] = {}
        self._frames: dict[str, int] = {}

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *error: object) -> None:
        for sink in self._open.values():
            sink.close()

    def _sink(self, name: str) -> Any:
        if name not in self._open:
            path = self.folder / name
            if not path.parent.is_dir():
                disk.make_folder(path.parent)
            try:
                self._open[name] = path.open("wb")
            except OSError as error:
                raise FileError(f"{path}: cannot be written ({error.strerror or error}).") from error
        return self._open[name]

    def _add(self, name: str, rows: int) -> None:
        self.rows[name] = self.rows.get(name, 0) + rows

    def csv(self, name: str, frame: pl.DataFrame) -> None:
        first = name not in self._open
        frame.write_csv(self._sink(name), include_header=first)
        self._add(name, frame.height)

    def lines(self, name: str, lines: pl.Series) -> None:
        self._sink(name).write(("\n".join(lines.to_list()) + "\n").encode())
        self._add(name, len(lines))

    def whole(self, name: str, text: str) -> None:
        self._sink(name).write(text.encode())
        self._open.pop(name).close()
        self._add(f"{Path(name).parent}/", 1)

    def parquet(self, name: str, frame: pl.DataFrame) -> None:
        """A file a slice, until they are put together."""
        number = self._frames.get(name, 0)
        self._frames[name] = number + 1
        frame.write_parquet((self.folder / name).with_suffix(f".{number:06}.parquet"))
        self._add(name, frame.height)

"""A recipe's rows, into memory, files, parts of files that a broken run goes on with, or lines at a chosen rate."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import polars as pl

from verosim import databases, files
from verosim.databases import is_database, shown
from verosim.errors import ArgumentError, FileError
from verosim.files import Layout
from verosim.files.disk import STANDARD, atomic, load, make_folder
from verosim.files.objects import write_lines
from verosim.models import Progress, silent
from verosim.recipe import Recipe, crew, reading, spoiling
from verosim.recipe.kinds.below import blocks_below
from verosim.recipe.nouns import BLOCK
from verosim.recipe.running import Run
from verosim.recipe.structure import structure_of
from verosim.targets import check_place
from verosim.workers import fitting

PLAN_FILE: Final = "recipe.json"  # in a folder of parts: what they are parts of
SLICES: Final = 20  # a second, in which lines are handed out at a rate


def generate(
    recipe: Recipe | str | Path,
    rows: int | Mapping[str, int] | None = None,
    *,
    seed: int | None = None,
    workers: int = 1,
) -> Any:
    """The rows of a recipe, or of a recipe file: a polars frame, or for several tables frames by name.

    rows: of the tables that do not say how many they have, or by name; by default 1,000. The same seed gives the same
    rows, whatever `workers` (threads). Raises SchemaError for a wrong recipe, with its line.

    >>> generate(Recipe({"die": {"columns": {"eyes": {"integer": [1, 6]}}}}), 2, seed=5).height
    2
    """
    return _opened(recipe).sample(rows, seed, workers)


def _opened(recipe: Recipe | str | Path) -> Recipe:
    return recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: rows by table, and where."""

    rows: Mapping[str, int]
    out: str
    kept: int = 0  # parts that were there already
    notes: tuple[str, ...] = ()


def generate_file(
    recipe: Recipe | str | Path,
    out: str | Path,
    rows: int | Mapping[str, int] | None = None,
    *,
    seed: int | None = None,
    format: str | None = None,
    workers: int = 0,
    replace_tables: bool = False,
    progress: Progress = silent,
) -> Written:
    """Write a recipe's rows as they are made: one table to a file, several to a folder, a workbook, JSON, a database.

    format: of the files in a folder, by default csv. workers: threads, 0 for as many as pay. replace_tables: a database
    may hold tables of these names, which are made anew. Whole files, or none. -> with notes on what a database lacks.
    """
    check_place(out, replace_tables)
    recipe = _opened(recipe)
    run = recipe.run(rows, seed)
    sizes = {name: run.rows(name) for name in run.plan}
    counted = _counter(sizes, progress)
    tables = {name: counted(crew.blocks(run, name, workers or fitting(n))) for name, n in sizes.items()}
    if is_database(out):
        notes = databases.write(tables, out, structure_of(run.plan).to_dict(), replace=replace_tables)
        return Written(sizes, shown(out), notes=tuple(notes))
    is_folder = str(out) != STANDARD and (str(out).endswith("/") or Path(out).is_dir() or not Path(out).suffix)
    if is_folder:
        kind = _format(format or "csv")
        layout = Layout("folder", tables={name: Layout(kind, file=f"{name}.{kind}") for name in tables})
        files.write(tables, out, layout)
    elif len(tables) == 1:
        files.write(next(iter(tables.values())), out, table=next(iter(tables)), format=format)
    else:
        files.write(tables, out, format=format)
    return Written(sizes, str(out))


def _counter(sizes: Mapping[str, int], progress: Progress) -> Any:
    total, done = max(1, sum(sizes.values())), 0

    def counted(blocks: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        nonlocal done
        for block in blocks:
            done += block.height
            progress(done / total, f"{done:,} rows")
            yield block

    return counted


def _format(name: str) -> str:
    known = sorted(set(files.FORMATS.values()))
    if name not in known:
        raise ArgumentError(f"format {name!r}: one of {', '.join(known)} was wanted.")
    return name


# ------------------------------------------------------------------------------------------------- parts


def generate_parts(
    recipe: Recipe | str | Path,
    out: str | Path,
    rows: int | Mapping[str, int] | None = None,
    *,
    seed: int | None = None,
    format: str = "parquet",
    part_rows: int = 1_000_000,
    resume: bool = False,
    progress: Progress = silent,
) -> Written:
    """Write each table as a folder of numbered parts, of about `part_rows` rows each.

    A part appears whole or not at all; with `resume`, parts that are there are kept, and all bytes are
    the same as those of a run that was not broken. Raises FileError where the folder holds parts of something else.
    """
    recipe, kind = _opened(recipe), _format(format)
    run, folder = recipe.run(rows, seed), Path(out)
    if part_rows < 1:
        raise ArgumentError(f"a part has at least one row, not {part_rows}.")
    _claim(folder, _digest(recipe, run, kind, part_rows), resume)
    sizes = {name: run.rows(name) for name in run.plan}
    counted, kept = _counter(sizes, progress), 0
    for name in run.plan:
        if not (folder / name).exists():
            make_folder(folder / name)
        for number, blocks in enumerate(_parts(run, name, part_rows)):
            path = folder / name / f"part-{number:05d}.{kind}"
            if resume and path.exists():
                kept += 1
            else:
                files.write(counted(crew.some(run, name, blocks)), path, table=name)
    return Written(sizes, str(out), kept)


def _parts(run: Run, table: str, part_rows: int) -> Iterator[range]:
    """The blocks of each part."""
    size, total = max(1, part_rows // BLOCK), run.blocks(table)
    return (range(first, min(first + size, total)) for first in range(0, total, size))


def _digest(recipe: Recipe, run: Run, kind: str, part_rows: int) -> str:
    content = [reading.plain(recipe.file), run.sizes, run.seed, kind, part_rows]
    return blake2b(json.dumps(content, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def _claim(folder: Path, digest: str, resume: bool) -> None:
    """Make the folder for these parts, or see that it is theirs."""
    mark = folder / PLAN_FILE
    if mark.exists():
        if json.loads(load(mark)).get("digest") != digest:
            raise FileError(f"{folder}: holds parts of another recipe, number of rows or seed; name another folder.")
        if not resume:
            raise FileError(f"{folder}: holds parts of this recipe already: resume, or name another folder.")
        return
    if folder.exists() and any(folder.iterdir()):
        raise FileError(f"{folder}: is not empty; name a new folder for the parts.")
    if not folder.exists():
        make_folder(folder)
    with atomic(mark) as out:
        out.write(json.dumps({"digest": digest}).encode() + b"\n")


# ------------------------------------------------------------------------------------------------- streams


def parse_rate(text: str) -> float:
    """Rows a second, from a text such as 500/s or 30/m.

    >>> parse_rate("30/m")
    0.5
    """
    number, _, unit = text.partition("/")
    seconds = {"s": 1, "m": 60, "h": 3600, "": 1}.get(unit)
    try:
        rate = float(number) / seconds if seconds else 0.0
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e9:
        raise ArgumentError(f"a rate such as 500/s or 30/m was wanted, not {text!r}.")
    return rate


def stream(
    recipe: Recipe | str | Path,
    out: str | Path = STANDARD,
    rows: int | Mapping[str, int] | None = None,
    *,
    rate: float,
    table: str | None = None,
    seed: int | None = None,
) -> int:
    """Write rows as JSON lines, so many a second. -> how many.

    table: which; by default the only one, or all of them: each line is then `{"table": ..., "row": {...}}`, and what
    belongs to a row of another table comes right after it.
    """
    recipe = _opened(recipe)
    if table is None and len(recipe.tables) > 1:
        return _write_all(recipe.run(rows, seed), out, rate)
    pieces = _slices(recipe.blocks(table, rows, seed), rate)
    written = 0

    def paced() -> Iterator[pl.DataFrame]:
        nonlocal written
        start = time.monotonic()
        for piece in pieces:
            time.sleep(max(0.0, start + written / rate - time.monotonic()))
            written += piece.height
            yield piece

    files.write(paced(), out, table=table, format="jsonl")
    return written


def _slices(blocks: Iterator[pl.DataFrame], rate: float) -> Iterator[pl.DataFrame]:
    size = max(1, round(rate / SLICES))
    for block in blocks:
        yield from block.iter_slices(size) if block.height else [block]


def _write_all(run: Run, out: str | Path, rate: float) -> int:
    start, written = time.monotonic(), 0
    with atomic(out) as file:
        every, size = _lines(run), max(1, round(rate / SLICES))
        while lines := list(islice(every, size)):
            time.sleep(max(0.0, start + written / rate - time.monotonic()))
            file.write(b"".join(lines))
            file.flush()
            written += len(lines)
    return written


def _lines(run: Run) -> Iterator[bytes]:
    """The rows of all tables as JSON lines: those of one row of an uppermost table, and all below it, together."""
    families = {
        root: [n for n in run.plan if run.plan.root(n) == root] for root in run.plan if not run.plan[root].parent
    }
    for root, family in sorted(families.items(), key=lambda f: len(f[1]) > 1):  # what only others point at goes first
        family.sort(key=lambda name: len(run.plan.ancestors(name)))
        for number in range(run.blocks(root)):
            uppermost = run.block(root, number)
            rows: list[tuple[int, int, bytes]] = []
            for place, name in enumerate(family):
                for block in [uppermost] if name == root else blocks_below(uppermost, name):
                    buffer = BytesIO()
                    write_lines([spoiling.output(block)], buffer, name)
                    head = f'{{"table":{json.dumps(name)},"row":'.encode()
                    made = (head + line.rstrip() + b"}\n" for line in buffer.getvalue().splitlines())
                    rows += zip(block.root.tolist(), [place] * block.n, made, strict=True)
            rows.sort(key=itemgetter(0, 1))
            yield from map(itemgetter(2), rows)

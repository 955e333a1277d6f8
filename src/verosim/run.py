"""The path: read, infer, fit, sample, write, evaluate. The first file to read; everything else hangs on it.

real data -> read -> infer the schema -> fit -> sample -> write -> measure
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from verosim import databases, files, reshaping, rules
from verosim.compat.sdv import Metadata, is_metadata
from verosim.control import Control
from verosim.databases import Pick, is_database, named, shown
from verosim.errors import ArgumentError, RuleError
from verosim.evaluation import (
    FIRST,
    FIRST_BETWEEN,
    FULL,
    FULL_BETWEEN,
    Case,
    Family,
    Report,
    TableReport,
    measure,
    measure_between,
)
from verosim.files import Layout
from verosim.files.disk import STANDARD, check_writable
from verosim.files.parts import asked
from verosim.frames import Shape, enter, loosen
from verosim.infer import infer, loose_ends
from verosim.infer.sequences import hindered
from verosim.models import Progress, silent, stage
from verosim.relational import with_personal, with_sequences, with_totals
from verosim.schema import Schema
from verosim.sequences import Course, cuts_of
from verosim.sequences.control import check_course
from verosim.synthesizer import Synthesizer, check_sizes, rare_values, split
from verosim.table_model import Options
from verosim.targets import beside, check_place, check_targets, numbered, put
from verosim.workers import fitting

MEASURED: Final = 20_000  # synthetic rows that the measure looks at, at most
STARTS: Final = 50_000  # rows that are drawn from a synthesizer to start from, at most
SEED: Final = 0  # of every call that is given none: two runs give the same


@dataclass(frozen=True, slots=True)
class Opened:
    """Data at hand: tables, and what is needed to give back the like of them."""

    dataset: Mapping[str, pl.DataFrame]
    shape: Shape | None = None  # data in memory: what kind
    layout: Layout | None = None  # a file: how it looked
    notes: tuple[str, ...] = ()
    about: tuple[str, ...] = ()  # files beside these data that say what they mean


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `synth` or `learn_file` did: where rows or model, and the report, lie, and what was found."""

    synthesizer: Synthesizer
    rows: Mapping[str, int]  # written
    out: str
    report_path: str | None
    report: Report


def synth(
    source: str | Path,
    out: str | Path | None = None,
    *,
    schema: Schema | str | Path | None = None,
    rows: int | Mapping[str, int] | None = None,
    scale: float | None = None,
    seed: int = SEED,
    options: Options | None = None,
    start: Any = None,
    report: str | Path | None = None,
    keep: Iterable[str] = (),
    workers: int = 1,
    pick: Pick | None = None,
    replace_tables: bool = False,
    course: Course | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Learn a file or database and write a synthetic one that looks like it, with a report: the whole path.

    rows: for several tables by name, the others in proportion. report: a page (.html, the default) or JSON. keep:
    reference tables whose rows come out as they are. pick: what of a database is read. replace_tables: a database may
    hold tables of these names, which are made anew. course: what is asked of a sequence. Raises an error of
    `verosim.errors` before any work where something cannot be done; writes all or nothing.
    """
    check_sizes(rows, scale)
    out = out or beside(source, "synthetic")
    if report is None and str(out) != STANDARD:
        folder = asked(named(out))[0].parent  # out/{year} is written into out
        report = beside(out if str(source) == STANDARD else source, "report", ".html", folder=folder)
    check_targets((source, schema, start), out, report)
    check_place(out, replace_tables)
    opened = open_data(source, pick)
    options, full = options or Options(), report is not None
    synthesizer, found = learn(opened, schema, seed, options, stage(progress, 0.0, 0.8), start, full, keep, course)
    sizes = synthesizer.sizes(rows, scale)
    part = stage(progress, 0.8, 1.0)
    lost = write(
        synthesizer, out, sizes, seed=seed, workers=workers, replace_tables=replace_tables, course=course, progress=part
    )
    return _reported(synthesizer, sizes, out, replace(found, notes=(*found.notes, *lost)), report)


def learn_file(
    source: str | Path,
    out: str | Path | None = None,
    *,
    schema: Schema | str | Path | None = None,
    seed: int = SEED,
    options: Options | None = None,
    start: Any = None,
    report: str | Path | None = None,
    keep: Iterable[str] = (),
    pick: Pick | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Learn a file or database and write the model file, and a report where one is wanted; what `verosim fit` does."""
    out = out or beside(source, "verosim", "")
    if str(out) == STANDARD:
        raise ArgumentError("a model file cannot go to standard output: give --out a name.")
    check_targets((source, schema, start), out, report)
    check_writable(out)
    opened = open_data(source, pick)
    synthesizer, found = learn(opened, schema, seed, options or Options(), progress, start, keep=keep)
    synthesizer.save(out)
    return _reported(synthesizer, {}, out, found, report)


def fit(
    data: Any,
    schema: Schema | str | Path | None = None,
    *,
    seed: int = SEED,
    model: str = "auto",
    settings: Mapping[str, Any] | None = None,
    k: int = 5,
    unit: str | None = None,
    holdout: float = 0.1,
    orphans: str = "error",
    keep: Iterable[str] = (),
    start: Any = None,
    pick: Pick | None = None,
    progress: Progress = silent,
) -> Synthesizer:
    """Learn data: a polars, pandas or pyarrow frame, a file's path, a database's URL, or {"name": frame}.

    schema: what the columns mean, where guesses are wrong (see `inspect`). model: the engine (docs/models.md), with
    `settings` of its own, such as {"max_minutes": 5, "checkpoint": "folder"} for a network. k: values held by fewer
    people are not reproduced. unit: the column that says whom a row belongs to. holdout: the share of rows kept to
    measure with. start: data, or a synthesizer or model file, with some of the same columns, which a network learns
    first: for small data. orphans: what to do with rows whose foreign key names nobody: error, drop, null or keep.
    keep: reference tables, such as countries, whose rows come out as they are. pick: what of a database is read. The
    first measure lies in `synthesizer.report`. The caller's data are not changed.
    """
    options = Options(model=model, settings=settings or {}, k=k, unit=unit, holdout=holdout, orphans=orphans)
    return learn(open_data(data, pick), schema, seed, options, progress, start, keep=keep)[0]


def keeping(schema: Schema, names: Iterable[str]) -> Schema:
    """The schema in which these tables are kept as they are. Raises SchemaError for one that there is not."""
    for name in names:
        schema = schema.with_table(replace(schema[name], keep=True))
    return schema


def inspect(data: Any, schema: Schema | str | Path | None = None, *, pick: Pick | None = None) -> Schema:
    """The schema of data: what each column is believed to be and why, and the rules that hold in all rows.

    Save it with `.save("adult.schema.yaml")`, edit it, and hand it to `fit` or `synth`.
    """
    return described(open_data(data, pick), schema)


def load(path: str | Path) -> Synthesizer:
    """What `synthesizer.save(path)` wrote. Raises ModelFileError for a damaged, forged or newer file."""
    return Synthesizer.load(path)


# ------------------------------------------------------------------------------------------- the steps of the path


def open_data(data: Any, pick: Pick | None = None) -> Opened:
    """A database, a file's path, or frames in memory, as tables."""
    if is_database(data):
        source = databases.read(data, pick)
        dataset, notes = without_bytes(source.dataset)
        return Opened(dataset, layout=source.layout, notes=(*source.notes, *notes))
    if pick is not None:
        raise ArgumentError("tables are picked, and rows of them drawn, from a database alone.")
    if isinstance(data, str | Path):
        source = files.read(data)
        return Opened(source.dataset, layout=source.layout, notes=source.notes, about=source.about)
    dataset, shape = loosen(*enter(data))
    return Opened(dataset, shape=shape, notes=shape.notes)


def without_bytes(dataset: Mapping[str, pl.DataFrame]) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """The tables without columns of bytes, such as pictures, of which nothing is learned; a note on each."""
    notes = [
        f"table {name!r}, column {column!r}: bytes are not learned; written as missing, or empty"
        for name, frame in dataset.items()
        for column in frame.select(pl.selectors.binary()).columns
    ]
    return {name: frame.select(~pl.selectors.binary()) for name, frame in dataset.items()}, notes


def briefed(opened: Opened, schema: Schema | str | Path | None) -> tuple[Opened, Schema | None]:
    """The schema that is given: ours or metadata of SDV, a file or one that lies beside the data; notes on it."""
    if isinstance(schema, Schema) or (schema is None and not opened.about):
        return opened, schema
    path = Path(opened.about[0]) if schema is None else Path(schema)
    if not is_metadata(path):
        return opened, Schema.load(path)
    metadata = Metadata.load(path)
    note = f"{path.name}: kinds and keys of columns are those that it says (SDV metadata)"
    return replace(opened, notes=(*opened.notes, note, *metadata.notes)), metadata.schema(opened.dataset)


def described(opened: Opened, schema: Schema | str | Path | None) -> Schema:
    """The schema, guessed where it is not given; other tables get what their database says, and the rules they hold."""
    opened, given = briefed(opened, schema)
    found = infer(opened.dataset, given)
    structure = opened.layout.structure if opened.layout else {}
    names = [name for name in opened.dataset if given is None or name not in given]
    told = with_personal(opened.dataset, databases.known(found, structure) if structure else found, names)
    for name in names:
        learned = [rule.spec() for rule in rules.learn(opened.dataset[name], told[name])]
        found = found.with_table(replace(told[name], rules=(*told[name].rules, *learned)))
    return with_sequences(opened.dataset, with_totals(opened.dataset, found, names), names)


def remarks(dataset: Mapping[str, pl.DataFrame], schema: Schema) -> list[str]:
    """What a person should know of tables that are learned as they are, and might be otherwise."""
    lost = [hindered(schema[name], frame) for name, frame in dataset.items() if not schema[name].foreign_keys]
    return [*loose_ends(dataset, schema), *reshaping.notes_on(dataset), *filter(None, lost)]


def learn(
    opened: Opened,
    schema: Schema | str | Path | None,
    seed: int,
    options: Options,
    progress: Progress = silent,
    start: Any = None,
    full: bool = False,
    keep: Iterable[str] = (),
    course: Course | None = None,
) -> tuple[Synthesizer, Report]:
    """Fit, and measure against the hold-out. full: all that a page shows, not only whether it went well.

    course: what will be asked of a sequence; raises ArgumentError before anything is learned where there is none.
    """
    progress(0.0, "looking at the columns")
    opened, schema = briefed(opened, schema)
    found, before = keeping(described(opened, schema), keep), to_start_from(start, opened.dataset)
    if course is not None:
        check_course(course, found[_only(opened.dataset)[0]])
    part = stage(progress, 0.05, 0.8)
    synthesizer = Synthesizer(options).fit(opened.dataset, found, seed, part, start=before)
    synthesizer.layout, synthesizer.entry = opened.layout, (*opened.notes, *remarks(opened.dataset, found))
    if opened.shape is not None:
        synthesizer.shape = opened.shape.tell(lambda name, column: rare_values(opened.dataset[name], column, options))
    report = measured(synthesizer, opened.dataset, full, stage(progress, 0.8, 1.0))
    synthesizer.report = report.bare().to_dict()
    return synthesizer, replace(report, notes=(*report.notes, *synthesizer.notes))


def to_start_from(start: Any, dataset: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The rows that networks learn first, by the names of these tables: data, or what a synthesizer draws."""
    if start is None:
        return {}
    if isinstance(start, str | Path) and Path(start).suffix == ".verosim":
        start = load(start)
    if isinstance(start, Synthesizer):
        rows = {name: pl.concat(start.blocks(name, min(STARTS, n))) for name, n in start.sizes().items()}
    else:
        rows = dict(open_data(start).dataset)
    return {next(iter(dataset)): next(iter(rows.values()))} if len(rows) == len(dataset) == 1 else rows


def measured(
    synthesizer: Synthesizer, dataset: Mapping[str, pl.DataFrame], full: bool, progress: Progress = silent
) -> Report:
    """Each table measured, and what lies between them: synthetic rows beside those learned from and the hold-out."""
    schema, seed = synthesizer.schema_, synthesizer.seed_
    train, held = split(dataset, synthesizer.options, seed, schema)
    tables, new, streams = {}, dict[str, pl.DataFrame](), _sampled(synthesizer, train)
    for number, (name, frame) in enumerate(train.items()):
        try:
            new[name] = pl.concat(streams(name))
        except RuleError as error:  # fewer rows may still be drawn
            rows = {"train": frame.height, "holdout": held[name].height, "synthetic": 0}
            tables[name] = TableReport(name, rows, seed, (), {}, (f"not measured: {error}",))
            continue
        cuts = None
        if schema[name].sequence is not None and synthesizer.database_ is None:
            cuts = cuts_of(dataset[name], schema[name], synthesizer.options.holdout, seed)
        case = Case.of(frame, held[name], new[name], schema[name], seed=seed, cuts=cuts)
        part = stage(progress, number / (len(train) + 1), (number + 1) / (len(train) + 1))
        tables[name] = measure(case, FULL if full else FIRST, part)
    if synthesizer.database_ is None or len(new) < len(train):
        return Report(tables)
    family = Family.of(train, held, new, schema, seed=seed)
    part = stage(progress, len(train) / (len(train) + 1), 1.0)
    between = measure_between(family, FULL_BETWEEN if full else FIRST_BETWEEN, part)
    return Report(tables, between.measures, between.notes, between.details)


def _sampled(synthesizer: Synthesizer, train: Mapping[str, pl.DataFrame]) -> Callable[[str], Iterable[pl.DataFrame]]:
    """Rows of each table to be measured: as many as were learned, or so many as are looked at."""
    if synthesizer.database_ is None:
        whole = synthesizer.sizes()  # a series is drawn to its end, so that it is compared over the same time
        long = {n for n, t in synthesizer.schema_.items() if t.sequence is not None and t.sequence.key is None}
        rows = {n: min(whole[n] if n in long else f.height, MEASURED) for n, f in train.items()}
        return lambda name: synthesizer.blocks(name, rows[name])
    most = max(frame.height for frame in train.values())
    drawn = synthesizer.streams(synthesizer.sizes(scale=min(1.0, MEASURED / max(most, 1))))
    return lambda name: drawn[name]


def write(
    synthesizer: Synthesizer,
    out: str | Path,
    sizes: Mapping[str, int],
    *,
    seed: int | None = None,
    workers: int = 1,
    control: Control | None = None,
    asked: str | None = None,
    replace_tables: bool = False,
    course: Course | None = None,
    progress: Progress = silent,
) -> list[str]:
    """Draw rows, as asked, and write them as they come, looking like the file or database that was learned.

    control: what is asked of the rows of the table `asked`; a lone table needs no name.
    -> notes on what a database cannot hold.
    """
    total, done = max(1, sum(sizes.values())), 0

    def counted(blocks: Iterable[pl.DataFrame]) -> Any:
        nonlocal done
        for block in blocks:
            done += block.height
            progress(done / total, f"{done:,} rows")
            yield block

    if course is not None:
        name = _only(sizes)[0]
        counted_else = any(p is not None for p in (course.sequences, course.length, course.given, course.begin))
        rows = None if counted_else else sizes[name]
        streams = {name: synthesizer.course(name, course, rows, seed, control)}
    else:
        streams = synthesizer.streams(sizes, seed, workers or fitting(max(sizes.values())), control, asked)
    frames = {name: counted(blocks) for name, blocks in streams.items()}
    return put(frames, out, synthesizer.layout, synthesizer.schema_, replace_tables)


def course_of(
    sequences: int | None = None,
    length: int | None = None,
    start: str | None = None,
    begin: str | Path | None = None,
    anomalies: list[str] | None = None,
) -> Course | None:
    """What a command line asks of sequences; None where it is nothing. begin: a file of the rows they go on from."""
    first = None if begin is None else _only(open_data(begin).dataset)[1]
    course = Course(sequences, length, start, begin=first, anomalies=anomalies or None)
    return course if course.any else None


def write_samples(
    synthesizer: Synthesizer,
    out: str | Path,
    sizes: Mapping[str, int],
    *,
    m: int | None = None,
    seed: int | None = None,
    workers: int = 1,
    control: Control | None = None,
    asked: str | None = None,
    replace_tables: bool = False,
    course: Course | None = None,
    progress: Progress = silent,
) -> list[str | Path]:
    """Write one sample, or m of them side by side, drawn apart: adult.synthetic.1.csv and so on. -> the files."""
    outs = [out] if m is None else numbered(out, m)
    seeds = [seed] if m is None else synthesizer.seeds(m, seed)
    for number, (path, own) in enumerate(zip(outs, seeds, strict=True)):
        part = stage(progress, number / len(outs), (number + 1) / len(outs))
        write(
            synthesizer, path, sizes, seed=own, workers=workers, control=control, asked=asked,
            replace_tables=replace_tables, course=course, progress=part,
        )  # fmt: skip
    return outs


def complete_file(
    model: str | Path, given: str | Path, out: str | Path | None = None, *, seed: int | None = None
) -> tuple[int, str]:
    """Draw the columns that a file lacks, given those that it has. -> how many rows were written, and where."""
    out = out or beside(given, "completed")
    check_targets((model, given), out)
    check_place(out)
    synthesizer, opened = load(model), open_data(given)
    name, frame = _only(opened.dataset)
    full = synthesizer.complete(frame, table=_table_like(name, synthesizer), seed=seed)
    looks, own = synthesizer.layout.columns if synthesizer.layout else {}, opened.layout or Layout()
    put({name: full}, out, replace(own, columns={**looks, **own.columns}))
    return frame.height, str(out)


def impute_file(
    source: str | Path,
    out: str | Path | None = None,
    *,
    model: str | Path | None = None,
    m: int | None = None,
    schema: Schema | str | Path | None = None,
    seed: int = SEED,
    options: Options | None = None,
    progress: Progress = silent,
) -> tuple[int, list[str | Path]]:
    """Fill the missing cells of a file, by a model file or by what is learned of the file itself.

    -> how many cells were filled in each file, and the files.
    """
    out = out or beside(source, "imputed")
    check_targets((source, schema, model), out)
    check_place(out)
    opened = open_data(source)
    name, frame = _only(opened.dataset)
    if model is None:
        found = described(opened, schema)
        whole = replace(options or Options(), holdout=0.0)
        synthesizer = Synthesizer(whole).fit(opened.dataset, found, seed, stage(progress, 0.0, 0.7))
    else:
        synthesizer = load(model)
    progress(0.7, "filling the gaps")
    outs = [out] if m is None else numbered(out, m)
    filled = synthesizer.impute(frame, len(outs), table=_table_like(name, synthesizer), seed=seed)
    for path, part in zip(outs, filled, strict=True):
        put({name: part}, path, opened.layout)
    gone = frame.null_count().sum_horizontal() - filled[0].null_count().sum_horizontal()
    return int(gone.item()), outs


def _table_like(name: str, synthesizer: Synthesizer) -> str:
    """The learned table that a file's table is of: that of its name, or the only one."""
    return name if name in synthesizer.schema_ else _only(synthesizer.schema_)[0]


def _only(tables: Mapping[str, Any]) -> tuple[str, Any]:
    if len(tables) != 1:
        raise ArgumentError(f"one table was wanted, not {len(tables)}: {', '.join(tables)}.")
    return next(iter(tables.items()))


def _reported(
    synthesizer: Synthesizer,
    rows: Mapping[str, int],
    out: str | Path,
    found: Report,
    report: str | Path | None,
) -> Outcome:
    """Write the report, and say what was done."""
    if report is not None:
        found.save(report)
    return Outcome(synthesizer, rows, shown(out), None if report is None else str(report), found)

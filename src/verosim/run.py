"""The path: read, infer, fit, sample, write, evaluate. The first file to read; everything else hangs on it.

real data -> read -> infer the schema -> fit -> sample -> write -> measure
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import polars as pl
from rich.console import Group
from rich.markup import escape
from rich.table import Table as Grid

from verosim import files, rules
from verosim.errors import ArgumentError, FileError
from verosim.evaluate import Report, measure
from verosim.files import Layout
from verosim.files.disk import STANDARD, atomic
from verosim.frames import Shape, enter
from verosim.infer import explain, infer
from verosim.models import Progress, silent
from verosim.schema import Schema
from verosim.synthesizer import Options, Synthesizer, split

MEASURED: Final = 20_000  # synthetic rows that the measure looks at, at most
SEED: Final = 0  # of every call that is given none: two runs give the same


@dataclass(frozen=True, slots=True)
class Opened:
    """Data at hand: tables, and what is needed to give back the like of them."""

    dataset: Mapping[str, pl.DataFrame]
    shape: Shape | None = None  # data in memory: what kind
    layout: Layout | None = None  # a file: how it looked
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `synth` did: where the rows and the report lie, and what was found."""

    synthesizer: Synthesizer
    rows: Mapping[str, int]
    out: str
    report_path: str | None
    reports: Mapping[str, Report]
    notes: tuple[str, ...]


def synth(
    source: str | Path,
    out: str | Path | None = None,
    *,
    schema: Schema | str | Path | None = None,
    rows: int | None = None,
    scale: float | None = None,
    seed: int = SEED,
    options: Options | None = None,
    report: str | Path | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> Outcome:
    """Learn a file and write a synthetic one that looks like it, with a report beside it: the whole path.

    Raises an error of `verosim.errors` before any work where something cannot be done; writes whole files or none.
    """
    out = out or beside(source, "synthetic")
    report = report or (None if str(out) == STANDARD else beside(source, "report", ".json", folder=Path(out).parent))
    _check_targets(source, out, report)
    opened = open_data(source)
    synthesizer, reports = learn(opened, schema, seed, options or Options(), _part(progress, 0.0, 0.6))
    sizes = synthesizer.sizes(rows, scale)
    write(synthesizer, out, sizes, seed=seed, workers=workers, progress=_part(progress, 0.6, 1.0))
    if report is not None:
        save_reports(reports, report)
    notes = (*opened.notes, *synthesizer.notes)
    return Outcome(synthesizer, sizes, str(out), None if report is None else str(report), reports, notes)


def fit(
    data: Any,
    schema: Schema | str | Path | None = None,
    *,
    seed: int = SEED,
    model: str = "chain",
    k: int = 5,
    unit: str | None = None,
    holdout: float = 0.1,
    progress: Progress = silent,
) -> Synthesizer:
    """Learn data: a polars, pandas or pyarrow frame, a file's path, or {"name": frame}.

    schema: what the columns mean, where guesses are wrong (see `inspect`). k: values held by fewer people are not
    reproduced. unit: the column that says whom a row belongs to. holdout: the share of rows kept to measure with.
    The first measure lies in `synthesizer.report`. The caller's data are not changed.
    """
    options = Options(model=model, k=k, unit=unit, holdout=holdout)
    return learn(open_data(data), schema, seed, options, progress)[0]


def inspect(data: Any, schema: Schema | str | Path | None = None) -> Schema:
    """The schema of data: what each column is believed to be and why, and the rules that hold in all rows.

    Save it with `.save("adult.schema.yaml")`, edit it, and hand it to `fit` or `synth`.
    """
    return described(open_data(data).dataset, schema)


def load(path: str | Path) -> Synthesizer:
    """What `synthesizer.save(path)` wrote. Raises ModelFileError for a damaged, forged or newer file."""
    return Synthesizer.load(path)


# ------------------------------------------------------------------------------------------- the steps of the path


def open_data(data: Any) -> Opened:
    """A file's path, or frames in memory, as tables."""
    if isinstance(data, str | Path):
        source = files.read(data)
        return Opened(source.dataset, layout=source.layout, notes=source.notes)
    dataset, shape = enter(data)
    return Opened(dataset, shape=shape, notes=shape.notes)


def described(dataset: Mapping[str, pl.DataFrame], schema: Schema | str | Path | None) -> Schema:
    """The schema, guessed where none is given. A table that is not in the given schema gets the rules that it holds."""
    given = schema if schema is None or isinstance(schema, Schema) else Schema.load(schema)
    found = infer(dataset, given)
    for name, frame in dataset.items():
        if given is None or name not in given:
            learned = rules.learn(frame, found[name])
            found = found.with_table(replace(found[name], rules=tuple(rule.spec() for rule in learned)))
    return found


def learn(
    opened: Opened, schema: Schema | str | Path | None, seed: int, options: Options, progress: Progress = silent
) -> tuple[Synthesizer, dict[str, Report]]:
    """Fit, and measure against the hold-out."""
    progress(0.0, "looking at the columns")
    found = described(opened.dataset, schema)
    synthesizer = Synthesizer(options).fit(opened.dataset, found, seed, _part(progress, 0.05, 0.8))
    synthesizer.shape, synthesizer.layout = opened.shape, opened.layout
    reports = measured(synthesizer, opened.dataset, _part(progress, 0.8, 1.0))
    synthesizer.report = {name: report.to_dict() for name, report in reports.items()}
    return synthesizer, reports


def measured(
    synthesizer: Synthesizer, dataset: Mapping[str, pl.DataFrame], progress: Progress = silent
) -> dict[str, Report]:
    """The first measure of each table: synthetic rows beside those learned from and the hold-out."""
    train, held = split(dataset, synthesizer.options.holdout, synthesizer.seed_)
    reports = {}
    for name, frame in train.items():
        drawn = pl.concat(synthesizer.blocks(name, min(frame.height, MEASURED)))
        table = synthesizer.schema_[name]
        reports[name] = measure(frame, held[name], drawn, table, synthesizer.seed_, progress)
    return reports


def write(
    synthesizer: Synthesizer,
    out: str | Path,
    sizes: Mapping[str, int],
    *,
    seed: int | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> None:
    """Draw rows and write them as they come, looking like the file that was learned."""
    total, done = max(1, sum(sizes.values())), 0

    def counted(name: str, rows: int) -> Any:
        nonlocal done
        for block in synthesizer.blocks(name, rows, seed, workers):
            done += block.height
            progress(done / total, f"{done:,} rows")
            yield block

    frames = {name: counted(name, rows) for name, rows in sizes.items()}
    layout = synthesizer.layout
    if len(frames) == 1 and not (layout and layout.format == "folder"):
        (name,) = frames
        files.write(frames[name], out, layout, table=name)
    else:
        files.write(frames, out, layout)


def save_reports(reports: Mapping[str, Report], path: str | Path) -> None:
    """One report as it is; several by table. Whole or not at all."""
    parts = {name: report.to_dict() for name, report in reports.items()}
    content = next(iter(parts.values())) if len(parts) == 1 else {"tables": parts}
    with atomic(path) as out:
        out.write((json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def beside(source: str | Path, what: str, suffix: str | None = None, folder: Path | None = None) -> Path:
    """adult.csv.gz -> adult.synthetic.csv.gz, or adult.report.json."""
    path = Path(source)
    if str(source) == STANDARD:
        raise ArgumentError("data from standard input have no name: say where the output goes with --out.")
    folder = path.parent if folder is None else folder
    stem, dot, rest = path.name.partition(".")
    if stem == "" or not dot:
        stem, rest = path.name, ""
    ending = suffix if suffix is not None else (f".{rest}" if rest else "")
    return folder / f"{stem}.{what}{ending}"


def default_output(synthesizer: Synthesizer, model_file: str | Path) -> Path:
    """adult.verosim -> adult.synthetic.csv, in the format of the file that was learned; Parquet for data in memory."""
    layout, stem = synthesizer.layout, Path(model_file).with_suffix("")
    if layout is None:
        return stem.with_name(f"{stem.name}.synthetic.parquet")
    if layout.format == "folder":
        return stem.with_name(f"{stem.name}.synthetic")
    packed = {"gzip": ".gz", "zstd": ".zst"}.get(layout.compression or "", "")
    return stem.with_name(f"{stem.name}.synthetic.{layout.format}{packed if layout.format in ('csv', 'tsv') else ''}")


def schema_tables(schema: Schema) -> Group:
    """The columns of a schema with the reason for each guess, and its rules, to be printed."""
    parts: list[Any] = []
    for name, table in schema.items():
        grid = Grid("column", "kind", "detail", "why", title=name, title_justify="left", box=None, header_style="bold")
        for line in explain(Schema({name: table})):
            grid.add_row(*map(escape, (line.column, line.kind, line.detail, line.reason)))
        parts.append(grid)
        found = rules.parse(table.rules, table)
        if found:
            parts.append("rules that hold in all rows:")
            parts += [escape(f"  {rule}" + (f"   ({rule.reason})" if rule.reason else "")) for rule in found]
    return Group(*parts)


def _check_targets(source: str | Path, *targets: str | Path | None) -> None:
    for target in targets:
        if target is None or str(target) == STANDARD:
            continue
        if Path(target).resolve() == Path(source).resolve():
            raise FileError(f"{target}: this is the real data; write the output somewhere else.")
    out, report = targets
    if out is not None:
        files.check_writable(out)
    if report is not None:
        files.check_writable(report, format="json")


def _part(progress: Progress, begin: float, end: float) -> Progress:
    """A progress whose 0 to 1 is a part of the whole."""
    return lambda share, what: progress(begin + share * (end - begin), what)

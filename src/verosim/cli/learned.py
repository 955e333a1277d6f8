"""Commands over learned data: learn, draw, complete, fill, augment, compare, look."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from verosim.cli.common import (
    ENGINE,
    ORPHANS,
    Anomalies,
    AsJson,
    Holdout,
    K,
    Keep,
    Model,
    ModelFile,
    Orphans,
    Out,
    OwnSeed,
    Quiet,
    Replace,
    Replicates,
    ReportFile,
    Rows,
    SampleRows,
    Scale,
    SchemaFile,
    SchemaName,
    Seed,
    Settings,
    Source,
    Start,
    Tables,
    Unit,
    Workers,
    app,
    listed,
    only_one,
    picked,
    printer,
    progress_bar,
    rows_of,
    say,
    say_json,
    settings_of,
    shown,
)  # fmt: skip

if TYPE_CHECKING:
    from verosim.cli.common import Engine, OrphansKind
    from verosim.run import Outcome
    from verosim.table_model import Options

SHOWN: Final = 6  # notes that are printed, and columns in a note
_RARE: Final = re.compile(r"(.+): [0-9,]+ (?:of [0-9,]+ )?((?:values|levels) are held by fewer than .*)", re.DOTALL)


def _options(
    model: Engine,
    set_: list[str] | None,
    k: int,
    unit: str | None,
    holdout: float = 0.1,
    orphans: OrphansKind = ORPHANS,
) -> Options:
    """How to learn, as the command says."""
    from verosim.table_model import Options

    settings = settings_of(set_)
    return Options(model=model.value, settings=settings, k=k, unit=unit, holdout=holdout, orphans=orphans.value)


@app.command(epilog="Example: verosim synth adult.csv --rows 100000 --seed 7 --out people.parquet")
def synth(
    source: Source,
    out: Out = None,
    rows: Rows = None,
    scale: Scale = None,
    seed: Seed = 0,
    schema: SchemaFile = None,
    report: ReportFile = None,
    model: Model = ENGINE,
    set_: Settings = None,
    k: K = 5,
    unit: Unit = None,
    holdout: Holdout = 0.1,
    start: Start = None,
    orphans: Orphans = ORPHANS,
    keep: Keep = None,
    workers: Workers = 0,
    schema_name: SchemaName = None,
    tables: Tables = None,
    sample_rows: SampleRows = None,
    anomalies: Anomalies = None,
    replace_: Replace = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Learn a file or database and write a synthetic one like it, with a report of how good and private it is."""
    from verosim import run

    only_one(as_json, out)
    options = _options(model, set_, k, unit, holdout, orphans)
    with progress_bar(quiet) as progress:
        done = run.synth(
            source, out, schema=schema, rows=rows_of(rows), scale=scale, seed=seed, options=options, start=start,
            report=report, keep=listed(keep), workers=workers, pick=picked(schema_name, tables, sample_rows),
            replace_tables=replace_, course=run.course_of(anomalies=anomalies), progress=progress,
        )  # fmt: skip
    if as_json:
        say_json({**_outcome(done), "rows": dict(done.rows)})
    elif not quiet:
        show = printer(done.out)
        _show_found(done, show)
        where = f" and {done.report_path}" if done.report_path else ""
        show(f"wrote {sum(done.rows.values()):,} rows to {shown(done.out)}{where}")
        show(f"next: verosim inspect {shown(source)} to see and correct what the columns were taken for")


@app.command(epilog="Example: verosim fit adult.csv --out adult.verosim")
def fit(
    source: Source,
    out: Out = None,
    seed: Seed = 0,
    schema: SchemaFile = None,
    report: ReportFile = None,
    model: Model = ENGINE,
    set_: Settings = None,
    k: K = 5,
    unit: Unit = None,
    holdout: Holdout = 0.1,
    start: Start = None,
    orphans: Orphans = ORPHANS,
    keep: Keep = None,
    schema_name: SchemaName = None,
    tables: Tables = None,
    sample_rows: SampleRows = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Learn a file or database and keep what was learned in a model file, to draw rows from later."""
    from verosim import run

    options = _options(model, set_, k, unit, holdout, orphans)
    with progress_bar(quiet) as progress:
        done = run.learn_file(
            source, out, schema=schema, seed=seed, options=options, start=start, report=report, keep=listed(keep),
            pick=picked(schema_name, tables, sample_rows), progress=progress,
        )  # fmt: skip
    if as_json:
        say_json({**_outcome(done), "explain": done.synthesizer.explain()})
    elif not quiet:
        _show_found(done, say)
        where = f", the report to {done.report_path}" if done.report_path else ""
        say(f"wrote the model to {done.out}{where}\nnext: verosim sample {done.out} --rows 1000")


@app.command(epilog="Example: verosim sample adult.verosim --rows 1000000 --out adult.parquet")
def sample(
    model_file: ModelFile,
    out: Out = None,
    rows: Rows = None,
    scale: Scale = None,
    seed: OwnSeed = None,
    workers: Workers = 0,
    where: Annotated[
        str | None, typer.Option(help="What each row must be: \"income = '>50K' and age between 60 and 80\".")
    ] = None,
    balance: Annotated[
        str | None, typer.Option(help="A column whose levels come equally often; or fraud: yes=0.3.")
    ] = None,
    edges: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of rows at the borders of what there is.")
    ] = None,
    fair: Annotated[str | None, typer.Option(help="A target made independent of others: income: sex, race.")] = None,
    temperature: Annotated[float, typer.Option(help="Below 1 more typical rows, above 1 more variety.")] = 1.0,
    sequences: Annotated[int | None, typer.Option(min=1, help="How many whole sequences.")] = None,
    length: Annotated[int | None, typer.Option(min=1, help="Rows of each sequence, or of a long series.")] = None,
    start: Annotated[str | None, typer.Option(help="When sequences begin: 2025-06-01T00:00.")] = None,
    begin: Annotated[str | None, typer.Option(help="A file of rows that sequences go on from.")] = None,
    anomalies: Anomalies = None,
    m: Replicates = None,
    replace_: Replace = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw rows from a model file."""
    from verosim import run, targets
    from verosim.control import Control

    only_one(as_json, out)
    control = Control.of_text(where, balance, edges, fair, temperature)
    synthesizer = run.load(model_file)
    course = run.course_of(sequences, length, start, begin, anomalies)
    place = out or targets.default_output(synthesizer.layout, model_file)
    asked = rows_of(rows)
    sizes = synthesizer.sizes(asked, scale)
    targets.check_targets((model_file,), place)
    targets.check_place(place, replace_)
    with progress_bar(quiet) as progress:
        outs = run.write_samples(
            synthesizer, place, sizes, m=m, seed=seed, workers=workers, control=control,
            asked=next(iter(asked)) if isinstance(asked, dict) and len(asked) == 1 else None,
            replace_tables=replace_, course=course, progress=progress,
        )  # fmt: skip
    if as_json:
        wrote = {"out": shown(place)} if m is None else {"out": list(map(shown, outs))}
        say_json({**wrote, "rows": sizes, "effects": list(synthesizer.effects)})
    elif not quiet:
        for effect in synthesizer.effects:
            printer(place)(effect)
        printer(place)(f"wrote {sum(sizes.values()):,} rows to {', '.join(map(shown, outs))}")


@app.command(epilog="Example: verosim complete adult.verosim some-columns.csv --out whole-rows.csv")
def complete(
    model_file: ModelFile,
    given: Annotated[str, typer.Argument(help="A file with some of the columns.")],
    out: Out = None,
    seed: OwnSeed = None,
    quiet: Quiet = False,
) -> None:
    """Draw the columns that a file lacks, given those that it has."""
    from verosim import run

    with progress_bar(quiet) as progress:
        progress(0.0, "drawing the other columns")
        rows, wrote = run.complete_file(model_file, given, out, seed=seed)
    if not quiet:
        printer(wrote)(f"wrote {rows:,} rows to {shown(wrote)}")


@app.command(epilog="Example: verosim impute survey.csv -m 5")
def impute(
    source: Source,
    out: Out = None,
    m: Replicates = None,
    model_file: Annotated[
        Path | None, typer.Option("--model-file", help="What verosim fit wrote, in place of learning the file.")
    ] = None,
    seed: Seed = 0,
    schema: SchemaFile = None,
    model: Model = ENGINE,
    set_: Settings = None,
    k: K = 5,
    unit: Unit = None,
    quiet: Quiet = False,
) -> None:
    """Fill the missing cells of a file with values drawn given all others; -m gives several versions."""
    from verosim import run

    options = _options(model, set_, k, unit)
    with progress_bar(quiet) as progress:
        cells, outs = run.impute_file(
            source, out, model=model_file, m=m, schema=schema, seed=seed, options=options, progress=progress
        )
    if not quiet:
        printer(outs[0])(f"filled {cells:,} cells; wrote {', '.join(map(shown, outs))}")


@app.command(epilog="Example: verosim augment claims.csv --target fraud")
def augment(
    source: Source,
    target: Annotated[str, typer.Option(help="The column to be predicted.")],
    out: Out = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Real and synthetic rows together.")] = None,
    balance: Annotated[bool, typer.Option(help="Bring all classes of the target to one size.")] = True,
    splits: Annotated[int, typer.Option(min=0, help="How often the gain is measured; 0: not.")] = 5,
    seed: Seed = 0,
    schema: SchemaFile = None,
    model: Model = ENGINE,
    set_: Settings = None,
    k: K = 5,
    unit: Unit = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Add synthetic rows to the real ones, for a small or unbalanced set, and measure what they are worth."""
    from verosim import augmenting

    only_one(as_json, out)
    options = _options(model, set_, k, unit)
    with progress_bar(quiet) as progress:
        done, wrote = augmenting.augment_file(
            source, target, out, rows=rows, balance=balance, splits=splits, schema=schema, seed=seed, options=options,
            progress=progress,
        )  # fmt: skip
    if as_json:
        say_json({"out": wrote, "rows": done.rows, "gains": [gain.to_dict() for gain in done.gains]})
    elif not quiet:
        printer(wrote)(f"{done.summary()}\nwrote {shown(wrote)}")


@app.command(epilog="Example: verosim inspect adult.csv --out adult.schema.yaml")
def inspect(
    source: Source,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The schema file to write (yaml or json).")] = None,
    schema: SchemaFile = None,
    schema_name: SchemaName = None,
    tables: Tables = None,
    sample_rows: SampleRows = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Write a recipe of data like these here: each column drawn apart.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Print what each column is taken for, and why; write it as a schema file to edit and give back with --schema."""
    from verosim import run, targets

    for target in (out, recipe):
        if target is not None:
            targets.check_targets((source,), target)
    with progress_bar(quiet) as progress:
        progress(0.0, "looking at the columns")
        opened, given = run.briefed(run.open_data(source, picked(schema_name, tables, sample_rows)), schema)
        found = run.described(opened, given)
    wrote = _write_schema(found, source, out)
    if recipe is not None:
        wrote += f"\n{_write_recipe(opened.dataset, found, recipe)}"
    if as_json:
        say_json(found.to_dict())
    elif not quiet:
        printer(out)(_columns(found), soft_wrap=False)
        for note in (*opened.notes, *run.remarks(opened.dataset, found))[:SHOWN]:
            printer(out)(f"note: {note}")
        printer(out)(wrote)


def _columns(schema: Any) -> Any:
    """The columns of a schema with the reason for each guess, and its rules, to be printed."""
    from rich.console import Group
    from rich.table import Table as Grid
    from rich.text import Text

    from verosim import rules
    from verosim.infer import explain
    from verosim.schema import Schema

    parts: list[Any] = []
    for name, table in schema.items():
        grid = Grid(
            "column", "kind", "detail", "why", title=Text(name), title_justify="left", box=None, header_style="bold"
        )
        for line in explain(Schema({name: table})):
            grid.add_row(*map(Text, (line.column, line.kind, line.detail, line.reason)))
        parts.append(grid)
        if table.sequence:
            parts.append(Text(f"a sequence: {table.sequence.reason or 'as the schema says'}"))
        found = rules.parse(table.rules, table)
        if found:
            parts.append("rules that hold in all rows:")
            parts += [Text(f"  {rule}" + (f"   ({rule.reason})" if rule.reason else "")) for rule in found]
        parts += [Text(line) for line in _keys(table)]
    return Group(*parts)


def _keys(table: Any) -> Iterator[str]:
    """The foreign keys of a table with the reason for each, and a primary key of several columns."""
    if len(table.primary_key) > 1:
        yield f"primary key: {', '.join(table.primary_key)}"
    yield from ["foreign keys:"] if table.foreign_keys else []
    yield from (f"  {key}" + (f"   ({key.reason})" if key.reason else "") for key in table.foreign_keys)
    yield from ["kept as it is"] if table.keep else []


def _write_recipe(dataset: Any, found: Any, path: Path) -> str:
    from verosim.files.disk import atomic
    from verosim.recipe import skeleton

    with atomic(path) as file:
        file.write(skeleton.text(skeleton.from_frames(dataset, found)).encode())
    return f"wrote {path}\nnext: edit it, then verosim generate {path}"


def _write_schema(found: Any, source: str, out: Path | None) -> str:
    """Write the schema where it was asked for, or beside the data, but not over one that a person may have edited."""
    from verosim import targets

    if out is None and str(source) == "-":
        return "next: give --out a name to write this as a schema file"
    path = out or targets.beside(source, "schema", ".yaml")
    if out is None and path.exists() and path.read_bytes() != found.to_text(path.suffix).encode():
        return f"kept {path}, which says otherwise; --out {path} writes over it, --schema {path} reads it"
    targets.save_schema(found, path)
    return f"wrote {shown(path)}\nnext: edit it, then verosim synth {shown(source)} --schema {path}"


def _outcome(done: Outcome) -> dict[str, Any]:
    return {"out": done.out, "report": done.report_path, **done.report.to_dict()}


def _show_found(done: Outcome, show: Callable[..., None]) -> None:
    """How each table stands, and the first notes: a wide table has many."""
    from verosim.evaluation.terminal import brief

    show(brief(done.report), soft_wrap=False)
    notes = _together(done.report.notes) + [note for table in done.report.tables.values() for note in table.notes]
    for note in notes[:SHOWN]:
        show(f"  note: {note}")
    if len(notes) > SHOWN:
        more = len(notes) - SHOWN
        show(f"  and {more} more note{'s' * (more > 1)}: {done.report_path or '--json'} has all")


def _together(notes: Iterable[str]) -> list[str]:
    """The notes, with one for all columns of which the same is said but for numbers."""
    same: dict[str, list[str]] = {}
    for note in notes:
        rare = _RARE.fullmatch(note)
        same.setdefault(f": some {rare[2]}" if rare else note, []).append(rare[1] if rare else "")
    return [_listed(columns) + what for what, columns in same.items()]


def _listed(columns: list[str]) -> str:
    return ", ".join(columns[:SHOWN]) + (f" and {len(columns) - SHOWN} more columns" if len(columns) > SHOWN else "")

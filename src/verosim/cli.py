"""The command line: thin commands over run.py. Results go to standard output, progress and errors to standard error."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from verosim.errors import ArgumentError, VerosimError
from verosim.models import MODELS, silent

if TYPE_CHECKING:
    from verosim.run import Outcome

SHOWN: Final = 6  # notes that are printed, and columns in a note
_RARE: Final = re.compile(r"(.+): [0-9,]+ (?:of [0-9,]+ )?((?:values|levels) are held by fewer than .*)", re.DOTALL)
WRONG_USE: Final[Any] = typer.BadParameter.__base__  # typer's error for wrong options; its module is no public one

app = typer.Typer(
    name="verosim",
    help="Synthetic data, with proof of how good and how private it is.",
    epilog="Example: verosim synth adult.csv",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
err = Console(stderr=True, highlight=False)
Engine = Enum("Engine", {name: name for name in MODELS})  # type: ignore[misc]

Source = Annotated[
    Path, typer.Argument(help="A file or folder: csv, tsv, parquet, arrow, xlsx, json, jsonl; - is standard input.")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where the output goes; - is standard output.")]
Rows = Annotated[int | None, typer.Option(min=0, help="How many rows; by default as many as the real data.")]
Scale = Annotated[float | None, typer.Option(min=0, help="How many rows, as a multiple of the real data.")]
Seed = Annotated[int, typer.Option(min=0, help="Fixes all chance: the same seed gives the same rows.")]
OwnSeed = Annotated[int | None, typer.Option(min=0, help="Fixes all chance; by default that of the fit.")]
ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="What verosim fit wrote.")]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="A schema file (see inspect), in place of guesses.")]
ReportFile = Annotated[Path | None, typer.Option("--report", help="Where the report goes (JSON).")]
Model = Annotated[Engine, typer.Option(help="The engine that learns.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of the engine: max_minutes=5, epochs=20."),
]
K = Annotated[int, typer.Option("--k", min=1, help="Values that fewer people hold are not reproduced.")]
Unit = Annotated[str | None, typer.Option(help="The column that says whom a row belongs to.")]
Holdout = Annotated[float, typer.Option(min=0, max=0.9, help="Share of the rows kept to measure with, never learned.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that draw rows; 0: as many as pay.")]
Replicates = Annotated[
    int | None, typer.Option("-m", min=1, help="How many files, drawn apart: out.1.csv, out.2.csv ...")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ENGINE = Engine["auto"]


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
    workers: Workers = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Learn a file and write a synthetic one that looks like it, with a report of how good and private it is."""
    from verosim import run
    from verosim.table_model import Options

    _only_one(as_json, out)
    options = Options(model=model.value, settings=_settings(set_), k=k, unit=unit, holdout=holdout)
    with _progress(quiet) as progress:
        done = run.synth(
            source, out, schema=schema, rows=rows, scale=scale, seed=seed, options=options, report=report,
            workers=workers, progress=progress,
        )  # fmt: skip
    if as_json:
        _print_json({**_outcome(done), "rows": dict(done.rows)})
    elif not quiet:
        show = _printer(done.out)
        _show_found(done, show)
        where = f" and {done.report_path}" if done.report_path else ""
        show(f"wrote {sum(done.rows.values()):,} rows to {_shown(done.out)}{where}")
        show(f"next: verosim inspect {source} to see and correct what the columns were taken for")


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
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Learn a file and keep what was learned in a model file, to draw rows from later."""
    from verosim import run
    from verosim.table_model import Options

    options = Options(model=model.value, settings=_settings(set_), k=k, unit=unit, holdout=holdout)
    with _progress(quiet) as progress:
        done = run.learn_file(
            source, out, schema=schema, seed=seed, options=options, report=report, progress=progress
        )  # fmt: skip
    if as_json:
        _print_json({**_outcome(done), "explain": done.synthesizer.explain()})
    elif not quiet:
        _show_found(done, _print)
        where = f", the report to {done.report_path}" if done.report_path else ""
        _print(f"wrote the model to {done.out}{where}\nnext: verosim sample {done.out} --rows 1000")


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
    m: Replicates = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw rows from a model file."""
    from verosim import files, run
    from verosim.control import Control

    _only_one(as_json, out)
    control = Control.of_text(where, balance, edges, fair, temperature)
    synthesizer = run.load(model_file)
    out = out or run.default_output(synthesizer, model_file)
    sizes = synthesizer.sizes(rows, scale)
    run.check_targets((model_file,), out)
    files.check_writable(out)
    with _progress(quiet) as progress:
        outs = run.write_samples(
            synthesizer, out, sizes, m=m, seed=seed, workers=workers, control=control, progress=progress
        )
    if as_json:
        wrote = {"out": str(out)} if m is None else {"out": list(map(str, outs))}
        _print_json({**wrote, "rows": sizes, "effects": list(synthesizer.effects)})
    elif not quiet:
        for effect in synthesizer.effects:
            _printer(out)(effect)
        _printer(out)(f"wrote {sum(sizes.values()):,} rows to {', '.join(map(_shown, outs))}")


@app.command(epilog="Example: verosim complete adult.verosim some-columns.csv --out whole-rows.csv")
def complete(
    model_file: ModelFile,
    given: Annotated[Path, typer.Argument(help="A file with some of the columns.")],
    out: Out = None,
    seed: OwnSeed = None,
    quiet: Quiet = False,
) -> None:
    """Draw the columns that a file lacks, given those that it has."""
    from verosim import run

    with _progress(quiet) as progress:
        progress(0.0, "drawing the other columns")
        rows, wrote = run.complete_file(model_file, given, out, seed=seed)
    if not quiet:
        _printer(wrote)(f"wrote {rows:,} rows to {_shown(wrote)}")


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
    from verosim.table_model import Options

    options = Options(model=model.value, settings=_settings(set_), k=k, unit=unit)
    with _progress(quiet) as progress:
        cells, outs = run.impute_file(
            source, out, model=model_file, m=m, schema=schema, seed=seed, options=options, progress=progress
        )
    if not quiet:
        _printer(outs[0])(f"filled {cells:,} cells; wrote {', '.join(map(_shown, outs))}")


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
    from verosim.table_model import Options

    _only_one(as_json, out)
    options = Options(model=model.value, settings=_settings(set_), k=k, unit=unit)
    with _progress(quiet) as progress:
        done, wrote = augmenting.augment_file(
            source, target, out, rows=rows, balance=balance, splits=splits, schema=schema, seed=seed, options=options,
            progress=progress,
        )  # fmt: skip
    if as_json:
        _print_json({"out": wrote, "rows": done.rows, "gains": [gain.to_dict() for gain in done.gains]})
    elif not quiet:
        _printer(wrote)(f"{done.summary()}\nwrote {_shown(wrote)}")


@app.command(epilog="Example: verosim compare adult.csv --models chain,network,gan --minutes 20 --out engines.html")
def compare(
    source: Source,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where a page (.html) or JSON goes.")] = None,
    models: Annotated[str | None, typer.Option(help="Engines, with commas between; by default all.")] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="Wall-clock time for all engines together.")] = 10.0,
    target: Annotated[str | None, typer.Option(help="The column to predict; by default one of few values.")] = None,
    seed: Seed = 0,
    schema: SchemaFile = None,
    k: K = 5,
    unit: Unit = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train engines on a table within a time budget, and show how good, useful, private and quick each is."""
    from verosim import run
    from verosim.comparing import compare as side_by_side
    from verosim.files.disk import check_writable

    run.check_targets((source, schema), out or "-")
    if out is not None:
        check_writable(out)
    names = [name.strip() for name in models.split(",")] if models else None
    with _progress(quiet) as progress:
        found = side_by_side(
            source, names, minutes=minutes, target=target, schema=schema, seed=seed, k=k, unit=unit, progress=progress
        )
    if out is not None:
        found.save(out)
    if as_json:
        _print_json(found.to_dict())
    elif not quiet:
        _print(found.grid())
        _print(found.advice())
        if out is not None:
            _print(f"wrote {out}")
        elif found.best is not None:
            _print(f"next: verosim synth {source} --model {found.best.model}")


@app.command(epilog="Example: verosim inspect adult.csv --out adult.schema.yaml")
def inspect(
    source: Source,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The schema file to write (yaml or json).")] = None,
    schema: SchemaFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Print what each column is taken for, and why; write it as a schema file to edit and give back with --schema."""
    from verosim import run

    if out is not None:
        run.check_targets((source,), out)
    with _progress(quiet) as progress:
        progress(0.0, "looking at the columns")
        found = run.inspect(source, schema)
    wrote = _write_schema(found, source, out)
    if as_json:
        _print_json(found.to_dict())
    elif not quiet:
        _printer(out)(run.schema_tables(found), soft_wrap=False)
        _printer(out)(wrote)


def _write_schema(found: Any, source: Path, out: Path | None) -> str:
    """Write the schema where it was asked for, or beside the data, but not over one that a person may have edited."""
    from verosim import run

    if out is None and str(source) == "-":
        return "next: give --out a name to write this as a schema file"
    path = out or run.beside(source, "schema", ".yaml")
    if out is None and path.exists() and path.read_bytes() != found.to_text(path.suffix).encode():
        return f"kept {path}, which says otherwise; --out {path} writes over it, --schema {path} reads it"
    run.save_schema(found, path)
    return f"wrote {_shown(path)}\nnext: edit it, then verosim synth {source} --schema {path}"


# ------------------------------------------------------------------------------------------------ around commands


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line: exit code 0 done, 2 something was wrong (one line says what), 130 stopped by Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter shows its number
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: nothing half-written is left
    try:
        sys.exit(_run(arguments))
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(arguments: list[str] | None) -> int:
    """The exit code of the command, with one line on standard error where it failed."""
    try:
        code = app(arguments, prog_name="verosim", standalone_mode=False)
        sys.stdout.flush()
    except (VerosimError, WRONG_USE) as error:
        if isinstance(error.__cause__, BrokenPipeError):
            return _reader_left()
        message = _use(error) if isinstance(error, WRONG_USE) else str(error)
        err.print(f"verosim: {' '.join(message.split())}", markup=False, soft_wrap=True)
        return 2
    except (BrokenPipeError, SystemExit):  # typer turns the one into the other
        return _reader_left()
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    if code == 130:
        err.print("verosim: stopped; nothing was left half-written.")
    return code if isinstance(code, int) else 0


def _use(error: Any) -> str:
    """What was wrong with the words of the command, and where to read how to say it."""
    command = error.ctx.command_path if error.ctx else "verosim"
    return f"{error.format_message().rstrip('.')}. See {command} --help"


def _reader_left() -> int:
    """Whoever read our output has enough: what else is printed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        _print(f"verosim {installed_version('verosim')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        _print(context.get_help())


def _print(what: Any, soft_wrap: bool = True) -> None:
    Console(highlight=False).print(what, soft_wrap=soft_wrap, markup=False)


def _print_error(what: Any, soft_wrap: bool = True) -> None:
    err.print(what, soft_wrap=soft_wrap, markup=False)


def _printer(out: object) -> Callable[..., None]:
    """Where messages go: not between the rows, where these go to standard output."""
    return _print_error if str(out) == "-" else _print


def _shown(out: object) -> str:
    return "standard output" if str(out) == "-" else str(out)


def _print_json(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def _settings(given: list[str] | None) -> dict[str, Any]:
    """["epochs=20", "device=cpu"] -> {"epochs": 20, "device": "cpu"}."""
    import yaml

    settings = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ArgumentError(f"--set: NAME=VALUE was wanted, such as epochs=20, not {text!r}.")
        settings[name.strip()] = yaml.safe_load(value) if re.fullmatch(r"[0-9.eE+-]+|true|false|null", value) else value
    return settings


def _only_one(as_json: bool, out: Path | None) -> None:
    if as_json and str(out) == "-":
        raise ArgumentError("rows and JSON cannot both go to standard output: give --out a name, or leave out --json.")


def _outcome(done: Outcome) -> dict[str, Any]:
    reports = {name: r.to_dict() for name, r in done.reports.items()}
    return {"out": done.out, "report": done.report_path, "reports": reports, "notes": list(done.notes)}


def _show_found(done: Outcome, show: Callable[..., None]) -> None:
    """The measures of each table, and the first notes: a wide table has many."""
    notes = [note for found in done.reports.values() for note in found.notes] + _together(done.notes)
    for found in done.reports.values():
        show(replace(found, notes=()).summary())
    for note in notes[:SHOWN]:
        show(f"  note: {note}")
    if len(notes) > SHOWN:
        show(f"  and {len(notes) - SHOWN} more notes: {done.report_path or '--json'} has all")


def _together(notes: Iterable[str]) -> list[str]:
    """The notes, with one for all columns of which the same is said but for numbers."""
    same: dict[str, list[str]] = {}
    for note in notes:
        rare = _RARE.fullmatch(note)
        same.setdefault(f": some {rare[2]}" if rare else note, []).append(rare[1] if rare else "")
    return [_listed(columns) + what for what, columns in same.items()]


def _listed(columns: list[str]) -> str:
    return ", ".join(columns[:SHOWN]) + (f" and {len(columns) - SHOWN} more columns" if len(columns) > SHOWN else "")


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[float, str], None]]:
    """A bar on standard error that appears after a second, on a terminal; nothing otherwise."""
    if quiet or not err.is_terminal:
        yield silent
        return
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=1.0, visible=False)
        timer = Timer(1.0, lambda: bar.update(task, visible=True))
        timer.start()
        try:
            yield lambda share, what: bar.update(task, completed=share, description=what)
        finally:
            timer.cancel()


if __name__ == "__main__":
    main()

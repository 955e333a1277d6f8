"""The command line: thin commands over run.py. Results go to standard output, progress and errors to standard error."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from verosim.errors import VerosimError
from verosim.models import MODELS, silent

app = typer.Typer(
    name="verosim",
    help="Synthetic data, with proof of how good and how private it is.",
    epilog="Example: verosim synth adult.csv",
    no_args_is_help=True,
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
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="A schema file (see inspect), in place of guesses.")]
ReportFile = Annotated[Path | None, typer.Option("--report", help="Where the report goes (JSON).")]
Model = Annotated[Engine, typer.Option(help="The engine that learns.")]
K = Annotated[int, typer.Option("--k", min=1, help="Values that fewer people hold are not reproduced.")]
Unit = Annotated[str | None, typer.Option(help="The column that says whom a row belongs to.")]
Holdout = Annotated[float, typer.Option(min=0, max=0.9, help="Share of the rows kept to measure with, never learned.")]
Workers = Annotated[int, typer.Option(min=0, help="Threads that draw rows; 0: one a processor core.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ENGINE = Engine["chain"]


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
    k: K = 5,
    unit: Unit = None,
    holdout: Holdout = 0.1,
    workers: Workers = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Learn a file and write a synthetic one that looks like it, with a report of how good and private it is."""
    from verosim import run
    from verosim.synthesizer import Options

    options = Options(model=model.value, k=k, unit=unit, holdout=holdout)
    with _progress(quiet) as progress:
        done = run.synth(
            source, out, schema=schema, rows=rows, scale=scale, seed=seed, options=options, report=report,
            workers=workers or _cores(), progress=progress,
        )  # fmt: skip
    if as_json and done.out != "-":
        reports = {name: r.to_dict() for name, r in done.reports.items()}
        _print_json(
            out=done.out, report=done.report_path, rows=dict(done.rows), reports=reports, notes=list(done.notes)
        )
    elif not quiet:
        show = err.print if done.out == "-" else _print
        for found in done.reports.values():
            show(found.summary(), markup=False)
        _show_notes(done.notes)
        where = f" and {done.report_path}" if done.report_path else ""
        show(f"wrote {sum(done.rows.values()):,} rows to {done.out}{where}", markup=False)
        show(f"next: verosim inspect {source} to see and correct what the columns were taken for", markup=False)


@app.command(epilog="Example: verosim fit adult.csv --out adult.verosim")
def fit(
    source: Source,
    out: Out = None,
    seed: Seed = 0,
    schema: SchemaFile = None,
    report: ReportFile = None,
    model: Model = ENGINE,
    k: K = 5,
    unit: Unit = None,
    holdout: Holdout = 0.1,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Learn a file and keep what was learned in a model file, to draw rows from later."""
    from verosim import files, run
    from verosim.synthesizer import Options

    out = out or run.beside(source, "verosim", suffix="").with_suffix(".verosim")
    files.disk.check_writable(out)
    options = Options(model=model.value, k=k, unit=unit, holdout=holdout)
    with _progress(quiet) as progress:
        synthesizer, reports = run.learn(run.open_data(source), schema, seed, options, progress)
        synthesizer.save(out)
        if report is not None:
            run.save_reports(reports, report)
    if as_json:
        found = {name: r.to_dict() for name, r in reports.items()}
        _print_json(out=str(out), explain=synthesizer.explain(), reports=found, notes=synthesizer.notes)
    elif not quiet:
        for one in reports.values():
            _print(one.summary(), markup=False)
        _show_notes(synthesizer.notes)
        _print(f"wrote the model to {out}\nnext: verosim sample {out} --rows 1000", markup=False)


@app.command(epilog="Example: verosim sample adult.verosim --rows 1000000 --out adult.parquet")
def sample(
    model_file: Annotated[Path, typer.Argument(metavar="MODEL", help="What verosim fit wrote.")],
    out: Out = None,
    rows: Rows = None,
    scale: Scale = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Fixes all chance; by default that of the fit.")] = None,
    workers: Workers = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw rows from a model file."""
    from verosim import files, run

    synthesizer = run.load(model_file)
    out = out or run.default_output(synthesizer, model_file)
    files.check_writable(out)
    sizes = synthesizer.sizes(rows, scale)
    with _progress(quiet) as progress:
        run.write(synthesizer, out, sizes, seed=seed, workers=workers or _cores(), progress=progress)
    if as_json and str(out) != "-":
        _print_json(out=str(out), rows=sizes)
    elif not quiet:
        (err.print if str(out) == "-" else _print)(f"wrote {sum(sizes.values()):,} rows to {out}", markup=False)


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

    out = out or run.beside(source, "schema", ".yaml")
    found = run.inspect(source, schema)
    found.save(out)
    if as_json:
        _print_json(**found.to_dict())
    elif not quiet:
        _print(run.schema_tables(found), soft_wrap=False)
        _print(f"wrote {out}\nnext: edit it, then verosim synth {source} --schema {out}", markup=False)


# ------------------------------------------------------------------------------------------------ around commands


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line: exit code 0 done, 2 something was wrong (one line says what), 130 stopped by Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: nothing half-written is left
    try:
        app(arguments, standalone_mode=True)
    except VerosimError as error:
        message = " ".join(str(error).split())
        err.print(f"verosim: {message}", markup=False, soft_wrap=True)
        sys.exit(2)
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        err.print("verosim: stopped; nothing was left half-written.")
        sys.exit(130)
    sys.exit(0)


def _version(wanted: bool) -> None:
    if wanted:
        _print(f"verosim {installed_version('verosim')}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _print(what: Any, **how: Any) -> None:
    Console(highlight=False).print(what, **{"soft_wrap": True, **how})


def _print_json(**content: Any) -> None:
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def _show_notes(notes: Any) -> None:
    for note in notes:
        _print(f"  note: {note}", markup=False)


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
    begun = time.monotonic()
    with Progress(*columns, console=err, transient=True, disable=False) as bar:
        task = bar.add_task("", total=1.0, visible=False)

        def show(share: float, what: str) -> None:
            bar.update(task, completed=share, description=what, visible=time.monotonic() - begun > 1)

        yield show


if __name__ == "__main__":
    main()

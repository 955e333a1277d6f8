"""What the commands share: the app they hang on, their options, and how they speak."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from verosim.errors import ArgumentError
from verosim.models import MODELS, silent

if TYPE_CHECKING:
    from verosim.databases import Pick

app = typer.Typer(
    name="verosim",
    help="Synthetic data, with proof of how good and how private it is.",
    epilog="Example: verosim synth adult.csv",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
WIDTH = 100  # of what is not printed on a terminal
err = Console(stderr=True, highlight=False)
Engine = Enum("Engine", {name: name for name in MODELS})  # type: ignore[misc]

Source = Annotated[
    str,
    typer.Argument(
        help="A file or folder: csv, tsv, parquet, arrow, xlsx, json, jsonl; - is standard input. Or a database: "
        "sqlite:///clinic.db, postgresql://user@host/clinic ..."
    ),
]
Out = Annotated[
    str | None, typer.Option("--out", "-o", help="Where the output goes, a database too; - is standard output.")
]
SchemaName = Annotated[str | None, typer.Option(help="Of a database: the schema to read, if not the user's own.")]
Tables = Annotated[str | None, typer.Option(help="Of a database: the tables to read, with commas between.")]
SampleRows = Annotated[
    int | None, typer.Option(min=1, help="Of a database: at most so many rows of each table, drawn at random.")
]
Replace = Annotated[bool, typer.Option("--replace", help="In a database: make tables of the same names anew.")]
Rows = Annotated[
    str | None,
    typer.Option(
        metavar="N|TABLE=N",
        help="How many rows; by default as many as the real data. Of several tables: customers=1000,products=50.",
    ),
]
Scale = Annotated[float | None, typer.Option(min=0, help="How many rows, as a multiple of the real data.")]
Seed = Annotated[int, typer.Option(min=0, help="Fixes all chance: the same seed gives the same rows.")]
OwnSeed = Annotated[int | None, typer.Option(min=0, help="Fixes all chance; by default that of the fit.")]
ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="What verosim fit wrote.")]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="A schema file (see inspect), in place of guesses.")]
ReportFile = Annotated[Path | None, typer.Option("--report", help="Where the report goes: a page (.html) or JSON.")]
Model = Annotated[Engine, typer.Option(help="The engine that learns.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of the engine: max_minutes=5, epochs=20."),
]
K = Annotated[int, typer.Option("--k", min=1, help="Values that fewer people hold are not reproduced.")]
Unit = Annotated[str | None, typer.Option(help="The column that says whom a row belongs to.")]
Holdout = Annotated[float, typer.Option(min=0, max=0.9, help="Share of the rows kept to measure with, never learned.")]
Start = Annotated[
    Path | None, typer.Option(help="Data or a model file with some of the same columns, to learn from first.")
]
OrphansKind = Enum("OrphansKind", {name: name for name in ("error", "drop", "null", "keep")})  # type: ignore[misc]
Orphans = Annotated[OrphansKind, typer.Option(help="What to do with rows whose foreign key names nobody.")]
Keep = Annotated[
    str | None, typer.Option(help="Reference tables that come out as they are, with commas between: country,city.")
]
Workers = Annotated[int, typer.Option(min=0, help="Processes that draw rows; 0: as many as pay.")]
Replicates = Annotated[
    int | None, typer.Option("-m", min=1, help="How many files, drawn apart: out.1.csv, out.2.csv ...")
]
Anomalies = Annotated[
    list[str] | None,
    typer.Option("--anomalies", help="Put into sequences, with labels: spike=0.01; may be given several times."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ENGINE = Engine["auto"]
ORPHANS = OrphansKind["error"]


def say(what: Any, soft_wrap: bool = True) -> None:
    width = None if sys.stdout.isatty() else WIDTH
    Console(highlight=False, width=width).print(what, soft_wrap=soft_wrap, markup=False)


def say_aside(what: Any, soft_wrap: bool = True) -> None:
    err.print(what, soft_wrap=soft_wrap, markup=False)


def printer(out: object) -> Callable[..., None]:
    """Where messages go: not between the rows, where these go to standard output."""
    return say_aside if str(out) == "-" else say


def shown(out: object) -> str:
    from verosim import databases

    return "standard output" if str(out) == "-" else databases.shown(out)


def picked(schema_name: str | None, tables: str | None, sample_rows: int | None) -> Pick | None:
    """What of a database is read, where anything was said of that."""
    from verosim.databases import Pick

    if not (schema_name or tables or sample_rows):
        return None
    return Pick(schema_name, tuple(listed(tables)), sample_rows)


def rows_of(text: str | None) -> int | dict[str, int] | None:
    """How many rows: "1000" -> 1000, "customers=1000, products=50" -> a number for each table."""
    if text is None:
        return None
    sizes = dict[str, int]()
    for part in text.split(","):
        name, equals, number = part.rpartition("=")
        if not re.fullmatch(r"\s*[0-9]+\s*", number) or (not equals and "," in text) or (equals and not name.strip()):
            raise ArgumentError(f"--rows: a number was wanted, or TABLE=N with commas between, not {text!r}.")
        sizes[name.strip()] = int(number)
    return sizes.get("", sizes)


def listed(names: str | None) -> list[str]:
    """Names with commas between."""
    return [name.strip() for name in names.split(",")] if names else []


def say_json(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def settings_of(given: list[str] | None) -> dict[str, Any]:
    """["epochs=20", "device=cpu"] -> {"epochs": 20, "device": "cpu"}."""
    import yaml

    settings = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ArgumentError(f"--set: NAME=VALUE was wanted, such as epochs=20, not {text!r}.")
        settings[name.strip()] = yaml.safe_load(value) if re.fullmatch(r"[0-9.eE+-]+|true|false|null", value) else value
    return settings


def only_one(as_json: bool, out: str | None) -> None:
    if as_json and str(out) == "-":
        raise ArgumentError("rows and JSON cannot both go to standard output: give --out a name, or leave out --json.")


@contextmanager
def going_on(out: Path) -> Iterator[None]:
    """Say, where a long run is stopped whose parts are kept, that it can go on."""
    try:
        yield
    except KeyboardInterrupt:
        if (out / ".parts").is_dir():
            say_aside(f"note: the parts in {out} are kept; the same command goes on from there.")
        raise


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[float, str], None]]:
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

"""The command that simulates: a scenario file, or one of the library, played through."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from verosim.cli.common import AsJson, Quiet, app, going_on, progress_bar, say, say_aside, say_json, settings_of
from verosim.errors import ArgumentError

How = Enum("How", {name: name for name in ("auto", "recursion", "calendar", "fast")})  # type: ignore[misc]
Form = Enum("Form", {name: name for name in ("csv", "tsv", "parquet", "arrow", "jsonl", "xes")})  # type: ignore[misc]


@app.command(epilog="Example: verosim simulate bank -n 100000 --set tellers=4 -o out/")
def simulate(
    scenario: Annotated[
        str | None, typer.Argument(help="A scenario file, or a name of the library; left out, it lists the library.")
    ] = None,
    cases: Annotated[
        int | None,
        typer.Option("-n", "--cases", min=0, help="How many cases come; by default what the scenario says, or 1,000."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The folder that the tables go to.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Fixes all chance; by default as the scenario says, or 0.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A value in place of the file's: tellers=4.")
    ] = None,
    sweep: Annotated[
        list[str] | None, typer.Option(metavar="NAME=A,B,C", help="Try several values, with the same customers.")
    ] = None,
    replications: Annotated[
        int | None,
        typer.Option(min=2, help="Runs that intervals are over; in a sweep those of each setting: 10."),
    ] = None,
    format: Annotated[Form, typer.Option(help="How the tables are written.")] = Form["csv"],
    engine: Annotated[How, typer.Option(help="What plays it: by default what suits and is quickest.")] = How["auto"],
    report: Annotated[Path | None, typer.Option(help="Where a page with the flow and the waits goes (.html).")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Play a process through: cases, an event log, waits and loads, with labels where something goes wrong."""
    from verosim.simulation import Scenario

    if scenario is None:
        _list()
        return
    if str(out) == "-" or (report is not None and sweep):
        raise ArgumentError("simulate writes a folder: give --out a name; a sweep has no --report.")
    found = Scenario.load(scenario, settings_of(settings))
    if report is not None:
        _check_report(found, report)
    for note in () if quiet else found.notes:
        say_aside(f"note: {note}")
    if sweep:
        _side_by_side(found, sweep, cases, seed, replications or 10, engine.value, out, as_json)
        return
    out = out or Path(f"{Path(scenario).stem}-simulated")
    with progress_bar(quiet) as progress, going_on(out):
        done = found.save(
            out, cases, seed=seed, engine=engine.value, format=format.value, replications=replications or 1,
            progress=progress,
        )  # fmt: skip
    report = _reported(done, report, Path(scenario).stem)
    if as_json:
        measures = done.indicators.to_dicts()
        say_json(
            {
                "out": str(out),
                "engine": done.engine,
                "seed": done.seed,
                "rows": done.rows,
                "notes": done.notes,
                "indicators": measures,
            }
        )
    elif not quiet:
        _tell(done, out, report)


def _check_report(scenario: Any, report: Path) -> None:
    """Raises before long work what would stop the page after it."""
    from verosim.files.disk import check_writable

    if not scenario.model.file.stations:
        raise ArgumentError("--report shows the flow between stations: this scenario has none.")
    check_writable(report)


def _reported(done: Any, report: Path | None, title: str) -> Path | None:
    """Write the page, where one is wanted and the visits were kept. -> where it is."""
    if report is None:
        return None
    if not len(done.visits["case"]):
        many = f"{done.rows['log']:,} visits are too many to keep; simulate fewer cases." if done.rows["log"] else ""
        say_aside(f"note: no page: {many or 'nobody came.'}")
        return None
    from verosim.simulation.page import save_page

    save_page(done, report, title)
    return report


def _list() -> None:
    from verosim.simulation import Scenario, library

    for name in library():
        say(f"{name:24}{Scenario.load(name).model.file.about}")


def _tell(done: Any, out: Path, report: Path | None) -> None:
    wide = done.indicators.filter(done.indicators["indicator"].is_in(["wait", "utilisation", "queue", "served"]))
    for row in wide.iter_rows(named=True):
        if row["value"] is not None:
            say(f"{row['station']:24}{row['indicator']:14}{_between(row['value'], row['low'], row['high'])}")
    rows = ", ".join(f"{n:,} rows of {name}" for name, n in done.rows.items())
    kept = f"; {done.resumed:,} parts were there already" if done.resumed else ""
    say(f"wrote {rows} to {out}" + (f", and {report}" if report else "") + kept)


def _side_by_side(
    scenario: Any,
    sweep: list[str],
    cases: int | None,
    seed: int | None,
    replications: int,
    engine: str,
    out: Path | None,
    as_json: bool,
) -> None:
    from verosim import files

    values: dict[str, list[Any]] = {}
    for text in sweep:
        name, _, given = text.partition("=")
        each = re.split(r",(?![^(]*\))", given)  # not the commas of gamma(2, 3)
        if not name.strip() or not all(v.strip() for v in each):
            raise ArgumentError(f"--sweep: NAME=A,B was wanted, such as tellers=3,4, not {text!r}.")
        values[name.strip()] = [next(iter(settings_of([f"{name}={v}"]).values())) for v in each]
    table = scenario.sweep(values, cases, seed=seed, replications=replications, engine=engine)
    if out is not None:
        files.write(table, out if out.suffix else out / "sweep.csv")
    if as_json:
        say_json({"sweep": table.to_dicts()})
        return
    shown = table.filter(table["indicator"].is_in(["wait", "utilisation"])).rows(named=True)
    settings = [", ".join(f"{k}={row[k]}" for k in values) for row in shown]
    wide = max(map(len, settings), default=0) + 2
    for setting, row in zip(settings, shown, strict=True):
        apart = _between(row["difference"], row["difference_low"], row["difference_high"])
        value = _between(row["value"], row["low"], row["high"])
        say(f"{setting:{wide}}{row['station']:20}{row['indicator']:14}{value}  difference {apart}")


def _between(value: float | None, low: float | None, high: float | None) -> str:
    """A number with its interval, as far as they are known."""
    if value is None:
        return "unknown"
    return f"{value:.4g}" + (f", {low:.4g} to {high:.4g}" if low is not None and high is not None else "")

"""Commands that judge: synthetic data of any tool, and engines side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verosim.cli.common import AsJson, K, Quiet, SchemaFile, Seed, Source, Unit, app, progress_bar, say, say_json, shown


@app.command(epilog="Example: verosim evaluate real.csv synthetic.csv --holdout unseen.csv --report report.html")
def evaluate(
    real: Annotated[str, typer.Argument(help="The real data: a file, folder or database.")],
    synthetic: Annotated[str, typer.Argument(help="The synthetic data, made by any tool.")],
    holdout: Annotated[str | None, typer.Option(help="Real data that the tool never saw.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Where the report goes: a page (.html) or JSON.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column that will be predicted; by default a guess.")] = None,
    keys: Annotated[
        str | None, typer.Option(help="What an attacker may know of a person: columns, with commas between.")
    ] = None,
    seed: Seed = 0,
    schema: SchemaFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say how real, how useful and how private synthetic data are, each number beside what real rows get."""
    from verosim import targets
    from verosim.files.disk import check_writable
    from verosim.judging import evaluate as judge

    targets.check_targets((real, synthetic, holdout, schema), report or "-")
    if report is not None:
        check_writable(report)
    names = [name.strip() for name in keys.split(",")] if keys else ()
    with progress_bar(quiet) as progress:
        found = judge(
            real, synthetic, holdout, target=target, keys=names, schema=schema, seed=seed, progress=progress
        )  # fmt: skip
    if report is not None:
        found.save(report)
    if as_json:
        say_json(found.to_dict())
    elif not quiet:
        say(found, soft_wrap=False)
        more = "--holdout UNSEEN " if holdout is None else ""
        again = f"verosim evaluate {shown(real)} {shown(synthetic)} {more}--report report.html"
        say(f"wrote {report}" if report is not None else f"next: {again}")


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
    from verosim import targets
    from verosim.comparing import compare as side_by_side
    from verosim.files.disk import check_writable

    targets.check_targets((source, schema), out or "-")
    if out is not None:
        check_writable(out)
    names = [name.strip() for name in models.split(",")] if models else None
    with progress_bar(quiet) as progress:
        found = side_by_side(
            source, names, minutes=minutes, target=target, schema=schema, seed=seed, k=k, unit=unit, progress=progress
        )
    if out is not None:
        found.save(out)
    if as_json:
        say_json(found.to_dict())
    elif not quiet:
        say(found.grid())
        say(found.advice())
        if out is not None:
            say(f"wrote {out}")
        elif found.best is not None:
            say(f"next: verosim synth {shown(source)} --model {found.best.model}")

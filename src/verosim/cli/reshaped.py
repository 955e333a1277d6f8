"""The command that brings sequences into another shape."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verosim.cli.common import Quiet, Source, app, printer, shown


@app.command(epilog="Example: verosim reshape months.csv --to rows --out rows.csv")
def reshape(
    source: Source,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the rows go.")],
    to: Annotated[
        str, typer.Option(help="rows (one a key and time), wide (one a key) or long (one a value).")
    ] = "rows",
    key: Annotated[str | None, typer.Option(help="The column that says which sequence a row belongs to.")] = None,
    time: Annotated[str | None, typer.Option(help="The column of times; of wide data the name of the new one.")] = None,
    variable: Annotated[str | None, typer.Option(help="Of long data: what is measured.")] = None,
    value: Annotated[str | None, typer.Option(help="Of long data: the values.")] = None,
    quiet: Quiet = False,
) -> None:
    """Bring sequences into another shape: a row a key and time, as they are learned; a row a key; or a row a value."""
    from verosim import run, targets
    from verosim.errors import ArgumentError
    from verosim.reshaping import reshape as brought

    targets.check_targets((source,), out)
    targets.check_place(out)
    opened = run.open_data(source)
    if len(opened.dataset) != 1:
        raise ArgumentError(f"{source}: one table was wanted, not {len(opened.dataset)}.")
    ((name, frame),) = opened.dataset.items()
    found = brought(frame, to, key=key, time=time, variable=variable, value=value)
    targets.put({name: found}, out, None)
    if not quiet:
        same = ", as they were" if found.equals(frame) else ""
        printer(out)(f"wrote {shown(out)}: {found.height:,} rows, {found.width} columns{same}")

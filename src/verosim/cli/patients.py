"""The commands about patients: lives by modules, written as records of care; and modules looked over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verosim.cli.common import AsJson, Quiet, Seed, app, going_on, progress_bar, say, say_aside, say_json
from verosim.errors import SchemaError

if TYPE_CHECKING:
    import polars as pl

    from verosim.patients import Patients
    from verosim.patients.exports.writing import Written

patients = typer.Typer(invoke_without_command=True)
app.add_typer(patients, name="patients")
DEFAULT = 100  # patients
Pages = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Where a page for each module goes, with its graph of states.")
]


@patients.callback(epilog="Example: verosim patients -n 1000 --only \"condition = 'E11.9'\" -o out/")
def live(
    context: typer.Context,
    n: Annotated[
        int | None, typer.Option("-n", "--patients", min=1, help="How many patients; who dies is followed.")
    ] = None,
    modules: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Modules in Synthea's format; by default our own.")
    ] = None,
    module: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this module, and what it calls; several times.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that the files go to.")] = Path("patients"),
    seed: Seed = 0,
    format: Annotated[str, typer.Option(help="csv, parquet, fhir, ndjson, omop; several with commas between.")] = "csv",
    only: Annotated[
        str | None, typer.Option(metavar="EXPRESSION", help="Go on until n patients fit: condition = 44054006.")
    ] = None,
    most: Annotated[int | None, typer.Option(min=1, help="With --only: live at most so many patients.")] = None,
    end: Annotated[str, typer.Option(metavar="DATE", help="The last day.")] = "2026-06-01",
    history: Annotated[float, typer.Option(min=0, help="Years before it that are written in full.")] = 10,
    resources: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Demographics, costs, insurers, places of your own.")
    ] = None,
    country: Annotated[str, typer.Option(help="Whose people they are, two letters.")] = "US",
    state: Annotated[str | None, typer.Option(help="Only people of this state, by its whole name.")] = None,
    people: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Who the patients are: a table, or a recipe (.yaml) of one.")
    ] = None,
    natural_death: Annotated[bool, typer.Option("--natural-death", help="Let people die of age, too.")] = False,
    vocabulary: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="OMOP's vocabularies, from athena.ohdsi.org.")
    ] = None,
    pages: Pages = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Let patients live, by modules that are state machines, and write their records: CSV, FHIR, OMOP.

    `verosim patients check FOLDER` looks modules over.
    """
    if context.invoked_subcommand is not None:
        return
    from verosim.patients import Patients
    from verosim.patients.exports.writing import save

    who = None if people is None else _people(people, n, seed)
    n = n if n is not None else DEFAULT if who is None else who.height
    found = Patients(
        modules, only=module, end=end, history=history, resources=resources, country=country, state=state, people=who,
        natural_death=natural_death,
    )  # fmt: skip
    with progress_bar(quiet) as progress, going_on(out):
        done = save(
            found, out, n, seed=seed, forms=[form.strip() for form in format.split(",")], only=only, most=most,
            vocabulary=vocabulary, progress=lambda k, of: progress(k / max(of, 1), "patients"),
        )  # fmt: skip
    if pages is not None:
        from verosim.patients.page import save_pages

        save_pages(found.library, pages, done.visits, done.lived)
    for note in () if quiet else done.notes:
        say_aside(f"note: {note}")
    if as_json:
        say_json({"out": str(out), "seed": seed, "patients": done.patients, "dead": done.dead, "rows": done.rows})
    elif not quiet:
        _tell(found, done, out, pages)


def _people(path: Path, n: int | None, seed: int) -> pl.DataFrame:
    """The rows of a file; of a recipe, as many as patients are wanted."""
    from verosim.patients.life.roster import people_of

    if path.suffix.lower() not in (".yaml", ".yml"):
        return people_of(path)
    from verosim.recipe import Recipe

    return people_of(Recipe.load(path), DEFAULT if n is None else n, seed)


def _tell(found: Patients, done: Written, out: Path, pages: Path | None) -> None:
    states = sum(len(m.states) for m in found.library.modules.values())
    seen = sum(count > 0 for count in done.visits.values())
    say(f"{done.patients:,} patients ({done.dead:,} dead) by {len(found.library.top)} modules: "
        f"{seen:,} of {states:,} states were entered")  # fmt: skip
    rows = ", ".join(f"{n:,} rows of {name}" for name, n in done.rows.items())
    say(f"wrote {rows} to {out}" + (f", and pages to {pages}" if pages else ""))


@patients.command(epilog="Example: verosim patients check modules/")
def check(
    folder: Annotated[Path, typer.Argument(help="A folder of modules.")],
    pages: Pages = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Look modules over: all that is wrong, with file and state. Exit code 2 where something cannot run."""
    from verosim.patients.checking import check as look

    found = look(folder)
    errors = [finding for finding in found if finding.severity == "error"]
    if as_json:
        say_json({"findings": [vars(finding) for finding in found]})
    else:
        for finding in errors if quiet else found:
            say(f"{finding.severity}: {finding}")
    if errors:
        raise SchemaError(f"{folder}: {len(errors):,} errors, {len(found) - len(errors):,} warnings.")
    if pages is not None:
        from verosim.patients.module import load
        from verosim.patients.page import save_pages

        save_pages(load(folder), pages)
    if not quiet and not as_json:
        say(f"{folder}: no errors, {len(found):,} warnings" + (f"; pages in {pages}" if pages else ""))

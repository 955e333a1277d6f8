"""The commands that make data from a recipe: generate, recipe."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Annotated, Any

import typer

from verosim.cli.common import (
    AsJson,
    Out,
    OwnSeed,
    Quiet,
    Replace,
    app,
    printer,
    progress_bar,
    say,
    say_aside,
    say_json,
    shown,
)
from verosim.errors import ArgumentError, FileError

RecipeFile = Annotated[Path | None, typer.Argument(metavar="RECIPE", help="A recipe file (YAML); see docs/recipes.md.")]


@app.command(epilog="Example: verosim generate shop.yaml -n 1000000 -o out/")
def generate(
    recipe: RecipeFile = None,
    rows: Annotated[
        int | None, typer.Option("--rows", "-n", min=0, help="How many rows, for tables that do not say it.")
    ] = None,
    out: Out = None,
    seed: OwnSeed = None,
    check: Annotated[bool, typer.Option("--check", help="Only check the recipe; draw nothing.")] = False,
    format: Annotated[str | None, typer.Option(help="csv, parquet, jsonl ...; by default as the name says.")] = None,
    table: Annotated[str | None, typer.Option(help="With --rate: which table; by default all, by turns.")] = None,
    rate: Annotated[str | None, typer.Option(help="JSON lines at a rate, such as 500/s, to standard output.")] = None,
    parts: Annotated[
        int | None, typer.Option(min=1, help="Write folders of parts, of about so many rows each (Parquet).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with parts of a run that was broken.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Threads that draw rows; 0: as many as pay.")] = 0,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="Print the JSON schema of recipe files, for editors.")
    ] = False,
    replace_: Replace = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Make data from a recipe: distributions, providers and rules, without any real data."""
    from verosim import generating
    from verosim.recipe import Recipe

    if json_schema:
        from verosim.recipe.editors import json_schema as described

        return say_json(described())
    if recipe is None:
        raise ArgumentError("a recipe file was wanted: verosim generate shop.yaml.")
    declared = Recipe.load(recipe)
    if check:
        return _checked(recipe, declared, as_json)
    if rate is not None:
        number = generating.stream(declared, out or "-", rows, rate=generating.parse_rate(rate), table=table, seed=seed)
        return None if quiet else printer(out or "-")(f"wrote {number:,} rows to {shown(out or '-')}")
    target = out or _default(recipe, declared, format, parts)
    with progress_bar(quiet) as progress:
        if parts is not None or resume:
            made = generating.generate_parts(
                declared, target, rows, seed=seed, format=format or "parquet", part_rows=parts or 1_000_000,
                resume=resume, progress=progress,
            )  # fmt: skip
        else:
            made = generating.generate_file(
                declared, target, rows, seed=seed, format=format, workers=workers, replace_tables=replace_,
                progress=progress,
            )  # fmt: skip
    if as_json:
        return say_json({"out": made.out, "rows": dict(made.rows), "kept": made.kept})
    if not quiet:
        kept = f"; {made.kept} parts were there already" if made.kept else ""
        for note in made.notes:
            say_aside(f"note: {note}")
        printer(target)(f"wrote {sum(made.rows.values()):,} rows to {shown(made.out)}{kept}")
    return None


def _checked(path: Path, recipe: Any, as_json: bool) -> None:
    tables = {n: {c: str(dtype) for c, dtype in columns.items()} for n, columns in recipe.tables.items()}
    if as_json:
        return say_json({"tables": tables})
    for name, columns in tables.items():
        say(f"{name}: {', '.join(f'{c} {dtype}' for c, dtype in columns.items())}")
    return say(f"{path} is right")


def _default(path: Path, recipe: Any, format: str | None, parts: int | None) -> Path:
    """shop.yaml -> the folder shop, or for one table shop.csv."""
    stem = path.with_suffix("")
    return stem if parts or len(recipe.tables) > 1 else stem.with_name(f"{stem.name}.{format or 'csv'}")


@app.command(epilog="Example: verosim recipe --from tables.sql --out shop.yaml")
def recipe(
    source: Annotated[
        str,
        typer.Option("--from", help="tables.sql, schema.json, model.py:Class, or a database's URL."),
    ],
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Write the skeleton of a recipe, from SQL, a JSON schema, a Python class or a database, to be edited."""
    from verosim.files.disk import atomic
    from verosim.recipe import Recipe, skeleton

    text = skeleton.text(_skeleton(source))
    Recipe.parse(text, "the skeleton").check()
    if out is None or str(out) == "-":
        sys.stdout.write(text)
        return
    with atomic(out) as file:
        file.write(text.encode())
    if not quiet:
        say(f"wrote {out}\nnext: edit it, then verosim generate {out}")


def _skeleton(source: str) -> dict[str, Any]:
    from verosim import databases
    from verosim.files.disk import load
    from verosim.recipe import skeleton
    from verosim.schema import parse_yaml

    if databases.is_database(source):
        return skeleton.from_database(source)
    path, _, name = source.rpartition(":") if ".py:" in source else (source, "", "")
    suffix = Path(path).suffix.lower()
    if suffix == ".py":
        return skeleton.from_class(_class(Path(path), name))
    if suffix == ".sql":
        return skeleton.from_sql(load(path).decode("utf-8", "replace"))
    if suffix in (".json", ".yaml", ".yml"):
        return skeleton.from_json_schema(parse_yaml(load(path).decode("utf-8", "replace")), Path(path).stem)
    raise ArgumentError(
        f"--from: tables.sql, schema.json, model.py:Class or a database's URL was wanted, not {source!r}."
    )


def _class(path: Path, name: str) -> Any:
    """A class of the user's own Python file, which is imported for it."""
    if not path.exists():
        raise FileError(f"{path}: there is no such file.")
    if not name:
        raise ArgumentError(f"say which class: {path}:Name.")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's file raises
        raise FileError(f"{path}: cannot be imported ({type(error).__name__}: {error}).") from error
    if not hasattr(module, name):
        raise ArgumentError(f"{path} has no class {name!r}.")
    return getattr(module, name)

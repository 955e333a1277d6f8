"""The declared source: `Recipe`, data made from distributions, providers and rules alone.

recipe = Recipe.load("shop.yaml")
frames = recipe.sample(1_000_000, seed=7)

reading.py       the file: YAML to dataclasses, errors with their lines
nouns.py         what a recipe is made of
kinds/           the kinds of column: each class checks itself and makes its values
quantiles.py     distributions
planning.py      names resolved, expressions typed, circles found
beyond.py        names of other tables in expressions
conditions.py    rules and shares
running.py       blocks of rows, drawn by plan
finishing.py     what holds for columns of any kind
spoiling.py      dirt, edge cases and duplicates, in what is written
crew.py          blocks drawn by several threads
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from verosim.errors import ArgumentError, SchemaError, did_you_mean
from verosim.recipe import crew, reading, spoiling
from verosim.recipe.nouns import Case, Column, Correlation, Dirt, PlacedError, Table
from verosim.recipe.planning import Plan
from verosim.recipe.reading import RecipeFile
from verosim.recipe.running import Run
from verosim.schema import read_text

__all__ = ["USUAL_ROWS", "Case", "Column", "Correlation", "Dirt", "Recipe", "Table"]

USUAL_ROWS: Final = 1000  # of tables that do not say how many


class Recipe:
    """A dataset, declared.

    >>> people = Recipe({"people": {"columns": {"height": {"normal": [170, 7]}, "tall": "height > 180"}}})
    >>> people.sample(3, seed=1).columns
    ['height', 'tall']
    """

    def __init__(
        self,
        tables: Mapping[str, Any],
        *,
        seed: int = 0,
        locale: str = "en_US",
        folder: str | Path | None = None,
    ) -> None:
        """tables: by name, each a `Table` or what the file would say of it. folder: where files that it names lie.

        Raises SchemaError.
        """
        parsed = {n: t if isinstance(t, Table) else reading.value(t, Table, ("tables", n)) for n, t in tables.items()}
        self._set(RecipeFile(parsed, seed=seed, locale=locale), Path(folder or "."))

    def _set(self, file: RecipeFile, folder: Path, text: str = "") -> None:
        self.file, self.folder, self.text = file, folder, text

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a recipe file. Raises FileError, or SchemaError with file and line."""
        return cls.parse(read_text(path, "recipe"), str(path), Path(path).parent)

    @classmethod
    def parse(cls, text: str, name: str = "recipe", folder: str | Path = ".") -> Self:
        """Read a recipe from a text, and check all of it. Raises SchemaError with `name` and line."""
        new = cls.__new__(cls)
        lines: dict[Any, int] = {}
        try:
            data, lines = reading.parse(text)
            new._set(reading.read(data), Path(folder), text)
            new.check()
        except PlacedError as error:
            line = reading.line_of(error.where, lines)
            raise SchemaError(f"{name}, line {line or 1}: {error}") from error
        except SchemaError as error:
            raise reading.in_file(error, name) from error
        return new

    def check(self) -> None:
        """Resolve every name and type every expression, without drawing. Raises SchemaError."""
        self._plan  # noqa: B018  (made when first asked for)

    @cached_property
    def _plan(self) -> Plan:
        return Plan(self.file.tables, self.file.locale, self.folder)

    @property
    def tables(self) -> dict[str, pl.Schema]:
        """The columns that are written, with their types."""
        return {name: spoiling.schema(planned) for name, planned in self._plan.items()}

    def sizes(self, rows: int | Mapping[str, int] | None = None) -> dict[str, int]:
        """How many rows the tables without a parent have.

        rows: of the tables that do not say it themselves (of the only one, if there is one); or by name.
        """
        free = {n: p.table.rows for n, p in self._plan.items() if p.parent is None}
        if isinstance(rows, Mapping):
            for name, n in rows.items():
                if name not in free:
                    hint = "it has a parent" if name in self._plan else did_you_mean(name, free)
                    raise ArgumentError(f"rows: no table {name!r} whose rows can be given; {hint}")
                _whole(f"rows of {name!r}", n)
            return {n: rows.get(n, USUAL_ROWS if own is None else own) for n, own in free.items()}
        if rows is None:
            return {n: USUAL_ROWS if own is None else own for n, own in free.items()}
        _whole("rows", rows)
        if len(free) == 1:
            return dict.fromkeys(free, rows)
        if None not in free.values():
            raise ArgumentError(
                f"each table says how many rows it has: give rows by name, {{{next(iter(free))!r}: {rows}}}."
            )
        return {n: rows if own is None else own for n, own in free.items()}

    def run(self, rows: int | Mapping[str, int] | None = None, seed: int | None = None) -> Run:
        """The recipe with sizes and a seed: from which blocks are drawn. Raises ArgumentError."""
        seed = self.file.seed if seed is None else seed
        _whole("seed", seed)
        plan = self._plan
        return Run(plan, {**{n: 0 for n in plan.tables if plan.tables[n].parent is None}, **self.sizes(rows)}, seed)

    def blocks(
        self,
        table: str | None = None,
        rows: int | Mapping[str, int] | None = None,
        seed: int | None = None,
        workers: int = 1,
        first: int = 0,
    ) -> Iterator[pl.DataFrame]:
        """The rows of a table as frames, block by block; of one without rows, one empty frame.

        table: by default the only one. workers: threads. first: the number of the block to begin with.
        """
        run = self.run(rows, seed)
        name = self._only(table)
        return crew.blocks(run, name, _whole("workers", workers, 1), first)

    def sample(self, rows: int | Mapping[str, int] | None = None, seed: int | None = None, workers: int = 1) -> Any:
        """The rows: a polars frame, or for several tables frames by name.

        rows: see `sizes`. The same seed gives the same rows, whatever `workers` (threads).
        """
        run, names = self.run(rows, seed), list(self._plan)
        workers = _whole("workers", workers, 1)
        frames = {name: pl.concat(crew.blocks(run, name, workers), rechunk=False) for name in names}
        return frames[names[0]] if len(names) == 1 else frames

    def _only(self, table: str | None) -> str:
        names = list(self._plan)
        if table is None and len(names) > 1:
            raise ArgumentError(f"there are {len(names)} tables: say which, {', '.join(names)}.")
        if table is not None and table not in names:
            raise ArgumentError(f"no table {table!r}; {did_you_mean(table, names)}")
        return names[0] if table is None else table

    def __repr__(self) -> str:
        return f"<Recipe {', '.join(f'{n}: {len(t.columns)} columns' for n, t in self.file.tables.items())}>"


def _whole(what: str, number: object, least: int = 0) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number < 2**62:
        raise ArgumentError(f"{what}: a whole number from {least} up was wanted, not {number!r}.")
    return number

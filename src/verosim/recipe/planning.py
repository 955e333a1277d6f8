"""A recipe, planned: every name resolved, every expression typed, every table given its place, before a row is drawn.

Columns stand in any order. Planning one asks the `Scope` for the types of those that it uses, which are planned first:
so the order of making falls out, and a circle is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil, log2
from pathlib import Path
from typing import Final

import polars as pl

from verosim import expressions, rules
from verosim.errors import MissingExtraError, SchemaError, VerosimError, did_you_mean
from verosim.expressions import Expression, Random
from verosim.recipe import beyond
from verosim.recipe.conditions import plan_conditions
from verosim.recipe.correlation import check_correlation
from verosim.recipe.finishing import CASE, EDGE_CASE, finished
from verosim.recipe.kinds import CaseLabel, Learned
from verosim.recipe.kinds.nested import VALUE
from verosim.recipe.nouns import BLOCK, MOST, Column, Correlation, Maker, PlacedError, Table, Where
from verosim.recipe.quantiles import FAMILIES
from verosim.synthesizer import Synthesizer
from verosim.table_model import TableModel

RANDOM: Final[dict[str, Random]] = {
    "random": Random((), "float"),
    "choice": Random(("any*",), "same"),
    "noise": Random(("float",), "float"),
    **{
        name: Random(
            tuple("float" + "?" * (i >= len(f.parameters) - len(f.defaults)) for i in range(len(f.parameters))),
            "boolean" if name == "bernoulli" else "integer" if f.whole else "float",
        )
        for name, f in FAMILIES.items()
    },
}
USUAL: Final = 8.0  # children a parent where their mean is not known before


@dataclass
class TablePlan:
    """One table, planned."""

    name: str
    table: Table
    columns: dict[str, Column]  # all, also those that are made up on the way
    makers: dict[str, Maker] = field(default_factory=dict)  # in an order in which they can be made
    parent: str | None = None
    span: int = BLOCK  # rows of the uppermost table whose descendants are one block here
    correlations: dict[str, tuple[Correlation, int]] = field(default_factory=dict)  # column -> block, place in it
    conditions: list[rules.Rule] = field(default_factory=list)
    late: list[rules.Rule] = field(default_factory=list)  # of columns that depend on other rows: checked, not held
    shares: dict[str, tuple[Expression, float]] = field(default_factory=dict)
    uses: dict[str, set[str]] = field(default_factory=dict)  # column -> columns that it is made from
    redrawn: list[str] = field(default_factory=list)  # what is drawn again where a row breaks a condition

    @property
    def visible(self) -> list[str]:
        return [name for name, column in self.columns.items() if not column.hidden]


class Plan(Mapping[str, TablePlan]):
    """All tables, planned."""

    def __init__(self, tables: Mapping[str, Table], locale: str = "en_US", folder: Path | None = None) -> None:
        self.locale, self.folder = locale, folder or Path()
        self._models: dict[str, Synthesizer] = {}
        self.tables: dict[str, TablePlan] = {}
        self.scopes: dict[str, Scope] = {}
        for name, table in tables.items():
            self.add(name, table, ("tables", name))
        for name in list(self.tables):
            self._relate(name)
        for name in list(self.scopes):
            self.scopes[name].plan_all()
        for name in sorted(self.tables, key=lambda n: len(self.ancestors(n))):
            self._lay_out(name)
            plan_conditions(self.scopes[name])

    def __getitem__(self, name: str) -> TablePlan:
        if name not in self.tables:
            raise SchemaError(f"no table {name!r}; {did_you_mean(name, self)}")
        return self.tables[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.tables if "\0" not in name)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self.tables

    def add(self, name: str, table: Table, where: Where) -> Scope:
        try:
            table = self._with_made_up(table)
        except VerosimError as error:
            raise PlacedError(
                f"table {name!r}: {error}", (*where, "learned" if table.learned else "columns")
            ) from error
        self.tables[name] = TablePlan(name, table, dict(table.columns), parent=table.per)
        self.scopes[name] = Scope(self, self.tables[name], where)
        return self.scopes[name]

    def add_inner(self, name: str, table: Table, where: Where) -> None:
        """Add the hidden table behind a list."""
        if name not in self.tables:
            self.add(name, table, where).places[VALUE] = where
            self._relate(name)
            self.scopes[str(table.per)].maker(counted(name))

    def model(self, file: str, table: str | None) -> TableModel:
        """A table of a model file, read once."""
        if file not in self._models:
            self._models[file] = Synthesizer.load(self.folder / file)
        tables = self._models[file].tables_
        if table is None and len(tables) != 1:
            raise SchemaError(f"{file} has the tables {', '.join(tables)}: say with `table` which.")
        name = next(iter(tables)) if table is None else table
        if name not in tables:
            raise SchemaError(f"{file} has no table {name!r}; {did_you_mean(name, tables)}")
        return tables[name]

    def _with_made_up(self, table: Table) -> Table:
        """The table with the columns that follow from what else it says: those of a model, and of cases."""
        columns = dict(table.columns)
        if table.learned is not None:
            names = self.model(table.learned, None).table.names
            columns = {n: Column(Learned(table.learned, n)) for n in names} | columns
        for made_up, asked in ((CASE, bool(table.cases)), (EDGE_CASE, table.edge_cases > 0)):
            if asked and made_up in columns:
                raise SchemaError(f"the column {made_up!r} is made by verosim here; rename yours.")
        if table.cases:
            columns[CASE] = Column(CaseLabel(table.cases))
        return replace(table, columns=columns)

    def _relate(self, name: str) -> None:
        """The counts of a table's rows for each parent are a hidden column of the parent."""
        planned, scope = self.tables[name], self.scopes[name]
        if planned.table.per is None:
            if planned.table.count is not None:
                raise scope.wrong("`count` says how many rows each row of a parent has: `per` is missing.", "count")
            return
        if planned.table.rows is not None:
            raise scope.wrong("give `rows`, or `per` and `count`, not both.", "rows")
        if planned.table.count is None:
            raise scope.wrong(f"`count` is missing: how many rows for each row of {planned.parent!r}?", "per")
        try:
            self.ancestors(name)
        except SchemaError as error:
            raise scope.wrong(str(error), "per") from error
        column = counted(name)
        self.tables[planned.table.per].columns[column] = Column(planned.table.count.kind, hidden=True, digits=0)
        self.scopes[planned.table.per].places[column] = (*scope.where, "count")

    def ancestors(self, name: str) -> list[str]:
        """The parent, its parent and so on."""
        out: list[str] = []
        at = self[name].parent
        while at is not None:
            if at in out or at == name:
                raise SchemaError(f"the parents run in a circle: {' -> '.join([name, *out, at])}.")
            out.append(at)
            at = self[at].parent
        return out

    def root(self, name: str) -> str:
        return [name, *self.ancestors(name)][-1]

    def _lay_out(self, name: str) -> None:
        """How many rows of the uppermost table a block stands for: so many that it has about `BLOCK` rows."""
        line = [name, *self.ancestors(name)]
        expected = 1.0
        for child, parent in reversed(list(pairwise(line))):
            maker = self.tables[parent].makers[counted(child)]
            if not (maker.dtype.is_integer() or maker.dtype.is_float()):
                raise self.scopes[child].wrong(f"a number was wanted, not {maker.dtype}.", "count")
            expected *= maker.typical if maker.typical is not None else USUAL
            above = self.tables[parent].span
            self.tables[child].span = min(above, max(1, BLOCK >> max(0, ceil(log2(max(expected, 1))))))


def counted(table: str) -> str:
    """The hidden column of a parent that holds how many rows each row has in a table."""
    return f"\0rows of {table}"


class Scope(Mapping[str, pl.DataType]):
    """A table while it is planned: the names of its columns with their types, planned when first asked for."""

    def __init__(self, plan: Plan, planned: TablePlan, where: Where) -> None:
        self.plan, self.planned, self.where = plan, planned, where
        self.places: dict[str, Where] = {}  # of columns that are not written under `columns`
        self._busy: list[str] = []

    @property
    def table(self) -> str:
        return self.planned.name

    @property
    def busy(self) -> str | None:
        """The column that is being planned."""
        return self._busy[-1] if self._busy else None

    @property
    def locale(self) -> str:
        return self.planned.table.locale or self.plan.locale

    def __getitem__(self, name: str) -> pl.DataType:
        return self.maker(name).dtype

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.planned.columns if "\0" not in name)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self.planned.columns

    def wrong(self, message: str, *where: str | int) -> PlacedError:
        return PlacedError(f"table {self.table!r}: {message}", (*self.where, *where))

    def hide(self, name: str, column: Column, place: str) -> None:
        """Add a column that only others see, written within another, `place`."""
        self.planned.columns[name] = replace(column, hidden=True)
        self.places[name] = self.place(place)

    def place(self, name: str) -> Where:
        return self.places.get(name, (*self.where, "columns", name))

    def maker(self, name: str) -> Maker:
        """The column, planned; SchemaError with its place where it cannot be."""
        if self._busy:
            self.planned.uses.setdefault(self._busy[-1], set()).add(name)
        if name in self.planned.makers:
            return self.planned.makers[name]
        if name not in self.planned.columns:
            raise SchemaError(f"table {self.table!r} has no column {name!r}; {did_you_mean(name, self)}")
        if name in self._busy:
            circle = [*self._busy[self._busy.index(name) :], name]
            raise SchemaError(f"the columns use each other in a circle: {' -> '.join(circle)}.")
        self._busy.append(name)
        try:
            column = self.planned.columns[name]
            maker = finished(column.kind.plan(self, name), column, self, name)
        except (PlacedError, MissingExtraError):
            raise
        except VerosimError as error:
            raise PlacedError(f"{self._shown(name)}: {error}", self.place(name)) from error
        finally:
            self._busy.pop()
        self.planned.makers[name] = maker
        return maker

    def _shown(self, name: str) -> str:
        """A column as messages call it; hidden ones by what they are for."""
        table = self.table.replace("\0", "")
        return f"table {table!r}, {name.replace(chr(0), '')}" if "\0" in name else f"table {table!r}, column {name!r}"

    def plan_all(self) -> None:
        self._check_table()
        self._correlate()
        for name in list(self.planned.columns):
            try:
                self.maker(name)
            except RecursionError:
                raise self.wrong("columns use columns that use columns, too deeply: use fewer steps.") from None
        if not self.planned.visible:
            raise self.wrong("it has no column to write.", "columns")

    def _check_table(self) -> None:
        table = self.planned.table
        if table.rows is not None and not 0 <= table.rows < MOST:
            raise self.wrong(f"a number of rows from 0 up was wanted, not {table.rows}.", "rows")
        for name in ("edge_cases", "duplicates"):
            if not 0 <= getattr(table, name) <= 1:
                raise self.wrong(f"a share from 0 to 1 was wanted, not {getattr(table, name)}.", name)
        if table.key is not None and table.key not in self:
            raise self.wrong(f"no column {table.key!r}; {did_you_mean(table.key, self)}", "key")

    def expression(self, text: object) -> Expression:
        """An expression over this table's columns, with the random functions."""
        if not isinstance(text, str):
            raise SchemaError(f"an expression was wanted, not {text!r}.")
        return expressions.compile(beyond.within(text, self), self, RANDOM)

    def condition(self, text: object) -> Expression:
        found = self.expression(text)
        if found.dtype not in (pl.Boolean, pl.Null):
            raise SchemaError(f"{text!r} is no condition: it gives {found.dtype}.")
        return found

    def other(self, table: str) -> Scope:
        """The scope of another table."""
        self.plan[table]
        return self.plan.scopes[table]

    def key(self) -> str:
        """The column that names the row: the one declared, or the first whose values follow from row numbers."""
        declared = self.planned.table.key
        if declared is not None:
            self.maker(declared)
            return declared
        for name in self:
            if getattr(self.planned.columns[name].kind, "KEYS", False):
                return name
        raise SchemaError(f"table {self.table!r} has no key: a column of kind id, sequence or uuid.")

    def _correlate(self) -> None:
        for number, block in enumerate(self.planned.table.correlate):
            try:
                check_correlation(block.columns, block.matrix)
                for place, name in enumerate(block.columns):
                    if name in self.planned.correlations:
                        raise SchemaError(f"column {name!r} stands in two correlated blocks.")
                    if name not in self:
                        raise SchemaError(f"no column {name!r}; {did_you_mean(name, self)}")
                    if not getattr(self.planned.columns[name].kind, "FROM_UNIFORM", False):
                        raise SchemaError(f"column {name!r} has no distribution, so it cannot be correlated.")
                    self.planned.correlations[name] = (block, place)
            except SchemaError as error:
                raise self.wrong(str(error), "correlate", number) from error

"""Whom to keep of a population: an expression over who patients are and what their records hold.

    condition = 44054006 and age >= 40                 a code; or the name, `condition like '%asthma%'`
    not medication in (860975, 106892) and alive

`condition = X` holds for patients who ever had X, whatever else they had. The language is that of all of verosim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from verosim import expressions
from verosim.errors import SchemaError
from verosim.expressions.language import Source, parse, place
from verosim.patients.population import NEVER, Array
from verosim.patients.record import KINDS, OPEN

if TYPE_CHECKING:
    from sqlglot import exp

    from verosim.patients.world import World

RECORDED: Final[Mapping[str, str]] = {  # a name in the expression -> the table of the record
    "condition": "conditions", "active_condition": "conditions", "medication": "medications", "procedure": "procedures",
    "allergy": "allergies", "observation": "observations", "immunization": "immunizations", "device": "devices",
    "careplan": "careplans", "encounter": "encounters",
}  # fmt: skip
FACTS: Final[Mapping[str, pl.DataType]] = {
    "age": pl.Int64(), "sex": pl.String(), "alive": pl.Boolean(), "race": pl.String(), "ethnicity": pl.String(),
    "state": pl.String(), "income": pl.Int64(), "died_of": pl.String(),
}  # fmt: skip


@dataclass(frozen=True)
class _Asked:
    """One comparison with what a record holds: the boolean column that stands for it, and its test of a code."""

    column: str
    name: str
    test: expressions.Expression


class Choice:
    """A compiled expression. Raises SchemaError for one that is not understood.

    >>> Choice("condition = 'E11.9' and age > 40").text
    "condition = 'E11.9' and age > 40"
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._source = Source(text)
        tree = parse(self._source, {**FACTS, **dict.fromkeys(RECORDED, pl.String())})
        self._asked: list[_Asked] = []
        whole = tree.copy().transform(self._replaced)
        columns = {**FACTS, **{a.column: pl.Boolean() for a in self._asked}}
        self._whole = expressions.compile(whole.sql(), columns)
        if self._whole.dtype != pl.Boolean:
            raise SchemaError(f"{text!r} must be true or false, such as \"condition = 'E11.9'\".")

    def _replaced(self, node: exp.Expr) -> Any:
        """A comparison with the record becomes a boolean column."""
        from sqlglot import exp

        names = {str(column.name) for column in node.find_all(exp.Column)} & set(RECORDED)
        if isinstance(node, exp.And | exp.Or | exp.Not | exp.Paren) or not names:
            return node
        if not isinstance(node, exp.EQ | exp.NEQ | exp.In | exp.Like | exp.ILike) or len(names) > 1:
            raise self._source.error(place(node), f"{min(names)} is compared with a code by =, <>, in or like")
        negated = isinstance(node, exp.NEQ) or bool(node.args.get("negate"))
        positive = (
            exp.EQ(this=node.this.copy(), expression=node.expression.copy())
            if isinstance(node, exp.NEQ)
            else node.copy()
        )
        positive.set("negate", None)
        for literal in list(positive.find_all(exp.Literal)):
            literal.set("is_string", True)  # codes are texts, though some look like numbers
        name, column = min(names), f"has {len(self._asked)}"
        test = expressions.compile(positive.sql(), {name: pl.String()})
        self._asked.append(_Asked(column, name, test))
        found = exp.column(column, quoted=True)
        return exp.Not(this=found) if negated else found

    def unknown(self, world: World) -> list[str]:
        """Comparisons that nothing in the modules can fulfil: codes that none of them names."""
        return [a.test.text for a in self._asked if not (_fits(world, a).any() or _kinds(a).any())]

    def keep(self, world: World) -> Array:
        """(n,) bool: for whom it holds."""
        facts = _facts(world)
        for asked in self._asked:
            facts[asked.column] = pl.Series(_have(world, asked))
        frame = pl.DataFrame(facts)
        return self._whole.evaluate(frame).fill_null(False).to_numpy().astype(bool)


def _fits(world: World, asked: _Asked) -> Array:
    """(items,) bool: whose code, or its name, the test is true of."""
    table, items = RECORDED[asked.name], world.catalogue.items
    fits = np.zeros(len(items), bool)
    for field in ("code", "display"):
        texts = [getattr(item.codes[0], field) if item.codes and item.table == table else None for item in items]
        found = asked.test.evaluate(pl.DataFrame({asked.name: pl.Series(texts, dtype=pl.String)}))
        fits |= found.fill_null(False).to_numpy().astype(bool)
    return fits


def _kinds(asked: _Asked) -> Array:
    """(kinds,) bool: the kinds of encounters that the test is true of."""
    if asked.name != "encounter":
        return np.zeros(len(KINDS), bool)
    found = asked.test.evaluate(pl.DataFrame({asked.name: pl.Series(KINDS, dtype=pl.String)}))
    return found.fill_null(False).to_numpy().astype(bool)


def _have(world: World, asked: _Asked) -> Array:
    """(n,) bool: whose record holds what the test is true of."""
    table, fits = RECORDED[asked.name], _fits(world, asked)
    rows = world.record[table]
    holds = fits[rows["item"]] if len(fits) else np.zeros(len(rows), bool)
    if table == "encounters":
        holds = holds | _kinds(asked)[rows["kind"]]
    if asked.name == "active_condition":
        holds = holds & (rows["stop"] == OPEN)
    have = np.zeros(world.people.n, bool)
    have[rows["patient"][holds]] = True
    return have


def _facts(world: World) -> dict[str, pl.Series]:
    people, extra = world.people, getattr(world, "extra", {})
    everybody = np.arange(people.n)
    last = np.minimum(people.stop, np.where(people.death == NEVER, people.stop, people.death))
    codes = [coding.code for coding in world.catalogue.codes.codings]
    causes = pl.Series([*codes, None], dtype=pl.String).gather(np.where(people.cause < 0, len(codes), people.cause))
    known = extra.get("people", pl.DataFrame())

    def fact(name: str) -> pl.Series:
        if name in known.columns:
            return known[name].cast(FACTS[name]).extend_constant(None, people.n - known.height)
        return pl.Series([None], dtype=FACTS[name]).new_from_index(0, people.n)

    return {
        "age": pl.Series(people.age(everybody, last)).cast(pl.Int64), "alive": pl.Series(people.death > people.stop),
        "sex": pl.Series(np.where(people.male, "M", "F"), dtype=pl.String),
        "race": pl.Series(world.catalogue.texts.texts or [""], dtype=pl.String).gather(people.race),
        "died_of": causes, **{name: fact(name) for name in ("ethnicity", "state", "income")},
    }  # fmt: skip

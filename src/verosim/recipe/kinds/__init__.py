"""The kinds of column: KINDS[name] is the class behind a name in the recipe file.

A class is a kind: its fields are what the file may say beside the name, the first one what stands behind it.
"""

from __future__ import annotations

from typing import Final

from verosim.recipe.kinds.below import Children, Part
from verosim.recipe.kinds.learned import Learned
from verosim.recipe.kinds.links import Lookup, Position, Ref
from verosim.recipe.kinds.nested import List, Object
from verosim.recipe.kinds.numbers import Distribution, Empirical, Histogram, Mixture, Scipy
from verosim.recipe.kinds.order import Previous, Rank, Running, Series
from verosim.recipe.kinds.people import Faker, Grammar, Lorem, Mimesis, Provider
from verosim.recipe.kinds.plain import CaseLabel, Choice, Constant, Formula, Id, Pattern, Permuted, Regex, Sequence
from verosim.recipe.kinds.states import Sojourn, States
from verosim.recipe.kinds.times import After, Date, Datetime, Ticks
from verosim.recipe.nouns import Kind
from verosim.recipe.quantiles import FAMILIES

__all__ = [
    "KINDS", "After", "CaseLabel", "Children", "Choice", "Constant", "Date", "Datetime", "Distribution", "Empirical",
    "Faker", "Formula", "Grammar", "Histogram", "Id", "Learned", "List", "Lookup", "Lorem", "Mimesis", "Mixture",
    "Object", "Part", "Pattern", "Permuted", "Position", "Previous", "Provider", "Rank", "Ref", "Regex", "Running",
    "Scipy", "Sequence", "Series", "Sojourn", "States", "Ticks",
]  # fmt: skip

KINDS: Final[dict[str, type[Kind]]] = {
    "constant": Constant, "formula": Formula, "choice": Choice,
    "sequence": Sequence, "permuted": Permuted, "id": Id, "pattern": Pattern, "regex": Regex,
    **dict.fromkeys(FAMILIES, Distribution),
    "mixture": Mixture, "histogram": Histogram, "empirical": Empirical, "scipy": Scipy,
    "date": Date, "datetime": Datetime, "ticks": Ticks, "after": After,
    "ref": Ref, "lookup": Lookup, "position": Position, "children": Children, "part": Part,
    "previous": Previous, "running": Running, "rank": Rank, "series": Series, "states": States,
    "sojourn": Sojourn,
    "provider": Provider, "faker": Faker, "mimesis": Mimesis, "lorem": Lorem, "grammar": Grammar,
    "object": Object, "list": List, "learned": Learned,
}  # fmt: skip

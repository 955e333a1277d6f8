"""Rules: what must hold in every row of a table, or across its rows.

    parse(table.rules, table)        what a schema file says, as `Rule` objects; contradictions are refused
    aggregates(table)                those of them that are about the rows of other tables
    verify(frame, rules)             a DataError for the first rule that these data break
    rule.check(frame)                True in each row that holds
    learn(frame, table)              rules that always hold in these data, each with its reason
    reduce(frame, rules, table)      a frame of other columns, from which `Reduction.restore` makes rows that hold

A rule is held by construction where it can be: `reduce` puts `end - start` in the place of `end`, so that whatever is
drawn for it, `restore` gives an end that is not before its start. What is left is in `Reduction.remaining`: check, and
draw again.

**Missing values.** A rule holds where a value that it needs is missing (null or NaN), as SQL's CHECK does. Two kinds
say otherwise: `fixed_combinations`, for which a missing value is a value like others, and expressions that ask `is
null`.
"""

from __future__ import annotations

from verosim.rules.kinds import (
    KINDS,
    Aggregate,
    Check,
    FixedCombinations,
    FixedIncrements,
    FixedSum,
    Implication,
    Inequality,
    OneHot,
    Range,
    Rule,
    Unique,
)
from verosim.rules.learning import learn
from verosim.rules.parsing import aggregates, apply_ranges, parse, verify
from verosim.rules.reduction import Reduction, reduce

__all__ = [
    "KINDS",
    "Aggregate",
    "Check",
    "FixedCombinations",
    "FixedIncrements",
    "FixedSum",
    "Implication",
    "Inequality",
    "OneHot",
    "Range",
    "Reduction",
    "Rule",
    "Unique",
    "aggregates",
    "apply_ranges",
    "learn",
    "parse",
    "reduce",
    "verify",
]

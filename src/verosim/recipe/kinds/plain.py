"""Constants, choices, formulas, and texts by pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import polars as pl

from verosim.draws import permutation
from verosim.errors import DataError, SchemaError, did_you_mean
from verosim.expressions import kind_of
from verosim.providers import capacity, make_ids
from verosim.providers.packs import taken
from verosim.providers.patterns import LONGEST, parse
from verosim.recipe.nouns import Case, Floats, Ints, Kind, Maker

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block, Run

OTHERWISE: Final = "else"  # the level of `by` that stands for all that are not named
Scalar = str | int | float | bool


def plain_series(values: Any) -> pl.Series:
    """Written values as a series; whole numbers and floats mix. Raises SchemaError for other mixtures."""
    values = list(values)
    if any(isinstance(v, bool) for v in values) and not all(isinstance(v, bool) or v is None for v in values):
        raise SchemaError("true and false cannot stand beside other values; quote them to make them text.")
    try:
        return pl.Series(values, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        pass
    if all(isinstance(v, int | float) or v is None for v in values):
        return pl.Series(values, dtype=pl.Float64)
    raise SchemaError(f"the values are not all of one type: {', '.join(map(repr, values[:6]))}. Quote them all.")


@dataclass(frozen=True)
class Constant(Kind):
    ABOUT: ClassVar[str] = "the same value in every row"

    value: Scalar | None

    def plan(self, scope: Scope, name: str) -> Maker:
        one = plain_series([self.value])
        mean = float(self.value) if isinstance(self.value, int | float) else None
        return Maker(one.dtype, lambda block: one.new_from_index(0, block.n), typical=mean)


@dataclass(frozen=True)
class Formula(Kind):
    ABOUT: ClassVar[str] = "an expression over the other columns, with random functions"

    formula: str

    def plan(self, scope: Scope, name: str) -> Maker:
        expression = scope.expression(self.formula)
        across = any(scope.maker(column).across for column in expression.columns)
        return Maker(expression.dtype, lambda block: block.evaluate(expression, name), across=across)


# ------------------------------------------------------------------------------------------------- choices


@dataclass(frozen=True)
class Choice(Kind):
    ABOUT: ClassVar[str] = (
        "one of some values, by weight; `by` another column: values and weights for each of its values"
    )
    FROM_UNIFORM: ClassVar[bool] = True

    values: list[Scalar | None] | dict[Scalar, Any]  # values; or value -> weight; with `by`: level -> one of these
    weights: tuple[float, ...] | None = None
    by: str | None = None

    def plan(self, scope: Scope, name: str) -> Maker:
        if self.by is not None:
            return self._conditional(scope, name)
        values, shares = _weighted(self.values, self.weights)
        texts = plain_series(values)
        if scope.planned.columns[name].unique:
            return _shuffled(texts, name)
        ends = np.cumsum(shares)

        def of(block: Block, u: Floats) -> pl.Series:
            return taken(texts, np.searchsorted(ends[:-1], u, side="right"))

        mean = float(texts.cast(pl.Float64).to_numpy() @ shares) if texts.dtype.is_numeric() else None
        return Maker(texts.dtype, lambda block: of(block, block.uniform(name)), of=of, typical=mean)

    def _conditional(self, scope: Scope, name: str) -> Maker:
        """All levels' running shares in one row, level number + share: one search finds the value for each row."""
        by = self.by or ""
        if not isinstance(self.values, dict) or self.weights is not None:
            raise SchemaError(f"with `by: {by}` the values of that column were wanted, each with its own choices.")
        dtype, across = scope[by], scope.maker(by).across
        levels = [level for level in self.values if level != OTHERWISE]
        self._check_levels(scope, by, levels)
        parts = [
            _weighted(self.values[level], None)
            for level in [*levels, *([OTHERWISE] if OTHERWISE in self.values else [])]
        ]
        texts = plain_series([v for values, _ in parts for v in values])
        ends = np.concatenate([number + np.cumsum(shares) for number, (_, shares) in enumerate(parts)])
        try:
            keys = plain_series(levels).cast(dtype, strict=True)
        except pl.exceptions.PolarsError as error:
            raise SchemaError(f"the levels {levels[:4]} are no values of {by!r}, which is {dtype}.") from error

        def of(block: Block, u: Floats) -> pl.Series:
            given = block[by]
            number = given.replace_strict(keys, np.arange(len(keys)), default=len(keys), return_dtype=pl.Int64)
            known = given.is_not_null().to_numpy()
            places = number.fill_null(0).to_numpy()
            unknown = np.flatnonzero(known & (places >= len(parts)))
            if len(unknown):
                at = int(unknown[0])
                raise DataError(
                    f"{by!r} is {given[at]!r}, for which there is no choice.", row=at, fix=f"Add it, or `{OTHERWISE}`."
                )
            found = np.minimum(np.searchsorted(ends, np.where(known, places, 0) + u, side="right"), len(texts) - 1)
            return texts.gather(
                pl.Series(found).zip_with(pl.Series(known), pl.Series([None], dtype=pl.Int64).new_from_index(0, len(u)))
            )

        return Maker(texts.dtype, lambda block: of(block, block.uniform(name)), of=of, across=across)

    def _check_levels(self, scope: Scope, by: str, levels: list[Any]) -> None:
        """Where the other column is a choice too, each of its values must have its choices, and no other."""
        other = scope.planned.columns[by].kind
        if not isinstance(other, Choice) or other.by is not None:
            return
        known = list(other.values)
        for level in levels:
            if level not in known:
                raise SchemaError(f"{level!r} is no value of {by!r}; {did_you_mean(level, known)}")
        missing = [value for value in known if value not in levels and value is not None]
        if missing and OTHERWISE not in self.values:
            raise SchemaError(f"there is no choice for {by!r} = {missing[0]!r}; add it, or `{OTHERWISE}`.")


def _weighted(values: Any, weights: tuple[float, ...] | None) -> tuple[list[Any], Floats]:
    """The values, and the share of each."""
    if isinstance(values, Mapping):
        if weights is not None:
            raise SchemaError("give weights beside a list of values, or value: weight, not both.")
        values, weights = list(values), tuple(values.values())
    elif not isinstance(values, list | tuple):
        values = [values]
    values = list(values)
    if not values:
        raise SchemaError("there is nothing to choose from.")
    if weights is None:
        weights = (1.0,) * len(values)
    if len(weights) != len(values):
        raise SchemaError(f"there are {len(values)} values and {len(weights)} weights.")
    return values, shares_of(weights)


def shares_of(weights: Any) -> Floats:
    """Weights as shares that sum to 1; SchemaError where they are negative, all zero or no numbers."""
    for weight in weights:
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
            raise SchemaError(f"a weight is a number from 0 up, not {weight!r}.")
    array = np.array(weights, dtype=float)
    if not array.sum() > 0:
        raise SchemaError("all weights are 0.")
    return array / array.sum()


def _shuffled(values: pl.Series, name: str) -> Maker:
    """Each value once, in a random order."""
    if values.n_unique() < len(values):
        raise SchemaError("a value stands twice, so they cannot be unique.")

    def at(run: Run, rows: Ints) -> pl.Series:
        return taken(values, permutation(rows, len(values), run.seed, "recipe", name))

    return Maker(values.dtype, lambda block: at(block.run, block.rows), at=at, capacity=len(values), fixed=True)


@dataclass(frozen=True)
class CaseLabel(Kind):
    """The column `case`: of which sort each row is, missing in ordinary rows."""

    ABOUT: ClassVar[str] = "the sort of row"

    cases: Mapping[str, Case]

    def plan(self, scope: Scope, name: str) -> Maker:
        shares = np.array([case.share for case in self.cases.values()])
        if not ((shares >= 0) & (shares <= 1)).all() or shares.sum() > 1 + 1e-9:
            raise SchemaError("the shares of the cases are from 0 to 1, and 1 at most together.")
        for case, spec in self.cases.items():
            for column in spec.set:
                if column not in scope:
                    raise SchemaError(f"case {case!r}: no column {column!r}; {did_you_mean(column, scope)}")
        labels, ends = pl.Series([*self.cases, None], dtype=pl.String), np.cumsum(shares)
        return Maker(pl.String(), lambda block: taken(labels, np.searchsorted(ends, block.uniform(name), side="right")))


# ------------------------------------------------------------------------------------------------- keys and patterns


def _ids(pattern: str, scope: Scope, name: str) -> Maker:
    table = scope.table

    def at(run: Run, rows: Ints) -> pl.Series:
        return make_ids(pattern, rows, run.seed, table, name)

    dtype = pl.Int64() if kind_of(_one_id(pattern).dtype) == "integer" else pl.String()
    room = capacity(pattern)
    return Maker(dtype, lambda block: at(block.run, block.rows), at=at, capacity=min(room, 2**62), fixed=True)


def _one_id(pattern: str) -> pl.Series:
    return make_ids(pattern, np.zeros(1, np.int64), 0)


@dataclass(frozen=True)
class Sequence(Kind):
    ABOUT: ClassVar[str] = "a key: whole numbers in order"
    KEYS: ClassVar[bool] = True

    start: int = 1
    step: int = 1

    def plan(self, scope: Scope, name: str) -> Maker:
        return _ids(f"sequence:{self.start}:{self.step}", scope, name)


@dataclass(frozen=True)
class Permuted(Kind):
    ABOUT: ClassVar[str] = "a key: whole numbers of a range, in random order"
    KEYS: ClassVar[bool] = True

    low: int
    high: int

    def plan(self, scope: Scope, name: str) -> Maker:
        return _ids(f"int:{self.low}:{self.high}", scope, name)


@dataclass(frozen=True)
class Id(Kind):
    ABOUT: ClassVar[str] = "a key: uuid, or a character pattern such as AB-[0-9]{6}, each text at most once"
    KEYS: ClassVar[bool] = True

    pattern: str

    def plan(self, scope: Scope, name: str) -> Maker:
        return _ids(self.pattern, scope, name)


@dataclass(frozen=True)
class Pattern(Kind):
    ABOUT: ClassVar[str] = "text of a character pattern: [A-Z]{3}-[0-9]{2,4}"

    pattern: str

    def plan(self, scope: Scope, name: str) -> Maker:
        if scope.planned.columns[name].unique:
            return _ids(self.pattern, scope, name)
        pattern = parse(self.pattern)

        def make(block: Block) -> pl.Series:
            index = np.minimum((block.uniform(name) * pattern.room).astype(np.int64), pattern.room - 1)
            noise = block.stream(name, "noise").integers(0, 2**64 - 1, block.n, dtype=np.uint64, endpoint=True)
            return pattern.write(index, noise)

        return Maker(pl.String(), make)


@dataclass(frozen=True)
class Regex(Kind):
    r"""Text of a regular expression, of the part of the language that says what to write: classes, groups, counts."""

    ABOUT: ClassVar[str] = r"text that a regular expression matches: [A-Z]\w+-\d{2,4}(foo|bar)?"

    regex: str
    most: int = 8  # repeats of * and +

    def plan(self, scope: Scope, name: str) -> Maker:
        return Pattern(self.written(self.regex, self.most)).plan(scope, name)

    @staticmethod
    def written(regex: str, most: int) -> str:
        r"""The regular expression as a character pattern.

        >>> Regex.written(r"^[^a-z\s]+\.?$", 2)
        '[!-`{-~]{1,2}\\.{0,1}'
        """
        if len(regex) > LONGEST:
            raise SchemaError(f"a regular expression has {LONGEST} characters at most here.")
        out, at = [], 0
        body = regex.removeprefix("^")
        body = body[:-1] if body.endswith("$") and not body.endswith(r"\$") else body
        while at < len(body):
            token = _TOKEN.match(body, at)
            if token is None:
                raise SchemaError(
                    f"{regex!r}, character {at + 1}: not understood here; look-around and references are not."
                )
            text, at = token[0], token.end()
            out.append(_part(text, most))
        return "".join(out)


_TOKEN: Final = re.compile(r"\(\?:|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[*+?](?!\?)|\{\d*,?\d*\}|\((?!\?)|[^\\\[\](]")
_SETS: Final = {"d": "0-9", "w": "0-9A-Za-z_", "s": " ", "D": "!-/:-~", "W": "!-/:-@", "S": "!-~"}
_PRINTED: Final = [chr(c) for c in range(32, 127)]


def _part(text: str, most: int) -> str:
    if text in "*+?" and text:
        return {"*": f"{{0,{most}}}", "+": f"{{1,{most}}}", "?": "{0,1}"}[text]
    if text == "(?:":
        return "("
    if text == ".":
        return "[ -~]"
    if text.startswith("{,"):
        return "{0" + text[1:]
    if re.fullmatch(r"\{\d+,\}", text):
        return f"{text[:-1]}{int(text[1:-2]) + most}}}"
    if text[0] == "\\":
        if text[1].isalnum() and text[1] not in _SETS:
            raise SchemaError(f"{text} has no meaning here; there are {', '.join(chr(92) + s for s in _SETS)}.")
        return f"[{_SETS[text[1]]}]" if text[1] in _SETS else text
    if text[0] == "[":
        return _class(text)
    return text


def _class(text: str) -> str:
    """A class of characters, its shorthands and its negation written out."""
    negated = text.startswith("[^")
    inner = re.sub(r"\\([dwsDWS])", lambda m: _SETS[m[1]], text[2 if negated else 1 : -1])
    if not negated:
        return f"[{inner}]"
    left = [c for c in _PRINTED if not re.fullmatch(f"[{inner}]", c) and c not in " "]
    out, at = "", 0
    while at < len(left):
        end = at
        while end + 1 < len(left) and ord(left[end + 1]) == ord(left[end]) + 1:
            end += 1
        first, last = (f"\\{c}" if c in "]\\^-" else c for c in (left[at], left[end]))
        out += first if end == at else f"{first}-{last}"
        at = end + 1
    return f"[{out}]"

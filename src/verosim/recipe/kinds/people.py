"""People, places, companies and things by provider; pools of Faker and mimesis; texts by grammar."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import polars as pl

from verosim.draws import permutation, stream
from verosim.errors import ArgumentError, MissingExtraError, SchemaError, did_you_mean
from verosim.providers import LOCALES, PROVIDERS, laid_out, make_together, parse_provider, values_of
from verosim.providers.packs import taken
from verosim.recipe.kinds.plain import shares_of
from verosim.recipe.nouns import Ints, Kind, Maker, Number

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope, TablePlan
    from verosim.recipe.running import Block, Run


@dataclass(frozen=True)
class Provider(Kind):
    ABOUT: ClassVar[str] = "data about a person, place or firm; all of one row (and one `of`) are about the same"

    provider: str
    locale: str | dict[str, Number] | None = None  # a locale, a column of them, or locales by weight
    of: str = ""  # whom it is about, where a row has several: buyer, seller
    pattern: str | None = None  # how digits are laid out: (###) ###-####

    @property
    def bond(self) -> tuple[str, str]:
        """What columns have in common that are drawn together."""
        return "people", self.of

    def plan(self, scope: Scope, name: str) -> Maker:
        provider = parse_provider(self.provider)[0]
        dtype = PROVIDERS[provider].dtype if self.pattern is None else pl.String()
        locale = _locale(self.locale, self.of, scope)
        unique = scope.planned.columns[name].unique
        room = values_of(self.provider) if unique else None
        if unique and not room:
            raise SchemaError(f"there are too few different values of {provider!r} to be unique.")
        if self.pattern is not None:
            laid_out(pl.Series(["0"]), self.pattern)

        def make(block: Block) -> pl.Series:
            values = block.once(("people", self.of), lambda: _made(block, locale, self.of))[name]
            return values if self.pattern is None else laid_out(values.cast(pl.String), self.pattern)

        return Maker(dtype, make, capacity=room, fixed=unique)


def _together(planned: TablePlan, of: str) -> dict[str, Provider]:
    """The columns of a table that are about the same person."""
    kinds = ((name, column.kind) for name, column in planned.columns.items())
    return {name: kind for name, kind in kinds if isinstance(kind, Provider) and kind.of == of}


Locales = tuple[list[str], "Callable[[Block], Ints] | None"]


def _locale(locale: str | dict[str, Number] | None, of: str, scope: Scope) -> Locales:
    """The locales that come, and which (n,) each row has; None where there is one."""
    asked = {repr(k.locale) for k in _together(scope.planned, of).values()}
    if len(asked) > 1:
        raise SchemaError("columns about one person have one `locale`; set people apart with `of`.")
    if isinstance(locale, dict):
        known, ends = list(locale), np.cumsum(shares_of(tuple(locale.values())))
        for one in known:
            _check_locale(one)
        return known, lambda block: np.searchsorted(ends[:-1], block.uniform("\0locale", of), side="right")
    if locale is not None and locale not in LOCALES and locale in scope:
        return list(LOCALES), lambda block: _places(block[locale], locale)
    one = locale or scope.locale
    _check_locale(one)
    return [one], None


def _check_locale(locale: str) -> None:
    if locale not in LOCALES:
        raise SchemaError(f"no locale {locale!r}; {did_you_mean(locale, LOCALES)}")


def _places(values: pl.Series, column: str) -> Ints:
    unknown = values.filter(~values.is_in(list(LOCALES)) | values.is_null())
    if len(unknown):
        raise ArgumentError(f"column {column!r} has the locale {unknown[0]!r}; there are {', '.join(LOCALES)}.")
    return values.replace_strict(list(LOCALES), np.arange(len(LOCALES)), return_dtype=pl.Int64).to_numpy()


def _made(block: Block, locale: Locales, of: str) -> dict[str, pl.Series]:
    """All columns about one person, made at once: names in addresses, cities with their postcodes."""
    (locales, which), columns = locale, _together(block.planned, of)
    providers = {name: kind.provider for name, kind in columns.items()}
    unique = [name for name in columns if block.planned.columns[name].unique]
    seed = block.run.once(("people", block.table, of), lambda: int(block.key_stream(of, "unique").integers(2**62)))

    def some(rows: Ints, number: int) -> dict[str, pl.Series]:
        rng = block.stream("\0people", of, locales[number])
        return make_together(providers, rows, rng, locales[number], unique=unique, seed=seed, typed=True)

    if which is None:
        return some(block.rows, 0)
    place = which(block)
    order = np.argsort(place, kind="stable")
    parts = [some(block.rows[place == number], number) for number in range(len(locales)) if (place == number).any()]
    back = np.empty(block.n, np.int64)
    back[order] = np.arange(block.n)
    if not parts:
        return some(block.rows, 0)
    return {name: pl.concat([part[name] for part in parts]).gather(back) for name in columns}


# ------------------------------------------------------------------------------------------------- pools


@dataclass(frozen=True)
class Faker(Kind):
    ABOUT: ClassVar[str] = "any Faker provider, drawn from a pool of its values (extra `faker`)"
    FROM_UNIFORM: ClassVar[bool] = True

    faker: str
    locale: str | None = None
    arguments: dict[str, str | int | float | bool] = field(default_factory=dict)
    pool: int = 10_000

    def plan(self, scope: Scope, name: str) -> Maker:
        library = _library("faker", "Faker")
        try:
            source = library.Faker(self.locale or scope.locale)
        except AttributeError as error:
            raise SchemaError(f"Faker has no locale {self.locale!r}.") from error
        known = [n for n in dir(source) if not n.startswith("_") and n not in ("seed", "unique", "optional")]
        if self.faker not in known:
            raise SchemaError(f"Faker has no provider {self.faker!r}; {did_you_mean(self.faker, known)}")

        def draw(seed: int) -> Callable[[], Any]:
            own = library.Faker(self.locale or scope.locale)
            own.seed_instance(seed)
            return lambda: getattr(own, self.faker)(**self.arguments)

        return _pooled(scope, name, self.pool, draw)


@dataclass(frozen=True)
class Mimesis(Kind):
    ABOUT: ClassVar[str] = (
        "any mimesis provider, such as person.full_name, drawn from a pool of its values (extra `mimesis`)"
    )
    FROM_UNIFORM: ClassVar[bool] = True

    mimesis: str
    locale: str = "en"
    arguments: dict[str, str | int | float | bool] = field(default_factory=dict)
    pool: int = 10_000

    def plan(self, scope: Scope, name: str) -> Maker:
        library = _library("mimesis", "mimesis")
        group, _, what = self.mimesis.partition(".")
        try:
            generic = library.Generic(library.Locale(self.locale), seed=0)
        except ValueError as error:
            raise SchemaError(f"mimesis has no locale {self.locale!r}.") from error
        groups = [g for g in dir(generic) if not g.startswith("_") and g.islower()]
        if group not in groups:
            raise SchemaError(f"mimesis has no provider {group!r}; {did_you_mean(group, groups)}")
        known = [n for n in dir(getattr(generic, group)) if not n.startswith("_")]
        if what not in known:
            raise SchemaError(f"mimesis.{group} has no {what!r}; {did_you_mean(what, known)}")

        def draw(seed: int) -> Callable[[], Any]:
            own = getattr(library.Generic(library.Locale(self.locale), seed=seed), group)
            return lambda: getattr(own, what)(**self.arguments)

        return _pooled(scope, name, self.pool, draw)


def _library(module: str, shown: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"providers of {shown} need the extra `{module}`: pip install 'verosim[{module}]'."
        ) from error


def _pooled(scope: Scope, name: str, size: int, draw: Callable[[int], Callable[[], Any]]) -> Maker:
    """A column of a library that makes one value a call: it is called `size` times, and rows draw from these.

    Of a unique column, each different value is dealt out once.
    """
    if not 1 <= size <= 1_000_000:
        raise SchemaError(f"`pool` goes from 1 to 1,000,000, not {size}.")
    dtype = _pool([_tried(draw(0))]).dtype
    key = ("recipe", scope.table, name)

    def values(run: Run) -> pl.Series:
        def make() -> pl.Series:
            call = draw(int(stream(run.seed, *key, "pool").integers(2**31)))
            return _pool([_tried(call) for _ in range(size)]).cast(dtype)

        return run.once(("pool", scope.table, name), make)

    if scope.planned.columns[name].unique:

        def different(run: Run) -> pl.Series:
            return run.once(
                ("pool", scope.table, name, "different"), lambda: values(run).drop_nulls().unique(maintain_order=True)
            )

        def at(run: Run, rows: Ints) -> pl.Series:
            return taken(different(run), permutation(rows, len(different(run)), run.seed, *key))

        def room(run: Run) -> int:
            return len(different(run))

        return Maker(dtype, lambda block: at(block.run, block.rows), at=at, capacity=room, fixed=True)

    def of(block: Block, u: np.ndarray) -> pl.Series:
        return values(block.run).gather(np.minimum((u * size).astype(np.int64), size - 1))

    return Maker(dtype, lambda block: of(block, block.uniform(name)), of=of)


def _tried(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # whatever a provider of another library raises for its arguments
        raise SchemaError(f"the provider gave no value: {type(error).__name__}: {error}.") from error


def _pool(values: list[Any]) -> pl.Series:
    """Values of a library as a series: as they are where all are plain and of one type, else as text."""
    plain = (bool, int, float, str)
    kinds = {type(v) for v in values}
    if len(kinds) == 1 and kinds <= set(plain):
        return pl.Series(values)
    if len(kinds) == 1 and hasattr(values[0], "isoformat"):
        return pl.Series(values)
    return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)


# ------------------------------------------------------------------------------------------------- texts

_LOREM: Final = (
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua enim ad minim veniam quis nostrud exercitation ullamco laboris nisi aliquip ex ea commodo consequat "
    "duis aute irure in reprehenderit voluptate velit esse cillum fugiat nulla pariatur excepteur sint occaecat "
    "cupidatat non proident sunt culpa qui officia deserunt mollit anim id est laborum"
)


@dataclass(frozen=True)
class Lorem(Kind):
    ABOUT: ClassVar[str] = "a sentence of meaningless words, from so many to so many"

    words: tuple[int, int] = (4, 12)

    def plan(self, scope: Scope, name: str) -> Maker:
        low, high = self.words
        if not 1 <= low <= high <= 500:
            raise SchemaError(
                f"`lorem` takes two numbers of words from 1 to 500, the lower first, not {low} and {high}."
            )
        words = pl.Series(_LOREM.split())

        def make(block: Block) -> pl.Series:
            counts = low + np.minimum((block.uniform(name, "length") * (high - low + 1)).astype(np.int64), high - low)
            which = (block.stream(name, "words").random(int(counts.sum())) * len(words)).astype(np.int64)
            owner = np.repeat(np.arange(block.n), counts)
            frame = pl.DataFrame({"row": owner, "word": words.gather(which)})
            lines = frame.group_by("row", maintain_order=True).agg(pl.col("word").str.join(" "))["word"]
            return lines.str.slice(0, 1).str.to_uppercase() + lines.str.slice(1) + "."

        return Maker(pl.String(), make)


@dataclass(frozen=True)
class Grammar(Kind):
    ABOUT: ClassVar[str] = (
        "sentences by grammar: `{name}` in a text stands for one of the texts of that name, or a column"
    )

    grammar: str | list[str]  # the texts to begin with
    rules: dict[str, list[str]] = field(default_factory=dict)

    def plan(self, scope: Scope, name: str) -> Maker:
        texts = [self.grammar] if isinstance(self.grammar, str) else self.grammar
        used = self._check(texts, scope)

        def make(block: Block) -> pl.Series:
            rng = block.stream(name, "grammar")
            columns = {c: block[c].cast(pl.String) for c in used}
            rows = np.arange(block.n)
            return self._written(texts, rows, rng, columns)

        return Maker(pl.String(), make, across=any(scope.maker(c).across for c in used))

    def _check(self, start: Sequence[str], scope: Scope) -> list[str]:
        """The columns used; SchemaError for an unknown name, or rules that use each other in a circle."""
        columns: dict[str, None] = {}

        def visit(texts: Sequence[str], way: tuple[str, ...]) -> None:
            if not texts:
                raise SchemaError(f"rule {way[-1]!r} has no texts." if way else "there is no text.")
            for part in (part for text in texts for part in _names(text)):
                if part in way:
                    raise SchemaError(f"the rules use each other in a circle: {' -> '.join([*way, part])}.")
                if part in self.rules:
                    visit(self.rules[part], (*way, part))
                elif part in scope:
                    scope.maker(part)
                    columns[part] = None
                else:
                    raise SchemaError(f"no rule or column {part!r}; {did_you_mean(part, [*self.rules, *scope])}")

        visit(start, ())
        return list(columns)

    def _written(
        self, texts: Sequence[str], rows: Ints, rng: np.random.Generator, columns: dict[str, pl.Series]
    ) -> pl.Series:
        """One text for each of these rows (n,), with all its names replaced."""
        which = (rng.random(len(rows)) * len(texts)).astype(np.int64)
        parts, places = [], []
        for number, text in enumerate(texts):
            mine = np.flatnonzero(which == number)
            if len(mine):
                pieces = [self._piece(p, rows[mine], rng, columns) for p in re.split(r"(\{\w+\})", text) if p]
                frame = pl.DataFrame({"\0": mine})
                parts.append(frame.with_columns(pl.concat_str([*pieces, pl.lit("")]).alias("text"))["text"])
                places.append(mine)
        if not parts:
            return pl.Series([], dtype=pl.String)
        return pl.concat(parts).gather(np.argsort(np.concatenate(places), kind="stable"))

    def _piece(self, piece: str, rows: Ints, rng: np.random.Generator, columns: dict[str, pl.Series]) -> pl.Expr:
        name = piece[1:-1] if re.fullmatch(r"\{\w+\}", piece) else ""
        if not name:
            return pl.lit(piece)
        return pl.lit(
            self._written(self.rules[name], rows, rng, columns) if name in self.rules else columns[name].gather(rows)
        )


def _names(text: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", text)

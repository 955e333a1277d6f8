"""One column's meaning, guessed from its name, type and values, with the reason in numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from verosim.errors import DataError, SchemaError
from verosim.forms import Form
from verosim.infer import personal
from verosim.infer.documents import documents_in
from verosim.infer.looks import is_email, share_of
from verosim.infer.measures import Facts, decimals, pair_format, spaced, time_step, whole_step
from verosim.infer.personal import WORDS
from verosim.infer.scales import LEVELS, ordered
from verosim.providers import digits_of, learn_pattern, values_of
from verosim.providers.ids import UUID, whole_ends
from verosim.schema import Column, dtype_name

NUMERIC_PERSONAL: Final = ("phone", "card", "national_id", "postcode")  # personal kinds that are also held as numbers
SAMPLE: Final = 1000  # different values that text is judged by
MANY: Final = 20  # fewer rows than this prove nothing about uniqueness
PLENTY: Final = 1_000_000  # a provider with fewer values is not asked for unique ones


def dtype_of(series: pl.Series) -> str:
    """The name of the type; DataError, with a way out, for types that have no place in a schema, and for names."""
    dtype, name = series.dtype, series.name
    if name == "*" or (name.startswith("^") and name.endswith("$")):
        raise DataError("polars reads this name as a pattern of names.", column=name, fix="Rename the column.")
    if isinstance(dtype, pl.Binary):
        raise DataError(
            "binary data cannot be learned.", column=name, fix="Leave the column out, or hold it as hex text."
        )
    if isinstance(dtype, pl.Object):
        raise DataError("Python objects cannot be learned.", column=name, fix="Convert the values to one polars type.")
    if dtype.is_nested():
        fix = "Make a column of each field (unnest), or a table of the items (explode), or hold them as JSON text."
        raise DataError(f"nested values ({dtype}) cannot be learned.", column=name, fix=fix)
    try:
        return dtype_name(dtype)
    except SchemaError as error:
        raise DataError(f"values of type {dtype} cannot be learned.", column=name, fix="Cast the column.") from error


def guess(series: pl.Series, facts: Facts, beside: frozenset[str] = frozenset()) -> Column:
    """The column (n,) as guessed; `beside` has the words of the names of all columns of the table."""
    levels = tuple(series.dtype.categories) if isinstance(series.dtype, pl.Enum) else None  # part of the type
    blank = Column(series.name, "empty", dtype_of(series), levels=levels)
    if facts.values == 0:
        return replace(blank, reason="no rows" if not facts.rows else f"no value in {facts.rows:,} rows")
    dtype = series.dtype
    if isinstance(dtype, pl.String):
        return _text(blank, series, facts)
    if dtype.is_numeric():
        return _numeric(blank, series, facts, beside)
    if facts.levels == 1:
        return _constant(blank, facts)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return _levels(blank, series, facts)
    if isinstance(dtype, pl.Boolean):
        return replace(blank, kind="boolean", reason="the type is Boolean")
    return _temporal(blank, series)


def _constant(blank: Column, facts: Facts) -> Column:
    missing = f", {facts.nulls:,} are missing" if facts.nulls else ""
    return replace(blank, kind="constant", reason=f"the same value in all {facts.values:,} rows that have one{missing}")


# ------------------------------------------------------------------------------------------------- numbers


def _numeric(blank: Column, series: pl.Series, facts: Facts, beside: frozenset[str]) -> Column:
    if found := _numeric_id(blank, series, facts) or _numeric_person(blank, series, facts):
        return found
    if facts.levels == 1:
        return _constant(blank, facts)
    return _geo(blank, series, beside) or _number(blank, series, facts)


def _numeric_id(blank: Column, series: pl.Series, facts: Facts) -> Column | None:
    """Unique whole numbers that are named like a key, or that count the rows from 0 or 1."""
    if not facts.unique or series.dtype.is_decimal() or not _whole(series):
        return None
    low, high = int(series.min()), int(series.max())  # type: ignore[arg-type]
    if low < -(2**63) or high >= 2 ** (64 if low >= 0 else 63):
        return None  # ids are made of 64 bits
    counts = low in (0, 1) and high - low + 1 == facts.rows >= MANY
    words = personal.words_of(series.name).split()
    named = _named_id(words)
    if not named and (not counts or WORDS["measure"].search(" ".join(words))):
        return None
    why = f"the name has {named!r}" if named else f"they count from {low} to {high:,}"
    return _id(blank, series, facts, why)


def _id(blank: Column, series: pl.Series, facts: Facts, why: str) -> Column:
    pattern = learn_pattern(series)
    reason = f"all {facts.rows:,} values are different, and {why}"
    return replace(blank, kind="id", pattern=pattern, unique=True, reason=reason)


def _named_id(words: list[str]) -> str | None:
    """The word that names a key: the last of the name, or the first."""
    return next((w for w in (*words[-1:], *words[:1]) if WORDS["id"].fullmatch(w)), None)


def _numeric_person(blank: Column, series: pl.Series, facts: Facts) -> Column | None:
    """Telephone and card numbers, national ids and postcodes held as numbers; nothing of them is a measure."""
    if series.dtype.is_decimal() or not _whole(series):
        return None
    sample = spaced(series, SAMPLE).cast(pl.Int128).cast(pl.String)
    found = personal.detect(series.name, sample, facts.values, facts.levels)
    if not found or found.provider not in NUMERIC_PERSONAL:
        return None
    digits = sample.str.len_bytes()
    if int(digits.median()) < (7 if found.provider != "postcode" else 4):  # type: ignore[arg-type]
        return None
    return _personal(blank, replace(found, pattern="#" * int(digits.mode().max())), facts)  # type: ignore[arg-type]


def _whole(series: pl.Series) -> bool:
    """Whether every value is a whole number that the type holds exactly: a key or code that lost its type, maybe."""
    if series.dtype.is_integer():
        return True
    values, (_, most) = series.drop_nulls(), whole_ends(series.dtype)
    return bool((values.head(100) % 1 == 0).all() and (values % 1 == 0).all() and (values.abs() <= most).all())


def _geo(blank: Column, series: pl.Series, beside: frozenset[str]) -> Column | None:
    """Floats named latitude or longitude, in their range, with decimals; `long` only beside a latitude."""
    word = "".join(personal.words_of(series.name).split()[-1:])
    part = next((p for p in ("latitude", "longitude") if WORDS[p].fullmatch(word)), None)
    if word == "long" and any(WORDS["latitude"].fullmatch(w) for w in beside):
        part = "longitude"
    if not part or not series.dtype.is_float() or _whole(series):
        return None
    low, high, limit = float(series.min()), float(series.max()), 90 if part == "latitude" else 180  # type: ignore[arg-type]
    if not -limit <= low <= high <= limit:
        return None
    reason = f"named {word!r}, and all values are between {low:g} and {high:g} degrees"
    return replace(blank, kind="geo", format=part, digits=decimals(series), reason=reason)


def _number(blank: Column, series: pl.Series, facts: Facts) -> Column:
    if series.dtype.is_integer():
        low, high = int(series.min()), int(series.max())  # type: ignore[arg-type]
        step = whole_step(series)
        by = f", multiples of {step:,}" if step else ""
        reason = f"whole numbers from {low:,} to {high:,}{by}, {facts.levels:,} different ones"
        return replace(blank, kind="number", step=step, reason=reason)
    if series.dtype.is_decimal():
        return replace(blank, kind="number", reason=f"exact decimals, {facts.levels:,} different ones")
    digits = decimals(series)
    few = {0: "whole numbers held as floats", 1: "numbers with one decimal at most"}
    how = "numbers of full precision" if digits is None else few.get(digits, f"numbers with up to {digits} decimals")
    return replace(blank, kind="number", digits=digits, reason=f"{how}, {facts.levels:,} different ones")


# ------------------------------------------------------------------------------------------------- times and levels


def _temporal(blank: Column, series: pl.Series) -> Column:
    kind = {pl.Date: "date", pl.Datetime: "datetime", pl.Time: "time", pl.Duration: "duration"}[type(series.dtype)]
    found = time_step(series)
    by = f", all at a whole {found[1]}" if found else ""
    return replace(
        blank, kind=kind, step=found[0] if found else None, reason=f"the type is {dtype_name(series.dtype)}{by}"
    )


def _levels(blank: Column, series: pl.Series, facts: Facts) -> Column:
    if isinstance(series.dtype, pl.Enum):
        levels = series.dtype.categories.to_list()
        scale = ordered(levels)
        if scale and scale[0] == levels:
            return replace(blank, kind="ordinal", levels=tuple(levels), reason=f"levels of a known order: {scale[1]}")
        return replace(blank, kind="category", levels=tuple(levels), reason=f"an Enum of {len(levels):,} levels")
    texts = spaced(series, SAMPLE).cast(pl.String)
    if found := personal.detect(series.name, texts, facts.values, facts.levels):
        return _personal(blank, found, facts)
    return _scale(blank, texts, facts) or replace(
        blank, kind="category", reason=f"the type is Categorical, {facts.levels:,} levels"
    )


def _scale(blank: Column, texts: pl.Series, facts: Facts) -> Column | None:
    """Ordinal, where all levels stand on one known scale; `texts` are all of them if they are few."""
    scale = ordered(texts.to_list()) if facts.levels <= LEVELS else None
    if not scale:
        return None
    return replace(blank, kind="ordinal", levels=tuple(scale[0]), reason=f"levels of a known order: {scale[1]}")


def _personal(blank: Column, found: personal.Found, facts: Facts) -> Column:
    provider = f"{found.provider}:{found.locale}" if found.locale else found.provider
    unique = facts.values >= MANY and facts.levels == facts.values and values_of(provider) >= PLENTY
    if unique and found.pattern:
        unique = found.pattern.count("#") >= digits_of(provider)
    return replace(blank, kind="personal", provider=provider, pattern=found.pattern, unique=unique, reason=found.reason)


# ------------------------------------------------------------------------------------------------- text


def _text(blank: Column, series: pl.Series, facts: Facts) -> Column:
    """Documents, personal, constant, key, number or time held in text, place, scale; else category or free text."""
    sample = spaced(series, SAMPLE)
    if why := documents_in(series, sample):
        return replace(blank, kind="json", reason=why)
    if found := personal.detect(series.name, sample, facts.values, facts.levels):
        return _personal(blank, found, facts)
    if facts.unique and (found_id := _plain_id(blank, series, facts, sample)):
        return found_id
    if facts.levels == 1:
        return _constant(blank, facts)
    form = Form.detect(series)
    if form:
        return _formed(blank, series, facts, form)
    if facts.unique and (found_id := _code(blank, series, facts, sample)):
        return found_id
    if pair := pair_format(series.drop_nulls()):
        return replace(blank, kind="geo", format=pair, reason="every value is a pair of latitude and longitude")
    return _scale(blank, sample, facts) or _words(blank, series, facts, sample)


def _plain_id(blank: Column, series: pl.Series, facts: Facts, sample: pl.Series) -> Column | None:
    """Unique text that is a uuid, or that is named like a key and has no spaces."""
    if facts.rows > 1 and bool(sample.str.to_lowercase().str.contains(UUID).all()):
        return _id(blank, series, facts, "they are uuids")
    named = _named_id(personal.words_of(series.name).split())
    if not named or _share(sample, r"\s") > 0.05 or _stamped(sample):
        return None
    return _id(blank, series, facts, f"the name has {named!r}")


def _code(blank: Column, series: pl.Series, facts: Facts, sample: pl.Series) -> Column | None:
    """Unique text of one word with digits, in enough rows to mean something."""
    coded = facts.rows >= MANY and _share(sample, r"\d") >= 0.95 and _share(sample, r"\s") <= 0.05
    if not coded or int(sample.str.len_chars().max()) > 64:  # type: ignore[arg-type]
        return None
    return _id(blank, series, facts, "they are codes of one word with digits")


def _stamped(sample: pl.Series) -> bool:
    form = Form.detect(sample)
    return form is not None and form.kind == "stamp"


def _formed(blank: Column, series: pl.Series, facts: Facts, form: Form) -> Column:
    """What the text holds, in the form it has."""
    parsed = form.parse(series)
    text = f"text in the form {str(form)!r}" + (f" ({form.note})" if form.note else "")
    if isinstance(parsed.dtype, pl.Boolean):
        return replace(blank, kind="boolean", format=str(form), reason=text)
    column = _number(blank, parsed, facts) if parsed.dtype.is_numeric() else _temporal(blank, parsed)
    inner = f": {column.reason}" if parsed.dtype.is_numeric() else ""
    return replace(column, format=str(form), reason=text + inner)


def _words(blank: Column, series: pl.Series, facts: Facts, sample: pl.Series) -> Column:
    """Category or free text, by how often values come back and how many words they have."""
    words = float((sample.str.count_matches(r"\S+")).mean())  # type: ignore[arg-type]
    length = float(sample.str.len_chars().mean())  # type: ignore[arg-type]
    share = facts.levels / facts.values
    counts = f"{facts.levels:,} different values in {facts.values:,} rows"
    if facts.values >= MANY and share > 0.5 and (words >= 3 or length >= 40):
        return replace(blank, kind="text", reason=f"{counts}, of {words:.1f} words on average")
    if facts.values >= MANY and share > 0.9:
        if facts.unique and words <= 1 and _share(sample, r"^[!-~]+$") == 1:
            return _id(blank, series, facts, "each is one word")
        return replace(blank, kind="text", reason=f"{counts}: too few come back to be levels")
    part = _warning(sample)
    return replace(blank, kind="category", reason=counts + part)


def _warning(sample: pl.Series) -> str:
    """A part of the values that look personal, too small to decide."""
    share = share_of(sample.to_list(), is_email)
    return f"; note that {share:.0%} of the values look like mail addresses" if share > 0 else ""


def _share(sample: pl.Series, pattern: str) -> float:
    return float(sample.str.contains(pattern).mean() or 0.0)  # type: ignore[arg-type]

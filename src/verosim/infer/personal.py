"""Which columns are about persons, told by the column's name *and* its values, or by values that can be nothing else.

A column's name is taken apart (`BillingPostalCode` is "billing postal code") and held against words of six languages
(words.txt); a sample of its different values is held against the look of the kind, its check digits, or the lists of
names. Both must agree. Very plain values (mail addresses, account numbers with valid check digits ...) need no name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import polars as pl

from verosim.infer import looks
from verosim.infer.looks import NATIONAL, Test, look, share_of
from verosim.providers import LOCALES
from verosim.providers.packs import fold, pack

SAMPLE: Final = 1000  # different values that are looked at
FIVE: Final = "#####"
FEW: Final = 20  # fewer different cities or employers than this are levels


@dataclass(frozen=True, slots=True)
class Found:
    """A personal column: its provider, how digits are laid out if that matters, and why."""

    provider: str
    reason: str
    pattern: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """How one provider's columns are told: the look of the values, and how many of them must have it."""

    provider: str
    test: Test
    named: float = 0.6  # the share of values that must pass where the name says so; above 1: never
    bare: float = 2.0  # ... where it does not
    repeats: float = 0.0  # values a level from which it is a plain category; 0: never


KINDS: Final = (
    Kind("email", looks.is_email, 0.3, 0.6),
    Kind("iban", looks.is_iban, 0.6, 0.9),
    Kind("mac", looks.is_mac, 0.6, 0.9),
    Kind("ip", looks.is_ip, 0.6, 0.9),
    Kind("ipv6", looks.is_ipv6, 0.6, 0.95),
    Kind("card", looks.is_card, 0.6, 0.9),
    Kind("card_expiry", looks.is_expiry, 0.9),
    Kind("phone", looks.is_phone, 0.6),
    Kind("phone", looks.is_world_phone, 0.9, 0.9),
    Kind("url", looks.is_url, 0.5, 0.9),
    Kind("bic", looks.is_bic, 0.8),
    Kind("vat", looks.is_tax_number, 0.6),
    Kind("license_plate", looks.is_plate, 0.8),
    Kind("domain", looks.is_host, 0.8, repeats=20),
    Kind("user_name", looks.is_handle, 0.9, repeats=50),
    Kind("address", looks.is_street, 0.6, repeats=20),
    Kind("street", looks.is_street, 0.6, repeats=20),
    Kind("postcode", looks.is_postcode, 0.7, repeats=20),
    Kind("city", looks.is_name, 0.8, repeats=5),
    Kind("region", looks.is_name, 0.9, repeats=-1),  # only where no value comes back
    Kind("country", looks.is_name, 0.9, repeats=2),
    Kind("company", looks.is_short, 0.9, repeats=5),
    Kind("job", looks.is_short, 0.9, repeats=5),
)


def _read_words() -> dict[str, re.Pattern[str]]:
    """The words of words.txt by kind: those of KINDS where a name begins or ends, the others anywhere."""
    text = (files("verosim.infer") / "words.txt").read_text(encoding="utf-8")
    parts = (line.split(": ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    ends = {kind.provider for kind in KINDS}
    whole = {kind: rf"\b(?:{words})$|^(?:{words})\b" if kind in ends else rf"\b(?:{words})\b" for kind, words in parts}
    return {kind: re.compile(pattern) for kind, pattern in whole.items()}


WORDS: Final = _read_words()


def words_of(name: str) -> str:
    """A column's name as folded words: `BillingPostalCode`, `billing_postal_code` are both "billing postal code".

    >>> words_of("BillingPostalCode"), words_of("teléfono_1")
    ('billing postal code', 'telefono 1')
    """
    parted = re.sub(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z])(?=\d)", " ", name)
    return " ".join(re.findall(r"[a-z\d]+", fold(parted)))


def detect(name: str, sample: pl.Series, n: int, n_unique: int) -> Found | None:
    """The provider for a column of text, if it is about persons.

    sample: different values; n: rows with a value; n_unique: different values in all.
    """
    values = [v for v in sample.head(SAMPLE).to_list() if v.strip()]
    if not values:
        return None
    words = words_of(name)
    return _national(words, values) or _by_kind(words, values, n, n_unique) or _person(words, values)


def _by_kind(words: str, values: list[str], n: int, n_unique: int) -> Found | None:
    for kind in KINDS:
        named = bool(WORDS[kind.provider].search(words))
        needed = kind.named if named else kind.bare
        if needed > 1:
            continue
        share = share_of(values, kind.test)
        if share < needed or _repeats(kind, n, n_unique):
            continue
        provider = _street_or_address(values) if kind.provider == "address" else kind.provider
        told = f"the name says {provider}, and " if named else ""
        reason = f"{told}{share:.0%} of the values look like one" + ("" if named else f": {provider}")
        return Found(provider, reason, _layout(provider, values), _locale_of(provider, values))
    return None


def _repeats(kind: Kind, n: int, n_unique: int) -> bool:
    """Whether values come back so often that they are levels, not data of single persons.

    Of what many people share (cities, employers), few different values are levels too.
    """
    if not kind.repeats or (n_unique == n >= FEW):
        return False
    shared = kind.repeats <= 5
    return kind.repeats < 0 or n >= kind.repeats * n_unique or (shared and n_unique < FEW)


def _national(words: str, values: list[str]) -> Found | None:
    named = WORDS["national_id"].search(words)
    for locale, test in NATIONAL.items():
        weak = locale in ("en_US", "en_GB", "de_DE")  # little or no check: the name must say so too
        share = share_of(values, test)
        if share >= (0.9 if not weak else 0.95) and (named or not weak or (locale == "en_US" and len(values) >= 10)):
            told = "the name says so, and " if named else ""
            return Found("national_id", f"{told}{share:.0%} of the values are national ids of {locale}", locale=locale,
                         pattern=_layout("national_id", values) if locale == "en_US" else None)  # fmt: skip
    share = share_of(values, look(r"(?=(?:.*\d){5})[A-Z0-9]{1,4}(?:[ ./-]?[A-Z0-9]){4,16}", re.IGNORECASE))
    if named and share >= 0.7:
        return Found("national_id", f"the name says {named[0]!r}, and {share:.0%} of the values look like one",
                     _layout("national_id", values))  # fmt: skip
    return None


def _person(words: str, values: list[str]) -> Found | None:
    """Names of persons: a plain column name and values of letters, or a vague one and values of the lists."""
    share = share_of(values, looks.is_name)
    if share < 0.7:
        return None
    known = [fold(v).replace(",", " ").split() or [""] for v in values]
    firsts, lasts = names_of("first"), names_of("last")
    first = sum(k[0] in firsts or k[-1] in firsts for k in known) / len(known)
    last = sum(k[-1] in lasts or k[0] in lasts for k in known) / len(known)
    for provider in ("name", "first_name", "last_name"):
        if (match := WORDS[provider].search(words)) and (provider != "name" or max(first, last) >= 0.1):
            why = f"the name says {match[0]!r}, and {share:.0%} of the values look like names"
            return Found(provider, why, locale=name_locale(known))
    vague = WORDS["maybe a name"].search(words) and words.split()[-1] not in ("id", "code", "type", "status", "number")
    if max(first, last) >= (0.3 if vague else 0.8) and len(values) >= (3 if vague else 10):
        several = sum(len(k) > 1 for k in known) * 2 > len(known)
        if several and min(first, last) < (0.1 if vague else 0.5):
            return None
        provider = "name" if several else "first_name" if first >= last else "last_name"
        why = f"{max(first, last):.0%} of the values begin or end with a common name of persons"
        return Found(provider, why, locale=name_locale(known))
    return None


def _street_or_address(values: list[str]) -> str:
    """An address of several parts, or a street with its number."""
    parts = sum(v.count(",") + v.count("\n") >= 2 for v in values)
    return "address" if 2 * parts > len(values) else "street"


def _layout(provider: str, values: list[str]) -> str | None:
    """How most values lay out their digits, `(###) ###-####`: leading digits that all share stand as they are."""
    if provider not in ("phone", "card", "national_id", "postcode"):
        return None
    layouts = [re.sub(r"\d", "#", v.strip()) for v in values]
    common = max(sorted(set(layouts)), key=layouts.count)
    if common == FIVE and provider == "postcode":
        return None  # as most providers write it
    if "#" not in common or re.search(r"[A-Za-z]", common) or 2 * layouts.count(common) < len(values):
        return None
    alike = [v.strip() for v, shape in zip(values, layouts, strict=True) if shape == common]
    fixed = re.match(r"\+\d{1,3}(?=\D)|0(?=[\d\W])", alike[0])
    if provider == "phone" and fixed and all(v.startswith(fixed[0]) for v in alike):
        return fixed[0] + common[len(fixed[0]) :]
    return common


# ------------------------------------------------------------------------------------------------- locales

_CALLING: Final = {"+34": "es_ES", "+52": "es_MX", "+33": "fr_FR", "+49": "de_DE", "+39": "it_IT", "+55": "pt_BR",
                   "+44": "en_GB", "+1": "en_US"}  # fmt: skip
_BANKS: Final = {"ES": "es_ES", "FR": "fr_FR", "DE": "de_DE", "IT": "it_IT", "BR": "pt_BR", "GB": "en_GB"}


def _locale_of(provider: str, values: list[str]) -> str | None:
    """The locale that most telephone or account numbers are of."""
    starts = _CALLING if provider == "phone" else _BANKS if provider == "iban" else {}
    for start, locale in starts.items():
        if sum(v.startswith(start) for v in values) * 2 > len(values):
            return locale
    return None


def name_locale(known: Iterable[list[str]]) -> str | None:
    """The locale in whose lists most of these names stand; None where too few do, or none is clearly ahead."""
    words = [w for name in known for w in name]
    shares = {locale: sum(w in _locale_names(locale) for w in words) / max(len(words), 1) for locale in LOCALES}
    best = max(shares, key=lambda locale: shares[locale])
    if shares[best] >= 1.1 * shares["en_US"]:
        return best if shares[best] >= 0.3 else None
    others = max(share for locale, share in shares.items() if not locale.startswith("en_"))
    return "en_US" if shares["en_US"] >= max(0.3, 1.1 * others) else None


@cache
def _locale_names(locale: str) -> frozenset[str]:
    own = pack(locale)
    return frozenset(word for pool in (own.first, own.last) for text in pool.values for word in fold(text).split())


@cache
def names_of(part: str) -> frozenset[str]:
    """Folded first or last names of all locales, word by word."""
    pools = (getattr(pack(locale), part).values for locale in LOCALES)
    return frozenset(word for pool in pools for text in pool for word in fold(text).split() if len(word) > 2)

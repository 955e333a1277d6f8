"""Providers: what they make is well formed, of one person, reproducible, and unique where it must be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from verosim.draws import stream
from verosim.errors import ArgumentError
from verosim.infer import looks
from verosim.providers import LOCALES, PROVIDERS, make, make_together, values_of
from verosim.providers.packs import fold, pack, slug

ROWS = np.arange(300)


def some(name: str, locale: str = "en_US", n: int = 300, **options: object) -> list[str]:
    return make(name, np.arange(n), stream(7, "test"), locale=locale, **options).to_list()  # type: ignore[arg-type]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_the_same_for_the_same_stream_and_its_start_for_fewer_rows(name: str, locale: str) -> None:
    many = some(name, locale)
    assert len(many) == 300
    assert all(isinstance(v, str) and v == v.strip() and v for v in many)
    assert some(name, locale) == many
    assert some(name, locale, n=10) == many[:10]
    assert some(name, locale, n=0) == []
    assert make(name, ROWS, stream(8, "test"), locale=locale).to_list() != many


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", [name for name, p in PROVIDERS.items() if p.topics])
def test_unique_values_never_stand_twice(name: str, locale: str) -> None:
    n = min(values_of(f"{name}:{locale}"), 20_000)
    values = make(name, np.arange(n), stream(7, "test"), locale=locale, unique=True, seed=3)
    assert values.n_unique() == n


def test_unique_values_differ_between_blocks_that_have_streams_of_their_own() -> None:
    blocks = [make("email", np.arange(b, b + 500), stream(7, b), unique=True) for b in range(0, 3000, 500)]
    assert pl.concat(blocks).n_unique() == 3000


@pytest.mark.parametrize(("name", "most"), [("city:en_US", 60), ("country", 82), ("card_expiry", 60)])
def test_more_unique_values_than_there_are_is_refused_with_the_count(name: str, most: int) -> None:
    assert len(set(some(name, n=most, unique=True))) == most
    with pytest.raises(ArgumentError, match=f"has {most} different values.*{most + 1} are asked"):
        some(name, n=most + 1, unique=True)


def test_regions_cannot_be_unique() -> None:
    with pytest.raises(ArgumentError, match="'region' cannot make unique values"):
        some("region", unique=True)


NATIONAL: dict[str, Callable[[str], bool]] = looks.NATIONAL


@pytest.mark.parametrize("locale", LOCALES)
def test_check_digits_hold_by_an_independent_count(locale: str) -> None:
    assert all(map(looks.is_iban, some("iban", locale)))
    assert all(map(looks.is_card, some("card", locale)))
    assert all(map(NATIONAL[locale], some("national_id", locale)))


def test_known_tax_numbers_have_the_check_digits_that_are_made() -> None:
    from verosim.providers.numbers import glue, luhn, mod11, mod11_10, mod97

    def body(text: str) -> np.ndarray:
        return np.frombuffer(text.encode(), np.uint8)[None, :]

    assert chr(luhn(body("7992739871"))[0]) == "3"  # the example of Luhn's patent as commonly printed
    assert chr(luhn(body("73282932"))[0]) == "0"  # SIREN 732 829 320
    assert chr(mod11_10(body("13669597"))[0]) == "6"  # DE136695976
    assert mod97(glue(body("WEST12345698765432"), "GB82"))[0] == 1  # GB82 WEST 1234 5698 7654 32
    assert chr(mod11(body("529982247"), list(range(10, 1, -1)))[0]) == "2"  # CPF 529.982.247-25


@pytest.mark.parametrize("locale", LOCALES)
def test_columns_made_together_are_about_one_person_in_one_place(locale: str) -> None:
    columns = {
        c: c for c in ("first_name", "last_name", "name", "email", "user_name", "city", "region", "postcode", "address")
    }
    made = make_together(columns, ROWS, stream(7, "test"), locale)
    own = pack(locale)
    regions = dict(zip(own.cities.values, own.regions.values, strict=True))
    starts = dict(zip(own.cities.values, own.postcodes.values, strict=True))
    for row in zip(*(made[c] for c in columns), strict=True):
        person = dict(zip(columns, row, strict=True))
        assert person["name"].startswith(f"{person['first_name']} {person['last_name']}")
        first, last = slug(person["first_name"]), slug(person["last_name"])
        for handle in (person["email"].split("@")[0], person["user_name"]):
            assert last in handle
            assert handle[0] == first[0]
        assert regions[person["city"]] == person["region"]
        assert person["postcode"].startswith(starts[person["city"]])
        assert person["city"] in person["address"]
        assert person["postcode"] in person["address"]


def test_a_column_does_not_depend_on_the_columns_beside_it() -> None:
    alone = make("email", ROWS, stream(7, "test"))
    beside = make_together({"a": "phone", "mail": "email", "b": "name"}, ROWS, stream(7, "test"))["mail"]
    assert_series_equal(alone, beside, check_names=False)


def test_the_second_column_of_a_provider_is_about_a_second_person() -> None:
    columns = {"bill_city": "city", "bill_zip": "postcode", "ship_city": "city", "ship_zip": "postcode"}
    made = make_together(columns, ROWS, stream(7, "test"), "es_ES")
    own = pack("es_ES")
    starts = dict(zip(own.cities.values, own.postcodes.values, strict=True))
    for side in ("bill", "ship"):
        assert all(z.startswith(starts[c]) for c, z in zip(made[f"{side}_city"], made[f"{side}_zip"], strict=True))
    assert (made["bill_city"] != made["ship_city"]).any()


def test_a_unique_name_is_followed_by_the_other_columns_of_the_person() -> None:
    made = make_together({"first": "first_name", "full": "name"}, ROWS, stream(7, "test"), unique=["full"])
    assert made["full"].n_unique() == 300
    assert all(full.startswith(first + " ") for first, full in zip(made["first"], made["full"], strict=True))
    two = make_together({"a": "name", "b": "last_name"}, np.arange(100), stream(7, "test"), unique=["a", "b"])
    assert two["a"].n_unique() == two["b"].n_unique() == 100


def test_nobody_is_reached_by_what_is_made() -> None:
    import ipaddress

    domains = (*some("domain"), *(m.split("@")[1] for m in some("email")), *(u.split("/")[2] for u in some("url")))
    assert all(d.endswith((".example", "example.com", "example.org", "example.net")) for d in domains)
    assert all(ipaddress.ip_address(a).is_private for a in (*some("ip"), *some("ipv6")))
    assert all(int(m[:2], 16) & 3 == 2 for m in some("mac"))  # local, and not a group
    assert all(p[8:].startswith("555-01") or "-555-01" in p for p in some("phone"))
    assert all(s[0] == "9" for s in some("national_id"))
    assert all(b[7] == "0" for b in some("bic", "es_ES"))


@pytest.mark.parametrize(
    ("provider", "pattern", "look"),
    [
        ("phone", "(###) ###-####", r"\(\d{3}\) 555-01\d\d"),
        ("phone:es_ES", "##########", r"4[69]\d{8}"),
        ("phone:es_ES", "#########", r"[69]\d{8}"),
        ("phone:en_GB", "0#### ######", r"0\d{4} \d{6}"),
        ("card", "#### #### #### ####", r"[45]000 00\d\d \d{4} \d{4}"),
        ("postcode", "##########", r"00000\d{5}"),
    ],
)
def test_digits_are_laid_out_as_asked(provider: str, pattern: str, look: str) -> None:
    assert pl.Series(some(provider, pattern=pattern)).str.contains(f"^{look}$").all()


def test_what_is_unknown_is_refused_with_a_hint() -> None:
    with pytest.raises(ArgumentError, match="no provider 'emial'; did you mean 'email'"):
        some("emial")
    with pytest.raises(ArgumentError, match="no locale 'es_es'; did you mean 'es_"):
        some("email:es_es")
    with pytest.raises(ArgumentError, match="no locale 'xx'"):
        some("email", locale="xx")
    with pytest.raises(ArgumentError, match="has no `#`"):
        some("phone", pattern="ddd")
    with pytest.raises(ArgumentError, match="has no place for all 16 digits"):
        some("card", pattern="#" * 15, unique=True)
    with pytest.raises(ArgumentError, match="`unique` names 'x'"):
        make_together({"a": "email"}, ROWS, stream(7, "test"), unique=["x"])


@pytest.mark.parametrize("locale", LOCALES)
def test_lists_hold_no_text_twice(locale: str) -> None:
    own = pack(locale)
    for pool in (
        own.first,
        own.last,
        own.jobs,
        own.trades,
        own.company_forms,
        own.street_words,
        own.cities,
        own.postcodes,
    ):
        assert pool.values.n_unique() == len(pool)
        assert (np.diff(pool.cumulative) > 0).all()
    assert all(slug(t) for t in (*own.first.values, *own.last.values))
    assert all(fold(t) == fold(fold(t)) for t in own.last.values)
    assert (np.abs(own.coordinates) <= [90, 180]).all()


def test_common_names_are_more_frequent_than_rare_ones() -> None:
    lasts = pl.Series(some("last_name", n=20_000)).value_counts().sort("count", descending=True)
    rank = pack("en_US").last.values.to_list().index(lasts[0, 0])
    assert rank < 5


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(PROVIDERS)), st.integers(0, 2**40), st.integers(0, 50))
def test_any_row_numbers_will_do(name: str, start: int, n: int) -> None:
    assert len(make(name, np.arange(start, start + n), stream(1, "x"), locale="pt_BR")) == n

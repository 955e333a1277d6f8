"""Ids: unique by construction, independent of how many are made, of the look that was learned."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verosim.errors import ArgumentError
from verosim.providers import capacity, learn_pattern, make_ids


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("[0-9]{3}", 1000),
        ("AB-[0-9]{2}", 100),
        ("[A-Z]{2}|[0-9]{2}", 776),
        ("[0-9]{1,3}", 1110),
        ("(A|B|CC)[0-9]", 30),
        (r"\d\+\d", 100),
        ("ñ-[ab]", 2),
        ("A[0-9]|[A-Z][0-9]", 260),  # the first lies within the second
        ("int:-5:5", 11),
        ("uuid", 2**122),
        ("[0-9a-f]{32}", 16**32),
        ("x", 1),
    ],
)
def test_the_capacity_is_exact_and_every_id_of_it_can_be_made(pattern: str, count: int) -> None:
    assert capacity(pattern) == count
    n = min(count, 3000)
    assert make_ids(pattern, np.arange(n), 7).n_unique() == n
    if count < 3000:
        with pytest.raises(ArgumentError, match=rf"holds {count:,} different ids, and {count + 1:,} are asked"):
            make_ids(pattern, np.arange(count + 1), 7)


def test_an_open_count_widens_only_when_the_shorter_ids_have_run_out() -> None:
    ids = make_ids("C[0-9]{2,}", np.arange(1500), 7)
    assert ids.n_unique() == 1500
    assert ids.str.len_chars().to_list() == [3] * 100 + [4] * 1000 + [5] * 400


def test_alternatives_take_turns_until_one_is_full() -> None:
    ids = make_ids("A[0-9]|B[0-9]{3}", np.arange(200), 7)
    assert ids.n_unique() == 200
    assert ids.head(20).str.starts_with("A").sum() == 10
    assert ids.str.starts_with("A").sum() == 10


patterns = st.sampled_from(
    [
        "[A-C]{2}[0-9]{2}",
        "X-[0-9]{1,4}",
        "[a-f]{3}|[0-9]{2,3}",
        "int:100:999",
        "sequence:5:3",
        "uuid",
        "[0-9a-f]{40}",
        "N[0-9]{1,}",
    ]
)


@settings(max_examples=60, deadline=None)
@given(patterns, st.integers(0, 2**32), st.integers(0, 99), st.integers(1, 200))
def test_an_id_depends_on_seed_and_row_only(pattern: str, seed: int, start: int, n: int) -> None:
    rows = np.arange(start, min(start + n, 300))
    whole = make_ids(pattern, np.arange(300), seed, "table", "id")
    assert make_ids(pattern, rows, seed, "table", "id").to_list() == whole.gather(rows).to_list()
    assert whole.n_unique() == 300


def test_columns_of_one_pattern_are_set_apart_by_their_key() -> None:
    a, b = (make_ids("[0-9]{9}", np.arange(50), 7, "t", name) for name in ("a", "b"))
    assert (a != b).all()


def test_numbers_are_exact_to_the_ends_of_their_type() -> None:
    top = 2**63 - 1
    assert make_ids(f"sequence:{top - 2}:1", np.arange(3), 7).to_list() == [top - 2, top - 1, top]
    assert make_ids(f"sequence:{-(2**63)}:1", np.arange(2), 7).to_list() == [-(2**63), -(2**63) + 1]
    ids = make_ids(f"int:{top - 999}:{top}", np.arange(1000), 7)
    assert sorted(ids.to_list()) == list(range(top - 999, top + 1))
    beyond = make_ids(f"sequence:{2**64 - 3}:1", np.arange(3), 7)
    assert beyond.dtype == pl.UInt64
    assert beyond.to_list() == [2**64 - 3, 2**64 - 2, 2**64 - 1]
    assert make_ids("sequence:0:-2", np.arange(3), 7).to_list() == [0, -2, -4]
    assert make_ids(f"int:{-(2**63)}:{top}", np.arange(100), 7).n_unique() == 100


def test_ids_come_as_the_type_that_is_asked_or_not_at_all() -> None:
    assert make_ids("sequence:1:1", np.arange(3), 7, dtype=pl.UInt16()).dtype == pl.UInt16
    assert make_ids("sequence:1:1", np.arange(3), 7, dtype=pl.String()).to_list() == ["1", "2", "3"]
    assert make_ids("[1-9][0-9]{15}", np.arange(9), 7, dtype=pl.Int64()).dtype == pl.Int64
    assert make_ids("sequence:1:1", np.arange(3), 7, dtype=pl.Float64()).to_list() == [1.0, 2.0, 3.0]
    with pytest.raises(ArgumentError, match="do not all fit the type UInt8"):
        make_ids("sequence:250:1", np.arange(10), 7, dtype=pl.UInt8())
    with pytest.raises(ArgumentError, match="not exact as Float64"):
        make_ids(f"sequence:{2**53 + 1}:1", np.arange(3), 7, dtype=pl.Float64())


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("[0-9", "character 5: it ends too early"),
        ("A+", r"write \\\+ for the character itself"),
        ("(AB", "ends too early"),
        ("AB)", "has no partner"),
        ("[9-0]", "runs backwards"),
        ("[0-9]{3,1}", "runs backwards"),
        ("[0-9]{x}", "a count is written"),
        ("[]", "a class needs"),
        ("[0-9]{1,2}[0-9]", None),
        ("[A-M]X|[F-Z]X", "can be made in two ways"),
        ("[a-z]{1,9}[0-9]{1,9}[a-z]{1,9}", "use fewer"),
        ("[0-9]{9999}", "too large"),
        ("sequence:1", "sequence:START:STEP"),
        ("sequence:1:0", "all ids would be the same"),
        ("int:9:1", "runs backwards"),
    ],
)
def test_a_wrong_pattern_is_refused_at_its_place(pattern: str, words: str | None) -> None:
    if words is None:
        assert capacity(pattern) == 1100
        return
    with pytest.raises(ArgumentError, match=words):
        capacity(pattern)


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ([3, 1, 2], "sequence:1:1"),
        ([10, 20, 30, 40], "sequence:10:10"),
        ([1, 2, 3, 5, 6], "sequence:1:1"),
        ([1017, 4551, 7790], "int:1000:9999"),
        ([7], "sequence:7:1"),
        ([-4, 17, 200], "int:-9:999"),
        ([1.0, 2.0, 3.0], "sequence:1:1"),
        ([2**63 - 1, 2**62], f"int:{10**18}:{2**63 - 1}"),
        (["AB-1042", "AB-7731", "AB-0158"], "AB-[0-9]{4}"),
        (["C0001", "C0002", "C0003"], "C[0-9]{4}"),
        (["1", "2", "3"], "sequence:1:1"),
        (["INV-2023-0007", "INV-2023-0415"], "INV-2023-[0-9]{4}"),
        (["ALFKI", "ANATR", "BERGS"], "[A-Z]{5}"),
        (["a1b2c3d4", "ffee0011", "01234567"], "[0-9a-f]{8}"),
        (["A-12", "B-7", "C-123"], "[A-Z]-[0-9]{1,3}"),
        (["A(1)", "A(2)"], r"A\([0-9]{1,}\)"),
        (["6fa459ea-ee8a-3ca4-894e-db77e160355e", "16fd2706-8baf-433b-82eb-8c7fada847da"], "uuid"),
        ([f"K{i:03d}" for i in range(500)], "K[0-9]{3,}"),
        ([f"INV-{2020 + i % 4}/{i:05d}" for i in range(400)], "INV-(2020|2021|2022|2023)/[0-9]{5}"),
        ([f"INV-{2020 + (i == 7)}/{i:05d}" for i in range(400)], "INV-[1-9][0-9]{3}/[0-9]{5}"),  # 2021 is one's own
    ],
)
def test_patterns_are_learned(values: list[object], pattern: str) -> None:
    assert learn_pattern(pl.Series("id", values)) == pattern


def test_different_looks_become_alternatives() -> None:
    values = [f"AB-{i:05d}" for i in range(0, 3000, 7)] + [f"{i:04d}/x" for i in range(0, 3000, 11)]
    made = make_ids(learn_pattern(pl.Series(values)), np.arange(1000), 7)
    assert made.str.contains(r"^(AB-\d{5}|\d{4,}/x)$").all()
    assert made.n_unique() == 1000


ids = st.one_of(
    st.lists(st.from_regex(r"[A-Z]{2}[0-9]{3,5}", fullmatch=True), min_size=1, max_size=60, unique=True),
    st.lists(st.from_regex(r"[a-z0-9]{6}(-[a-z0-9]{4})?", fullmatch=True), min_size=1, max_size=60, unique=True),
    st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=40, unique=True),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=60, unique=True),
)


@settings(max_examples=150, deadline=None)
@given(ids)
def test_whatever_the_ids_a_pattern_is_learned_that_makes_as_many(values: list[object]) -> None:
    series = pl.Series(values, dtype=pl.String if isinstance(values[0], str) else pl.Int64)
    made = make_ids(learn_pattern(series), np.arange(len(values)), 7, dtype=series.dtype)
    assert made.n_unique() == len(values)
    assert made.null_count() == 0


def test_uuids_are_of_version_4() -> None:
    made = make_ids("uuid", np.arange(1000), 7)
    look = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(look.fullmatch(u) for u in made)
    assert made.n_unique() == 1000


def test_nothing_is_learned_from_nothing() -> None:
    with pytest.raises(ArgumentError, match="every value is missing"):
        learn_pattern(pl.Series("id", [None, None], dtype=pl.String))
    with pytest.raises(ArgumentError, match="whole numbers or text"):
        learn_pattern(pl.Series("id", [0.5]))
    with pytest.raises(ArgumentError, match="row numbers start at 0"):
        make_ids("uuid", np.array([-1]), 7)
    assert make_ids("[0-9]{2}", np.arange(0), 7).to_list() == []

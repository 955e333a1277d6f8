"""One contract for all models, the odd tables that they must live with, damaged files, and the dependence they keep."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verosim.draws import stream
from verosim.errors import ArgumentError, ModelFileError
from verosim.models import MODELS, Array, Codes, Field, Model, State, build, model_class

NAMES = sorted(MODELS)
DEPENDENT = ["auto", "chain", "copula", "network"]  # the others' tests are their own: they need longer to learn
FAITHFUL = [*DEPENDENT, "independent"]
EPOCHS = {"network": 4, "auto": 4, "gan": 1, "vae": 2, "diffusion": 2, "transformer": 2}  # enough for the contract


def codes(**columns: tuple[Field | dict[str, Any], Any]) -> Codes:
    """A table of fields, each with its array: codes(sex=({"levels": 2}, [0, 1]))."""
    fields = tuple(Field(name, **how) if isinstance(how, dict) else how for name, (how, _) in columns.items())
    arrays = tuple(
        np.array(a, np.float64 if f.ordered else np.int32) for f, (_, a) in zip(fields, columns.values(), strict=True)
    )
    return Codes(fields, arrays, len(arrays[0]) if arrays else 0)


def ranks(values: Array) -> Array:
    """Positions as the codec makes them: the share of values that lie below."""
    return np.argsort(np.argsort(values)) / len(values)


@cache
def mixed(n: int) -> Codes:
    """A number, one with atoms and marks, a flag, and a category with rare levels that goes with the number."""
    rng = stream(1, "mixed", n)
    number = ranks(rng.random(n))
    spiked = rng.random(n)
    spiked[spiked < 0.4] = 0.2  # an atom of 40 %, and one of 2 %
    spiked[(spiked >= 0.9) & (spiked < 0.92)] = 0.91
    spiked[rng.random(n) < 0.03] = -1
    spiked[rng.random(n) < 0.01] = -2
    return codes(
        number=({}, number),
        spiked=({"marks": 2, "atoms": np.array([[0, 0.4], [0.9, 0.92]])}, spiked),
        flag=({"levels": 2}, rng.random(n) < 0.1),
        category=({"levels": 6}, np.minimum(number * 4 + rng.random(n) * rng.choice([1, 3], n), 5)),
    )


def head_and_rest(table: Codes, known: int) -> tuple[Codes, Codes]:
    return (
        Codes(table.fields[:known], table.arrays[:known], table.n),
        Codes(table.fields[known:], table.arrays[known:], table.n),
    )


def new(name: str, epochs: int | None = None) -> Model:
    """An engine that trains shortly, if it trains at all; `auto` has its network in small tables too."""
    settings: dict[str, Any] = {"epochs": epochs or EPOCHS[name]} if name in EPOCHS else {}
    return build(name, settings | ({"least_rows": 50} if name == "auto" else {}))


def fitted(name: str, rows: Codes, given: Codes | None = None, seed: int = 7, epochs: int | None = None) -> Model:
    return new(name, epochs).fit(rows, given, stream(seed, "fit"))


def sampled(model: Model, n: int, given: Codes | None = None, seed: int = 7) -> Codes:
    return model.sample(n, given, stream(seed, "sample"))


@cache
def a_model(name: str, rows: int = 200) -> Model:
    return fitted(name, mixed(rows))


def assert_same(a: Codes, b: Codes) -> None:
    assert [f.name for f in a.fields] == [f.name for f in b.fields]
    assert [x.tobytes() for x in a.arrays] == [x.tobytes() for x in b.arrays]


def assert_same_state(a: Model, b: Model) -> None:
    (meta_a, arrays_a), (meta_b, arrays_b) = a.state(), b.state()
    assert meta_a == meta_b
    assert {k: v.tobytes() for k, v in arrays_a.items()} == {k: v.tobytes() for k, v in arrays_b.items()}


def assert_codes(found: Codes, n: int) -> None:
    """Every code is one that its field has."""
    assert found.n == n
    assert len(found.arrays) == len(found.fields)
    for field, array in zip(found.fields, found.arrays, strict=True):
        assert array.shape == (n,)
        assert array.dtype == (np.float64 if field.ordered else np.int32)
        if field.ordered:
            marks = array[array < 0]
            assert np.isin(marks, -np.arange(1, field.marks + 1)).all(), field.name
            assert array.max(initial=0.0) < 1, field.name
        else:
            assert ((array >= 0) & (array < field.levels)).all(), field.name


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


# ---------------------------------------------------------------------------------------------- the registry


def test_a_misspelt_model_is_told_its_name() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'copula'"):
        model_class("copul")


def offer(folder: Path, place: str) -> None:
    """What installing a package does that offers a model."""
    info = folder / "another-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[verosim.models]\nanother = {place}\n")


def test_an_installed_package_may_offer_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, "another_engine:Another")
    (tmp_path / "another_engine.py").write_text("class Another:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert model_class("another").__name__ == "Another"


def test_a_failed_import_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, "no_such_engine:Another")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_engine"):
        model_class("another")


# ---------------------------------------------------------------------------------------------- the contract


def test_the_same_seed_gives_the_same_arrays(name: str) -> None:
    one, two = (sampled(fitted(name, mixed(200)), 300) for _ in range(2))
    assert_same(one, two)
    other = sampled(a_model(name), 300, seed=8)
    assert not np.array_equal(one.arrays[0], other.arrays[0])


def test_fit_returns_self_and_forgets_the_fit_before(name: str) -> None:
    parent, child = head_and_rest(mixed(200), 2)
    model = fitted(name, child, parent)
    assert model.fit(mixed(100), None, stream(7, "fit")) is model
    assert_same_state(model, fitted(name, mixed(100)))


def test_rows_and_given_are_left_as_they_were(name: str) -> None:
    table = mixed(200).take(slice(None))
    before = [a.copy() for a in table.arrays]
    for array in table.arrays:
        array.setflags(write=False)
    parent, child = head_and_rest(table, 2)
    sampled(fitted(name, child, parent), 200, parent)
    assert all(np.array_equal(a, b) for a, b in zip(table.arrays, before, strict=True))


def test_every_code_is_one_of_the_fields(name: str) -> None:
    found = sampled(a_model(name), 5_000)
    assert_codes(found, 5_000)
    assert [f.name for f in found.fields] == ["number", "spiked", "flag", "category"]


def test_no_position_is_a_training_row_s(name: str) -> None:
    found = sampled(a_model(name), 5_000)
    for field, real, new in zip(found.fields[:2], mixed(200).arrays, found.arrays, strict=False):
        free = new[(new >= 0) & (field.atom(new) < 0)]
        assert not np.isin(free, real).any()


def share_of_each_value(table: Codes) -> dict[tuple[str, float], float]:
    """Of every level, mark and atom: the share of rows that have it."""
    shares = {}
    for field, array in zip(table.fields, table.arrays, strict=True):
        for value in range(-field.marks, field.levels):
            shares[field.name, float(value)] = float((array == value).mean())
        for number, (low, _) in enumerate(field.atoms):
            shares[field.name, float(low)] = float((field.atom(array) == number).mean())
    return shares


@pytest.mark.parametrize("name", FAITHFUL)
def test_rare_levels_marks_and_atoms_keep_their_share(name: str) -> None:
    real = share_of_each_value(mixed(4_000))
    drawn = share_of_each_value(sampled(fitted(name, mixed(4_000), epochs=20), 20_000))
    far = {
        value: (share, drawn[value])
        for value, share in real.items()
        if abs(share - drawn[value]) > 4 * np.sqrt(share * (1 - share) * (1 / 4_000 + 1 / 20_000))
    }
    assert not far


def test_every_field_is_explained(name: str) -> None:
    assert list(a_model(name).explain()) == ["number", "spiked", "flag", "category"]
    assert all(a_model(name).explain().values())


def test_progress_goes_on_from_0_to_at_most_1(name: str) -> None:
    seen: list[float] = []
    new(name).fit(mixed(50), None, stream(7), lambda share, _: seen.append(share))
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert seen[-1] <= 1


# ---------------------------------------------------------------------------------------------- the model file


def through_json(model: Model) -> State:
    meta, arrays = model.state()
    return json.loads(json.dumps(meta, allow_nan=False)), {name: a.copy() for name, a in arrays.items()}


def test_a_restored_model_draws_the_same_bytes(name: str) -> None:
    parent, child = head_and_rest(mixed(200), 2)
    for model, given_rows in ((a_model(name), None), (fitted(name, child, parent), parent)):
        restored = model_class(name).restore(*through_json(model))
        assert_same(sampled(model, 200, given_rows), sampled(restored, 200, given_rows))
        assert_same_state(model, restored)
        assert model.explain() == restored.explain()


def test_a_model_file_has_no_object_arrays(name: str) -> None:
    assert all(a.dtype.kind in "iuf" for a in a_model(name).state()[1].values())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested JSON."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*path, key)
        yield from places(part, (*path, key))


JUNK = [None, -1, 0, 1, 3, 70_000, 10**12, 2**70, 0.5, -1e300, "", "x", [], [0], {}, {"levels": 1}, True]


def damage_meta(meta: dict[str, Any], data: st.DataObject) -> None:
    *path, last = data.draw(st.sampled_from(list(places(meta))))
    inside: Any = meta
    for key in path:
        inside = inside[key]
    if data.draw(st.booleans()):
        del inside[last]
    else:
        inside[last] = data.draw(st.sampled_from(JUNK))


EXTREME = [-1, 1, 2, 100, 65_535, 2**31 - 1, -(2**31), 2**62, -(2**62)]
BENT: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "cut": lambda a, rng: a[: rng.integers(len(a) + 1)],
    "longer": lambda a, rng: np.concatenate([a, a[:1], a[:1]]),
    "shuffled": lambda a, rng: rng.permutation(a),
    "reversed": lambda a, rng: a[::-1].copy(),
    "empty": lambda a, rng: a[:0],
    "single": lambda a, rng: a[:1].reshape(()) if a.size == 1 else a[None],
    "whole": lambda a, rng: a.astype(np.int64),
    "real": lambda a, rng: a.astype(np.float64),
    "small": lambda a, rng: a.astype(np.int8),
    "text": lambda a, rng: a.astype("U8"),
    "complex": lambda a, rng: a + 1j,
    "flags": lambda a, rng: a > 0,
    "zeros": lambda a, rng: np.zeros_like(a),
    "negative": lambda a, rng: (-a.astype(np.float64)).astype(a.dtype) if a.dtype.kind != "u" else ~a,
}


def damage_array(array: Array, data: st.DataObject) -> Array:
    rng = stream(data.draw(st.integers(0, 10_000)))
    how = data.draw(st.sampled_from([*BENT, "extreme", "nan"]))
    if how in BENT:
        return BENT[how](array, rng)
    bent = array.copy()
    if bent.size and how == "extreme":
        bent.flat[rng.integers(bent.size)] = np.array(data.draw(st.sampled_from(EXTREME))).astype(bent.dtype)
    elif bent.size and bent.dtype.kind == "f":
        bent.flat[rng.integers(bent.size)] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e30]))
    return bent


def some_codes(fields: tuple[Field, ...], n: int) -> Codes:
    rng = stream(3)
    arrays = tuple(rng.random(n) if f.ordered else rng.integers(0, f.levels, n, np.int32) for f in fields)
    return Codes(fields, arrays, n)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_a_damaged_model_is_refused_or_still_draws_codes(name: str, data: st.DataObject) -> None:
    meta, arrays = through_json(a_model(name))
    parts = data.draw(st.lists(st.sampled_from(sorted(arrays)), max_size=2, unique=True))
    arrays |= {part: damage_array(arrays[part], data) for part in parts}
    if not parts or data.draw(st.booleans()):
        damage_meta(meta, data)
    try:
        model = model_class(name).restore(copy.deepcopy(meta), arrays)
    except ModelFileError:
        return
    fields = model.fields_  # type: ignore[attr-defined]
    known = int(meta.get("known", 0))
    assert_codes(sampled(model, 20, some_codes(fields[:known], 20) if known else None), 20)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_with_any_part_missing_is_refused(name: str) -> None:
    meta, arrays = through_json(a_model(name))
    for part in arrays:
        with pytest.raises(ModelFileError):
            model_class(name).restore(meta, {k: a for k, a in arrays.items() if k != part})
    for key in meta:
        with pytest.raises(ModelFileError):
            model_class(name).restore({k: v for k, v in meta.items() if k != key}, arrays)


# ---------------------------------------------------------------------------------------------- odd tables

ODD = {
    "no fields": Codes((), (), 10),
    "one row": mixed(50).take(slice(0, 1)),
    "two rows": mixed(50).take(slice(0, 2)),
    "constant columns": codes(
        a=({"levels": 3}, [2] * 50), b=({"atoms": np.array([[0.0, 1.0]])}, [0.5] * 50), c=({}, np.full(50, 0.25))
    ),
    "all marks": codes(a=({"marks": 2}, [-2.0] * 50), b=({"marks": 1}, [-1.0] * 50)),
    "one level": codes(a=({"levels": 1}, [0] * 50), b=({}, np.arange(50) / 50)),
    "copies of a column": codes(a=({}, np.arange(50) / 50), b=({}, np.arange(50) / 50), c=({}, np.arange(50) / 50)),
    "a level a row": codes(a=({"levels": 50}, np.arange(50)), b=({"levels": 50}, np.arange(50)[::-1])),
    "atoms side by side": codes(
        a=({"atoms": np.array([[0, 0.2], [0.2, 0.7], [0.7, 1]])}, [0.1] * 10 + [0.45] * 25 + [0.85] * 15)
    ),
}


@pytest.mark.parametrize("table", ODD.values(), ids=list(ODD))
def test_odd_tables(name: str, table: Codes) -> None:
    model = fitted(name, table)
    restored = model_class(name).restore(*through_json(model))
    for n in (0, 1, 60):
        assert_codes(sampled(model, n), n)
        assert_same(sampled(model, n), sampled(restored, n))


@pytest.mark.parametrize("table", ODD.values(), ids=list(ODD))
def test_odd_parents(name: str, table: Codes) -> None:
    rows = mixed(50).take(slice(0, table.n))
    model = fitted(name, rows, table)
    restored = model_class(name).restore(*through_json(model))
    assert_codes(sampled(model, table.n, table), table.n)
    assert_same(sampled(model, table.n, table), sampled(restored, table.n, table))
    assert sampled(model, 0, table.take(slice(0, 0))).n == 0
    nothing = sampled(fitted(name, Codes((), (), table.n), table), table.n, table)
    assert (nothing.fields, nothing.n) == ((), table.n)


def test_a_thousand_columns(name: str) -> None:
    rng, rows = stream(5), 60 if name in EPOCHS else 200  # networks are slow where columns are many, whatever the rows
    numbers = {f"n{i}": ({}, column) for i, column in enumerate(rng.random((900, rows)))}
    levels = {f"c{i}": ({"levels": 3}, column) for i, column in enumerate(rng.integers(0, 3, (100, rows)))}
    assert_codes(sampled(fitted(name, codes(**numbers, **levels), epochs=1), 100), 100)


def test_a_hundred_thousand_levels(name: str) -> None:
    levels = stream(5).permutation(100_000)
    many = codes(flag=({"levels": 2}, levels % 2), id=({"levels": 100_000}, levels), after=({"levels": 2}, levels % 2))
    assert_codes(sampled(fitted(name, many, epochs=1), 1_000), 1_000)


# ---------------------------------------------------------------------------------------------- dependence


def gaussian(n: int, correlation: float) -> tuple[Array, Array]:
    """Positions of two columns whose normal scores have this correlation."""
    rng = stream(11)
    a, noise = rng.standard_normal((2, n))
    return ranks(a), ranks(correlation * a + np.sqrt(1 - correlation**2) * noise)


@pytest.mark.parametrize("name", DEPENDENT)
@pytest.mark.parametrize("planted", [0.8, -0.5])
def test_a_correlation_of_numbers_is_kept(name: str, planted: float) -> None:
    a, b = gaussian(3_000, planted)
    x, y = sampled(fitted(name, codes(a=({}, a), b=({}, b)), epochs=20), 10_000).arrays
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(np.corrcoef(a, b)[0, 1], abs=0.04)


@pytest.mark.parametrize("name", DEPENDENT)
def test_a_correlation_of_levels_is_kept(name: str) -> None:
    a, b = gaussian(4_000, 0.7)
    x, y = sampled(fitted(name, codes(a=({"levels": 2}, a > 0.7), b=({"levels": 4}, b * 4)), epochs=20), 10_000).arrays
    for level in range(4):
        real = (a > 0.7)[(b * 4).astype(int) == level].mean()
        assert x[y == level].mean() == pytest.approx(real, abs=0.05)


@pytest.mark.parametrize("name", ["auto", "chain", "copula"])
def test_one_strong_correlation_among_many_columns_is_kept(name: str) -> None:
    """In so few rows that a network would not see it: `auto` leaves it to the trees."""
    a, b = gaussian(300, 0.9)
    noise = {f"c{i}": ({}, column) for i, column in enumerate(stream(6).random((150, 300)))}
    model = build(name, {}).fit(codes(**noise, a=({}, a), b=({}, b)), None, stream(7, "fit"))
    found = sampled(model, 3_000)
    assert np.corrcoef(found.arrays[-2], found.arrays[-1])[0, 1] > 0.75


def test_independent_columns_are_independent() -> None:
    a, b = gaussian(3_000, 0.8)
    x, y = sampled(fitted("independent", codes(a=({}, a), b=({}, b))), 10_000).arrays
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.05


@pytest.mark.parametrize(("name", "error"), [("chain", 0.04), ("copula", 0.12)])
def test_zeros_stand_where_they_stood(name: str, error: float) -> None:
    """Four of five rows of the first group are zero, one of ten of the second. What is more than zero goes with no
    group: that is past a copula, which knows one correlation for both, and comes near."""
    rng = stream(12)
    group = rng.random(4_000) < 0.5
    zero = rng.random(4_000) < np.where(group, 0.1, 0.8)
    atom = np.array([[0.0, zero.mean()]])
    amount = np.where(zero, zero.mean() / 2, zero.mean() + rng.random(4_000) * (1 - zero.mean()))
    table = codes(group=({"levels": 2}, group), amount=({"atoms": atom}, amount))
    found = sampled(fitted(name, table, epochs=20), 10_000)
    is_zero = table.fields[1].atom(found.arrays[1]) == 0
    assert is_zero[found.arrays[0] == 0].mean() == pytest.approx(0.8, abs=error)
    assert is_zero[found.arrays[0] == 1].mean() == pytest.approx(0.1, abs=error)


def test_the_chain_learns_exclusive_or() -> None:
    a, b = stream(13).integers(0, 2, (2, 2_000))
    table = codes(a=({"levels": 2}, a), b=({"levels": 2}, b), c=({"levels": 2}, a ^ b))
    x, y, z = sampled(fitted("chain", table), 4_000).arrays
    assert (z == x ^ y).mean() > 0.97


def test_the_chain_learns_a_function_between_categories() -> None:
    rng = stream(14)
    town, country = rng.integers(0, 30, 3_000), rng.integers(0, 5, 30)
    table = codes(town=({"levels": 30}, town), country=({"levels": 5}, country[town]))
    x, y = sampled(fitted("chain", table), 6_000).arrays
    assert (y == country[x]).mean() > 0.97


# ---------------------------------------------------------------------------------------------- given


@pytest.mark.parametrize("name", DEPENDENT)
def test_children_are_drawn_given_their_parent(name: str) -> None:
    """Two groups of parents: girls are .8 and .3 of their children, heights are in the lower and upper 60 %."""
    rng = stream(15)
    group = rng.integers(0, 2, 4_000)
    girl = rng.random(4_000) < np.where(group, 0.3, 0.8)
    height = ranks(rng.random(4_000) * 0.6 + 0.4 * group)
    model = fitted(
        name, codes(girl=({"levels": 2}, girl), height=({}, height)), codes(group=({"levels": 2}, group)), epochs=20
    )
    for value in (0, 1):
        found = sampled(model, 8_000, codes(group=({"levels": 2}, np.full(8_000, value))))
        assert found.arrays[0].mean() == pytest.approx(girl[group == value].mean(), abs=0.04)
        assert found.arrays[1].mean() == pytest.approx(height[group == value].mean(), abs=0.04)


@pytest.mark.parametrize("name", DEPENDENT)
def test_a_number_is_drawn_given_a_number(name: str) -> None:
    a, b = gaussian(4_000, 0.9)
    model = fitted(name, codes(b=({}, b)), codes(a=({}, a)), epochs=20)
    for at in (0.1, 0.5, 0.9):
        near = b[np.abs(a - at) < 0.02]
        (found,) = sampled(model, 4_000, codes(a=({}, np.full(4_000, at)))).arrays
        assert found.mean() == pytest.approx(near.mean(), abs=0.05)
        assert found.std() == pytest.approx(near.std(), abs=0.05)

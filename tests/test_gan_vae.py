"""The networks that make whole rows: what they keep, their vectors, damaged files, trainings that were broken off."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verosim.draws import stream
from verosim.errors import ArgumentError, ModelFileError, TrainingError
from verosim.models import Array, Codes, Field, model_class

pytest.importorskip("torch", reason="PyTorch is not installed")

from verosim.models import gan, vae
from verosim.models.vectors import Vectors
from verosim.models.whole import Options, WholeRows

NAMES = ["gan", "vae"]
ENOUGH = {
    "gan": {"epochs": 16, "rate": 1e-3, "penalty": 1.0},
    "vae": {"epochs": 50, "rate": 4e-3, "latent": 4},
}


def options(name: str, **how: object) -> Options:
    small = {"width": 64, "device": "cpu", "batch": 120}
    return {"gan": gan.Options, "vae": vae.Options}[name](**small | how)  # type: ignore[arg-type]


def codes(*columns: tuple[Field, Array]) -> Codes:
    arrays = tuple(np.asarray(a, np.float64 if f.ordered else np.int32) for f, a in columns)
    return Codes(tuple(f for f, _ in columns), arrays, len(arrays[0]) if arrays else 0)


@cache
def people(n: int = 1_200) -> Codes:
    """A position; a group that its third tells; a spiked one, mostly its atom where the group is 0; marks."""
    rng = stream(3, "people", n)
    a = rng.permutation(n) / n
    group = np.minimum((a * 3).astype(int), 2)
    spiked = np.where(rng.random(n) < np.where(group == 0, 0.9, 0.1), 0.2, 0.4 + 0.6 * rng.random(n))
    spiked[rng.random(n) < 0.05] = -1
    atoms = np.array([[0.0, 0.4]])
    return codes((Field("a"), a), (Field("group", 3), group), (Field("spiked", marks=1, atoms=atoms), spiked))


def fitted(name: str, rows: Codes, known: Codes | None = None, seed: int = 1, **how: object) -> WholeRows:
    model: WholeRows = model_class(name)(options(name, **how))  # type: ignore[call-arg, assignment]
    return model.fit(rows, known, stream(seed, "fit"))


@cache
def a_model(name: str) -> WholeRows:
    return fitted(name, people(), **ENOUGH[name])


def drawn(model: WholeRows, n: int, known: Codes | None = None, temperature: float = 1.0) -> Codes:
    return model.sample(n, known, stream(2, "sample"), temperature)


def same(one: Codes, two: Codes) -> bool:
    return [a.tobytes() for a in one.arrays] == [a.tobytes() for a in two.arrays]


# ---------------------------------------------------------------------------------------------------- vectors


@given(st.integers(0, 2**32), st.integers(100, 120))
@settings(max_examples=30, deadline=None)
def test_what_is_encoded_is_decoded(seed: int, n: int) -> None:
    """Levels, marks and atoms exactly, any other position to a hundredth of its stretch."""
    rng = stream(seed)
    atoms = np.array([[0.1, 0.3], [0.3, 0.32], [0.8, 1.0]])
    field, wide = Field("x", marks=2, atoms=atoms), Field("wide", 5_000)
    x = np.where(rng.random(n) < 0.2, -rng.integers(1, 3, n), rng.random(n))
    table = codes((field, x), (wide, rng.integers(0, 5_000, n)), (Field("c", 3), rng.integers(0, 3, n)))
    vectors = Vectors.of(table, 10)
    hot, offsets = vectors.encode(table)
    logits = [np.where(np.eye(size, dtype=bool)[h], 0, -1e4) for size, h in zip(vectors.sizes, hot.T, strict=True)]
    back = vectors.decode(np.concatenate([*logits, offsets], 1).astype(np.float32), rng)
    assert np.array_equal(back[1], table.arrays[1])
    assert np.array_equal(back[2], table.arrays[2])
    assert np.array_equal(np.where(x < 0, x, 0), np.where(back[0] < 0, back[0], 0))
    large = [0, 2]
    assert np.array_equal(np.isin(field.atom(x), large), np.isin(field.atom(back[0]), large))
    free = (x >= 0) & ~np.isin(field.atom(x), large)
    assert np.abs(back[0] - x)[free].max(initial=0) <= 0.01 * 0.48  # the widest stretch is that between large atoms


def test_calibration_meets_every_share() -> None:
    """A network that knows nothing, and answers the same for all rows, has the shares of the rows all the same."""
    table = people()
    vectors = Vectors.of(table, 8)
    answers = stream(4).normal(0, 0.5, (5_000, vectors.width)).astype(np.float32)
    found = vectors.calibrated(answers, table, stream(5)).decode(answers, stream(6))
    for group in range(3):
        assert (found[1] == group).mean() == pytest.approx((table.arrays[1] == group).mean(), abs=0.03)
    assert (found[2] == -1).mean() == pytest.approx(0.05, abs=0.02)
    ranks = np.sort(found[0])
    assert np.abs(ranks - np.linspace(0, 1, len(ranks))).max() < 0.03  # Kolmogorov and Smirnov


def test_large_numbers_of_levels_take_two_small_blocks() -> None:
    levels = stream(5).permutation(100_000)
    vectors = Vectors.of(codes((Field("id", 100_000), levels)), 10)
    assert sum(vectors.sizes) < 2_000


# ------------------------------------------------------------------------------------------------ what is kept


@pytest.mark.parametrize("name", NAMES)
def test_dependence_is_kept(name: str) -> None:
    found = drawn(a_model(name), 6_000)
    a, group, spiked = found.arrays
    assert (np.minimum((a * 3).astype(int), 2) == group).mean() > 0.7
    is_atom = people().fields[2].atom(spiked) == 0
    assert is_atom[group == 0].mean() > 0.7
    assert is_atom[group == 2].mean() < 0.25
    assert (spiked == -1).mean() == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_given_rows_are_obeyed(name: str) -> None:
    table = people()
    known, rows = (Codes(table.fields[i:j], table.arrays[i:j], table.n) for i, j in ((0, 1), (1, 3)))
    model = fitted(name, rows, known, **ENOUGH[name])
    for a, group in ((0.15, 0), (0.5, 1), (0.85, 2)):
        found = drawn(model, 500, codes((Field("a"), np.full(500, a))))
        assert (found.arrays[0] == group).mean() > 0.65


@pytest.mark.parametrize("name", NAMES)
def test_a_low_temperature_gives_more_typical_rows(name: str) -> None:
    counts = [len(np.unique(np.floor(drawn(a_model(name), 2_000, temperature=t).arrays[0] * 50))) for t in (0.01, 1)]
    assert counts[0] < counts[1]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    one, two = (fitted(name, people(500), epochs=2) for _ in range(2))
    assert same(drawn(one, 300), drawn(two, 300))
    assert not same(drawn(one, 300), drawn(fitted(name, people(500), seed=2, epochs=2), 300))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 17])
def test_the_smallest_tables(name: str, n: int) -> None:
    for known in (None, people(n) if n else people(5).take(slice(0, 0))):
        rows = people(n) if n else people(5).take(slice(0, 0))
        assert drawn(fitted(name, rows, known, epochs=2), n, known).n == n


def test_the_critic_s_packs_may_be_of_any_size() -> None:
    for pac in (1, 3, 10):
        assert drawn(fitted("gan", people(60), epochs=1, pac=pac), 5).n == 5


# ---------------------------------------------------------------------------------------------- the model file


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_model_draws_the_same_bytes(name: str) -> None:
    meta, arrays = a_model(name).state()
    restored = type(a_model(name)).restore(json.loads(json.dumps(meta)), arrays)
    assert same(drawn(a_model(name), 500), drawn(restored, 500))
    assert restored.explain() == a_model(name).explain()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_damaged_is_refused(name: str) -> None:
    meta, arrays = a_model(name).state()
    restore = type(a_model(name)).restore
    for key in meta:
        with pytest.raises(ModelFileError):
            restore({k: v for k, v in meta.items() if k != key}, arrays)
    for key, array in arrays.items():
        bent = [None, array[None], array.astype("U8")]
        bent += [array * np.nan] if array.dtype.kind == "f" and array.size else []
        for other in bent:
            with pytest.raises(ModelFileError):
                restore(meta, {k: a for k, a in arrays.items() if k != key} | ({} if other is None else {key: other}))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [0, -1, 10**9, "3", None, True])
def test_a_forged_size_is_refused(name: str, size: object) -> None:
    meta, arrays = a_model(name).state()
    with pytest.raises(ModelFileError):
        type(a_model(name)).restore(meta | {"build": meta["build"] | {"width": size}}, arrays)


# ------------------------------------------------------------------------------------------ training broken off


class Stop(Exception):
    pass


@pytest.mark.parametrize("name", NAMES)
def test_a_training_goes_on_from_its_checkpoint(name: str, tmp_path: Path) -> None:
    """Broken off after two epochs and begun again, it ends with the same bytes as one that was never broken off."""
    seen: list[str] = []

    def stop(share: float, what: str) -> None:
        seen.append(what)
        if what.startswith("epoch 2"):
            raise Stop

    how = options(name, epochs=4, checkpoint=str(tmp_path))
    model = model_class(name)(how)  # type: ignore[call-arg]
    with pytest.raises(Stop):
        model.fit(people(500), None, stream(1, "fit"), stop)
    assert list(tmp_path.iterdir())
    model.fit(people(500), None, stream(1, "fit"), lambda share, what: seen.append(what))
    assert sum(what.startswith("epoch 2") for what in seen) == 1
    assert same(drawn(model, 300), drawn(fitted(name, people(500), epochs=4), 300))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_a_rate_that_is_far_too_high_is_lowered_or_refused(name: str) -> None:
    try:
        notes = fitted(name, people(500), epochs=2, rate=1e30).notes
    except TrainingError as error:
        notes = [str(error)]
    assert any("rate" in note for note in notes)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ArgumentError, match="device"):
        fitted("vae", people(60), device="cuda:7" if not __import__("torch").cuda.is_available() else "xpu")

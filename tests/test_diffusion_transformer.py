"""What `diffusion` and `transformer` keep, beside the contract of all models (test_models.py): fits of seconds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the networks need PyTorch: pip install 'verosim[deep]'")

from verosim.draws import stream  # noqa: E402
from verosim.errors import ArgumentError, ModelFileError  # noqa: E402
from verosim.models import Array, Codes, Field, silent  # noqa: E402
from verosim.models.diffusion import Diffusion  # noqa: E402
from verosim.models.diffusion import Options as DiffusionOptions  # noqa: E402
from verosim.models.noise import Scores  # noqa: E402
from verosim.models.tokens import encode_all  # noqa: E402
from verosim.models.transformer import Options as TransformerOptions  # noqa: E402
from verosim.models.transformer import Reading, Transformer  # noqa: E402

Net = Diffusion | Transformer
SMALL = {
    Diffusion: DiffusionOptions(epochs=60, batch=128, rate=2e-3, width=64, layers=2, steps=24, device="cpu"),
    Transformer: TransformerOptions(epochs=20, batch=128, rate=5e-3, width=32, layers=2, device="cpu"),
}
models = pytest.mark.parametrize("model", list(SMALL), ids=lambda m: m.__name__.lower())


@cache
def people(n: int = 1_000) -> Codes:
    """Who is of the second sex has a height in the upper part; income is nothing for eight of ten of the first."""
    rng = stream(1, "people")
    sex, height = rng.integers(0, 2, n).astype(np.int32), rng.random(n)
    height = np.where(sex, 0.4 + 0.6 * height, 0.6 * height)
    earns, income = rng.random(n) < np.where(sex, 0.9, 0.2), 0.5 + 0.5 * rng.random(n)
    income = np.where(rng.random(n) < 0.05, -1.0, np.where(earns, income, 0.25))
    fields = (Field("sex", 2), Field("height"), Field("income", marks=1, atoms=np.array([[0, 0.5], [0.8, 0.805]])))
    income[(income >= 0.8) & (income < 0.805)] = 0.8025
    return Codes(fields, (sex, height, income), n)


def columns(codes: Codes, *which: int) -> Codes:
    return Codes(tuple(codes.fields[i] for i in which), tuple(codes.arrays[i] for i in which), codes.n)


@cache
def learned(model: type[Net]) -> Net:
    return model(SMALL[model]).fit(people(), None, stream(2))  # type: ignore[arg-type]


@cache
def learned_given_sex(model: type[Net]) -> Net:
    return model(SMALL[model]).fit(columns(people(), 1, 2), columns(people(), 0), stream(2))  # type: ignore[arg-type]


def brief(model: type[Net], **options: object) -> Net:
    return model(replace(SMALL[model], epochs=2, **options))  # type: ignore[arg-type]


def bytes_of(codes: Codes) -> list[bytes]:
    return [a.tobytes() for a in codes.arrays]


def state_of(model: Net) -> dict[str, bytes]:
    return {name: a.tobytes() for name, a in model.state()[1].items()}


def poor(income: Array) -> Array:
    return (income >= 0) & (income < 0.5)


# ---------------------------------------------------------------------------------------------- what goes with what


@models
def test_what_goes_with_what_is_kept(model: type[Net]) -> None:
    sex, height, income = learned(model).sample(6_000, None, stream(3)).arrays
    assert sex.mean() == pytest.approx(people().arrays[0].mean(), abs=0.06)
    for value, low, high, share in ((0, 0.0, 0.6, 0.8), (1, 0.4, 1.0, 0.1)):
        of = sex == value
        assert np.mean((height[of] > low - 0.03) & (height[of] < high + 0.03)) > 0.93
        assert height[of].mean() == pytest.approx((low + high) / 2, abs=0.04)
        assert poor(income[of & (income >= 0)]).mean() == pytest.approx(share, abs=0.08)
    assert (income == -1).mean() == pytest.approx(0.05, abs=0.025)


@models
def test_given_columns_are_obeyed(model: type[Net]) -> None:
    for value, mean, share in ((0, 0.3, 0.8), (1, 0.7, 0.1)):
        sex = Codes((Field("sex", 2),), (np.full(4_000, value, np.int32),), 4_000)
        found = learned_given_sex(model).sample(4_000, sex, stream(3))
        assert [f.name for f in found.fields] == ["height", "income"]
        assert found.arrays[0].mean() == pytest.approx(mean, abs=0.05)
        assert poor(found.arrays[1][found.arrays[1] >= 0]).mean() == pytest.approx(share, abs=0.1)


@models
def test_a_correlation_of_numbers_is_kept(model: type[Net]) -> None:
    """Of two columns of numbers, all different, whose normal scores have the correlation -.8."""
    rng = stream(8)
    a, noise = rng.standard_normal((2, 2_000))
    numbers = tuple(np.argsort(np.argsort(x)) / 2_000 for x in (a, 0.6 * noise - 0.8 * a))
    table = Codes((Field("a"), Field("b")), numbers, 2_000)
    x, y = model(replace(SMALL[model], epochs=30)).fit(table, None, stream(2)).sample(4_000, None, stream(3)).arrays  # type: ignore[arg-type]
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(np.corrcoef(*numbers)[0, 1], abs=0.05)


@models
def test_a_level_of_thousands_goes_with_its_group(model: type[Net]) -> None:
    """Past 1,024 levels a category is two tokens; the second tells nothing without the first."""
    rng = stream(4)
    level = rng.integers(0, 3_000, 3_000).astype(np.int32)
    table = Codes((Field("level", 3_000), Field("half", 2)), (level, (level < 1_500).astype(np.int32)), 3_000)
    found = brief(model).fit(table, None, stream(5)).sample(500, None, stream(6))
    assert len(np.unique(found.arrays[0])) > 300


@models
def test_before_anything_is_learned_every_column_has_its_shares(model: type[Net]) -> None:
    """Chances begin at the shares; for a diffusion this shows that the way from noise to scores is the right one."""
    found = model(replace(SMALL[model], epochs=0)).fit(people(), None, stream(2))  # type: ignore[arg-type]
    real, new = people(), found.sample(8_000, None, stream(3))
    assert "0 epochs are over" in found.explain()["sex"]
    assert new.arrays[0].mean() == pytest.approx(real.arrays[0].mean(), abs=0.08)
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(new.arrays[1], share) == pytest.approx(share, abs=0.05)


# ---------------------------------------------------------------------------------------------- chance


@models
def test_bytes_depend_on_the_seed_and_not_on_threads(model: type[Net]) -> None:
    first, other = (learned(model).sample(500, None, stream(seed)) for seed in (3, 4))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    again = learned(model).sample(500, None, stream(3))
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)
    assert bytes_of(first) == bytes_of(again) != bytes_of(other)


@models
def test_a_fit_depends_on_its_seed_alone(model: type[Net]) -> None:
    a, b, c = (brief(model).fit(people(300), None, stream(seed)) for seed in (2, 2, 3))
    assert state_of(a) == state_of(b) != state_of(c)


@models
def test_temperature_is_variety(model: type[Net]) -> None:
    """A share of .2 becomes .2 ** (1 / t) / (.2 ** (1 / t) + .8 ** (1 / t)): .06 at .5, and .39 at 3."""
    flag = (np.arange(1_000) % 5 == 0).astype(np.int32)
    found = model(replace(SMALL[model], epochs=0)).fit(Codes((Field("flag", 2),), (flag,), 1_000), None, stream(2))  # type: ignore[arg-type]
    shares = [found.sample(8_000, None, stream(3), t).arrays[0].mean() for t in (0.5, 1.0, 3.0)]
    assert shares == pytest.approx([0.2**2 / (0.2**2 + 0.8**2), 0.2, 0.386], abs=0.04)


def test_temperature_is_variety_of_scores() -> None:
    stds = [learned(Diffusion).sample(2_000, None, stream(3), t).arrays[1].std() for t in (0.3, 1.0)]
    assert stds[0] < stds[1] - 0.03


# ---------------------------------------------------------------------------------------------- model files


@models
def test_what_is_saved_draws_the_same(model: type[Net]) -> None:
    sex = columns(people(), 0)
    for fitted, known in ((learned(model), None), (learned_given_sex(model), sex)):
        restored = model.restore(*fitted.state())
        assert state_of(restored) == state_of(fitted)
        assert bytes_of(restored.sample(1_000, known, stream(3))) == bytes_of(fitted.sample(1_000, known, stream(3)))
        assert restored.explain() == fitted.explain()


@models
@pytest.mark.parametrize(
    "build",
    [{"width": 10**9}, {"width": 0}, {"width": 31}, {"layers": 9}, {"layers": "2"}, {"embedding": -1}, {"more": 1}],
)
def test_a_file_that_asks_for_another_network_is_refused(model: type[Net], build: dict[str, object]) -> None:
    meta, arrays = learned(model).state()
    with pytest.raises(ModelFileError):
        model.restore(meta | {"build": meta["build"] | build}, arrays)


@models
def test_damaged_weights_are_refused(model: type[Net]) -> None:
    meta, arrays = learned(model).state()
    name = "net.norm.weight"
    for damaged in (arrays[name][:-1], arrays[name] * np.float32(np.nan), arrays[name].astype(np.float64)):
        with pytest.raises(ModelFileError):
            model.restore(meta, arrays | {name: damaged})


def test_atoms_that_the_field_has_not_are_refused() -> None:
    meta, arrays = learned(Diffusion).state()
    for damaged in (np.array([[0.1, 0.2]]), np.zeros((1, 3)), np.array([[0, 0.5], [0, 0.5]])):
        with pytest.raises(ModelFileError, match="income"):
            Diffusion.restore(meta, arrays | {"part2.large": damaged})


# ---------------------------------------------------------------------------------------------- training


class Stopped(Exception):
    """The power is cut."""


@models
def test_a_fit_that_was_interrupted_ends_as_if_it_had_not_been(model: type[Net], tmp_path: Path) -> None:
    options = replace(SMALL[model], epochs=4)
    whole = model(options).fit(people(300), None, stream(2))  # type: ignore[arg-type]
    kept = replace(options, checkpoint=str(tmp_path))
    shares: list[float] = []

    def stop(share: float, what: str) -> None:
        shares.append(share)
        if share >= 0.5:
            raise Stopped

    with pytest.raises(Stopped):
        model(kept).fit(people(300), None, stream(2), stop)  # type: ignore[arg-type]
    halves = model(kept).fit(people(300), None, stream(2), silent)  # type: ignore[arg-type]
    assert state_of(halves) == state_of(whole)
    assert not list(tmp_path.iterdir())


@models
def test_minutes_are_kept(model: type[Net]) -> None:
    found = model(replace(SMALL[model], epochs=10**6, max_minutes=1e-3)).fit(people(), None, stream(2))  # type: ignore[arg-type]
    assert "0.001 minutes are over" in found.explain()["sex"]


@models
def test_a_seen_net_says_how_it_went(model: type[Net]) -> None:
    assert learned(model).notes == []
    assert all("epochs on cpu" in how for how in learned(model).explain().values())


def test_heads_must_share_the_width() -> None:
    with pytest.raises(ArgumentError, match="width: 30 cannot be shared out among 4 heads"):
        Transformer(TransformerOptions(width=30)).fit(people(300), None, stream(2))


# ---------------------------------------------------------------------------------------------- the parts


def test_reading_column_by_column_is_reading_at_once() -> None:
    """The keys and values kept of the columns before say what reading them again would."""
    model = learned(Transformer)
    assert isinstance(model, Transformer)
    tokens = encode_all(model.tokens_, people()).astype(np.int64)
    with torch.no_grad():
        whole, reading = model.net_(torch.from_numpy(tokens)), Reading(model.net_, len(tokens))
        for j in range(tokens.shape[1]):
            assert torch.allclose(reading.told(), whole[:, j], atol=1e-5)
            reading = Reading(model.net_, len(tokens))
            for column in tokens.T[: j + 1]:
                reading.put(column)


def test_many_rows_are_scored_in_parts() -> None:
    """More tokens than are read at once: the mean over parts is the mean over all."""
    net = learned(Transformer).net_
    tokens = torch.from_numpy(encode_all(learned(Transformer).tokens_, people())).repeat(30, 1)  # type: ignore[union-attr]
    with torch.no_grad():
        assert net.score(tokens).item() == pytest.approx(net.loss(tokens).item(), rel=1e-4)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_score_anywhere_in_its_range_is_the_value_again(data: st.DataObject) -> None:
    """Marks, atoms large and small, and positions between them."""
    edges = np.array(sorted(data.draw(st.lists(st.integers(0, 1_000), min_size=2, max_size=12, unique=True)))) / 1_000
    atoms = edges[: len(edges) // 2 * 2].reshape(-1, 2)
    atoms = atoms[data.draw(st.lists(st.booleans(), min_size=len(atoms), max_size=len(atoms)))]
    field = Field("a", marks=2, atoms=atoms)
    rng = stream(data.draw(st.integers(0, 10**6)))
    array = np.concatenate([[-1.0, -2.0], atoms.mean(1), rng.random(20)])
    array = np.where(field.atom(array) >= 0, [*array[:2], *_middles(field, array[2:])], array)
    scores = Scores.of(field, 10**6, data.draw(st.sampled_from([0.0, 0.05, 0.3])))
    classes, low, high = scores.encode(array)
    inside = low + (high - low) * rng.uniform(0.01, 0.99, len(array))
    again = scores.decode(classes, torch.special.ndtri(torch.from_numpy(inside)).numpy())
    assert np.array_equal(field.atom(again), field.atom(array))
    free = field.atom(array) < 0
    assert again[free] == pytest.approx(array[free])


def _middles(field: Field, array: Array) -> Array:
    return np.append(field.atoms.mean(1), 0.0)[field.atom(array)]

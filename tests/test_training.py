"""The training loop of all networks, on networks of a few weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need PyTorch: pip install 'verosim[deep]'")

from torch import Tensor, nn  # noqa: E402
from torch.optim import Optimizer  # noqa: E402

from verosim.errors import ArgumentError, ModelFileError, TrainingError  # noqa: E402
from verosim.models import silent  # noqa: E402
from verosim.models.plan import History, Training, restored_history  # noqa: E402
from verosim.models.training import (  # noqa: E402
    Learner,
    one_thread,
    pick_device,
    restored,
    restored_plan,
    score,
    train,
    weights,
)

PLAN = Training(epochs=12, rate=0.05, batch=64, device="cpu")


class Line(Learner):
    """y = slope x + height, and a little chance, as dropout has."""

    def __init__(self) -> None:
        super().__init__()
        self.slope, self.height = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def loss(self, *batch: Tensor) -> Tensor:
        x, y = batch
        shaken = self.slope * x + self.height + 0.01 * torch.randn_like(x)
        return ((shaken - y) ** 2).mean()


def points(n: int = 600, seed: int = 1) -> list[Tensor]:
    x = torch.randn(n, generator=torch.Generator().manual_seed(seed))
    return [x, 2 * x - 1]


def found(net: Learner) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in weights(net).items()}


def fit(net: Learner, plan: Training = PLAN, data: Sequence[Tensor] | None = None, seed: int = 5) -> History:
    return train(net, data or points(), plan, seed, silent)


# ------------------------------------------------------------------------------------------------------- learning


def test_a_line_is_found() -> None:
    net = Line()
    history = fit(net, replace(PLAN, epochs=30))
    assert net.slope.item() == pytest.approx(2, abs=0.02)
    assert net.height.item() == pytest.approx(-1, abs=0.02)
    assert history.losses[-1] < 0.01 < history.losses[0]
    assert not net.training


def test_the_best_weights_are_kept() -> None:
    """A rate so high that losses go up and down."""
    net, data = Line(), points()
    history = fit(net, replace(PLAN, rate=1.5, epochs=8), data)
    own = score(net, data, 0)
    assert own == pytest.approx(min(history.losses), rel=0.5, abs=0.01)


def test_the_same_seed_learns_the_same_bytes_and_another_others() -> None:
    nets = [Line() for _ in range(3)]
    for net, seed in zip(nets, (5, 5, 6), strict=True):
        fit(net, seed=seed)
    assert found(nets[0]) == found(nets[1]) != found(nets[2])


def test_the_caller_s_chance_is_left_alone() -> None:
    before = torch.get_rng_state()
    fit(Line())
    assert torch.equal(before, torch.get_rng_state())


def test_a_score_has_the_same_chance_at_every_call() -> None:
    net, data = Line(), points(5_000)
    assert score(net, data, 3) == score(net, data, 3) != score(net, data, 4)


def test_chosen_rows_are_held_out() -> None:
    """Rows that lie on another line end the training, as what is learned never fits them."""
    x, y = points()
    held = torch.arange(len(x)) < 60
    net = Line()
    history = train(net, [x, torch.where(held, 50.0, y)], replace(PLAN, epochs=1), 5, silent, held)
    assert history.losses[0] > 2_000


@pytest.mark.parametrize("n", [1, 2, 15, 40])
def test_few_rows_are_learned_from(n: int) -> None:
    net = Line()
    history = fit(net, data=[torch.ones(n), torch.full((n,), 3.0)])
    assert net.slope.item() + net.height.item() > 0.5
    assert history.losses


# ------------------------------------------------------------------------------------------------------- the end


def test_no_gain_on_held_out_rows_ends_it() -> None:
    x, noise = points()[0], torch.randn(600, generator=torch.Generator().manual_seed(2))
    history = fit(Line(), replace(PLAN, epochs=500), [x, noise])
    assert history.ended == "held-out rows got no likelier"
    assert len(history.losses) < 500


class Slow(Line):
    """One pass over the rows takes minutes."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def loss(self, *batch: Tensor) -> Tensor:
        time.sleep(0.05)
        self.steps += self.training
        return super().loss(*batch)


def test_minutes_end_it_in_the_midst_of_the_rows() -> None:
    net, data = Slow(), points(100_000)
    history = fit(net, replace(PLAN, epochs=10**6, max_minutes=0.01), data)
    assert history.ended == "0.01 minutes are over"
    assert len(history.losses) == 1
    assert 0 < net.steps < 100_000 / PLAN.batch / 2


def test_epochs_end_it() -> None:
    history = fit(Line(), replace(PLAN, epochs=2))
    assert (len(history.losses), history.ended) == (2, "2 epochs are over")


def test_progress_says_how_long_it_can_take() -> None:
    seen: list[tuple[float, str]] = []
    train(Line(), points(), replace(PLAN, epochs=3), 5, lambda share, what: seen.append((share, what)))
    assert [share for share, _ in seen] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert all("held-out loss" in what and what.endswith(" left") for _, what in seen[1:])


# ---------------------------------------------------------------------------------------------- no numbers


class Explodes(Line):
    """Its loss is NaN once a step was longer than `most`."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def loss(self, *batch: Tensor) -> Tensor:
        loss = super().loss(*batch)
        return loss * torch.nan if self.slope.abs().item() > self.most else loss


class Steps(Explodes):
    """Plain steps, as long as the rate says."""

    def optimizers(self, options: Training) -> list[Optimizer]:
        return [torch.optim.SGD(self.parameters(), options.rate)]


def test_a_loss_that_is_no_number_begins_again_at_a_lower_rate_and_says_so() -> None:
    net, seen = Steps(most=3.0), list[str]()
    history = train(net, points(), replace(PLAN, rate=4.0), 5, lambda _, what: seen.append(what))
    assert history.notes
    assert history.notes[0] == "the loss was no number: training began again at a rate of 1"
    assert history.notes[0] in seen
    assert net.slope.item() == pytest.approx(2, abs=0.1)


def test_a_loss_that_stays_no_number_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"stayed no number down to a rate of .*choose another model"):
        fit(Explodes(most=-1.0))


def test_data_that_are_no_numbers_are_an_error() -> None:
    x, y = points()
    with pytest.raises(TrainingError, match="extreme values"):
        fit(Line(), data=[x, y * torch.inf])


# ---------------------------------------------------------------------------------------------- checkpoints


class Stopped(Exception):
    """The power is cut."""


def stop_after(epochs: int) -> object:
    seen = []

    def progress(share: float, what: str) -> None:
        seen.append(share)
        if len(seen) > epochs:  # the first says that it begins
            raise Stopped

    return progress


def interrupted(plan: Training, epochs: int = 5, net: Learner | None = None) -> None:
    with pytest.raises(Stopped):
        train(net or Line(), points(), plan, 5, stop_after(epochs))  # type: ignore[arg-type]


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, halves = Line(), Line()
    expected = fit(whole)
    plan = replace(PLAN, checkpoint=str(tmp_path / "new"))
    interrupted(plan)
    seen = list[float]()
    history = train(halves, points(), plan, 5, lambda share, _: seen.append(share))
    assert len(seen) == 1 + len(expected.losses) - 5
    assert found(halves) == found(whole)
    assert history.losses == expected.losses


def test_a_finished_training_leaves_no_checkpoint(tmp_path: Path) -> None:
    plan = replace(PLAN, checkpoint=str(tmp_path))
    interrupted(plan)
    assert len(list(tmp_path.iterdir())) == 1
    fit(Line(), plan)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_training_is_not_taken(tmp_path: Path) -> None:
    plan = replace(PLAN, checkpoint=str(tmp_path))
    interrupted(plan)
    for other, data, seed in (
        (plan, points(seed=2), 5), (plan, points(), 6), (replace(plan, decay=0.5), points(), 5),
    ):  # fmt: skip
        with_it, without = Line(), Line()
        fit(with_it, other, data, seed)
        fit(without, replace(other, checkpoint=None), data, seed)
        assert found(with_it) == found(without)


@pytest.mark.parametrize("damage", ["cut", "empty", "junk", "others"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    plan = replace(PLAN, checkpoint=str(tmp_path))
    interrupted(plan)
    (path,) = tmp_path.iterdir()
    if damage == "others":
        from safetensors.torch import save_file

        save_file({"net/slope": torch.zeros(1)}, path, {"run": "{}"})
    else:
        whole = path.read_bytes()
        path.write_bytes({"cut": whole[:-9], "empty": b"", "junk": b"x" * 300}[damage])
    with pytest.raises(ModelFileError, match="delete it to train from the start"):
        fit(Line(), plan)


def test_a_checkpoint_that_cannot_be_kept_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match=r"checkpoint: .*file"):
        fit(Line(), replace(PLAN, checkpoint=str(tmp_path / "file")))


# ---------------------------------------------------------------------------------------------- devices and files


def test_a_device_that_is_not_here_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="device: 'abacus' is not here; there is cpu"):
        pick_device("abacus")
    assert pick_device("cpu").type == "cpu"


def test_one_thread_is_for_a_while() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_weights_come_back() -> None:
    net = Line()
    fit(net)
    assert found(restored(Line, weights(net))) == found(net)


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"slope": np.zeros(2, np.float32)},
        {"slope": np.zeros(1)},
        {"slope": np.full(1, np.nan, np.float32)},
        {"slope": np.full(1, 1e30, np.float32)},
        {"slope": np.zeros(1, "U4")},
    ],
)
def test_weights_that_do_not_fit_are_refused(damaged: dict[str, np.ndarray]) -> None:
    arrays = {"height": np.zeros(1, np.float32)} | damaged
    with pytest.raises(ModelFileError, match="slope"):
        restored(Line, arrays)


@pytest.mark.parametrize("build", [None, {}, {"batch": 0}, {"batch": 10**9}, {"batch": True}, {"batch": 3, "rate": 1}])
def test_sizes_that_no_network_has_are_refused(build: object) -> None:
    assert restored_plan(Training, ("batch",), {"build": {"batch": 7}}).batch == 7
    with pytest.raises(ModelFileError, match="batch"):
        restored_plan(Training, ("batch",), {"build": build})


def test_a_history_comes_back() -> None:
    history = History("cpu", "10 epochs are over", (2.5, 1.25), ("a note",))
    meta = {"known": 2, "history": history.to_dict()}
    assert restored_history(meta, 3) == (2, history)
    assert str(history) == "2 epochs on cpu (10 epochs are over), held-out loss 1.2500"
    for damaged in ({"known": 4}, {"known": -1}, {"known": "x"}, {"history": {}}, {"history": None}):
        with pytest.raises(ModelFileError):
            restored_history(meta | damaged, 3)

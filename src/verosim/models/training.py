"""The one training loop of all networks: mini-batches, early stopping on held-out rows, checkpoints, guards.

A network is a `Learner`: it says its loss on a batch. `train` does the rest, and leaves in the network the weights that
did best on held-out rows. Weights are averaged over the last steps (Polyak and Juditsky, 1992), the rate is halved on
a plateau. Chance comes in as a seed, and the caller's random state is left as it was.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from verosim.errors import ArgumentError, ModelFileError, TrainingError
from verosim.models import Array, Progress, saved_array
from verosim.models.plan import History, Training

LEAST_HELD: Final = 5  # of fewer held-out rows the loss is chance: there are none, and few epochs
BLIND_EPOCHS: Final = 20  # without held-out rows: enough to learn, too few to learn by heart
RESTARTS: Final = 4  # after losses that are no numbers, each at a lower rate
SMALLEST_BATCH: Final = 64  # that a GPU short of memory is tried with
UNSEEN: Final = 1e-3  # rows that a token never seen is taken to have
EPOCH: Final = 50_000  # rows of an epoch, at most: in large tables held-out rows are asked before all was seen
SCORED: Final = 4096  # held-out rows scored together
LARGEST: Final = 1e4  # no weight is as large: sums would pass what a float32 holds
MOST: Final = 4096  # of any size of a network in a model file

L = TypeVar("L", bound=nn.Module)
T = TypeVar("T", bound=Training)


class Learner(nn.Module):
    """A network that can be trained: it says what its loss is, and, if it must, how a step is done and judged."""

    memory = 0.99  # of the weights' average, a step
    least_steps = 1  # of an epoch: small tables are passed several times

    def loss(self, *batch: Tensor) -> Tensor:
        """The mean loss of a batch; each tensor is (rows, ...)."""
        raise NotImplementedError

    def optimizers(self, options: Training) -> list[Optimizer]:
        fused = next(self.parameters()).device.type in ("cpu", "cuda")
        return [torch.optim.AdamW(self.parameters(), options.rate, weight_decay=options.decay, fused=fused)]

    def step(self, batch: Sequence[Tensor], optimizers: Sequence[Optimizer]) -> Tensor:
        """One step; returns the loss before it."""
        (optimizer,) = optimizers
        optimizer.zero_grad(set_to_none=True)
        loss = self.loss(*batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), 10.0)
        optimizer.step()
        return loss.detach()

    def score(self, *batch: Tensor) -> Tensor:
        """What is to get low on held-out rows: the mean over a batch. Its chance is the same at every call."""
        return self.loss(*batch)


class _NoNumber(Exception):
    """The loss is infinite or NaN."""


@dataclass
class _Run:
    """A training under way: what a checkpoint holds."""

    net: Learner
    options: Training
    optimizers: list[Optimizer]
    average: dict[str, Tensor]
    best: dict[str, Tensor]
    losses: list[float] = field(default_factory=list)
    bad: int = 0  # epochs since the best
    steps: int = 0
    seconds: float = 0.0

    @classmethod
    def start(cls, net: Learner, options: Training) -> _Run:
        now = {k: v.clone() for k, v in net.state_dict().items()}
        return cls(net, options, net.optimizers(options), now, {k: v.clone() for k, v in now.items()})

    def epoch(self, data: Sequence[Tensor], until: float) -> None:
        """One pass over the training rows, at the longest until that time."""
        self.net.train()
        n, batch = len(data[0]), _batch_size(len(data[0]), self.options)
        state = self.net.state_dict()
        floating = [k for k, v in state.items() if v.is_floating_point()]
        current, averaged = [state[k] for k in floating], [self.average[k] for k in floating]
        passes = math.ceil(self.net.least_steps / max(1, n // batch))
        for rows in (rows for _ in range(passes) for rows in torch.randperm(n)[:EPOCH].split(batch)):
            if len(rows) < min(batch // 2, n) or (self.steps and time.monotonic() > until):
                continue  # few rows that are left over would pull as hard as many; one step there is
            rows = rows.to(data[0].device)
            loss = self.net.step([part[rows] for part in data], self.optimizers)
            if not math.isfinite(loss.item()):
                raise _NoNumber
            self.steps += 1
            torch._foreach_lerp_(averaged, current, 1 - min(self.net.memory, self.steps / (self.steps + 10)))

    def judge(self, held: Sequence[Tensor], seed: int) -> None:
        """Score the averaged weights on held-out rows; keep them if they are the best."""
        current = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.average)
        loss = score(self.net, held, seed)
        self.net.load_state_dict(current)
        if not math.isfinite(loss):
            raise _NoNumber
        if loss < min(self.losses, default=math.inf) - 1e-4 * (1 + abs(loss)):
            self.bad, self.best = 0, {k: v.clone() for k, v in self.average.items()}
        else:
            self.bad += 1
            if self.bad % max(1, self.options.patience // 2) == 0:
                for group in (g for optimizer in self.optimizers for g in optimizer.param_groups):
                    group["lr"] /= 2
        self.losses.append(loss)

    def ended(self, epochs: int, seconds: float) -> str:
        """Why to stop; empty to go on."""
        if self.options.max_minutes is not None and seconds >= self.options.max_minutes * 60:
            return f"{self.options.max_minutes:.2g} minutes are over"
        if self.bad >= self.options.patience:
            return "held-out rows got no likelier"
        return f"{epochs} epochs are over" if len(self.losses) >= epochs else ""


def score(net: Learner, held: Sequence[Tensor], seed: int) -> float:
    """The mean score of held-out rows, under the same chance at every call."""
    net.eval()
    with torch.no_grad(), own_chance(seed, held[0].device):
        parts = [(net.score(*(part[rows] for part in held)).item(), len(rows)) for rows in _slices(held)]
    return sum(loss * n for loss, n in parts) / sum(n for _, n in parts)


def _slices(data: Sequence[Tensor]) -> Iterator[Tensor]:
    yield from torch.arange(len(data[0]), device=data[0].device).split(SCORED)


def _batch_size(n: int, options: Training) -> int:
    return min(options.batch, max(32, n // 20))


def shares_of(tokens: Array, sizes: Sequence[int]) -> list[Tensor]:
    """For each column of tokens (n, columns) the share of each token; one never seen has next to none."""
    counts = [np.bincount(column, minlength=size) + UNSEEN for column, size in zip(tokens.T, sizes, strict=True)]
    return [torch.from_numpy(c / c.sum()).float() for c in counts]


@contextmanager
def own_chance(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's random numbers from `seed` on; afterwards all is as it was before."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread, as sums depend on how work is divided; afterwards on as many as before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def pick_device(name: str) -> torch.device:
    """auto: CUDA, else Apple's GPU, else the processor. Raises ArgumentError for one that is not there."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind in ("cuda", "mps") if there[kind]), "cpu"))
    if not there.get(name.split(":")[0], False):
        raise ArgumentError(f"device: {name!r} is not here; there is {', '.join(k for k, v in there.items() if v)}.")
    return torch.device(name)


def train(
    net: Learner,
    data: Sequence[Tensor],
    options: Training,
    seed: int,
    progress: Progress,
    held: Tensor | None = None,
) -> History:
    """Train `net` in place, on the processor or a GPU; it ends on the processor with its best weights.

    data: tensors of (rows, ...) each, whose rows belong together. held: (rows,) bool, those that end the training;
    where none is, some are drawn by chance. Raises TrainingError where losses are no numbers at whatever rate.
    """
    device, notes, rate = pick_device(options.device), list[str](), options.rate
    start = {k: v.clone() for k, v in net.state_dict().items()}
    progress(0.0, f"training on {device}")
    while True:
        net.load_state_dict(start)
        try:
            with one_thread(), own_chance(seed, device):
                history = _train(net.to(device), data, replace(options, rate=rate), seed, progress, device, held)
            net.cpu().eval()
            return replace(history, notes=tuple(notes))
        except _NoNumber:
            rate /= 4
            notes.append(f"the loss was no number: training began again at a rate of {rate:g}")
            if len(notes) > RESTARTS:
                raise TrainingError(
                    f"the loss stayed no number down to a rate of {rate * 4:g}. Look for extreme values in the data, "
                    "or choose another model."
                ) from None
        except RuntimeError as error:
            if device.type == "cpu" or "out of memory" not in str(error):
                raise
            options, device = _smaller(options, device)
            notes.append(f"the GPU ran out of memory: training began again on {device} with batches of {options.batch}")
        finally:
            net.cpu()
        progress(0.0, notes[-1])


def _smaller(options: Training, device: torch.device) -> tuple[Training, torch.device]:
    """What to try when a GPU has run out of memory: smaller batches, then the processor."""
    if options.batch >= 2 * SMALLEST_BATCH:
        return replace(options, batch=options.batch // 2), device
    return options, torch.device("cpu")


def _train(
    net: Learner,
    data: Sequence[Tensor],
    options: Training,
    seed: int,
    progress: Progress,
    device: torch.device,
    chosen: Tensor | None,
) -> History:
    order = torch.randperm(len(data[0]))
    n_held = int(len(order) * options.held_share)
    if chosen is not None and chosen.any():
        order, n_held = torch.argsort(~chosen, stable=True), int(chosen.sum())
    n_held = n_held if n_held >= LEAST_HELD else 0
    epochs = options.epochs if n_held else min(options.epochs, BLIND_EPOCHS)
    rows = [part[order[n_held:]].to(device) for part in data]
    held = [part[order[:n_held]].to(device) for part in data] if n_held else rows
    path = _checkpoint_path(options, net, data if chosen is None else [*data, chosen], seed)
    run = _Run.start(net, options)
    if path is not None:
        _resume(run, path, device)
    began = time.monotonic() - run.seconds
    while not (why := run.ended(epochs, run.seconds)):
        run.epoch(rows, began + 60 * (math.inf if options.max_minutes is None else options.max_minutes))
        run.judge(held, seed)
        run.seconds = time.monotonic() - began
        if path is not None:
            _save(run, path, device)
        progress(*_shown(run, epochs))
    net.load_state_dict(run.best)
    if path is not None:
        path.unlink(missing_ok=True)
    return History(str(device), why, tuple(run.losses))


def _shown(run: _Run, epochs: int) -> tuple[float, str]:
    """Share done, and what to say of it: at the pace so far, how long it can still take."""
    done, limit = len(run.losses), run.options.max_minutes
    left, share = run.seconds / done * (epochs - done), done / epochs
    if limit is not None:
        left, share = min(left, limit * 60 - run.seconds), max(share, run.seconds / limit / 60)
    left = max(left, 0.0)
    text = f"epoch {done}, held-out loss {run.losses[-1]:.3f}, at most {left // 60:.0f}:{left % 60:02.0f} left"
    return min(share, 1.0), text


# -------------------------------------------------------------------------------------------------- checkpoints


def _checkpoint_path(options: Training, net: Learner, data: Sequence[Tensor], seed: int) -> Path | None:
    """Where this very training is kept: the same rows, network, options and seed have the same name."""
    if options.checkpoint is None:
        return None
    how = replace(options, max_minutes=None, checkpoint=None)
    digest = hashlib.sha256(json.dumps([repr(how), repr(net), seed]).encode())
    for part in data:
        digest.update(part.numpy().tobytes())
    folder = Path(options.checkpoint)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"checkpoint: {folder} cannot be made a folder ({error.strerror or error}).") from error
    return folder / f"{type(net).__name__.lower()}-{digest.hexdigest()[:16]}.safetensors"


def _save(run: _Run, path: Path, device: torch.device) -> None:
    tensors: dict[str, Tensor] = {}
    for head, state in (("net", run.net.state_dict()), ("average", run.average), ("best", run.best)):
        tensors |= {f"{head}/{name}": value for name, value in state.items()}
    groups = []
    for i, optimizer in enumerate(run.optimizers):
        learned: dict[str, Any] = optimizer.state_dict()
        groups.append([group["lr"] for group in learned["param_groups"]])
        for number, parts in learned["state"].items():
            tensors |= {f"optimizer/{i}/{number}/{name}": torch.as_tensor(part) for name, part in parts.items()}
    tensors["random/cpu"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(device)
    meta = {"losses": run.losses, "bad": run.bad, "steps": run.steps, "seconds": run.seconds, "rates": groups}
    new = path.with_suffix(".new")
    save_file(
        {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}, new, {"run": json.dumps(meta)}
    )
    new.replace(path)


def _resume(run: _Run, path: Path, device: torch.device) -> None:
    """Go on from a checkpoint, if there is one. Raises ModelFileError for one that is damaged."""
    if not path.exists():
        return
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = json.loads(file.metadata()["run"])
        for head, state in (("net", run.net.state_dict()), ("average", run.average), ("best", run.best)):
            for name, value in state.items():
                value.copy_(tensors[f"{head}/{name}"])
        for i, (optimizer, rates) in enumerate(zip(run.optimizers, meta["rates"], strict=True)):
            state = optimizer.state_dict()
            kept: dict[int, dict[str, Tensor]] = {}
            for name, tensor in tensors.items():
                if name.startswith(f"optimizer/{i}/"):
                    _, _, number, part = name.split("/")
                    kept.setdefault(int(number), {})[part] = tensor
            optimizer.load_state_dict({**state, "state": kept})
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
        torch.set_rng_state(tensors["random/cpu"])
        if device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random/cuda"], device)
        run.losses, run.bad, run.steps, run.seconds = meta["losses"], meta["bad"], meta["steps"], meta["seconds"]
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelFileError(
            f"{path}: the checkpoint is damaged ({error}); delete it to train from the start."
        ) from error


# --------------------------------------------------------------------------------------------------- model file


def weights(net: nn.Module) -> dict[str, Array]:
    """All that a network has learned, by name, for a model file."""
    return {name: value.detach().cpu().numpy() for name, value in net.state_dict().items()}


def restored(build: Callable[[], L], arrays: Mapping[str, Array]) -> L:
    """The network that `build` makes, with what `weights` gave. Raises ModelFileError for what does not fit.

    It is first built without memory: a damaged file can ask for no more than it holds.
    """
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in build().state_dict().items()}
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape:
            raise ModelFileError(f"the saved model is damaged: {name!r} must have the shape {shape}.")
        if arrays[name].dtype.kind == "f" and np.abs(arrays[name]).max(initial=0) > LARGEST:
            raise ModelFileError(f"the saved model is damaged: {name!r} would overflow.")
    net = build()
    state = net.state_dict()
    kinds = {name: value.numpy() for name, value in state.items()}
    for name, wanted in kinds.items():
        state[name] = torch.from_numpy(saved_array(arrays, name, wanted.dtype, wanted.ndim).copy())
    net.load_state_dict(state)
    return net.eval()


def restored_plan(plan: type[T], sizes: Sequence[str], meta: Mapping[str, Any]) -> T:
    """Options with the sizes under "build" in a model file. Raises ModelFileError."""
    build = meta.get("build")
    if not isinstance(build, dict) or build.keys() != set(sizes):
        raise ModelFileError(f"the saved model is damaged: it does not say its {', '.join(sizes)}.")
    for name, value in build.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
            raise ModelFileError(f"the saved model is damaged: {name} {value!r} is no whole number from 1 to {MOST}.")
    return replace(plan(), **build)

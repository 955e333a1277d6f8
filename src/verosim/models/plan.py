"""How a network is to be trained, and how it went: plain data, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verosim.errors import ModelFileError


@dataclass(frozen=True, slots=True)
class Training:
    """How a network is trained: what all networks' options begin with."""

    epochs: int = 100  # passes over the rows, or 50,000 of them, at most: held-out rows end it sooner
    batch: int = 512  # rows a step; fewer in small tables
    rate: float = 3e-3  # of AdamW, at the start
    decay: float = 0.01  # weights are pulled to 0
    patience: int = 4  # epochs without gain on held-out rows that end it; the rate is halved half-way
    held_share: float = 0.1  # rows that end it
    max_minutes: float | None = None  # training stops in time and keeps the best so far
    device: str = "auto"  # cpu, cuda, mps; auto: a GPU where there is one
    checkpoint: str | None = None  # a folder: an interrupted training goes on from there. Holds weights, no rows


@dataclass(frozen=True, slots=True)
class History:
    """How a training went."""

    device: str
    ended: str  # why it ended
    losses: tuple[float, ...] = ()  # on held-out rows, after each epoch
    notes: tuple[str, ...] = ()  # what went wrong on the way, and what was done

    def __str__(self) -> str:
        best = f", held-out loss {min(self.losses):.4f}" if self.losses else ""
        return f"{len(self.losses)} epochs on {self.device} ({self.ended}){best}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "device": self.device, "ended": self.ended, "losses": list(self.losses), "notes": list(self.notes),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, meta: Mapping[str, Any]) -> History:
        losses, notes = tuple(float(x) for x in meta["losses"]), tuple(str(x) for x in meta["notes"])
        return cls(str(meta["device"]), str(meta["ended"]), losses, notes)


def restored_history(meta: Mapping[str, Any], fields: int) -> tuple[int, History]:
    """How many of the fields are given, and how the training went. Raises ModelFileError."""
    try:
        known, history = int(meta["known"]), History.from_dict(meta["history"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelFileError(f"the saved model is damaged: {error}.") from error
    if not 0 <= known <= fields:
        raise ModelFileError(f"the saved model is damaged: {known} of its {fields} fields are given.")
    return known, history

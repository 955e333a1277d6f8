"""The details of sequences as pictures: fans of paths, memory, rhythm, calendars, lengths, and the map of a process.

docs/report.md describes the details. What was not found has no picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from verosim.evaluation.words import number
from verosim.pages.charts import Role, Series, curve, histogram
from verosim.pages.flows import START, STOP, Arc, flow_map
from verosim.pages.heat import heat_map
from verosim.pages.lines import Band, Curve, lines
from verosim.pages.strips import Line, share_bar

Details = Mapping[str, Any]
Cells = Sequence[Sequence[float | None]]
SETS: Final[tuple[tuple[str, Role], ...]] = (("train", "real"), ("holdout", "unseen"), ("synthetic", "synthetic"))
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOURS: Final = tuple(f"{h}" for h in range(24))
WAYS: Final = 40  # of a process map
UNEVEN: Final = 1.5  # times an even share, from where on the rows of an hour have a picture
USED: Final = 8  # of what gave windows away


@dataclass(frozen=True, slots=True)
class ChannelView:
    """One channel: its paths, its memory and its rhythm."""

    name: str
    fan: Markup
    memory: Markup
    rhythm: Markup


def view(details: Details, most: int) -> dict[str, Any] | None:
    """All pictures of a table's sequences; None where its rows have no order."""
    found = details.get("sequences")
    if not found:
        return None
    return {
        "channels": [_channel(fan, found) for fan in found.get("fans", ())[:most]],
        "calendars": _calendars(found.get("calendar")),
        "spans": [_span(name, found[name]) for name in ("lengths", "durations") if found.get(name)],
        "process": _process(found.get("process")),
        "detector": _detector(found.get("detector")),
    }


def _channel(fan: Details, found: Details) -> ChannelView:
    name = fan["channel"]
    return ChannelView(
        name, _fan(fan), _curves(found.get("autocorrelation"), name), _spectrum(found.get("spectrum"), name)
    )


def _fan(fan: Details) -> Markup:
    real, new = fan["real"], fan["synthetic"]
    steps = list(range(max(len(real[0]), len(new[0]))))
    bands = [Band("real", real[0], real[4]), Band("real", real[1], real[3])] if real[0] else []
    curves = [Curve("synthetic", path, "thin") for path in fan["paths"]]
    curves += [Curve("real", real[2]), *(Curve("synthetic", new[i], "edge" if i != 2 else "") for i in (0, 2, 4))]
    return lines(steps, curves, f"Paths of {fan['channel'][:80]}", _told(real, new), bands=bands, across="step")


def _told(real: Sequence[Sequence[float]], new: Sequence[Sequence[float]]) -> str:
    if not real[0] or not new[0]:
        return "too few paths"
    said = [
        f"{who} median {number(q[2][0])} at first, {number(q[2][-1])} at last"
        for who, q in (("real", real), ("synthetic", new))
    ]
    return "; ".join(said)


def _of_channel(found: Details | None, name: str) -> list[tuple[Role, list[float | None]]]:
    if not found or name not in found["channels"]:
        return []
    place = found["channels"].index(name)
    return [(role, found[key][place]) for key, role in SETS if found[key]]


def _curves(found: Details | None, name: str) -> Markup:
    sets = _of_channel(found, name)
    if not sets:
        return Markup()
    lags = list(range(len(sets[0][1]) + 1))
    curves = [Curve(role, [1.0, *values]) for role, values in sets]
    said = "; ".join(f"{role} {number(values[0])} at lag 1" for role, values in sets)
    return lines(lags, curves, f"Autocorrelation of {name[:80]}", said, across="lag")


def _spectrum(found: Details | None, name: str) -> Markup:
    sets = _of_channel(found, name)
    if not sets:
        return Markup()
    n = len(sets[0][1])
    curves = [Curve(role, [None if v is None else 100 * v for v in values]) for role, values in sets]
    periods = [(k + 1) / (2 * n) for k in range(n)]
    return lines(periods, curves, f"Spectrum of {name[:80]}", "share of the power, in %", across="cycles a step")


def _calendars(found: Details | None) -> list[tuple[str, Markup, Markup]]:
    """The rows by hour and weekday, and the mean of the channels: of real and of synthetic rows."""
    if not found:
        return []
    out, (real, new) = list[tuple[str, Markup, Markup]](), (found["rows"]["real"], found["rows"]["synthetic"])
    if max(map(max, real)) > UNEVEN / (24 * 7):  # of a regular series every hour has as many
        out.append(("Rows", *_beside("rows", real, new, "%")))
    for name, means in found["means"]["real"].items():
        out.append((f"{name}, beside its mean", *_beside(name, _less(means), _less(found["means"]["synthetic"][name]))))
    return out


def _beside(name: str, real: Cells, new: Cells, unit: str = "") -> tuple[Markup, Markup]:
    """Two heat maps of hours and weekdays, in the same shades."""
    high = max((abs(v) for part in (real, new) for row in part for v in row if v is not None), default=0) or 1.0
    one, two = (
        heat_map(
            cells, HOURS, DAYS, f"{who} {name[:60]} by hour and weekday",
            high=high, both_ways=not unit, scale=100 if unit else 1, unit=unit,
        )
        for who, cells in (("Real", real), ("Synthetic", new))
    )  # fmt: skip
    return one, two


def _less(rows: Cells) -> list[list[float | None]]:
    """Without their mean."""
    known = [v for row in rows for v in row if v is not None]
    mean = sum(known) / max(1, len(known))
    return [[None if v is None else v - mean for v in row] for row in rows]


def _span(name: str, found: Details) -> tuple[str, Markup]:
    series = [Series(role, found[key]) for key, role in SETS if found[key]]
    said = {"lengths": "Rows of a sequence", "durations": "Seconds from first to last"}[name]
    return said, histogram(found["edges"], series, said, f"{said}: shares of the sequences")


def _process(found: Details | None) -> Markup:
    if not found or not found["arcs"]:
        return Markup()
    boxes = [(name, f"{number(real)} / {number(new)} a case") for name, (real, new) in found["activities"].items()]
    arcs = [Arc(a or START, b or STOP, real, new) for a, b, real, new in found["arcs"][:WAYS]]
    return flow_map(boxes, arcs, "Process map", "what follows what, of real and of synthetic cases")


def _detector(found: Details | None) -> dict[str, Any] | None:
    if not found:
        return None
    sets: list[tuple[Role, Any]] = [("real", found["roc_floor"]), ("synthetic", found["roc"])]
    gains = list(found["gains"].items())[:USED]
    most = max((share for _, share in gains), default=1.0)
    used = [Line(name, (number(100 * share, "%"),), share_bar(share / most)) for name, share in gains]
    about = "how well windows of synthetic sequences are told from unseen real ones"
    return {"width": found["width"], "roc": curve(sets, "What a detector sees in windows", about), "used": used}

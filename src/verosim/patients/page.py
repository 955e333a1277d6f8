"""A page for each module: its graph of states as a picture, with how often a run came by; and one that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup, escape

from verosim.files import disk
from verosim.pages import plain, render
from verosim.pages.layers import Layers, Way, layered
from verosim.pages.svg import at, clipped, drawn, short, text
from verosim.patients.module import Library, Module
from verosim.patients.telling import told, ways

WIDTH, HEIGHT, MOST = 168.0, 48.0, 8
KINDS: Final[Mapping[str, str]] = {  # what colours tell apart: a state's type -> its family
    **dict.fromkeys(("Delay", "Guard"), "waits"),
    **dict.fromkeys(("Encounter", "EncounterEnd"), "visit"),
    **dict.fromkeys(("ConditionOnset", "ConditionEnd", "AllergyOnset", "AllergyEnd", "Symptom"), "illness"),
    **dict.fromkeys(("MedicationOrder", "MedicationEnd", "Procedure", "CarePlanStart", "CarePlanEnd"), "care"),
    **dict.fromkeys(("Device", "DeviceEnd", "SupplyList", "Vaccine"), "care"),
    **dict.fromkeys(("Observation", "MultiObservation", "DiagnosticReport", "ImagingStudy", "VitalSign"), "finding"),
    **dict.fromkeys(("Death", "Terminal"), "end"),
}  # fmt: skip
FAMILIES: Final = {
    "waits": "waits",
    "visit": "a visit",
    "illness": "illness",
    "care": "treatment",
    "finding": "a finding",
    "end": "the end",
    "step": "a step",
}
Counts = Mapping[tuple[str, str], int]  # (module, state) -> how often it was entered


@dataclass(frozen=True)
class Line:
    """A module in the list."""

    key: str
    name: str
    about: str
    file: str
    states: int
    seen: int


def save_pages(library: Library, out: str | Path, counts: Counts | None = None, patients: int = 0) -> list[Path]:
    """Write a page for each module into a folder, and `index.html`. counts: of a run of so many patients."""
    folder = Path(out)
    if not folder.is_dir():
        disk.make_folder(folder)
    pages = {f"{file_name(key)}.html": page(module, counts, patients) for key, module in library.modules.items()}
    pages["index.html"] = index(library, counts, patients)
    for name, html in pages.items():
        with disk.atomic(folder / name) as sink:
            sink.write(html.encode())
    return [folder / name for name in pages]


def file_name(key: str) -> str:
    """A module's page: `heart/cabg` -> heart.cabg."""
    return key.replace("/", ".")


def index(library: Library, counts: Counts | None, patients: int) -> str:
    """The page that lists all modules."""
    lines = [Line(key, m.name, _about(m), f"{file_name(key)}.html", len(m.states), _seen(m, counts))
             for key, m in sorted(library.modules.items(), key=lambda item: ("/" in item[0], item[0]))]  # fmt: skip
    return render("modules.html", "verosim.patients", lines=lines, patients=patients, counted=counts is not None)


def page(module: Module, counts: Counts | None = None, patients: int = 0) -> str:
    """One module's page, which stands alone."""
    rows = [
        (name, str(spec.get("type")), told(spec), _count(module, name, counts)) for name, spec in module.states.items()
    ]
    return render(
        "module.html", "verosim.patients",
        title=module.name, key=module.key, about=_remarks(module), picture=picture(module, counts), rows=rows,
        families=FAMILIES, counted=counts is not None, patients=patients, states=len(module.states),
        seen=_seen(module, counts), sources=_sources(module),
    )  # fmt: skip


def _remarks(module: Module) -> list[str]:
    return [str(line) for line in module.remarks]


def _about(module: Module) -> str:
    return next(iter(_remarks(module)), "")


def _sources(module: Module) -> list[tuple[str, str]]:
    """What the states' own remarks say."""
    found = []
    for name, spec in module.states.items():
        remarks = spec.get("remarks")
        lines = remarks if isinstance(remarks, list) else [remarks] if isinstance(remarks, str) else []
        found += [(name, str(line)) for line in lines if str(line).strip()]
    return found


def _count(module: Module, state: str, counts: Counts | None) -> int | None:
    return None if counts is None else counts.get((module.key, state), 0)


def _seen(module: Module, counts: Counts | None) -> int:
    return sum(bool(_count(module, name, counts)) for name in module.states)


# ------------------------------------------------------------------------------------------------- the picture


def picture(module: Module, counts: Counts | None = None) -> Markup:
    """The graph of a module's states, from top to bottom; dashed is what no patient came by."""
    labels: dict[tuple[str, str], list[str]] = {}
    for name, spec in module.states.items():
        for target, when in ways(spec):
            if target in module.states:
                labels.setdefault((name, target), []).append(when)
    names = sorted(module.states, key=lambda name: name != "Initial")  # walks begin there
    layout = layered(dict.fromkeys(names, (WIDTH, HEIGHT)), list(labels), between=52.0, most=MOST)
    parts = [_way(way, labels[way.source, way.target]) for way in layout.ways]
    parts += [_box(module, name, layout, counts) for name in names]
    said = f"{len(module.states)} states and {len(labels)} ways between them, listed below"
    frame = f' style="min-width:{at(min(layout.width, 340))}px;width:{at(layout.width + 60)}px"'
    return drawn(parts, layout.width + 60, layout.height + 6, f"The states of {module.name}", said, "graph", frame)


def _way(way: Way, labels: list[str]) -> str:
    whole = [label for label in labels if label]
    label = clipped("; ".join(whole), 20)
    kind = "back" if way.backward else ""
    words = text(way.label[0] + 4, way.label[1] + 4, label, kind="tick said") if label else ""
    told = f"<title>{escape(plain(f'{way.source} to {way.target}: ' + '; '.join(whole or ['always'])))}</title>"
    return f'<g>{told}<path class="way {kind}" d="{way.line}"/><path class="head" d="{way.head}"/>{words}</g>'


def _box(module: Module, name: str, layout: Layers, counts: Counts | None) -> str:
    box, spec, n = layout.boxes[name], module.states[name], _count(module, name, counts)
    kind = str(spec.get("type"))
    family = KINDS.get(kind, "step")
    never = " never" if n == 0 else ""
    place = f'x="{at(box.x)}" y="{at(box.y)}" width="{at(box.width)}" height="{at(box.height)}"'
    lines = [
        f'<rect class="state {family}{never}" {place} rx="6"/>',
        text(box.x + 7, box.y + 15, clipped(name.replace("_", " "), 27)),
        text(box.x + 7, box.y + 29, clipped(told(spec), 28), kind="tick"),
        text(box.x + 7, box.y + 42, kind, kind="tick"),
    ]
    if n is not None:
        lines.append(text(box.x + box.width - 7, box.y + 42, short(n), "end", "count"))
    return f"<g><title>{escape(plain(f'{name} ({kind}): {told(spec)}'))}</title>{''.join(lines)}</g>"

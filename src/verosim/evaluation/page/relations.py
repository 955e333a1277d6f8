"""What lies between tables as pictures: the schema with what was found on each key, and children per parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from verosim.evaluation.page.fidelity import SETS
from verosim.evaluation.report import Grade, Measure
from verosim.evaluation.words import GRADES, SEVERITY, number
from verosim.pages.charts import Series, bars
from verosim.pages.layered import Arrow, Box, boxes
from verosim.pages.svg import short

Details = Mapping[str, Any]
TABLES: Final = 60  # in a picture: more could not be told apart
GRADED: Final = GRADES["fidelity"]


@dataclass(frozen=True, slots=True)
class Children:
    """Children per parent of one key."""

    name: str
    said: str
    floor: str
    chart: Markup


def picture(details: Details, measures: Sequence[Measure]) -> Markup:
    """The tables with their keys; the colour of each is that of the worst that was found there."""
    schema = details.get("schema")
    if not schema or not schema["keys"] or len(schema["tables"]) > TABLES:
        return Markup()
    keys, names = schema["keys"], list(schema["tables"])
    drawn = [_box(name, schema["tables"][name], keys, measures) for name in names]
    arrows = [_arrow(key, names, drawn[names.index(key["table"])], details, measures) for key in keys]
    told = (f"{k['table']} ({', '.join(k['columns'])}) names {k['parent']}" for k in keys)
    return boxes(drawn, arrows, f"{len(names)} tables and {len(keys)} key{'s' * (len(keys) > 1)}", "; ".join(told))


def _box(name: str, table: Details, keys: Sequence[Details], measures: Sequence[Measure]) -> Box:
    lines = tuple(_lines(name, table, keys))
    found = [m for m in measures if m.of == (name,)]
    primary = ", ".join(table["primary_key"]) or "none"
    kept = "; kept as it is" if table["keep"] else ""
    about = f"{name}: {table['rows']:,} synthetic rows, {table['columns']} columns; primary key {primary}{kept}"
    return Box(name, lines, short(table["rows"]), _grade(found), "; ".join([about, *map(_said, found)]))


def _lines(name: str, table: Details, keys: Sequence[Details]) -> list[str]:
    """The primary key, and each foreign key that it is not."""
    own = [", ".join(table["primary_key"])] if table["primary_key"] else []
    others = dict.fromkeys(", ".join(key["columns"]) for key in keys if key["table"] == name)
    return [*own, *(line for line in others if line not in own)]


def _arrow(key: Details, names: Sequence[str], box: Box, details: Details, measures: Sequence[Measure]) -> Arrow:
    found = [m for m in measures if m.of == (key["name"],)]
    label = f"{key['table']}: {', '.join(key['columns'])} -> {key['parent']}({', '.join(key['parent_columns'])})"
    wrong, of = (details.get("keys") or {}).get(label, (0, 0))
    grades = [m.grade for m in found] + (["far"] if wrong and _broken(measures) else [])
    worst: Grade = max(grades, key=SEVERITY.index, default="none")
    valid = f"{wrong:,} of {of:,} rows name nobody" if wrong else "every row that has it names one"
    line = box.lines.index(", ".join(key["columns"]))
    about = "; ".join([label, valid, *map(_said, found)])
    return Arrow(names.index(key["table"]), line, names.index(key["parent"]), worst, key["role"] == "owner", about)


def _broken(measures: Sequence[Measure]) -> bool:
    return any(m.name == "broken keys" and m.grade == "far" for m in measures)


def _grade(found: Sequence[Measure]) -> Grade:
    return max((m.grade for m in found), key=SEVERITY.index, default="none")


def _said(m: Measure) -> str:
    return f"{m.name} {number(m.value, m.unit)}" + (f" ({GRADED[m.grade]})" if m.grade != "none" else "")


def children(details: Details, measures: Sequence[Measure]) -> list[Children]:
    """Children per parent, key by key, the one farthest from real first."""
    found = {m.of[0]: m for m in measures if m.name == "cardinality" and m.of}
    drawn = [(found.get(name), name, c) for name, c in (details.get("children") or {}).items()]
    drawn.sort(key=lambda each: (each[0].floor or 0.0) - (each[0].value or 0.0) if each[0] else 0.0, reverse=True)
    return [_children(m, name, c) for m, name, c in drawn]


def _children(m: Measure | None, name: str, c: Details) -> Children:
    series = [Series(role, c[key]) for key, role, _ in SETS if any(c[key])]
    title = f"Children per parent by {name[:80]}"
    chart = bars(c["labels"], series, title, m.verdict if m else "")
    return Children(name, number(m.value if m else None), number(m.floor if m else None), chart)

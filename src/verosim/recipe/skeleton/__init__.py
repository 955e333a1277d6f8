"""The skeleton of a recipe, from code and databases: a guess for each column, to be edited.

    from_json_schema(schema)      a JSON schema, as pydantic models give it
    from_class(cls)               a dataclass or a pydantic model
    from_sql(text)                CREATE TABLE statements
    from_database(place)          the tables of a live database (extra `sql`)
    from_frames(dataset, schema)  data, with a learned schema: levels and their shares, ranges

All give the plain values of a recipe file; `text` writes them as YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from verosim.recipe.reading import VERSION
from verosim.recipe.skeleton.classes import from_class, from_json_schema
from verosim.recipe.skeleton.samples import from_frames
from verosim.recipe.skeleton.tables import from_database, from_sql

__all__ = ["from_class", "from_database", "from_frames", "from_json_schema", "from_sql", "text"]


def text(recipe: Mapping[str, Any]) -> str:
    """The recipe as YAML, one column a line."""
    head = f"verosim: {VERSION}\ntables:\n"
    lines = []
    for name, table in recipe["tables"].items():
        lines.append(f"  {_yaml(name)}:")
        lines += [f"    {key}: {_yaml(value)}" for key, value in table.items() if key != "columns"]
        lines.append("    columns:")
        lines += [f"      {_yaml(column)}: {_yaml(spec)}" for column, spec in table["columns"].items()]
    return head + "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    written = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return written.removesuffix("\n").removesuffix("\n...").strip()

"""Gretel's calls for related tables, without its cloud: a script runs with its import line changed.

    from verosim.compat.gretel import MultiTable, RelationalData

    data = RelationalData()
    data.add_table(name="patients", primary_key="patient_id", data=patients)        # a frame, or a CSV file
    data.add_table(name="visits", primary_key="visit_id", data="visits.csv")
    data.add_foreign_key(foreign_key="visits.patient_id", referencing="patients.patient_id")

    tables = MultiTable(data, project_display_name="clinic", gretel_model="amplify")
    tables.train()
    tables.generate(record_size_ratio=1)
    tables.synthetic_output_tables["patients"]

Calls and arguments are those of gretel-trainer 0.6 to 0.9, as they were published. Where these differ, both are taken:
`generate` gives the tables and keeps them, too. What concerns the cloud (projects, refreshing, backups, resuming) is
taken and does nothing. Unknown tables and columns are errors, and names may hold dots.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from verosim import files
from verosim.errors import ArgumentError, FileError, did_you_mean
from verosim.files.disk import atomic, make_folder
from verosim.frames import enter, loosen
from verosim.infer import infer
from verosim.models import Progress, silent
from verosim.rules import learn as learn_rules
from verosim.schema import Column, ForeignKey, Schema, Table, parse_yaml, read_text
from verosim.synthesizer import Synthesizer, rare_values
from verosim.table_model import Options

__all__ = ["MultiTable", "RelationalData"]

MODELS: Final = {"amplify": "chain", "tabular": "auto", "actgan": "gan", "lstm": "network"}  # ours of the same purpose
STRATEGIES: Final = ("independent", "ancestral", "cross-table")
Key = tuple[str, tuple[str, ...], str, tuple[str, ...]]  # table, columns, the table that they name, its columns


class RelationalData:
    """Tables and their keys."""

    def __init__(self, directory: str | Path | None = None) -> None:
        self._data: dict[str, Any] = {}  # frames, of any library; of a file what it holds
        self._primary: dict[str, tuple[str, ...]] = {}
        self._keys: list[Key] = []

    # ------------------------------------------------------------------------------------------------- to make one

    def add_table(self, *, name: str, primary_key: str | list[str] | None, data: Any) -> None:
        """data: a frame (polars, pandas or pyarrow), or the path of a file. primary_key: a column, some, or None."""
        if isinstance(data, str | Path):
            data = files.read(data, table=name).dataset[name]
        self._data[name] = data
        self._primary[name] = ()
        self.set_primary_key(table=name, primary_key=primary_key)

    def set_primary_key(self, *, table: str, primary_key: str | list[str] | None) -> None:
        columns = () if primary_key is None else (primary_key,) if isinstance(primary_key, str) else tuple(primary_key)
        for column in columns:
            self._check(table, column)
        self._primary[table] = columns

    def add_foreign_key(self, *, foreign_key: str, referencing: str) -> None:
        """Both as "table.column"."""
        (table, column), (parent, key) = self._place(foreign_key), self._place(referencing)
        self._keys.append((table, (column,), parent, (key,)))

    def add_foreign_key_constraint(
        self,
        *,
        table: str,
        constrained_columns: Sequence[str],
        referred_table: str,
        referred_columns: Sequence[str],
    ) -> None:
        """A key of one or several columns."""
        if len(constrained_columns) != len(referred_columns):
            raise ArgumentError("a foreign key: as many constrained_columns as referred_columns were wanted.")
        for name, columns in ((table, constrained_columns), (referred_table, referred_columns)):
            for column in columns:
                self._check(name, column)
        self._keys.append((table, tuple(constrained_columns), referred_table, tuple(referred_columns)))

    def remove_foreign_key(self, foreign_key: str) -> None:
        """As "table.column"."""
        table, column = self._place(foreign_key)
        self._keys = [key for key in self._keys if key[:2] != (table, (column,))]

    remove_foreign_key_constraint = remove_foreign_key

    def update_table_data(self, table: str, data: Any) -> None:
        """Other rows of a table, with the same keys."""
        self._check(table)
        primary = self._primary[table]
        self.add_table(name=table, primary_key=list(primary), data=data)

    # ------------------------------------------------------------------------------------------------- what it holds

    def list_all_tables(self) -> list[str]:
        return list(self._data)

    def list_tables_parents_before_children(self) -> list[str]:
        """Where keys run in a circle, in the order in which the tables came."""
        left, out = dict.fromkeys(self._data), list[str]()
        while left:
            free = [name for name in left if not ({*self.get_parents(name)} - {name}) & {*left}] or list(left)[:1]
            out += free
            left = dict.fromkeys(name for name in left if name not in free)
        return out

    def get_parents(self, table: str) -> list[str]:
        self._check(table)
        return list(dict.fromkeys(parent for child, _, parent, _ in self._keys if child == table))

    def get_ancestors(self, table: str) -> list[str]:
        return self._reached(table, self.get_parents)

    def get_descendants(self, table: str) -> list[str]:
        return self._reached(table, lambda name: [child for child, _, parent, _ in self._keys if parent == name])

    def _reached(self, table: str, near: Any) -> list[str]:
        self._check(table)
        found, todo = dict[str, None](), [table]
        while todo:
            new = [name for name in near(todo.pop()) if name not in found]
            found |= dict.fromkeys(new)
            todo += new
        return [name for name in found if name != table]

    def get_primary_key(self, table: str) -> list[str]:
        self._check(table)
        return list(self._primary[table])

    def get_foreign_keys(self, table: str) -> list[dict[str, Any]]:
        """Of each: the table, its columns, the table that they name, and its columns."""
        self._check(table)
        names = ("table_name", "columns", "parent_table_name", "parent_columns")
        found = [dict(zip(names, key, strict=True)) for key in self._keys if key[0] == table]
        return [
            {**key, "columns": list(key["columns"]), "parent_columns": list(key["parent_columns"])} for key in found
        ]

    def get_all_key_columns(self, table: str) -> list[str]:
        """The columns of the primary key, then of foreign keys."""
        foreign = (column for child, columns, _, _ in self._keys if child == table for column in columns)
        return list(dict.fromkeys([*self.get_primary_key(table), *foreign]))

    def get_table_columns(self, table: str) -> list[str]:
        self._check(table)
        return list(enter(self._data[table], table)[0][table].columns)

    def get_table_data(self, table: str, usecols: Sequence[str] | None = None) -> Any:
        self._check(table)
        return self._data[table] if usecols is None else self._data[table][list(usecols)]

    def debug_summary(self) -> dict[str, Any]:
        """The tables with their sizes and keys, as plain values."""
        tables = {
            name: {
                "column_count": len(self.get_table_columns(name)),
                "primary_key": self.get_primary_key(name),
                "foreign_keys": self.get_foreign_keys(name),
            }
            for name in self._data
        }
        return {"table_count": len(tables), "foreign_key_count": len(self._keys), "tables": tables}

    def _place(self, text: str) -> tuple[str, str]:
        """The table and column of "table.column", where names may hold dots."""
        parts = text.split(".")
        splits = [(".".join(parts[:i]), ".".join(parts[i:])) for i in range(1, len(parts))]
        known = [(table, column) for table, column in splits if table in self._data]
        fitting = [(table, column) for table, column in known if column in self.get_table_columns(table)]
        if len(fitting) == 1:
            return fitting[0]
        if not splits:
            raise ArgumentError(f"{text!r}: a table and a column were wanted, such as 'orders.customer_id'.")
        if fitting:
            raise ArgumentError(f"{text!r} names more than one column: use add_foreign_key_constraint.")
        self._check(*(known or splits)[0])
        raise ArgumentError(f"{text!r}: there is no such column.")

    def _check(self, table: str, column: str | None = None) -> None:
        if table not in self._data:
            raise ArgumentError(f"no table {table!r}; {did_you_mean(table, self._data)}")
        if column is not None and column not in (names := self.get_table_columns(table)):
            raise ArgumentError(f"table {table!r} has no column {column!r}; {did_you_mean(column, names)}")

    # ------------------------------------------------------------------------------------------------- files

    def to_filesystem(self, to: str | Path) -> str:
        """Write a folder: metadata.json and a CSV file a table. -> the path of metadata.json."""
        folder = Path(to)
        make_folder(folder)
        tables = {n: {"primary_key": self.get_primary_key(n), "csv_path": f"{n}.csv"} for n in self._data}
        if any(len(columns) > 1 for _, columns, _, _ in self._keys):
            raise ArgumentError("a key of several columns has no place in metadata.json of this form.")
        keys = [[f"{t}.{c}", f"{parent}.{k}"] for t, (c,), parent, (k,) in self._keys]
        for name, data in self._data.items():
            files.write(enter(data, name)[0][name], folder / f"{name}.csv", table=name)
        with atomic(folder / "metadata.json") as out:
            out.write((json.dumps({"tables": tables, "foreign_keys": keys}, indent=2) + "\n").encode())
        return str(folder / "metadata.json")

    @classmethod
    def from_filesystem(cls, path: str | Path) -> RelationalData:
        """What `to_filesystem` wrote. Raises FileError for what is no such file."""
        content, made = parse_yaml(read_text(path, "metadata")), cls()
        try:
            for name, table in content["tables"].items():
                made.add_table(name=name, primary_key=table["primary_key"], data=Path(path).parent / table["csv_path"])
            for key, referencing in content["foreign_keys"]:
                made.add_foreign_key(foreign_key=key, referencing=referencing)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise FileError(
                f"{path}: `tables` and `foreign_keys` were wanted, as to_filesystem writes them."
            ) from error
        return made

    # ------------------------------------------------------------------------------------------------- to a schema

    def schema(self, keep: Collection[str] = ()) -> Schema:
        """What columns are taken for, with these keys, and the rules that hold. keep: tables that stay as they are."""
        dataset = loosen(*enter(self._data))[0]
        found = infer(dataset)
        for name, frame in dataset.items():
            table = replace(self._keyed(found[name]), keep=name in keep)
            rules = tuple(rule.spec() for rule in learn_rules(frame, table))
            found = found.with_table(replace(table, rules=rules))
        return infer(dataset, found)  # held against the data: keys are unique and have values

    def _keyed(self, table: Table) -> Table:
        """The table with the keys that were said, and no others."""
        keys = tuple(
            ForeignKey(columns, parent, theirs) for name, columns, parent, theirs in self._keys if name == table.name
        )
        primary = self._primary[table.name]
        made = {column for key in keys for column in key.columns} | ({*primary} if len(primary) == 1 else set())
        columns = (c if c.name not in made or c.kind == "id" else Column(c.name, "id", c.dtype) for c in table.columns)
        own = tuple(replace(c, unique=primary == (c.name,)) if c.name in made else c for c in columns)
        return replace(table, columns=own, primary_key=primary, foreign_keys=keys)


class MultiTable:
    """Related tables, learned and drawn anew."""

    def __init__(
        self,
        relational_data: RelationalData,
        *,
        strategy: str = "independent",
        gretel_model: str | None = None,
        project_display_name: str | None = None,
        project_name: str | None = None,
        refresh_interval: int | None = None,
        working_dir: str | Path | None = None,
        backup: Any = None,
        seed: int = 0,
    ) -> None:
        """gretel_model: amplify, tabular, actgan or lstm, which stand for our chain, auto, gan and network; or one of
        ours. strategy: taken for its name; tables are always learned given the rows that own them. seed: fixes chance,
        which theirs could not."""
        if strategy not in STRATEGIES:
            raise ArgumentError(f"strategy {strategy!r}; {did_you_mean(strategy, STRATEGIES)}")
        name = (gretel_model or "amplify").lower()
        self.relational_data = relational_data
        self.project_display_name = project_display_name or project_name or "multi-table"
        self.synthetic_output_tables: dict[str, Any] = {}
        self._options, self._seed = Options(model=MODELS.get(name, name)), seed
        self._synthesizer: Synthesizer | None = None

    def train(self, progress: Progress = silent) -> None:
        """Learn all tables."""
        self._synthesizer = self._fit((), progress)

    def train_synthetics(
        self,
        *,
        config: Any = None,
        table_specific_configs: Mapping[str, Any] | None = None,
        only: Iterable[str] | None = None,
        ignore: Iterable[str] | None = None,
    ) -> None:
        """Learn all tables. config: a model's name. Tables are learned together: some alone cannot be."""
        if only or ignore or table_specific_configs:
            raise ArgumentError("tables are learned together: leave out only, ignore and table_specific_configs.")
        if isinstance(config, str):
            self._options = replace(self._options, model=MODELS.get(config.lower(), config))
        self.train()

    def generate(
        self,
        record_size_ratio: float = 1.0,
        preserve_tables: Sequence[str] | None = None,
        identifier: str | None = None,
        resume: bool = False,
    ) -> dict[str, Any]:
        """Draw tables of so many times the rows, as the kind of frame that came in.

        preserve_tables: come out as they are; the others are learned anew, so that their keys name those rows.
        """
        if self._synthesizer is None:
            raise ArgumentError("nothing is learned yet: call train() first.")
        synthesizer = self._synthesizer
        if preserve_tables:
            for name in preserve_tables:
                self.relational_data.get_primary_key(name)
            synthesizer = self._fit(preserve_tables, silent)
        drawn = synthesizer.sample(scale=record_size_ratio)
        self.synthetic_output_tables = {name: drawn[name] for name in self.relational_data.list_all_tables()}
        return self.synthetic_output_tables

    def _fit(self, keep: Collection[str], progress: Progress) -> Synthesizer:
        data = self.relational_data._data
        if not data:
            raise ArgumentError("there are no tables: call add_table first.")
        dataset, shape = loosen(*enter(data))
        synthesizer = Synthesizer(self._options)
        synthesizer.fit(dataset, self.relational_data.schema(keep), self._seed, progress)
        synthesizer.shape = shape.tell(lambda name, column: rare_values(dataset[name], column, self._options))
        return synthesizer

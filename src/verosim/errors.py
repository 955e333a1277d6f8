"""The errors that verosim raises, all of one tree.

    VerosimError
    ├── ArgumentError        a call's argument is wrong
    ├── DataError            the data cannot be used as it is: names table, column and row
    ├── FileError            a file cannot be read or written
    │   ├── ModelFileError   a saved model was cut, changed, or made by a newer version
    │   └── DatabaseError    a database cannot be reached, read or written
    ├── SchemaError          a schema, or a rule in it, is wrong or contradicts the data
    ├── RuleError            the asked rows cannot be made to hold a rule
    ├── TrainingError        a network cannot be trained on the data
    ├── NotFittedError       sampling or saving before `fit`
    └── MissingExtraError    an optional part of verosim is not installed

Every message says what was wanted, what came, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class VerosimError(Exception):
    """Any error of verosim's own; the command line prints it as one line and exits with code 2."""


class ArgumentError(VerosimError, ValueError):
    """A call's argument is wrong."""


class DataError(VerosimError, ValueError):
    """The data cannot be used as it is.

    `table`, `column` and `row` (counted from 0) say where; `fix` says what to do.
    """

    def __init__(
        self,
        reason: str,
        *,
        table: str | None = None,
        column: object = None,
        row: int | None = None,
        fix: str | None = None,
    ) -> None:
        self.reason, self.table, self.column, self.row, self.fix = reason, table, column, row, fix
        places = [
            f"table {table!r}" if table else "",
            f"column {column!r}" if column is not None else "",
            f"row {row}" if row is not None else "",
        ]
        where = ", ".join(filter(None, places))
        super().__init__((f"{where}: " if where else "") + reason + (f" {fix}" if fix else ""))


class FileError(VerosimError, OSError):
    """A file cannot be read or written."""


class ModelFileError(FileError):
    """A saved model was cut, changed, or made by a newer version."""


class DatabaseError(FileError):
    """A database cannot be reached, read or written; the message shows its URL without the password."""


class SchemaError(VerosimError, ValueError):
    """A schema, or a rule in it, is wrong or contradicts the data."""


class RuleError(VerosimError, ValueError):
    """The asked rows cannot be made to hold a rule."""


class TrainingError(VerosimError, RuntimeError):
    """A network cannot be trained on the data."""


class NotFittedError(VerosimError, RuntimeError):
    """Sampling or saving before `fit`."""


class MissingExtraError(VerosimError, ImportError):
    """An optional part of verosim is not installed; the message says what to install."""


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """A hint for a misspelt name: `did you mean 'age'?` or the names there are.

    >>> did_you_mean("agee", ["age", "sex"])
    "did you mean 'age'?"
    """
    names = [str(k) for k in known]
    close = get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(repr(n) for n in names[:8])
    return f"there are {shown}{' ...' if len(names) > 8 else '.'}" if names else "there are none."

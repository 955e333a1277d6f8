"""Where a database is: a URL, or the file of an embedded one; how to reach it, and to speak of it without passwords.

    sqlite:///clinic.db     clinic.db         relative to here; four slashes for a path from the root
    postgresql://ann@host:5432/clinic         the password: in the URL, or in VEROSIM_DB_PASSWORD or PGPASSWORD
    mysql://ann:secret@host/clinic            mariadb:// as well; VEROSIM_DB_PASSWORD or MYSQL_PWD
    duckdb:///clinic.duckdb, mssql://, oracle://, and postgresql+psycopg:// where another driver is wanted

Nothing here imports SQLAlchemy before a database is really opened.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from verosim.errors import ArgumentError, DatabaseError, MissingExtraError, did_you_mean
from verosim.files.disk import load

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Driver:
    """The library that speaks to a kind of database, where the URL names none."""

    name: str  # as SQLAlchemy calls it
    module: str
    install: str  # what pip is to install
    user: tuple[str, ...] = ()  # environment variables that hold the user, the first that is set
    password: tuple[str, ...] = ()
    embedded: bool = False  # a database is a file


@dataclass(frozen=True, slots=True)
class Pick:
    """What of a database is read: by default all rows of all tables of the schema that the user lands in."""

    schema_name: str | None = None  # another schema, such as sales
    tables: tuple[str, ...] = ()  # by name
    sample_rows: int | None = None  # of each table at most so many, drawn at random, whose parents were drawn too

    def __post_init__(self) -> None:
        if isinstance(self.tables, str) or not all(isinstance(name, str) for name in self.tables):
            raise ArgumentError(f"tables: a list of names was wanted, such as ['orders'], not {self.tables!r}.")
        if self.sample_rows is not None and (type(self.sample_rows) is not int or self.sample_rows < 1):
            raise ArgumentError(f"sample_rows: a whole number of 1 or more was wanted, not {self.sample_rows!r}.")


DRIVERS: Final = {
    "sqlite": Driver("pysqlite", "sqlite3", "verosim[sql]", embedded=True),
    "duckdb": Driver("", "duckdb_engine", "verosim[duckdb]", embedded=True),
    "postgresql": Driver("pg8000", "pg8000", "verosim[postgresql]", ("PGUSER",), ("PGPASSWORD",)),
    "mysql": Driver("pymysql", "pymysql", "verosim[mysql]", (), ("MYSQL_PWD",)),
    "mariadb": Driver("pymysql", "pymysql", "verosim[mysql]", (), ("MYSQL_PWD",)),
    "mssql": Driver("pyodbc", "pyodbc", "pyodbc"),
    "oracle": Driver("oracledb", "oracledb", "oracledb"),
}
SUFFIXES: Final = {"db": "sqlite", "sqlite": "sqlite", "sqlite3": "sqlite", "duckdb": "duckdb"}  # of embedded databases
_ALIASES: Final = {"postgres": "postgresql"}
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9]*)(\+\w+)?:/(/?)")
_SECRET: Final = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token|key|connect)[^=&]*=)[^&]*", re.IGNORECASE)

# what a driver says -> what to do about it
_ADVICE: Final = (
    (r"password|access denied|authentication|login failed",
     "Check user and password: they stand in the URL, or in VEROSIM_DB_USER and VEROSIM_DB_PASSWORD."),
    (r"can't (create a connection|connect)|refused|timed out|unreachable|name or service|could not translate",
     "Is the server running, and are host and port right?"),
    (r'database "[^"]*" does not exist|unknown database', "Check the name after the last slash of the URL."),
    (r"permission denied|command denied|readonly|read-only|not authorized",
     "The user lacks the right to do this: reading needs SELECT, writing CREATE and INSERT."),
    (r"database is locked", "Another program writes to it: let it end, and try again."),
)  # fmt: skip


# ---------------------------------------------------------------------------------------------- names, without opening


def is_database(place: object) -> bool:
    """Whether a place is a database: a URL, or a file whose suffix says so.

    >>> [is_database(place) for place in ("sqlite:///clinic.db", "clinic.db", "adult.csv", "postgresql://host/db")]
    [True, True, False, True]
    """
    if not isinstance(place, str | Path) or str(place) == "-":
        return False
    return bool(_SCHEME.match(str(place))) or Path(place).suffix.lower().lstrip(".") in SUFFIXES


def shown(place: object) -> str:
    """A place as it may be printed: a URL without its secrets.

    >>> shown("postgresql://ann:secret@host/clinic?sslpassword=x")
    'postgresql://ann:***@host/clinic?sslpassword=***'
    """
    text = str(place)
    if not _SCHEME.match(text):
        return text
    return _SECRET.sub(r"\1***", re.sub(r"(:/+[^:@/]*):.*@", r"\1:***@", text))


def kind_of(place: str | Path) -> str:
    """sqlite, postgresql ...: what kind of database a place is. Raises DatabaseError for a URL of no known kind."""
    match = _SCHEME.match(str(place))
    if match is None:
        return SUFFIXES[Path(place).suffix.lower().lstrip(".")]
    name = _ALIASES.get(match[1].lower(), match[1].lower())
    if name not in DRIVERS:
        raise DatabaseError(f"{shown(place)}: no database is called {match[1]!r}; {did_you_mean(name, DRIVERS)}")
    if not match[3]:
        rest = str(place)[match.end() :]
        raise DatabaseError(f"{shown(place)}: a URL was wanted: {name}://{'/' if DRIVERS[name].embedded else ''}{rest}")
    return name


def file_of(place: str | Path) -> Path | None:
    """The file of an embedded database; None for one on a server. Raises DatabaseError where no file is named."""
    if not DRIVERS[kind_of(place)].embedded:
        return None
    if not _SCHEME.match(str(place)):
        return Path(place)
    rest = unquote(str(place).partition("://")[2].partition("?")[0])
    if not rest.startswith("/") or rest in ("/", "/:memory:"):
        kind = kind_of(place)
        hint = f"{kind}:///{rest.lstrip('/')}" if rest.strip("/") not in ("", ":memory:") else f"{kind}:///clinic.db"
        raise DatabaseError(f"{shown(place)}: a file was wanted, after three slashes: {hint}")
    return Path(rest[1:])


def named(place: str | Path) -> Path:
    """The file by whose name others are called: clinic.report.json for clinic.db, and for postgresql://host/clinic."""
    if not is_database(place):
        return Path(place)
    file = file_of(place)
    if file is not None:
        return file
    name = unquote(str(place).partition("://")[2].partition("/")[2].partition("?")[0])
    return Path((re.sub(r"[^\w.-]+", "-", name) or "database") + ".db")


def same(one: str | Path, other: str | Path) -> bool:
    """Whether two places are one database, or one file, by whatever name."""
    files = [file_of(place) if is_database(place) else Path(place) for place in (one, other)]
    if files[0] and files[1]:
        both = files[0].exists() and files[1].exists()
        return files[0].samefile(files[1]) if both else files[0].resolve() == files[1].resolve()
    if files[0] or files[1]:
        return False
    urls = [url_of(place) for place in (one, other)]
    hosts = {(url.host or "localhost").lower().replace("127.0.0.1", "localhost") for url in urls}
    return len(hosts) == len({(kind_of(one), u.port or _port(u), u.database) for u in urls}) == 1


def _port(url: sa.URL) -> int | None:
    return {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}.get(url.get_backend_name())


# ------------------------------------------------------------------------------------------------- opening


def url_of(place: str | Path) -> sa.URL:
    """The URL with its driver, and with user and password from the environment where it has none of its own."""
    kind = kind_of(place)
    driver = DRIVERS[kind]
    if find_spec("sqlalchemy") is None:
        raise MissingExtraError(f"databases need SQLAlchemy: pip install '{driver.install}'")
    import sqlalchemy as sa

    file = file_of(place)
    if file is not None and not _SCHEME.match(str(place)):
        return sa.URL.create(_drivername(kind, driver), database=str(file))
    try:
        url = sa.make_url(str(place))
    except (sa.exc.ArgumentError, ValueError):
        fix = "In a password, write @ as %40, / as %2F and : as %3A."
        raise DatabaseError(f"{shown(place)}: not a URL that can be read. {fix}") from None
    if "+" not in url.drivername:
        url = url.set(drivername=_drivername(kind, driver))
    if driver.embedded:
        return url
    if not url.database and kind not in ("mssql", "oracle"):
        raise DatabaseError(f"{shown(place)}: names no database; write {kind}://user@host/database")
    user = url.username or _from_environment("VEROSIM_DB_USER", *driver.user)
    return url.set(username=user, password=url.password or _from_environment("VEROSIM_DB_PASSWORD", *driver.password))


def _drivername(kind: str, driver: Driver) -> str:
    if find_spec(driver.module) is None:
        raise MissingExtraError(f"{kind} databases need {driver.module}: pip install '{driver.install}'")
    return f"{kind}+{driver.name}" if driver.name else kind


def _from_environment(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


@contextlib.contextmanager
def opened(place: str | Path, *, write: bool = False) -> Iterator[sa.Connection]:
    """A connection with a transaction begun: read-only, of one state of the data, or to write.

    What is written is kept where the block ends well. Raises DatabaseError with what the database or driver says.
    """
    import sqlalchemy as sa

    url, file = url_of(place), file_of(place)
    if file is not None and not write and not file.is_file():
        load(file)  # says which name is near
    options: dict[str, Any] = {"poolclass": sa.NullPool, "hide_parameters": True}
    kind = url.get_backend_name()
    if kind == "sqlite" and file is not None:
        url, options["creator"] = url.set(database=None, query={}), lambda: _sqlite(file, write)
    if kind == "duckdb":
        options["connect_args"] = {"read_only": not write}
    try:
        engine = sa.create_engine(url, **options)
    except (sa.exc.NoSuchModuleError, ImportError) as error:
        raise MissingExtraError(f"{shown(place)}: its driver is not installed ({error}).") from error
    except (sa.exc.ArgumentError, TypeError) as error:
        raise DatabaseError(f"{shown(place)}: not a URL that can be used ({error}).") from None
    with speaking(place), engine.connect() as connection:
        for statement in _BEGIN.get((kind, write), ()):
            connection.exec_driver_sql(statement)
        if kind == "duckdb":  # SQLAlchemy has PostgreSQL's list of the words to be quoted
            words = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'"
            connection.dialect.identifier_preparer.reserved_words = {*connection.exec_driver_sql(words).scalars()}
        yield connection
        if write:
            connection.commit()


# a transaction that sees one state of the data; SQLite's driver would leave CREATE TABLE out of the one it begins
_BEGIN: Final = {
    ("sqlite", False): ["BEGIN"],
    ("sqlite", True): ["BEGIN IMMEDIATE"],
    ("postgresql", False): ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"],
    ("mysql", False): ["START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"],
    ("mariadb", False): ["START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"],
    ("oracle", False): ["SET TRANSACTION READ ONLY"],
}


def _sqlite(file: Path, write: bool) -> sqlite3.Connection:
    uri = f"file:{quote(str(file.absolute()))}?mode={'rwc' if write else 'ro'}"
    return sqlite3.connect(uri, uri=True, isolation_level=None)


@contextlib.contextmanager
def speaking(place: str | Path) -> Iterator[None]:
    """Errors of the database as DatabaseError, with the place, what was said, and what to do."""
    import sqlalchemy as sa

    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise DatabaseError(f"{shown(place)}: {said(error)}") from error


def said(error: sa.exc.SQLAlchemyError) -> str:
    """What the driver said, in one line, with advice where there is some."""
    import sqlalchemy as sa

    original = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig else error
    what = original.args[-1] if original.args else original
    if isinstance(what, dict):  # pg8000: the fields of PostgreSQL's answer
        what = ". ".join(str(what[field]).rstrip(".") for field in ("M", "D") if field in what)
    text = " ".join(str(what).split()).rstrip(".")
    advice = next((fix for pattern, fix in _ADVICE if re.search(pattern, text, re.IGNORECASE)), "")
    return f"{text}. {advice}".rstrip()


def refuses_rows(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether rows break a key or a constraint."""
    import sqlalchemy as sa

    answer = error.orig.args[0] if isinstance(error, sa.exc.DBAPIError) and error.orig and error.orig.args else None
    state = str(answer.get("C")) if isinstance(answer, dict) else str(getattr(error, "orig", ""))  # pg8000's way
    return isinstance(error, sa.exc.IntegrityError) or state.startswith("23")

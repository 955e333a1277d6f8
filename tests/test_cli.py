"""The command line as a user meets it: what is printed where, exit codes, files whole or not there at all."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

import verosim as vs
from verosim.cli import main

COMMANDS = ["synth", "fit", "sample", "inspect"]
SRC = str(Path(vs.__file__).parents[1])
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"PYTHONPATH": SRC, "COLUMNS": "200"}
VEROSIM = [sys.executable, "-m", "verosim.cli"]

PEOPLE = "".join(
    f"{i:05d};{18 + i * 7 % 60};{i * 3 % 40 + 0.5:.2f}".replace(".", ",")
    + f";{1 + i % 28:02d}/{1 + i % 12:02d}/2024;{'yes' if i % 3 else 'no'};{['Oslo', 'Rome', 'NA'][i % 3]}\r\n"
    for i in range(120)
)
HEAD = "number;age;price;day;member;city\r\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a semicolon file of decimal commas, days first, yes/no, leading zeros and NA for missing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_bytes((HEAD + PEOPLE).encode())
    return tmp_path


Ran = tuple[int, str, str]


@pytest.fixture
def verosim(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Ran]:
    """Runs a command in this process: its exit code, standard output and standard error."""

    def run(*arguments: object) -> Ran:
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in arguments])
        printed = capfdbinary.readouterr()
        return int(stopped.value.code or 0), printed.out.decode(), printed.err.decode()

    return run


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


QUICK = ["--model", "independent", "--seed", "7"]


# ----------------------------------------------------------------------------------------------------- the commands


def test_synth_writes_rows_and_report_and_says_so(home: Path, verosim: Callable[..., Ran]) -> None:
    code, out, err = verosim("synth", "people.csv")
    assert (code, err) == (0, "")
    assert names(home) == ["people.csv", "people.report.html", "people.synthetic.csv"]
    for word in ("people: synthetic 108, train 108, hold-out 12 rows", "shape", "auc_unseen", "dcr", "copies",
                 "wrote 120 rows to people.synthetic.csv and people.report.html", "next: verosim inspect"):  # fmt: skip
        assert word in out


def test_the_new_file_looks_like_the_old_one(home: Path, verosim: Callable[..., Ran]) -> None:
    assert verosim("synth", "people.csv", *QUICK, "--rows", 200)[0] == 0
    head, *rows, last = (home / "people.synthetic.csv").read_bytes().decode().split("\r\n")
    assert (head + "\r\n", len(rows), last) == (HEAD, 200, "")
    form = re.compile(r"\d{5};\d\d;\d\d?,\d\d;\d\d/\d\d/2024;(yes|no);(Oslo|Rome|NA)")
    assert [row for row in rows if not form.fullmatch(row)] == []


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("x.csv", lambda p: pl.read_csv(p, separator=";")),
        ("x.tsv", lambda p: pl.read_csv(p, separator="\t")),
        ("x.csv.gz", lambda p: pl.read_csv(gzip.decompress(p.read_bytes()), separator=";")),
        ("x.parquet", pl.read_parquet),
        ("x.arrow", pl.read_ipc),
        ("x.xlsx", pl.read_excel),
        ("x.json", pl.read_json),
        ("x.jsonl", pl.read_ndjson),
        ("x.jsonl.zst", pl.read_ndjson),
    ],
)
def test_the_suffix_says_the_format(
    home: Path, verosim: Callable[..., Ran], name: str, read: Callable[[Path], pl.DataFrame]
) -> None:
    code, _, err = verosim("synth", "people.csv", *QUICK, "--rows", 20, "--out", home / name)
    assert (code, err) == (0, "")
    frame = read(home / name)
    assert frame.shape == (20, 6)
    assert frame.columns == HEAD.strip().split(";")
    assert (home / "people.report.html").exists()


def test_fit_and_sample_give_the_rows_of_synth(home: Path, verosim: Callable[..., Ran]) -> None:
    assert verosim("synth", "people.csv", *QUICK, "--rows", 300)[0] == 0
    code, out, _ = verosim("fit", "people.csv", *QUICK)
    assert code == 0
    assert "wrote the model to people.verosim" in out
    assert "next: verosim sample people.verosim" in out
    code, out, _ = verosim("sample", "people.verosim", "--rows", 300, "--out", "again.csv")
    assert (code, out) == (0, "wrote 300 rows to again.csv\n")
    assert Path("again.csv").read_bytes() == Path("people.synthetic.csv").read_bytes()
    assert verosim("sample", "people.verosim", "--rows", 100, "--workers", 1, "-o", "few.csv")[0] == 0
    assert Path("again.csv").read_bytes().startswith(Path("few.csv").read_bytes())
    assert verosim("sample", "people.verosim", "--scale", 0.5)[0] == 0
    assert len(Path("people.synthetic.csv").read_text().splitlines()) == 61
    assert verosim("sample", "people.verosim", "--seed", 8, "-o", "other.csv")[0] == 0
    assert Path("other.csv").read_bytes() != Path("again.csv").read_bytes()


def test_inspect_writes_a_schema_that_can_be_edited_and_given_back(home: Path, verosim: Callable[..., Ran]) -> None:
    code, out, err = verosim("inspect", "people.csv")
    assert (code, err) == (0, "")
    assert "wrote people.schema.yaml" in out
    assert "number" in out
    schema = yaml.safe_load(Path("people.schema.yaml").read_text())
    assert schema["tables"]["people"]["columns"]["age"]["kind"] == "number"
    schema["tables"]["people"]["columns"]["age"] |= {"minimum": 40, "maximum": 90}
    schema["tables"]["people"].pop("rules", None)
    Path("mine.yaml").write_text(yaml.safe_dump(schema))
    assert verosim("synth", "people.csv", *QUICK, "--schema", "mine.yaml")[0] == 0
    ages = pl.read_csv("people.synthetic.csv", separator=";")["age"]
    assert ages.min() >= 40
    assert verosim("inspect", "people.csv", "--schema", "mine.yaml", "--out", "full.json")[0] == 0
    assert json.loads(Path("full.json").read_text())["tables"]["people"]["columns"]["age"]["minimum"] == 40


def test_an_edited_schema_is_not_written_over(home: Path, verosim: Callable[..., Ran]) -> None:
    assert "wrote people.schema.yaml" in verosim("inspect", "people.csv")[1]
    assert "wrote people.schema.yaml" in verosim("inspect", "people.csv")[1]  # the same: nothing is lost
    Path("people.schema.yaml").write_text("mine")
    code, out, _ = verosim("inspect", "people.csv")
    assert code == 0
    assert "kept people.schema.yaml, which says otherwise" in out
    assert Path("people.schema.yaml").read_text() == "mine"
    assert verosim("inspect", "people.csv", "--out", "people.schema.yaml")[0] == 0
    assert Path("people.schema.yaml").read_text().startswith("verosim: schema 1")


def test_a_folder_of_tables(home: Path, verosim: Callable[..., Ran]) -> None:
    (home / "shop").mkdir()
    for name in ("a", "b"):
        pl.DataFrame({"x": [1, 2, 3] * 20, "y": list("abcdef") * 10}).write_csv(home / "shop" / f"{name}.csv")
    assert verosim("synth", "shop", *QUICK, "--scale", 2, "--report", "shop.report.json")[0] == 0
    assert names(home / "shop-synthetic") == ["a.csv", "b.csv"]
    assert set(json.loads(Path("shop.report.json").read_text())["tables"]) == {"a", "b"}
    assert verosim("fit", "shop", *QUICK)[0] == 0
    assert verosim("sample", "shop.verosim", "--scale", 2, "-o", "again")[0] == 0
    for name in ("a.csv", "b.csv"):
        assert (home / "again" / name).read_bytes() == (home / "shop-synthetic" / name).read_bytes()


def test_names_with_dots_and_packed_inputs(home: Path, verosim: Callable[..., Ran]) -> None:
    (home / "my.people.v2.csv.gz").write_bytes(gzip.compress((HEAD + PEOPLE).encode()))
    assert verosim("synth", "my.people.v2.csv.gz", *QUICK)[0] == 0
    assert gzip.decompress(Path("my.people.v2.synthetic.csv.gz").read_bytes()).startswith(HEAD.encode())
    assert Path("my.people.v2.report.html").exists()
    assert verosim("fit", "my.people.v2.csv.gz", *QUICK)[0] == 0
    assert verosim("sample", "my.people.v2.verosim")[1].endswith("to my.people.v2.synthetic.csv.gz\n")


# ------------------------------------------------------------------------------------------ what is printed, and where


def test_json_is_all_of_standard_output(home: Path, verosim: Callable[..., Ran]) -> None:
    for command in (
        ["synth", "people.csv", *QUICK, "--json"],
        ["synth", "people.csv", *QUICK, "--json", "--quiet"],
        ["fit", "people.csv", *QUICK, "--json", "--report", "r.json"],
        ["sample", "people.verosim", "--rows", "10", "--json"],
        ["inspect", "people.csv", "--json"],
    ):
        code, out, err = verosim(*command)
        assert (code, err) == (0, "")
        found = json.loads(out)
        assert found.get("out") in ("people.synthetic.csv", "people.verosim", None)
        if command[0] in ("synth", "fit"):
            assert found["tables"]["people"]["measures"]["shape"]["value"] is not None
            assert Path(found["report"]).exists()
            assert any(note.startswith("price: ") for note in found["notes"])


def test_quiet_prints_nothing(home: Path, verosim: Callable[..., Ran]) -> None:
    for command in (
        ["synth", "people.csv", *QUICK],
        ["fit", "people.csv", *QUICK],
        ["sample", "people.verosim"],
        ["inspect", "people.csv"],
    ):
        assert verosim(*command, "-q") == (0, "", "")
    assert verosim("synth", "none.csv", "--quiet")[2] != ""  # but errors


def test_notes_of_a_wide_table_are_a_few_lines_and_all_in_the_report(home: Path, verosim: Callable[..., Ran]) -> None:
    pl.DataFrame({f"c{j}": [i * (j + 3) % 89 + 0.25 for i in range(60)] for j in range(30)}).write_csv("wide.csv")
    _, out, _ = verosim("synth", "wide.csv", *QUICK, "--report", "wide.report.json")
    assert out.count("note: ") <= 6
    assert "note: c0, c1, c2, c3, c4, c5 and 24 more columns: some values are held by fewer than 5 people: " in out
    notes = json.loads(Path("wide.report.json").read_text())["notes"]
    assert sum(note.startswith("c") for note in notes) == 30


def test_rows_on_standard_output_and_messages_elsewhere(
    home: Path, verosim: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = verosim("synth", "people.csv", *QUICK, "--rows", 30, "--out", "-")
    assert code == 0
    assert len(out.splitlines()) == 31
    assert pl.read_csv(io.StringIO(out), separator=";").height == 30
    assert "wrote 30 rows to standard output" in err
    assert "note: " in err
    assert names(home) == ["people.csv"]
    assert verosim("synth", "people.csv", *QUICK, "--rows", 30, "-o", "-", "-q") == (0, out, "")
    assert verosim("fit", "people.csv", *QUICK, "-q")[0] == 0
    assert verosim("sample", "people.verosim", "--rows", 30, "-o", "-", "-q") == (0, out, "")


def piped(*arguments: str, given: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*VEROSIM, *arguments], input=given, capture_output=True, env={**CLEAN, **env})


def test_standard_input(home: Path) -> None:
    real = (HEAD + PEOPLE).encode()
    done = piped("synth", "-", *QUICK, "-q", "--out", "-", given=real)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(HEAD.encode())
    done = piped("synth", "-", *QUICK, "--out", "new.csv", given=real)
    assert done.returncode == 0, done.stderr
    assert names(home) == ["new.csv", "new.report.html", "people.csv"]
    done = piped("synth", "-", given=real)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--out" in done.stderr
    done = piped("inspect", "-", given=real, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert names(home) == ["new.csv", "new.report.html", "people.csv"]


def test_letters_that_the_terminal_lacks(home: Path) -> None:
    pl.DataFrame({"größe 🦉": [1, 2, 3] * 10, "[red]": ["a", "b"] * 15}).write_csv("odd.csv")
    done = piped("inspect", "odd.csv", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"gr\\xf6" in done.stdout
    assert b"[red]" in done.stdout
    assert piped("synth", "odd.csv", *QUICK, PYTHONIOENCODING="ascii").returncode == 0


@pytest.mark.parametrize("command", [["synth", "people.csv", *QUICK, "--rows", "90000", "-o", "-"], ["inspect", "-"]])
def test_a_reader_that_has_enough_is_no_error(home: Path, command: list[str]) -> None:
    with subprocess.Popen([*VEROSIM, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=CLEAN) as running:  # fmt: skip
        assert running.stdin
        assert running.stdout
        assert running.stderr
        running.stdin.write((HEAD + PEOPLE).encode())
        running.stdin.close()
        assert running.stdout.read(1) != b""
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0
    assert names(home) == ["people.csv"]


# ------------------------------------------------------------------------------------------------------------ help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str, verosim: Callable[..., Ran]) -> None:
    code, out, err = verosim(command, "--help")
    assert (code, err) == (0, "")
    assert f"Example: verosim {command} " in " ".join(out.split())


def test_without_words_there_is_help(verosim: Callable[..., Ran]) -> None:
    code, out, err = verosim()
    assert (code, err) == (0, "")
    assert all(command in out for command in COMMANDS)
    assert verosim("--help")[1].split() == out.split()
    assert verosim("--version")[1].startswith("verosim ")


@pytest.mark.parametrize(
    "code", ["import verosim", "import verosim.cli", "import verosim.cli as c; c.main(['--help'])"]
)
def test_what_is_not_needed_is_not_imported(code: str) -> None:
    """That the import is quick: without these it takes a tenth of a second or two."""
    heavy = [
        "polars",
        "pandas",
        "pyarrow",
        "sqlglot",
        "yaml",
        "fastexcel",
        "xlsxwriter",
        "safetensors",
        "verosim.codec",
    ]
    check = f"import sys, atexit; atexit.register(lambda: print('LOADED', [m for m in {heavy} if m in sys.modules]))\n"
    done = subprocess.run([sys.executable, "-c", check + code], capture_output=True, text=True, env=CLEAN)
    assert done.stdout.splitlines()[-1] == "LOADED []", done.stderr


# ---------------------------------------------------------------------------------------------------------- errors


@pytest.fixture
def used(home: Path, verosim: Callable[..., Ran]) -> Path:
    """The folder with files that are wrong in some way, and a model."""
    assert verosim("fit", "people.csv", *QUICK, "-q")[0] == 0
    (home / "folder").mkdir()
    (home / "empty.csv").touch()
    (home / "bare.csv").write_text("a,b\n")
    (home / "bad.yaml").write_text("verosim: schema 1\ntables:\n  people: [1\n")
    (home / "unknown.yaml").write_text(
        "verosim: schema 1\ntables: {people: {columns: {agee: {kind: number, dtype: int64}}}}\n"
    )
    (home / "wrong.yaml").write_text("verosim: schema 2\ntables: {}\n")
    (home / "locked.csv").write_text("mine")
    (home / "locked.csv").chmod(0o444)
    (home / "link.csv").symlink_to("people.csv")
    (home / "cut.verosim").write_bytes((home / "people.verosim").read_bytes()[:500])
    return home


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("synth none.csv", "did you mean"),
        ("synth nowhere/none.csv", "there is no such file"),
        ("synth folder", "no data files in this folder"),
        ("synth empty.csv", "is empty"),
        ("synth bare.csv", "has no rows"),
        ("synth people.verosim", "suffix"),
        ("synth people.csv --out people.csv", "this is an input"),
        ("synth people.csv --out link.csv", "this is an input"),
        ("synth people.csv --out ./folder/../people.csv", "this is an input"),
        ("synth people.csv --report people.csv", "this is an input"),
        ("synth people.csv --out x.csv --report x.csv", "cannot be one file"),
        ("synth people.csv --schema unknown.yaml --out unknown.yaml", "this is an input"),
        ("synth people.csv --out nowhere/x.csv", "there is no folder"),
        ("synth people.csv --out x.doc", "suffix"),
        ("synth people.csv --report nowhere/x.json", "there is no folder"),
        ("synth people.csv --schema none.yaml", "none.yaml"),
        ("synth people.csv --schema bad.yaml", "bad.yaml: line"),
        ("synth people.csv --schema unknown.yaml", "did you mean 'age'"),
        ("synth people.csv --schema wrong.yaml", "schema 1"),
        ("synth people.csv --schema people.csv", "people.csv"),
        ("synth people.csv --unit agee", "did you mean 'age'"),
        ("synth people.csv --rows 5 --scale 2", "not both"),
        ("synth people.csv --rows -1", "--rows"),
        ("synth people.csv --rows x", "--rows"),
        ("synth people.csv --scale nan", "scale"),
        ("synth people.csv --scale inf", "scale"),
        ("synth people.csv --seed x", "--seed"),
        ("synth people.csv --seed -1", "--seed"),
        ("synth people.csv --k 0", "--k"),
        ("synth people.csv --holdout 1.5", "--holdout"),
        ("synth people.csv --model chian", "chain"),
        ("synth people.csv --workers -1", "--workers"),
        ("synth people.csv --json --out -", "--json"),
        ("synth people.csv --sed 5", "--seed"),
        ("synth people.csv more.csv", "more.csv"),
        ("synth", "verosim synth --help"),
        ("synt people.csv", "synth"),
        ("fit people.csv --out people.csv", "this is an input"),
        ("fit people.csv --out folder", "is a folder"),
        ("fit people.csv --out -", "standard output"),
        ("fit people.csv --rows 5", "--rows"),
        ("sample none.verosim", "there is no such model file"),
        ("sample people.csv", "not a whole verosim model"),
        ("sample cut.verosim", "not a whole verosim model"),
        ("sample folder", "cannot be read"),
        ("sample people.verosim --out people.verosim", "this is an input"),
        ("sample people.verosim --rows 5 --scale 2", "not both"),
        ("sample people.verosim --rows 200000", "number"),
        ("inspect none.csv", "there is no such file"),
        ("inspect people.csv --out people.csv", "this is an input"),
        ("inspect people.csv --out nowhere/x.yaml", "there is no folder"),
        ("inspect people.csv --out folder", "is a folder"),
    ],
)
def test_an_error_is_one_line(used: Path, verosim: Callable[..., Ran], command: str, says: str) -> None:
    before = {p.name: p.read_bytes() for p in used.iterdir() if p.is_file()}
    code, out, err = verosim(*command.split())
    assert (code, out) == (2, "")
    assert err.startswith("verosim: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert says in err
    assert {p.name: p.read_bytes() for p in used.iterdir() if p.is_file()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_protected_target_is_refused_before_the_work(used: Path, verosim: Callable[..., Ran]) -> None:
    assert "write-protected" in verosim("synth", "people.csv", "--out", "locked.csv")[2]


def test_a_column_in_two_forms_names_its_place(home: Path, verosim: Callable[..., Ran]) -> None:
    (home / "x.csv").write_text("a,b\n1,2\n3\n")
    code, _, err = verosim("synth", "x.csv")
    assert code == 2
    assert "table 'x', row 1: line 3 has 1 cells" in err
    assert err.count("\n") == 1


# -------------------------------------------------------------------------------------------------------- stopping


def stopped(arguments: list[str], how: signal.Signals, ready: Callable[[], Any]) -> tuple[int, str]:
    """Exit code and messages of a command that is sent a signal as soon as it is ready for it."""
    with subprocess.Popen([*VEROSIM, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=CLEAN,
                          text=True) as running:  # fmt: skip
        while running.poll() is None and not ready():
            time.sleep(0.01)
        assert running.poll() is None, "it was done before it could be stopped"
        running.send_signal(how)
        _, err = running.communicate(timeout=60)
    return running.returncode, err


STOPPED = "verosim: stopped; nothing was left half-written.\n"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_writing(home: Path, verosim: Callable[..., Ran], how: signal.Signals) -> None:
    assert verosim("fit", "people.csv", *QUICK, "-q")[0] == 0
    (home / "out.parquet").write_bytes(b"old")
    there = names(home)
    pl.read_csv("people.csv", separator=";", infer_schema=False).drop("number").write_csv("plain.csv")
    assert verosim("fit", "plain.csv", *QUICK, "-q")[0] == 0  # without ids, of which there are only so many
    there = names(home)
    command = ["sample", "plain.verosim", "--rows", "1000000000", "--out", "out.parquet"]
    begun = lambda: any(p.suffix == ".part" and p.stat().st_size for p in home.iterdir())  # noqa: E731
    assert stopped(command, how, begun) == (130, STOPPED)
    assert names(home) == there
    assert (home / "out.parquet").read_bytes() == b"old"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_learning(home: Path, how: signal.Signals) -> None:
    """The input is a pipe that is read to its end: from then on it learns, for longer than we wait."""
    os.mkfifo(home / "pipe.csv")
    rows = "".join(f"{i},{i * i % 997},{i * 31 % 1009},{i % 7}\n" for i in range(100_000))
    arguments = ["synth", "pipe.csv", "--out", "new.csv"]
    with subprocess.Popen([*VEROSIM, *arguments], stderr=subprocess.PIPE, env=CLEAN, text=True) as running:
        with open(home / "pipe.csv", "w") as pipe:
            pipe.write("a,b,c,d\n" + rows)
        time.sleep(0.7)
        assert running.poll() is None, "it was done before it could be stopped"
        running.send_signal(how)
        _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, STOPPED)
    assert names(home) == ["people.csv", "pipe.csv"]

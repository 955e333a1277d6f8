"""The README and docs say what is true: marked blocks run, named commands exist, links lead somewhere.

A block is run when its first line is marked:

    ```python run            runs; the blocks of one page share their names and one folder
    ```text output           after it: what it prints
    ```console run           lines after `$ ` are commands, the others what they print
    ```console run fails     the same, and the last command exits with code 2
    ```yaml run              is a schema, with rules, that can be read

`...` in an output stands for anything. The folder holds `adult.csv`, the first 1,000 rows of the example.
"""

from __future__ import annotations

import doctest
import importlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, fields
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from verosim import expressions, providers, rules
from verosim.schema import KINDS, Column, Schema, parse_yaml

ROOT = Path(__file__).parents[1]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*GUIDES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "examples").rglob("*.md"))]
SOURCES = sorted(p for p in (ROOT / "src" / "verosim").rglob("*.py") if p.name != "__main__.py")

FENCE = re.compile(r"^```(\w+) *([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
COMMAND = re.compile(r"^(?:\$ )?(?:\S*/)?verosim ([a-z]+)\b(.*)$", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
LAUNCHER = f'#!/bin/sh\nexec "{sys.executable}" -c "from verosim.cli import main; main()" "$@"\n'


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    marks: str
    text: str
    line: int  # of its first line, counted from 1

    @property
    def runs(self) -> bool:
        return self.marks.split()[:1] == ["run"]


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(m[1], m[2], m[3], text.count("\n", 0, m.start()) + 2) for m in FENCE.finditer(text)]


def same(wanted: str, printed: str) -> bool:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(wanted, printed, flags)


# ------------------------------------------------------------------------------------------------- blocks run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader stands: the data at hand and `verosim` on the path."""
    pl.read_parquet(ROOT / "examples/data/adult.parquet").head(1000).write_csv(tmp_path / "adult.csv")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    launcher = tmp_path / "bin" / "verosim"
    launcher.parent.mkdir()
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", f"{launcher.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_python(block: Block, page: Path, names: dict[str, Any]) -> str:
    """What the block prints. Its line numbers are those of the page, so that a failure points into it."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile("\n" * (block.line - 1) + block.text, page, "exec"), names)
    return printed.getvalue()


def run_console(block: Block, page: Path) -> None:
    commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    for number, text in enumerate(commands, start=1):
        command, _, wanted = text.partition("\n")
        done = subprocess.run(
            command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        fails = "fails" in block.marks and number == len(commands)
        assert done.returncode == (2 if fails else 0), f"{page.name}: `{command}` printed:\n{done.stdout}"
        assert not wanted.strip() or same(wanted, done.stdout), f"{page.name}: `{command}` printed:\n{done.stdout}"


@pytest.mark.parametrize("page", GUIDES, ids=lambda p: p.name)
def test_marked_blocks_run_and_print_what_is_shown(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    all_blocks = blocks(page)
    for block, after in zip_longest(all_blocks, all_blocks[1:]):
        if block.runs and block.language == "python":
            printed = run_python(block, page, names)
            if after and (after.language, after.marks) == ("text", "output"):
                assert same(after.text, printed), f"{page.name}, line {block.line}, printed:\n{printed}"
        elif block.runs and block.language == "yaml":
            for table in Schema.from_dict(parse_yaml(block.text)).values():
                rules.parse(table.rules, table)
        elif block.runs:
            assert block.language == "console", f"{page.name}, line {block.line}: cannot run {block.language}"
            run_console(block, page)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_examples_in_docstrings(path: Path, folder: Path) -> None:
    module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0


# ------------------------------------------------------------------------------------------------- what is named exists


@cache
def help_of(*command: str) -> str:
    """What `verosim COMMAND --help` prints, wide enough for nothing to be cut."""
    code = "import sys; sys.argv[0] = 'verosim'; from verosim.cli import main; main()"
    call = [sys.executable, "-c", code, *command, "--help"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(call, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"verosim {' '.join(command)} --help: {done.stderr}"
    return done.stdout


def code_of(page: Path) -> Iterator[str]:
    """Shell blocks (a line that ends in a backslash goes on), and code within sentences."""
    yield from (b.text.replace("\\\n", " ") for b in blocks(page) if b.language in {"console", "shell", "sh", "bash"})
    yield from SPAN.findall(FENCE.sub("", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_named_commands_and_options_exist(page: Path) -> None:
    for code in code_of(page):
        for command, rest in COMMAND.findall(code):
            missing = [o for o in OPTION.findall(rest) if o not in OPTION.findall(help_of(command))]
            assert not missing, f"{page.name}: `verosim {command}` has no {missing}"


def test_cli_page_names_the_options_of_each_command_and_no_other() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    parts = re.split(r"^## verosim (\w+)$", page, flags=re.MULTILINE)[1:]
    told = dict(zip(parts[::2], parts[1::2], strict=True))
    assert {"synth", "fit", "sample", "complete", "impute", "augment", "inspect"} <= set(told)
    for command, text in told.items():
        rows = "\n".join(line for line in text.splitlines() if line.startswith("| `--"))
        assert set(OPTION.findall(rows)) == set(OPTION.findall(help_of(command))) - {"--help"}, command


def test_schema_page_names_all_that_can_stand_in_a_schema() -> None:
    page = set(SPAN.findall((ROOT / "docs/schema.md").read_text(encoding="utf-8")))
    parts = {f.name for f in fields(Column)} - {"name"}
    for known in (KINDS, parts, rules.KINDS, expressions.FUNCTIONS, providers.PROVIDERS, providers.LOCALES):
        assert set(known) <= page


def test_names_of_the_package() -> None:
    """What the pages use as `vs.name` is exported, and what is exported is told somewhere."""
    exported = set(importlib.import_module("verosim").__all__)
    text = "\n".join(p.read_text(encoding="utf-8") for p in GUIDES)
    used = set(re.findall(r"\bvs\.([A-Za-z_]\w*)", text))
    assert used <= exported, f"not exported: {used - exported}"
    untold = {name for name in exported if not re.search(rf"\b{name}\b", text)}
    assert not untold, f"exported, but told on no page: {untold}"


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, as code hosts write them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"(https?|mailto):", link):
            continue
        target, _, anchor = link.partition("#")
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name}: {link} leads nowhere"
        assert not anchor or anchor in anchors(there), f"{page.name}: {link} names no heading"

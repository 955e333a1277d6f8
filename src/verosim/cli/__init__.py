"""The command line: thin commands over run.py. Results go to standard output, progress and errors to standard error.

`common` holds what the commands share, `learned` the commands that learn real data, `declared` those that make it from
recipes, `simulated` the one that simulates, `patients` those about patients, `judged` those that judge,
`reshaped` the one that turns sequences from one shape into another.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from typing import Annotated, Any, Final, NoReturn

import typer

from verosim.cli import declared as declared  # each brings its commands to the app
from verosim.cli import judged as judged
from verosim.cli import learned as learned
from verosim.cli import patients as patients
from verosim.cli import reshaped as reshaped
from verosim.cli import simulated as simulated
from verosim.cli.common import app, err, say
from verosim.errors import VerosimError

WRONG_USE: Final[Any] = typer.BadParameter.__base__  # typer's error for wrong options; its module is no public one


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line: exit code 0 done, 2 something was wrong (one line says what), 130 stopped by Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter shows its number
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: nothing half-written is left
    try:
        sys.exit(_run(arguments))
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(arguments: list[str] | None) -> int:
    """The exit code of the command, with one line on standard error where it failed."""
    try:
        code = app(arguments, prog_name="verosim", standalone_mode=False)
        sys.stdout.flush()
    except (VerosimError, WRONG_USE) as error:
        if isinstance(error.__cause__, BrokenPipeError):
            return _reader_left()
        message = _use(error) if isinstance(error, WRONG_USE) else str(error)
        err.print(f"verosim: {' '.join(message.split())}", markup=False, soft_wrap=True)
        return 2
    except (BrokenPipeError, SystemExit):  # typer turns the one into the other
        return _reader_left()
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    if code == 130:
        err.print("verosim: stopped; nothing was left half-written.")
    return code if isinstance(code, int) else 0


def _use(error: Any) -> str:
    """What was wrong with the words of the command, and where to read how to say it."""
    command = error.ctx.command_path if error.ctx else "verosim"
    return f"{error.format_message().rstrip('.')}. See {command} --help"


def _reader_left() -> int:
    """Whoever read our output has enough: what else is printed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        say(f"verosim {installed_version('verosim')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        say(context.get_help())

"""What a command costs: CPU seconds with those of its children, wall seconds, and peak memory."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = ("verosim", "numpy", "polars", "scikit-learn", "xgboost-cpu", "xgboost")


@dataclass(frozen=True, slots=True)
class Spent:
    cpu_s: float  # user and system, of the process and all its children
    wall_s: float
    peak_mb: float  # of the largest of its processes
    output: str


def spent(*command: str | Path) -> Spent:
    """Run a command to its end and say what it cost. A RuntimeError with its last lines where it fails.

    The command is started by a small process of its own: a process is charged with the peak memory of the one that
    started it, and the caller may be large.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "output"
        starter = [sys.executable, "-I", __file__, str(out), *map(str, command)]
        cost = json.loads(subprocess.run(starter, check=True, stdout=subprocess.PIPE).stdout)
        output = out.read_text(encoding="utf-8", errors="replace")
    if cost.pop("exit_code"):
        raise RuntimeError(f"{Path(command[0]).name} failed: {output[-1500:].strip()}")
    return Spent(**cost, output=output)


def _start(output: str, *command: str) -> None:
    with open(output, "wb") as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)  # it is reaped: Popen need not wait for it
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    cost = {"cpu_s": usage.ru_utime + usage.ru_stime, "wall_s": wall, "peak_mb": usage.ru_maxrss / unit}
    print(json.dumps({"exit_code": process.returncode, **cost}))


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def machine() -> dict[str, Any]:
    """What the numbers were measured on, and with."""
    models = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory[0].split()[1]) / 2**20, 1) if memory else None,
        "python": platform.python_version(),
        **{name: version for name in PACKAGES if (version := _version(name))},
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    _start(*sys.argv[1:])

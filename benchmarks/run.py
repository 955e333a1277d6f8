"""Run all benchmarks, keep their results, and show them in README.md beside the bars.

    python benchmarks/run.py [--seeds 3] [--data FOLDER] [--only speed|quality]

Writes results/DATE.json and results/DATE.md. What needs data or libraries that are not here is skipped, and says so.
With --only, the other half stays as it was measured earlier on the same day.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import quality
import speed
from spent import machine

HERE = Path(__file__).resolve().parent
START, END = "<!-- newest results: written by run.py -->", "<!-- end of results -->"


def table(result: dict[str, Any]) -> str:
    """All results as Markdown, each beside its bar."""
    hardware = {k: v for k, v in result["machine"].items() if v is not None}
    lines = [f"{result['date']}, " + ", ".join(f"{k} {v}" for k, v in hardware.items()), ""]
    if result["speed"]:
        lines += ["| speed | bar | CPU s | peak MB | |", "|---|---|---|---|---|", *_speed_rows(result["speed"]), ""]
    if result["quality"]:
        sets = list(result["quality"])
        lines += [f"| quality (bar) | {' | '.join(sets)} |", "|---" * (len(sets) + 1) + "|"]
        lines += [*_quality_rows({name: quality.means(r) for name, r in result["quality"].items()})]
    else:
        lines.append(f"Quality: none, {result['skipped'] or 'every fit failed'}.")
    return "\n".join(lines) + "\n"


def _speed_rows(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    for r in results.values():
        if "error" in r:
            yield f"| {r['what']} | {r['bar']} | failed | | not met |"
        else:
            rate = (
                f" ({r['rows_per_cpu_s']:,} rows a CPU s, {r['rows_per_wall_s']:,} a s)"
                if "rows_per_cpu_s" in r
                else ""
            )
            met = "met" if r["met"] else "**not met**"
            yield f"| {r['what']} | {r['bar']} | {r['cpu_s']:.2f}{rate} | {r['peak_mb']:,} | {met} |"


def _quality_rows(means: dict[str, dict[str, float]]) -> Iterator[str]:
    """One row a measure; a value that misses its bar is bold."""
    for measure, bars in quality.BARS.items():
        cells = []
        for name, mean in means.items():
            value, bar = mean[measure], bars.get(name)
            good = bar is None or quality.meets(measure, value, bar)
            text = f"{value:.3f}" if good else f"**{value:.3f}**"
            cells.append(text if bar is None else f"{text} ({bar:g})")
        yield f"| {measure} | {' | '.join(cells)} |"
    for measure in ("shape", "c2st", "mle", "mle_real", "fit_cpu_s", "sample_cpu_s", "peak_mb"):
        if measure not in quality.BARS:
            yield f"| {measure} | {' | '.join(f'{mean[measure]:.3g}' for mean in means.values())} |"


def show(text: str) -> None:
    """Put the table between the marks in README.md."""
    readme = HERE / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{START}\n\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=quality.DATA)
    parser.add_argument("--only", choices=["speed", "quality"])
    given = parser.parse_args()
    skipped = "not asked for" if given.only == "speed" else quality.reason_to_skip(given.data)
    if skipped:
        print(f"quality: skipped, {skipped}")
    date = dt.datetime.now(dt.UTC).date().isoformat()
    file = HERE / "results" / f"{date}.json"
    earlier = json.loads(file.read_text(encoding="utf-8")) if given.only and file.exists() else {}
    result = {
        "date": date,
        "machine": machine(),
        "speed": earlier.get("speed", {}) if given.only == "quality" else speed.measure(list(speed.CASES)),
        "quality": earlier.get("quality", {})
        if skipped
        else quality.measure(given.data, list(quality.SETS), given.seeds),
        "skipped": skipped,
    }
    file.parent.mkdir(exist_ok=True)
    text = table(result)
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    file.with_suffix(".md").write_text(text, encoding="utf-8")
    show(text)
    print(text)


if __name__ == "__main__":
    main()

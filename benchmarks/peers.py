"""Are `gan` and `vae` better than SDV's CTGAN and TVAE that were given the same CPU time?

    python benchmarks/peers.py --sdv /path/to/its/venv/bin/python [--sets adult] [--seeds 1] [--out FILE.json]

Ours are fitted first, with default settings; then the peer, for as many epochs as the CPU seconds that ours took are
good for. All on one thread, each in a process of its own, SDV in its own environment (pip install sdv), which is never
imported here. Scored by the shared benchmark's own functions: see quality.py. Prints a line a fit, then a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from quality import DATA, _score_module, means, reason_to_skip
from spent import cpu_seconds, spent

PEERS = {"gan": "CTGAN", "vae": "TVAE"}  # ours -> SDV's
SHOWN = ("fit_cpu_s", "sample_cpu_s", "epochs", "shape", "trend", "c2st", "auc_unseen", "dcr", "mle", "mle_real")
MOST_EPOCHS = 100_000  # of the peer: the CPU seconds end it


def without_peer(python: Path | None) -> str | None:
    """Why the peers cannot be run; None where they can."""
    if python is None:
        return "say with --sdv which python has SDV (pip install sdv in an environment of its own)"
    if not python.exists():
        return f"{python} is not here"
    found = subprocess.run([python, "-c", "import sdv"], capture_output=True)
    return f"{python} cannot import sdv" if found.returncode else None


def ours(train: str, new: str, seed: str, model: str) -> None:
    """The work of one process; prints its CPU seconds as JSON."""
    import verosim as vs

    start = cpu_seconds()
    synthesizer = vs.fit(train, seed=int(seed), model=model)
    fitted = cpu_seconds()
    frame = synthesizer.sample(_rows(train))
    sampled = cpu_seconds()
    frame.write_csv(new)
    print(json.dumps({"fit_cpu_s": round(fitted - start, 2), "sample_cpu_s": round(sampled - fitted, 2)}))


def theirs(train: str, new: str, seed: str, model: str, budget: str) -> None:
    """The same by SDV, in `budget` CPU seconds of fitting, its own preparation of the data included."""
    import numpy as np
    import pandas as pd
    import torch
    from ctgan.synthesizers import ctgan, tvae
    from sdv.metadata import Metadata
    from sdv.single_table import CTGANSynthesizer, TVAESynthesizer

    frame = pd.read_csv(train, keep_default_na=False)
    columns = json.loads(Path(train.replace("_train.csv", ".json")).read_text(encoding="utf-8"))["columns"]
    kinds = {c["name"]: {"sdtype": "numerical" if c["kind"] == "numeric" else "categorical"} for c in columns}
    for name, kind in kinds.items():
        numeric = kind["sdtype"] == "numerical"
        frame[name] = pd.to_numeric(frame[name], errors="coerce") if numeric else frame[name].astype(str)
    metadata = Metadata.load_from_dict({"tables": {"table": {"columns": kinds}}})
    torch.manual_seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002  SDV draws from the global state
    start, done = cpu_seconds(), list[int]()

    def until_spent(epochs: Iterable[int], **shown: Any) -> Iterator[int]:
        """In place of its progress bar: the peer's epochs, as many as the budget is good for."""
        for epoch in epochs:
            if cpu_seconds() - start > float(budget):
                return
            done.append(epoch)
            yield epoch

    ctgan.tqdm = tvae.tqdm = until_spent
    synthesizer = {"CTGAN": CTGANSynthesizer, "TVAE": TVAESynthesizer}[model](metadata, epochs=MOST_EPOCHS)
    synthesizer.fit({"table": frame})
    fitted = cpu_seconds()
    drawn = synthesizer.sample(len(frame))
    cost = {
        "epochs": len(done),
        "fit_cpu_s": round(fitted - start, 2),
        "sample_cpu_s": round(cpu_seconds() - fitted, 2),
    }
    drawn["table"].to_csv(new, index=False)
    print(json.dumps(cost))


def _rows(path: str) -> int:
    with open(path, "rb") as lines:
        return sum(1 for _ in lines) - 1


def measure(python: Path, data: Path, name: str, model: str, seed: int) -> dict[str, dict[str, Any]]:
    """Ours and the peer's: scores and costs."""
    score = _score_module(data.parent / "score.py")
    train, results = data / f"{name}_train.csv", dict[str, dict[str, Any]]()
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / "new.csv"
        for who, how in ((model, (sys.executable, "--ours")), (f"SDV {PEERS[model]}", (str(python), "--theirs"))):
            budget = [str(results[model]["fit_cpu_s"])] if results else []
            asked = model if not results else PEERS[model]
            cost = spent(how[0], __file__, how[1], train, new, str(seed), asked, *budget)
            scores = score.score(str(data), name, str(new))
            results[who] = scores | json.loads(cost.output.splitlines()[-1]) | {"seed": seed}
            print(json.dumps({"who": who} | results[who]), flush=True)
    return results


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """The means over seeds, as Markdown."""
    means_of = {who: means(scored) for who, scored in results.items()}
    lines = [f"| | {' | '.join(means_of)} |", "|---" * (len(means_of) + 1) + "|"]
    for what in SHOWN:
        cells = (f"{mean[what]:.3f}" if what in mean else "" for mean in means_of.values())
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sdv", type=Path, help="the python of an environment with SDV")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", nargs="+", default=["adult"])
    parser.add_argument("--models", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if reason := reason_to_skip(given.data) or without_peer(given.sdv):
        print(f"peers: skipped, {reason}")
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    every: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in given.sets:
        scored = every.setdefault(name, {})
        for model in given.models:
            for seed in range(given.seeds):
                for who, result in measure(given.sdv, given.data, name, model, seed).items():
                    scored.setdefault(who, []).append(result)
        print(f"\n{name}\n\n{table(scored)}", flush=True)
    if given.out:
        given.out.write_text(json.dumps(every, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    role, rest = sys.argv[1:2], sys.argv[2:]
    if role == ["--ours"]:
        ours(*rest)
    elif role == ["--theirs"]:
        theirs(*rest)
    else:
        main()

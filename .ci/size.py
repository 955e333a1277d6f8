"""What the installed packages weigh, and their licences: run by the Python of a core-only environment.

Fails when they weigh more than `LIMIT`, or when a licence would bind the users of verosim.
"""

import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

LIMIT = 400  # MB of 10**6 bytes: all files of all packages, compiled ones too
BINDING = re.compile(r"\bA?GPL|(?<!Lesser )General Public|Affero|BUSL|Business Source|SSPL|Commons Clause")
TOOLS = {"pip", "setuptools"}  # stand in every new environment; not ours


def megabytes(package: Distribution) -> float:
    paths = (Path(str(package.locate_file(f))) for f in package.files or [])
    return sum(p.stat().st_size for p in paths if p.is_file()) / 1e6


def licence(package: Distribution) -> str:
    """The declared licence: the expression, or the classifiers, or the first line of the free text."""
    meta = package.metadata
    names = [c.rpartition(" :: ")[2] for c in meta.get_all("Classifier", []) if c.startswith("License ::")]
    return meta.get("License-Expression") or ", ".join(names) or (meta.get("License") or "unknown").splitlines()[0]


def main() -> None:
    weighed = sorted(((megabytes(p), p.name, p.version, licence(p)) for p in distributions()), reverse=True)
    for size, name, version, terms in weighed:
        print(f"{size:7.1f} MB  {name} {version}  ({terms})")
    total = sum(size for size, *_ in weighed)
    tools = sum(size for size, name, *_ in weighed if name in TOOLS)
    print(f"{total:7.1f} MB  in all; {total - tools:.1f} MB without pip and setuptools; at most {LIMIT} MB")
    if total > LIMIT:
        sys.exit(f"the install weighs {total:.0f} MB")
    if binding := [name for _, name, _, terms in weighed if BINDING.search(terms)]:
        sys.exit(f"the licence of {', '.join(binding)} would bind users")


if __name__ == "__main__":
    main()

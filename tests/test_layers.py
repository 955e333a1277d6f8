"""The house of verosim: each module imports only what stands above it, and nothing anywhere runs data as code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "verosim"

LAYERS = [  # a package counts as one layer; inside it, modules may import each other
    "errors", "draws", "normal", "models", "schema", "keys", "forms", "timeline", "providers", "files", "infer",
    "frames", "expressions", "rules", "databases", "codec", "starting", "archive", "distinct", "table_model",
    "workers", "control", "faults", "sequences", "relational", "synthesizer", "recipe", "pages", "simulation",
    "patients", "evaluation", "compat", "targets", "reshaping", "run",
    "generating", "augmenting", "comparing", "judging", "cli", "web",
]  # fmt: skip
DOORS = {"__init__", "__main__"}  # of verosim itself: they may import everything
UNSAFE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
FRAMES = {"polars", "pandas", "pyarrow"}  # what a model must never see
HEAVY = {"pandas", "pyarrow", "sqlalchemy", "torch"}  # optional: `import verosim` works, and is quick, without them
# of models/: what works without PyTorch; the others are loaded when a network is asked for, and may import it at once
LIGHT = {
    "__init__", "auto", "boost", "chain", "copula", "course", "experts", "features", "independent", "judge", "marginal",
    "markov", "movement", "network", "plan", "recurrent", "remembering", "tokens", "trees", "voices", "ways",
}  # fmt: skip
# of databases/: what works without SQLAlchemy; the others are loaded to open a database
CLOSED = {"__init__", "places", "structure"}
NEVER = {"scipy", "sklearn", "lightgbm", "xgboost"}  # would take the core past its size: see docs/decisions.md
CHANCE = {"Generator", "Philox"}  # all of numpy.random that there is to use: no global state, no hidden seed

MODULES = sorted(SRC.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str:
    """`verosim.models.chain` -> models; `verosim` itself -> __init__."""
    return [*module.split("."), "__init__"][1]


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Every module that the code imports, wherever the import stands, with relative names made absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: len(module.split(".")) - node.level + is_package]
                base = ".".join([*parents, *([base] if base else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            yield from names if base == "verosim" else [base]


def at_start(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when the module is imported: not the bodies of functions, nor `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from at_start(child)


def imports_of(path: Path) -> set[str]:
    module = name_of(path)
    return set(imported(ast.parse(path.read_text(encoding="utf-8")), module, path.name == "__init__.py"))


def within(names: set[str], roots: set[str]) -> list[str]:
    return sorted(n for n in names if any(n == r or n.startswith(f"{r}.") for r in roots))


def safe_loaders(tree: ast.Module) -> set[str]:
    """YAML's safe loaders, and the classes of this file that are made from one."""
    own = (c for c in tree.body if isinstance(c, ast.ClassDef))
    safe = {"yaml.SafeLoader", "yaml.CSafeLoader"}
    return safe | {c.name for c in own if any(ast.unparse(base) in safe for base in c.bases)}


def unsafe_calls(tree: ast.Module) -> Iterator[str]:
    """Calls that could run data as code, each as `line: call`."""
    loaders = safe_loaders(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, keywords = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
        plain_yaml = called in {"yaml.load", "yaml.load_all"} and keywords.get("Loader") not in loaders
        banned = called in {"eval", "exec", "compile", "__import__", "yaml.unsafe_load", "yaml.full_load"}
        if banned or plain_yaml or keywords.get("allow_pickle", "False") != "False":
            yield f"{node.lineno}: {ast.unparse(node)}"


@pytest.fixture(params=MODULES, ids=lambda path: str(path.relative_to(SRC)))
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_a_module_imports_only_what_stands_above_it(path: Path) -> None:
    own = layer_of(name_of(path))
    if own in DOORS:
        return
    assert own in LAYERS, f"{path.name} has no place in LAYERS: say in this file which layers it may use"
    used = {layer_of(n) for n in imports_of(path) if n.startswith("verosim.")} - {own}
    below = sorted(layer for layer in used if layer not in LAYERS[: LAYERS.index(own)])
    assert not below, f"{own} stands above {below}, and so may not import it"


def test_models_see_arrays_only(path: Path) -> None:
    if layer_of(name_of(path)) == "models":
        assert within(imports_of(path), FRAMES) == []


def test_nothing_runs_data_as_code(path: Path) -> None:
    assert within(imports_of(path), UNSAFE) == []
    assert list(unsafe_calls(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_optional_libraries_are_imported_where_they_are_used(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    started = ast.Module([n for n in at_start(tree) if isinstance(n, ast.Import | ast.ImportFrom)], type_ignores=[])  # type: ignore[misc]
    heavy = HEAVY - ({"torch"} if path.parent.name == "models" and path.stem not in LIGHT else set())
    heavy -= {"sqlalchemy"} if path.parent.name == "databases" and path.stem not in CLOSED else set()
    assert within(set(imported(started, name_of(path), path.name == "__init__.py")), heavy) == []
    assert within(imports_of(path), NEVER) == []


def test_chance_is_an_argument(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"np.random", "numpy.random"}
    }
    assert used <= CHANCE, "random numbers come from a Generator that is handed in, made by verosim.draws.stream"
    assert within(imports_of(path), {"random"}) == []


@pytest.mark.parametrize(
    "code",
    [
        "eval('1')",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "import yaml\nclass Mine(yaml.Loader): pass\nyaml.load(text, Loader=Mine)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_watch_sees_what_it_should(code: str) -> None:
    assert list(unsafe_calls(ast.parse(code)))


def test_relative_imports_are_seen() -> None:
    tree = ast.parse("from ..schema import Schema\nfrom . import tree\nfrom verosim import files")
    assert set(imported(tree, "verosim.models.chain", is_package=False)) == {
        "verosim.schema", "verosim.models", "verosim.files",
    }  # fmt: skip

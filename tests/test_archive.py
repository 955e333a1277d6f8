"""Model files: the same rows after loading, the same bytes for the same model; what is damaged or forged is refused.

A damaged file is one that was cut or flipped: its hashes tell. A forged one has hashes that fit, and says something
else: it may load only if it then draws rows, within the memory and time of an honest one.
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

import verosim as vs
from verosim import archive

N = 160
PARTS = ["manifest.json", "model.json", "arrays.safetensors"]
HONEST_ERRORS = (vs.ModelFileError, vs.FileError)


# ------------------------------------------------------------------------------------------------------- models


def people(n: int = N) -> pl.DataFrame:
    """A column of nearly every kind."""
    rng = np.random.default_rng(3)
    day = [dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 400, n)]
    hours = rng.integers(0, 24, n)
    city = rng.choice(["Oslo", "Rome", "Lima"], n)
    return pl.DataFrame(
        {
            "id": np.arange(n) + 1000,
            "code": [f"AB-{i:05d}" for i in range(n)],
            "email": [f"user{i}@mail{i % 9}.org" for i in range(n)],
            "age": rng.integers(18, 90, n),
            "gain": np.where(rng.random(n) < 0.7, 0.0, np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n))),
            "city": [c if rng.random() < 0.9 else None for c in city.tolist()],
            "flag": rng.random(n) < 0.4,
            "size": pl.Series(rng.choice(["S", "M", "L"], n), dtype=pl.Enum(["S", "M", "L"])),
            "start": day,
            "end": [d + dt.timedelta(days=int(k)) for d, k in zip(day, rng.integers(0, 30, n), strict=True)],
            "seen": pl.Series([dt.datetime.combine(d, dt.time(int(h))) for d, h in zip(day, hours, strict=True)])
            .dt.replace_time_zone("Europe/Madrid", ambiguous="earliest", non_existent="null"),
            "took": [dt.timedelta(seconds=int(s)) for s in rng.integers(0, 9999, n)],
            "price": pl.Series([Decimal(int(c)) / 100 for c in rng.integers(0, 9999, n)], dtype=pl.Decimal(10, 2)),
            "note": [" ".join(words) for words in zip(*(rng.choice(["red", "cat", "runs"], (3, n))), strict=True)],
            "same": 1,
            "none": pl.Series([None] * n, dtype=pl.String),
            "when": [f"{d:%d/%m/%Y}" for d in day],
            "a": rng.integers(0, 50, n),
            "b": rng.integers(0, 50, n),
        }
    ).with_columns(total=pl.col("a") + pl.col("b"))  # fmt: skip


def fitted(model: str = "chain") -> vs.Synthesizer:
    """A model with every kind of part: rules held by construction, by redrawing, over rows; made and edited kinds."""
    table = vs.inspect(people())["table"]
    rules = ["start <= end", "total = a + b", {"rule": "unique", "columns": ["age", "took"]}, "a + b < 97 or flag"]
    edited = [replace(table["note"], kind="text"), replace(table["when"], kind="date", format="%d/%m/%Y")]
    schema = vs.Schema({"table": replace(table.with_columns(*edited), rules=tuple(rules))})
    return vs.fit(people(), schema, seed=1, model=model)


@pytest.fixture(scope="module", params=["chain", "copula", "independent"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / f"{request.param}.verosim"
    fitted(request.param).save(path)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "small.verosim"
    frame = pl.DataFrame({"x": [1, 2, 3, 4] * 15, "y": ["a", "b", "c"] * 20, "id": range(60)})
    vs.fit(frame, seed=1).save(path)
    return path


def opened(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with zipfile.ZipFile(path) as file:
        return json.loads(file.read("model.json")), load_arrays(file.read("arrays.safetensors"))


def forge(path: Path, meta: Any, arrays: Any, version: Any = 1) -> Path:
    """A model file that says this, with hashes that fit."""
    data = {
        "model.json": json.dumps(meta).encode("utf-8", "surrogatepass"),
        "arrays.safetensors": arrays if isinstance(arrays, bytes) else save_arrays(arrays),
    }
    hashes = {name: hashlib.sha256(part).hexdigest() for name, part in data.items()}
    manifest = {"format": archive.FORMAT, "version": version, "sha256": hashes}
    with zipfile.ZipFile(path, "w") as file:
        for name, part in {"manifest.json": json.dumps(manifest).encode(), **data}.items():
            file.writestr(name, part)
    return path


def harmless(path: Path) -> bool:
    """Whether the file was refused; else it draws rows, tells of itself, and can be written and saved."""
    try:
        synthesizer = vs.load(path)
    except HONEST_ERRORS as error:
        if len(str(error)) > 2000:
            raise ValueError("longer than a person reads") from error
        return True
    try:
        synthesizer.sample(dict.fromkeys(synthesizer.schema_, 20))
    except (vs.RuleError, *HONEST_ERRORS):  # a forged rule may be one that no row holds
        return True
    synthesizer.explain()
    synthesizer.sizes()
    assert all(isinstance(note, str) for note in synthesizer.notes)
    return False


# ---------------------------------------------------------------------------------------------------- round trip


@pytest.mark.parametrize("rows", [0, 1, 100, 9000])
def test_a_loaded_model_draws_the_same_rows(whole: Path, rows: int) -> None:
    synthesizer, loaded = fitted(whole.stem), vs.load(whole)
    assert loaded.sample(rows).equals(synthesizer.sample(rows))
    assert loaded.sample(rows, seed=9).equals(synthesizer.sample(rows, seed=9))
    assert loaded.explain() == synthesizer.explain()
    assert loaded.notes == synthesizer.notes
    assert loaded.report == synthesizer.report
    assert loaded.sizes() == {"table": N}


def test_the_same_model_gives_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    fitted(whole.stem).save(tmp_path / "again.verosim")
    vs.load(whole).save(tmp_path / "loaded.verosim")
    assert (tmp_path / "again.verosim").read_bytes() == whole.read_bytes()
    assert (tmp_path / "loaded.verosim").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(("hashes", "threads"), [("1", "1"), ("2", "2")])
def test_the_same_bytes_in_any_process(small: Path, tmp_path: Path, hashes: str, threads: str) -> None:
    code = f"""import polars as pl, verosim as vs
frame = pl.DataFrame({{"x": [1, 2, 3, 4] * 15, "y": ["a", "b", "c"] * 20, "id": range(60)}})
vs.fit(frame, seed=1).save({str(tmp_path / "other.verosim")!r})"""
    env = {"PYTHONHASHSEED": hashes, "POLARS_MAX_THREADS": threads, "PYTHONPATH": str(Path(vs.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert (tmp_path / "other.verosim").read_bytes() == small.read_bytes()


def test_several_tables_and_their_kinds_come_back(tmp_path: Path) -> None:
    x = np.arange(60) % 7
    synthesizer = vs.fit({"p": pd.DataFrame({"x": x}), "q": pl.DataFrame({"y": x.astype(np.int8)}).lazy()}, seed=2)
    synthesizer.save(tmp_path / "two.verosim")
    new = vs.load(tmp_path / "two.verosim").sample({"p": 3, "q": 4})
    pd.testing.assert_frame_equal(new["p"], synthesizer.sample({"p": 3, "q": 4})["p"])
    assert isinstance(new["q"], pl.LazyFrame)
    assert new["q"].collect().schema == {"y": pl.Int8}


def test_nothing_of_a_failed_save_stays(tmp_path: Path, small: Path) -> None:
    synthesizer = vs.load(small)
    with pytest.raises(vs.FileError, match="there is no folder"):
        synthesizer.save(tmp_path / "missing" / "x.verosim")
    with pytest.raises(vs.FileError, match="is a folder"):
        synthesizer.save(tmp_path)
    with pytest.raises(vs.NotFittedError):
        vs.Synthesizer().save(tmp_path / "empty.verosim")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------- damage


def test_what_is_no_model_file(tmp_path: Path, small: Path) -> None:
    with pytest.raises(vs.FileError, match="there is no such model file"):
        vs.load(tmp_path / "none.verosim")
    with pytest.raises(vs.FileError, match="cannot be read"):
        vs.load(tmp_path)
    for content in (b"", b"PK", b"a,b\n1,2\n", bytes(22), small.read_bytes()[:-30]):
        (tmp_path / "x.verosim").write_bytes(content)
        with pytest.raises(vs.ModelFileError, match=r"x\.verosim: not a whole verosim model"):
            vs.load(tmp_path / "x.verosim")


def test_a_file_cut_anywhere_is_refused(small: Path, tmp_path: Path) -> None:
    data, path = small.read_bytes(), tmp_path / "cut.verosim"
    for end in range(0, len(data), max(1, len(data) // 200)):
        path.write_bytes(data[:end])
        with pytest.raises(vs.ModelFileError):
            vs.load(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_a_flipped_byte_changes_nothing_unseen(small: Path, tmp_path: Path, share: float, mask: int) -> None:
    """A zip has bytes that say nothing (times, flags of other systems): then the model is as it was."""
    data, path = bytearray(small.read_bytes()), tmp_path / "flipped.verosim"
    data[int(share * len(data))] ^= mask
    path.write_bytes(bytes(data))
    try:
        loaded = vs.load(path)
    except HONEST_ERRORS:
        return
    assert loaded.sample(30).equals(vs.load(small).sample(30))


# ------------------------------------------------------------------------------------------- forged: the container


def rezip(path: Path, parts: dict[str, bytes], **how: Any) -> Path:
    with zipfile.ZipFile(path, "w", **how) as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return path


@pytest.fixture
def parts(small: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(small) as file:
        return {name: file.read(name) for name in PARTS}


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "C:\\evil", "model.json/x", "extra.pkl", "\u202e"])
def test_other_members_are_refused(parts: dict[str, bytes], tmp_path: Path, name: str) -> None:
    with pytest.raises(vs.ModelFileError, match="it holds"):
        vs.load(rezip(tmp_path / "x.verosim", {**parts, name: b"evil"}))
    assert [p.name for p in tmp_path.iterdir()] == ["x.verosim"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_part_missing_or_twice(parts: dict[str, bytes], tmp_path: Path) -> None:
    for name in PARTS:
        with pytest.raises(vs.ModelFileError, match="it holds"):
            vs.load(rezip(tmp_path / "x.verosim", {n: p for n, p in parts.items() if n != name}))
    with zipfile.ZipFile(rezip(tmp_path / "x.verosim", parts), "a") as file:
        file.writestr("model.json", b"{}")
    with pytest.raises(vs.ModelFileError, match="it holds"):
        vs.load(tmp_path / "x.verosim")


@pytest.mark.parametrize("how", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_packed_in_another_way(parts: dict[str, bytes], tmp_path: Path, how: int) -> None:
    with pytest.raises(vs.ModelFileError, match="packed in another way"):
        vs.load(rezip(tmp_path / "x.verosim", parts, compression=how))


@pytest.mark.parametrize("name", PARTS)
def test_a_bomb_is_not_unpacked(parts: dict[str, bytes], tmp_path: Path, name: str) -> None:
    bomb = {**parts, name: parts[name] + bytes(50_000_000)}
    path = rezip(tmp_path / "x.verosim", bomb, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(vs.ModelFileError, match="would unpack to more than 100 times its size"):
        vs.load(path)


@pytest.mark.parametrize("declared", [0, 1, 2**31])
def test_a_declared_size_that_lies(small: Path, tmp_path: Path, declared: int) -> None:
    data = bytearray(small.read_bytes())
    entry = data.index(b"PK\x01\x02")  # the first part's place in the directory; the size of its content is at 24
    data[entry + 24 : entry + 28] = declared.to_bytes(4, "little")
    (tmp_path / "x.verosim").write_bytes(bytes(data))
    with pytest.raises(vs.ModelFileError):
        vs.load(tmp_path / "x.verosim")


def test_what_packs_very_well_is_no_bomb(tmp_path: Path) -> None:
    """A large model of equal numbers is stored as it is, and loads."""
    path = tmp_path / "x.verosim"
    archive.write(path, {"a": 1}, {"zeros": np.zeros(10**6)})
    assert archive.read(path)[1]["zeros"].sum() == 0
    assert path.stat().st_size > 8 * 10**6


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"version": 2}, r"made by a newer verosim \(model format 2; this reads up to 1\)"),
        ({"version": "1"}, "not a verosim model"),
        ({"version": None}, "not a verosim model"),
        ({"format": "other"}, "not a verosim model"),
        ({"sha256": {}}, "damaged"),
        ({"sha256": None}, "damaged"),
        ({"sha256": {"model.json": "0", "arrays.safetensors": "0"}}, "model.json was changed"),
    ],
)
def test_a_manifest_that_says_otherwise(
    parts: dict[str, bytes], tmp_path: Path, manifest: dict[str, Any], message: str
) -> None:
    changed = json.dumps({**json.loads(parts["manifest.json"]), **manifest}).encode()
    with pytest.raises(vs.ModelFileError, match=message):
        vs.load(rezip(tmp_path / "x.verosim", {**parts, "manifest.json": changed}))


@pytest.mark.parametrize("manifest", [b"", b"[]", b"null", b"\xff", b"{", b"[" * 100_000, b'{"version": NaN}'])
def test_a_manifest_that_is_none(parts: dict[str, bytes], tmp_path: Path, manifest: bytes) -> None:
    with pytest.raises(vs.ModelFileError, match="damaged"):
        vs.load(rezip(tmp_path / "x.verosim", {**parts, "manifest.json": manifest}))


# ----------------------------------------------------------------------------------------- forged: what it says

GONE = object()
STRANGE: list[Any] = [
    None, True, -1, 0, 7, 2**31, 2**63, 10**30, -(10**30), 1e308, float("nan"), "", "x", "9" * 50, "1e99999999", "(((",
    "\ud800", "[0-9]{999999999}", "sequence:1:0", "%d", "a' or 1=1 --", "../../evil", "date", "id", "category", "enum",
    "datetime[us]", "decimal[99, 5]", [], [[]], ["x"], [None], {}, {"x": 1}, GONE,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value stands in nested JSON; of long lists the first few."""
    yield path
    if isinstance(value, dict | list):
        for key in list(value if isinstance(value, dict) else range(len(value)))[:30]:
            yield from places(value[key], (*path, key))


def changed(meta: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The same JSON with another value in this place."""
    if not path:
        return value
    meta = copy.copy(meta)
    if len(path) > 1:
        meta[path[0]] = changed(meta[path[0]], path[1:], value)
    elif value is GONE:
        del meta[path[0]]
    else:
        meta[path[0]] = value
    return meta


def test_every_value_of_the_model_may_be_forged(whole: Path, tmp_path: Path) -> None:
    meta, arrays = opened(whole)
    rng = np.random.default_rng(len(whole.stem))
    refused = cases = 0
    for path in places(meta):
        if not path or "report" in path or rng.random() > 0.3:  # a sample: all of them take minutes
            continue
        value = STRANGE[rng.integers(len(STRANGE))]
        refused += harmless(forge(tmp_path / "x.verosim", changed(meta, path, value), arrays))
        cases += 1
    assert cases > 100
    assert refused > cases / 2


def bent(array: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Wrong in length, dimensions or type; or with values that are out of range, or in another order."""
    yield from (array[:0], array[:-1], np.concatenate([array, array]), array[None], np.zeros((2**40, 0), array.dtype))
    yield from (array.astype(t) for t in (np.float32, np.float64, np.int64, np.uint8) if t != array.dtype)
    info = np.finfo(array.dtype) if array.dtype.kind == "f" else np.iinfo(array.dtype)
    for value in (info.min, info.max, 0, *((np.nan, np.inf, -1.0) if array.dtype.kind == "f" else ())):
        yield np.full_like(array, value)
        if array.size:
            one = array.copy()
            one.reshape(-1)[rng.integers(one.size)] = value
            yield one
    yield rng.permuted(array.reshape(-1)).reshape(array.shape)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_every_array_of_the_model_may_be_forged(whole: Path, tmp_path: Path) -> None:
    meta, arrays = opened(whole)
    rng = np.random.default_rng(len(whole.stem))
    refused = cases = 0
    for name, array in arrays.items():
        for other in bent(array, rng):
            if rng.random() < 0.08:  # a sample: all of them take minutes
                refused += harmless(forge(tmp_path / "x.verosim", meta, {**arrays, name: np.ascontiguousarray(other)}))
                cases += 1
    assert cases > 50
    assert refused > cases / 4


@pytest.mark.parametrize("arrays", [b"", b"\0" * 8, b"\xff" * 64, (8).to_bytes(8, "little") + b"{}      "])
def test_arrays_that_are_none(small: Path, tmp_path: Path, arrays: bytes) -> None:
    meta, _ = opened(small)
    with pytest.raises(vs.ModelFileError):
        vs.load(forge(tmp_path / "x.verosim", meta, arrays))


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b"\xff", b"{", b"[" * 100_000, b'{"seed": NaN}', b"9" * 5000, b'{"seed": 1}}'],
)
def test_a_model_json_that_is_none(small: Path, tmp_path: Path, text: bytes) -> None:
    _, arrays = opened(small)
    data = {"model.json": text, "arrays.safetensors": save_arrays(arrays)}
    hashes = {name: hashlib.sha256(part).hexdigest() for name, part in data.items()}
    manifest = json.dumps({"format": archive.FORMAT, "version": 1, "sha256": hashes}).encode()
    with pytest.raises(vs.ModelFileError):
        vs.load(rezip(tmp_path / "x.verosim", {"manifest.json": manifest, **data}))


def test_parts_of_two_models_do_not_fit(small: Path, whole: Path, tmp_path: Path) -> None:
    (one, arrays), (other, others) = opened(small), opened(whole)
    for meta, rest in ((one, others), (other, arrays), ({**one, "tables": other["tables"]}, others)):
        with pytest.raises(vs.ModelFileError):
            vs.load(forge(tmp_path / "x.verosim", meta, rest))


@pytest.mark.parametrize(
    "layout",
    [
        {"columns": {"x": {"form": 0.5}}}, {"columns": {"x": {"form": "category"}}}, {"columns": {"x": {"null": []}}},
        {"columns": {"x": {"quoted": 7}}}, {"columns": []}, {"columns": {"x": 5}}, {"delimiter": 5},
        {"delimiter": ".."},
        {"encoding": "no such"}, {"encoding": None}, {"tables": {"a": {"b": 1}}}, {"format": None}, {"other": 1}, [], 7,
    ],
)  # fmt: skip
def test_a_forged_layout_is_refused(small: Path, tmp_path: Path, layout: Any) -> None:
    meta, arrays = opened(small)
    whole = {"format": "csv", **layout} if isinstance(layout, dict) else layout or [1]
    with pytest.raises(vs.ModelFileError):
        vs.load(forge(tmp_path / "x.verosim", {**meta, "layout": whole}, arrays))


def test_a_forged_layout_writes_nowhere_else(small: Path, tmp_path: Path) -> None:
    """Where the files of a folder go is no business of a model file."""
    from verosim import run

    meta, arrays = opened(small)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("../evil.csv", str(tmp_path / "evil.csv"), "a/../../evil.csv", "..\\evil.csv", "evil.csv\0", ".."):
        tables = {"table": {"format": "csv", "file": name}}
        path = forge(tmp_path / "x.verosim", {**meta, "layout": {"format": "folder", "tables": tables}}, arrays)
        with suppress(vs.FileError):
            run.write(vs.load(path), home, {"table": 3})
        assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "x.verosim"]

"""Model files: JSON and arrays in a zip, with the hash of each part. Data only: loading one runs no code of its own.

    manifest.json         what this is, its format version, the SHA-256 of the other parts
    model.json            everything but arrays
    arrays.safetensors    all arrays, by name

A file that was cut, changed or made by a newer version is refused with a ModelFileError. A hash tells damage, not
forgery: what a forged file may say is checked where it is used, by the classes that restore themselves from it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from verosim.errors import FileError, ModelFileError
from verosim.files.disk import atomic
from verosim.models import Array

FORMAT: Final = "verosim model"
VERSION: Final = 1
_PARTS: Final = ("model.json", "arrays.safetensors")
_LARGEST: Final = 100  # times its own size that a file may unpack to, so that a small one cannot fill the memory
_SMALL: Final = 2**20  # bytes that any may


def write(path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a model file, whole or not at all. The same model gives the same bytes."""
    text = json.dumps(meta, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    parts = {
        "model.json": text.encode("utf-8", "surrogatepass"),
        "arrays.safetensors": save_arrays({name: np.ascontiguousarray(a) for name, a in arrays.items()}),
    }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    manifest = json.dumps({"format": FORMAT, "version": VERSION, "sha256": hashes}, indent=1).encode()
    with atomic(path) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in {"manifest.json": manifest, **parts}.items():
            info = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))  # no clock: same model, same bytes
            archive.writestr(info, data, _way(data))


def _way(data: bytes) -> int:
    """How a part is packed: as it is, where packing would leave so little that it looked like a trap."""
    tight = len(data) > _SMALL and len(zlib.compress(data, 1)) * _LARGEST < 2 * len(data)
    return zipfile.ZIP_STORED if tight else zipfile.ZIP_DEFLATED


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """What `write` wrote. Raises ModelFileError for a damaged or newer file, FileError where none can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _open(path, archive, Path(path).stat().st_size)
    except ModelFileError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"{path}: there is no such model file.") from error
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise ModelFileError(f"{path}: not a whole verosim model ({error}); make or copy it again.") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error}).") from error


def _open(path: str | Path, archive: zipfile.ZipFile, size: int) -> tuple[dict[str, Any], dict[str, Array]]:
    names = archive.namelist()
    if sorted(names) != sorted(("manifest.json", *_PARTS)):
        raise ModelFileError(f"{path}: not a verosim model: it holds {', '.join(names[:5]) or 'nothing'}.")
    if sum(info.file_size for info in archive.infolist()) > max(_SMALL, size * _LARGEST):
        raise ModelFileError(f"{path}: would unpack to more than {_LARGEST} times its size: not a verosim model.")
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in archive.infolist()):
        raise ModelFileError(f"{path}: not a verosim model: it is packed in another way.")
    try:
        manifest = json.loads(archive.read("manifest.json"), parse_constant=_no_number)
        if manifest["format"] != FORMAT or not isinstance(manifest["version"], int):
            raise ModelFileError(f"{path}: not a verosim model.")
        if manifest["version"] > VERSION:
            raise ModelFileError(
                f"{path}: made by a newer verosim (model format {manifest['version']}; this reads up to {VERSION}). "
                "Install that version."
            )
        parts = {name: archive.read(name) for name in _PARTS}
        for name, data in parts.items():
            if hashlib.sha256(data).hexdigest() != manifest["sha256"][name]:
                raise ModelFileError(f"{path}: {name} was changed after it was written; make or copy the file again.")
        meta = json.loads(parts["model.json"].decode("utf-8", "surrogatepass"), parse_constant=_no_number)
        if not isinstance(meta, dict):
            raise ModelFileError(f"{path}: not a verosim model: model.json is no mapping.")
        return meta, load_arrays(parts["arrays.safetensors"])
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError, SafetensorError, zlib.error) as error:
        raise ModelFileError(f"{path}: the model file is damaged ({type(error).__name__}: {error}).") from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")  # Python's JSON would take NaN and Infinity

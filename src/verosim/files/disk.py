"""Bytes in and out: whole files with their compression undone, and atomic, compressed, streamed output."""

from __future__ import annotations

import contextlib
import gzip
import os
import secrets
import stat
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from verosim.errors import FileError, did_you_mean

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STANDARD: Final = "-"  # as a path: standard input or output
_MAGIC: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def load(path: str | Path) -> bytes:
    """The bytes of a file as they stand; a FileError that says what is wrong, or which name is near."""
    if str(path) == STANDARD:
        return sys.stdin.buffer.read()
    path = Path(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, near) if near else f"there is no folder {str(path.parent)!r} either."
        raise FileError(f"{path}: there is no such file; {hint}") from None
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: cannot be read ({_why(error)}).") from error


def unpack(data: bytes, name: str) -> tuple[bytes, str | None]:
    """The data without its compression, which its first bytes tell, and which one it was: gzip, zstd or None."""
    compression = next((c for magic, c in _MAGIC.items() if data.startswith(magic)), None)
    try:
        if compression == "gzip":
            return gzip.decompress(data), compression
        if compression == "zstd":
            return zstd.decompress(data), compression
    except (EOFError, OSError, ValueError, zlib.error, zstd.ZstdError) as error:
        raise FileError(f"{name}: its {compression} data is damaged or cut off ({error}). Copy it again.") from error
    return data, None


def check_writable(path: str | Path) -> None:
    """Raise FileError where `path` could not be written, by trying: call it before long work."""
    if str(path) == STANDARD:
        return
    target = _target(path)
    with _as_file_error(path):
        descriptor, temporary = _temporary(target)
        os.close(descriptor)
        temporary.unlink()


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` in one step when the block ends, and vanishes when it fails.

    Written beside the target, flushed to disk, then renamed. A link stays a link; what is no plain file (pipe, device,
    standard output) is written directly.
    """
    if str(path) == STANDARD or _is_special(path):
        with _as_file_error(path), _direct(path) as out:
            yield out
        return
    target = _target(path)
    with _as_file_error(path):
        descriptor, temporary = _temporary(target)
        try:
            with os.fdopen(descriptor, "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            os.replace(temporary, target)
            _sync_folder(target.parent)
        finally:
            try:
                temporary.unlink(missing_ok=True)
            finally:  # a second Ctrl-C may have hit the first removal
                temporary.unlink(missing_ok=True)


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object: ...


@contextlib.contextmanager
def packed(out: BinaryIO, compression: str | None) -> Iterator[Sink]:
    """The sink that compresses into `out`; its end is written only when the block ends well."""
    if compression is None:
        yield out
        return
    # 31: gzip's own frame, without a name or a time, so that the same data gives the same bytes
    packer = _Packer(out, zlib.compressobj(6, zlib.DEFLATED, 31) if compression == "gzip" else zstd.ZstdCompressor())
    yield packer
    out.write(packer.compressor.flush())


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Packer:
    def __init__(self, out: BinaryIO, compressor: _Compressor) -> None:
        self.out, self.compressor = out, compressor

    def write(self, data: bytes) -> None:
        self.out.write(self.compressor.compress(data))


# ------------------------------------------------------------------------------------------------- parts


def _target(path: str | Path) -> Path:
    """Where the file will stand, links followed; FileError where that cannot be."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise FileError(f"{path}: is a folder; a file name was wanted.")
    if not target.parent.is_dir():
        above = target.parent.parent
        near = [p.name for p in above.iterdir() if p.is_dir()] if above.is_dir() else []
        hint = did_you_mean(target.parent.name, near)
        raise FileError(
            f"{path}: there is no folder {str(target.parent)!r}; {hint if hint.startswith('did') else 'make it first.'}"
        )
    if target.exists() and not os.access(target, os.W_OK):
        raise FileError(f"{path}: is write-protected. Choose another name or lift the protection.")
    return target


def _is_special(path: str | Path) -> bool:
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


@contextlib.contextmanager
def _direct(path: str | Path) -> Iterator[BinaryIO]:
    if str(path) != STANDARD:
        with open(path, "wb") as out:
            yield out
        return
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _temporary(target: Path) -> tuple[int, Path]:
    """A new, hidden file in the target's folder, with the rights that a new file gets: open descriptor, path."""
    temporary = target.parent / f".{target.name[:100]}.{secrets.token_hex(6)}.part"
    return os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o666), temporary


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system lets a folder be opened; the file itself is safe
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _as_file_error(path: str | Path) -> Iterator[None]:
    try:
        yield
    except FileError:
        raise
    except BrokenPipeError as error:
        raise FileError(f"{path}: the reader of the output went away.") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({_why(error)}).") from error


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)).lower()


def move(path: Path, target: Path) -> None:
    """Let a file take the place of another, within a disk, in one step."""
    with _as_file_error(target):
        path.replace(target)


def make_folder(path: Path) -> None:
    """A new folder; FileError where it cannot be made."""
    with _as_file_error(path):
        path.mkdir()

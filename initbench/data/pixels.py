"""Decoded images, which are decoded once, kept in a file and memory-mapped."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from initbench.cache import cache_folder
from initbench.data.decoding import Unreadable, decode, quiet
from initbench.data.listing import CACHE, Listing, several
from initbench.data.permissions import Permissions, follow
from initbench.data.turn import alone
from initbench.record.damage import Damaged, check_file, readable
from initbench.record.store import replacing
from initbench.workers.cores import cores

_FORMAT = 2  # of the cache; to be raised when the same files would be decoded to other pixels
_CHUNK = 64  # images a thread decodes at a time
# Pillow holds Python's lock for all but the decoding proper. For images smaller than this (in bytes, on
# average) that is most of the time: threads then wait for each other, and one alone is faster.
_WORTH_THREADS = 16_000
_PRIVATE = Permissions(0, None, None)


def decoded(path: Path, listing: Listing, image_size: int, channels: int) -> Any:
    """The decoded images (N, C, S, S), uint8, as a memory map of a file, which is made where there is none.

    The file is in `path`/.initbench, for those who may read the images, or in the user's cache folder, for this user.
    Raises ValueError for images that cannot be read, and where neither folder can be written.
    """
    kind = f"{image_size}x{image_size}x{channels}"
    name = f"{kind}-v{_FORMAT}-{listing.digest[:24]}.npy"
    shape = (len(listing.files), channels, image_size, image_size)
    beside = path / CACHE
    folders = [beside]
    if (in_home := cache_folder()) is not None:
        folders.append(in_home / hashlib.sha256(str(path.resolve()).encode(errors="surrogateescape")).hexdigest()[:24])
    for folder in folders:
        if (images := readable(_load, folder / name, shape)) is not None:
            return images
    folder = _first_writable(folders)
    with alone(folder / "lock", f"decoding the images in {path}") as held:
        if (images := readable(_load, folder / name, shape)) is not None:  # another process has made it meanwhile
            return images
        # Caches of these images before they changed or in another format, and leftovers of processes that were killed.
        outdated = [*folder.glob(f"{kind}-v*.npy"), *(folder.glob(f".{kind}-v*.part") if held else ())]
        permissions = listing.permissions if folder == beside else _PRIVATE
        _write(folder / name, shape, _decode_all(listing, image_size, channels), permissions)
        for file in outdated:
            if file.name != name:
                with suppress(OSError):  # somebody else's
                    file.unlink()
        return _load(folder / name, shape)


def _load(file: Path, shape: tuple[int, ...]) -> Any:
    """The cache, None if there is none. Its name identifies its content. Raises Damaged if it cannot be used.

    Copy on write: what the operating system reads lazily and shares between processes stays as it is.
    """
    try:
        check_file(file)
        images = np.lib.format.open_memmap(file, mode="c")  # runs no code of the file's, as np.load might
        if images.shape != shape or images.dtype != np.uint8:
            raise ValueError(f"{images.dtype} {images.shape}, not uint8 {shape}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, EOFError) as error:
        raise Damaged(file, error, "the images are decoded again") from error
    return images


def _first_writable(folders: Sequence[Path]) -> Path:
    for folder in folders:
        with suppress(OSError):  # then the next one
            is_new = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            if is_new and folder.name == CACHE:
                follow(folder, folder.parent)
            TemporaryFile(dir=folder).close()
            return folder
    where = " or ".join(map(str, folders))
    remedy = "set XDG_CACHE_HOME to a folder that may be written"
    raise ValueError(f"no permission to write the image cache in {where}: {remedy}")


def _write(target: Path, shape: tuple[int, ...], chunks: Iterator[bytes], permissions: Permissions) -> None:
    """Write the pixels of all images, in order, into a file that becomes `target`."""
    from rich.progress import track

    from initbench.console import terminal

    try:
        with replacing(target) as file:
            permissions.give(file.fileno())
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            console = terminal(sys.stderr)
            label, hidden = f"decoding {shape[0]} images", not console.is_terminal
            total = shape[0] / _CHUNK
            for pixels in track(chunks, label, total, console=console, transient=True, disable=hidden):
                file.write(pixels)
    except OSError as error:  # a full disk
        raise ValueError(f"the image cache {target.parent} cannot be written: {error}") from error


def _decode_all(listing: Listing, image_size: int, channels: int) -> Iterator[bytes]:
    """The pixels of all images, in order. Raises ValueError, at the end, that names those that cannot be read."""
    from PIL import Image

    unreadable: dict[str, str] = {}

    def decode_chunk(files: Sequence[str]) -> bytes:
        pixels = []
        for file in files:
            try:
                pixels.append(decode(file, image_size, channels))
            except Unreadable as error:
                unreadable[file] = str(error)
        return b"".join(pixels)

    Image.init()  # once, rather than by all threads at the same time
    chunks = [listing.files[start : start + _CHUNK] for start in range(0, len(listing.files), _CHUNK)]
    threads = cores() if listing.mean_bytes >= _WORTH_THREADS else 1
    with quiet(), ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(decode_chunk, chunks)
        finally:
            pool.shutdown(cancel_futures=True)
    if len(unreadable) == 1:
        ((file, reason),) = unreadable.items()
        raise ValueError(f"{several([file])} cannot be read as an image: {reason}")
    if unreadable:
        named = several([f"{file} ({unreadable[file]})" for file in listing.files if file in unreadable])
        raise ValueError(f"{len(unreadable)} files cannot be read as images: {named}")

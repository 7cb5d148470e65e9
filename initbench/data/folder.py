"""Images in folders, one folder per class: decoded once, then memory-mapped from a cache."""

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

import numpy as np
import torch

from initbench.cache import cache_folder
from initbench.data.base import Arrays, Sizes
from initbench.errors import nearest
from initbench.record.damage import Damaged, check_file, readable
from initbench.record.lock import locked
from initbench.record.store import replacing
from initbench.schema.ranges import PositiveInt

# What every build of Pillow reads; other files (notes, thumbnail databases) are passed over.
_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_MODES = {1: "L", 3: "RGB"}
_FORMAT = 1  # of the cache; to be raised when the same files would be decoded to other pixels
_CHUNK = 64  # images a thread decodes at a time
# Pillow holds Python's lock for all but the decoding proper. For images smaller than this (in bytes, on
# average) that is most of the time: threads then wait for each other, and one alone is faster.
_WORTH_THREADS = 16_000


def image_folder(root: str, folder: str | None, image_size: PositiveInt, channels: Literal[1, 3] = 3) -> Arrays:
    """Images under `folder`/train/<class>/ and `folder`/test/<class>/, in any format that Pillow reads.

    Each image is resized and its centre cut out, to `image_size` pixels a side, in RGB (`channels` 3) or grey
    (1). A relative `folder` lies in `root`. The decoded images are cached in `folder`/.initbench, or in the
    user's cache folder where that cannot be written, and decoded again when a file was added, removed or
    changed.

    Raises ValueError for a folder, split or class that is missing or empty, a class of test that train lacks,
    an image that cannot be read, and a cache that cannot be written.
    """
    path = _path(root, folder)
    listing = _list_images(path)
    images = torch.from_numpy(_cached(path, listing, image_size, channels))
    labels = torch.tensor(listing.labels, dtype=torch.int64)
    n = listing.num_train
    return Arrays(
        *(images[:n], labels[:n], images[n:], labels[n:], listing.classes),
        is_current=lambda: _list_images(path).digest == listing.digest,
    )


def image_folder_sizes(root: str, folder: str | None, image_size: int, channels: int = 3) -> Sizes:
    """What `image_folder` would return, of which no image is read. Raises ValueError for what it would refuse."""
    listing = _list_images(_path(root, folder))
    return Sizes(listing.num_train, channels, image_size, len(listing.classes))


def _path(root: str, folder: str | None) -> Path:
    if not folder:
        raise ValueError("data.folder is not set: the folder that holds train/<class>/ and test/<class>/")
    return Path(root) / folder


@dataclass(frozen=True)
class _Listing:
    """All images of a folder, training images first, and a digest of their paths, sizes and times."""

    files: list[str]
    labels: list[int]
    num_train: int
    classes: tuple[str, ...]
    digest: str
    mean_bytes: float


def _list_images(path: Path) -> _Listing:
    try:
        classes = _classes(path, "train")
        for name in _classes(path, "test"):
            if name not in classes:
                raise ValueError(f"class {name!r} of {path / 'test'} is not in train.{nearest(name, classes)}")
        found = [
            (split, label, entry, entry.stat())
            for split in ("train", "test")
            for label, name in enumerate(classes)
            for entry in _images(path / split / name)
        ]
    except PermissionError as error:
        raise ValueError(f"no permission to read {error.filename}") from error
    digest = hashlib.sha256()
    for split, label, entry, stat in found:
        name = f"{split}/{classes[label]}/{entry.name}"
        digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return _Listing(
        files=[entry.path for _, _, entry, _ in found],
        labels=[label for _, label, _, _ in found],
        num_train=sum(split == "train" for split, _, _, _ in found),
        classes=classes,
        digest=digest.hexdigest(),
        mean_bytes=sum(stat.st_size for *_, stat in found) / len(found),
    )


def _classes(path: Path, split: str) -> tuple[str, ...]:
    folder = path / split
    if not folder.is_dir():
        missing = folder if path.is_dir() else path
        raise ValueError(f"no folder {missing.resolve()}: expected {path}/train/<class>/ and {path}/test/<class>/")
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise ValueError(f"{folder.resolve()} has no class folders")
    return tuple(names)


def _images(folder: Path) -> list[os.DirEntry[str]]:
    """The images of one class, by name: none where test lacks the class, an error for an empty folder."""
    if not folder.is_dir():
        return []
    images = [
        entry
        for entry in os.scandir(folder)
        if os.path.splitext(entry.name)[1].lower() in _SUFFIXES and not entry.name.startswith(".")  # noqa: PTH122  # a Path for each of a million entries costs seconds
    ]
    if not images:
        raise ValueError(f"{folder.resolve()} has no images")
    return sorted(images, key=lambda entry: entry.name)


def _cached(path: Path, listing: _Listing, image_size: int, channels: int) -> Any:
    """The decoded images (N, C, S, S), uint8, as a memory map of a file, which is made where there is none."""
    kind = f"{image_size}x{image_size}x{channels}-v{_FORMAT}"
    name = f"{kind}-{listing.digest[:24]}.npy"
    shape = (len(listing.files), channels, image_size, image_size)
    folders = [path / ".initbench"]
    if (in_home := cache_folder()) is not None:
        folders.append(in_home / hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24])
    for folder in folders:
        if (images := readable(_load, folder / name, shape)) is not None:
            return images
    folder = _first_writable(folders)
    with ExitStack() as stack:
        with suppress(OSError):  # where nothing can be locked, two processes may both decode
            stack.enter_context(locked(folder / "lock"))
        if (images := readable(_load, folder / name, shape)) is None:  # else another process has made it meanwhile
            _write(folder / name, shape, _decode_all(listing, image_size, channels))
            images = _load(folder / name, shape)
            for outdated in folder.glob(f"{kind}-*.npy"):
                if outdated.name != name:
                    with suppress(OSError):  # somebody else's
                        outdated.unlink()
    return images


def _load(file: Path, shape: tuple[int, ...]) -> Any:
    """A cache that is there, None where there is none. Its name tells what is in it; Damaged for what is of no use.

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
            folder.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=folder).close()
            return folder
    where = " or ".join(map(str, folders))
    remedy = "set XDG_CACHE_HOME to a folder that may be written"
    raise ValueError(f"no permission to write the image cache in {where}: {remedy}")


def _write(target: Path, shape: tuple[int, ...], decoded: Iterator[bytes]) -> None:
    """Write the pixels of all images, in order, into a file that becomes `target`."""
    from rich.console import Console
    from rich.progress import track

    try:
        with replacing(target) as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            console = Console(file=sys.stderr)
            label = f"decoding {shape[0]} images"
            for pixels in track(decoded, label, total=shape[0] / _CHUNK, console=console, transient=True):
                file.write(pixels)
    except OSError as error:  # a full disk
        raise ValueError(f"the image cache {target.parent} cannot be written: {error}") from error


def _decode_all(listing: _Listing, image_size: int, channels: int) -> Iterator[bytes]:
    from PIL import Image

    Image.init()  # once, rather than by all threads at the same time
    chunks = [listing.files[start : start + _CHUNK] for start in range(0, len(listing.files), _CHUNK)]
    threads = (os.cpu_count() or 1) if listing.mean_bytes >= _WORTH_THREADS else 1
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(lambda chunk: b"".join(_decode(f, image_size, channels) for f in chunk), chunks)
        finally:
            pool.shutdown(cancel_futures=True)  # the first image that cannot be read ends it


def _decode(file: str, image_size: int, channels: int) -> bytes:
    """One image as C x S x S bytes: the shorter side resized to S (bicubic, antialiased), the centre kept."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            image.draft(_MODES[channels], (image_size, image_size))  # a JPEG decodes no larger than needed
            pixels = image.convert(_MODES[channels])
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
        raise ValueError(f"{file} cannot be read as an image: {error}") from error
    if pixels.size != (image_size, image_size):
        pixels = ImageOps.fit(pixels, (image_size, image_size), method=Image.Resampling.BICUBIC)
    return np.asarray(pixels).reshape(image_size, image_size, channels).transpose(2, 0, 1).tobytes()

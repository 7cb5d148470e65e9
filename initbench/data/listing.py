"""The images of a folder, and what else it contains."""

import errno
import hashlib
import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from initbench.data.permissions import Permissions
from initbench.errors import nearest

# What every build of Pillow reads; other files (notes, thumbnail databases) are skipped.
_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_SPLITS = ("train", "test")
CACHE = ".initbench"

_Entries = dict[str, list[os.DirEntry[str]]]


@dataclass(frozen=True)
class Listing:
    """All images of a folder, training images first, and a digest of their paths, sizes and times.

    remarks: lines for the user about what was skipped; permissions: those of the images.
    """

    files: list[str]
    labels: list[int]
    num_train: int
    classes: tuple[str, ...]
    digest: str
    mean_bytes: float
    permissions: Permissions
    remarks: list[str]


def list_images(path: Path) -> Listing:
    """The images in `path`/train/<class>/ and `path`/test/<class>/.

    Raises ValueError for a folder, split or class that is missing or empty or cannot be read, for a class of test that
    train lacks, and for links that lead nowhere.
    """
    try:
        return _list(path)
    except PermissionError as error:
        raise ValueError(f"no permission to read {error.filename}") from error
    except FileNotFoundError as error:
        raise ValueError(f"{error.filename} was removed while the images were listed") from error


def several(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c and 2 more`; names with line breaks and the like in quotes."""
    shown = ", ".join(name if name.isprintable() else repr(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _list(path: Path) -> Listing:
    splits = {split: _scan(_split_folder(path, split)) for split in _SPLITS}
    names = {split: sorted(entry.name for entry in splits[split]["folder"]) for split in _SPLITS}
    classes = tuple(names["train"])
    for split in _SPLITS:
        if not names[split] and not splits[split]["link"]:
            raise ValueError(f"{(path / split).absolute()} has no class folders")
    folders = {(split, name): _scan(path / split / name) for split in _SPLITS for name in names[split]}
    everything = [_scan(path), *splits.values(), *folders.values()]
    if links := [entry.path for found in everything[1:] for entry in found["link"]]:
        raise ValueError(f"{several(links)}: {'a link leads' if len(links) == 1 else 'these links lead'} nowhere")
    for name in names["test"]:
        if name not in classes:
            raise ValueError(f"class {name!r} of {path / 'test'} is not in train.{nearest(name, classes)}")
    for (split, name), found in folders.items():
        if not found["image"]:
            others = sorted(entry.name for kind in ("file", "folder", "hidden") for entry in found[kind])
            passed = f" (skipped: {several(others)})" if others else ""
            raise ValueError(f"{(path / split / name).absolute()} has no images{passed}")

    images = [
        (split, label, entry, entry.stat())
        for split in _SPLITS
        for label, name in enumerate(classes)
        for entry in sorted(folders.get((split, name), {"image": []})["image"], key=lambda entry: entry.name)
    ]
    digest = hashlib.sha256()
    for split, label, entry, stat in images:
        key = f"{split}/{classes[label]}/{entry.name}"
        digest.update(f"{key}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode(errors="surrogateescape"))
    inside = [(path / split / name).stat() for split, name in folders] + [(path / split).stat() for split in _SPLITS]
    return Listing(
        files=[entry.path for _, _, entry, _ in images],
        labels=[label for _, label, _, _ in images],
        num_train=sum(split == "train" for split, _, _, _ in images),
        classes=classes,
        digest=digest.hexdigest(),
        mean_bytes=sum(stat.st_size for *_, stat in images) / len(images),
        permissions=Permissions.of([stat for *_, stat in images], inside),
        remarks=[
            *_passed_over(path, everything),
            *_absent(classes, names["test"], path),
            *_alike(classes, path),
        ],
    )


def _split_folder(path: Path, split: str) -> Path:
    folder = path / split
    if not folder.is_dir():
        missing = folder if path.is_dir() else path
        raise ValueError(f"no folder {missing.absolute()}: expected {path}/train/<class>/ and {path}/test/<class>/")
    return folder


def _scan(folder: Path) -> _Entries:
    found: _Entries = defaultdict(list)
    with os.scandir(folder) as entries:
        for entry in entries:
            found[_kind(entry)].append(entry)
    return found


def _kind(entry: os.DirEntry[str]) -> str:
    """hidden, folder, image, link (one that leads nowhere) or file."""
    if entry.name.startswith("."):
        return "hidden"
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():  # unlike a FIFO, which might never be read to its end
            suffix = os.path.splitext(entry.name)[1]  # noqa: PTH122  # a Path for each of a million entries costs seconds
            return "image" if suffix.lower() in _SUFFIXES else "file"
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return "link"
    return "link" if entry.is_symlink() and not Path(entry.path).exists() else "file"


def _passed_over(path: Path, everything: Sequence[_Entries]) -> list[str]:
    """One line, or none, about what is in the folder, its splits and its classes and is not read."""
    root, splits, classes = everything[0], everything[1 : 1 + len(_SPLITS)], everything[1 + len(_SPLITS) :]
    hidden = [entry for found in everything for entry in found["hidden"] if entry.path != str(path / CACHE)]
    stray = [entry for found in (root, *splits) for entry in found["image"]]
    folders = [entry for entry in root["folder"] if entry.name not in _SPLITS]
    passed = {
        ("hidden", "hidden"): hidden,
        ("file of another type", "files of another type"): [entry for found in everything for entry in found["file"]],
        ("image outside the classes", "images outside the classes"): stray,
        ("folder", "folders"): folders + [entry for found in classes for entry in found["folder"]],
    }
    counted = [
        f"{len(entries)} {one if len(entries) == 1 else many} "
        f"({several(sorted(os.path.relpath(entry.path, path) for entry in entries))})"
        for (one, many), entries in passed.items()
        if entries
    ]
    return [f"{path}: skipped {', '.join(counted)}"] if counted else []


def _absent(classes: Sequence[str], tested: Sequence[str], path: Path) -> list[str]:
    absent = sorted({*classes} - {*tested})
    return (
        [f"{path / 'test'} has no images of {several(absent)}: {len(absent)} of {len(classes)} classes"]
        if absent
        else []
    )


def _alike(classes: Sequence[str], path: Path) -> list[str]:
    """One line about each set of class names that differ only in case, or in how Unicode composes an accent."""
    same = defaultdict(list)
    for name in classes:
        same[unicodedata.normalize("NFC", name).casefold()].append(name)
    return [
        f"{path / 'train'}: {', '.join(map(ascii, names))} are {len(names)} classes, though the names look alike"
        for names in same.values()
        if len(names) > 1
    ]

"""The datasets that torchvision reads in their official on-disk formats."""

import io
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from initbench.data.arrays import Arrays
from initbench.data.turn import alone
from initbench.sizes import Sizes

# As published: a dry run can tell what fits before anything is downloaded.
SIZES = {
    "MNIST": Sizes(60_000, (1, 28, 28), num_classes=10),
    "FashionMNIST": Sizes(60_000, (1, 28, 28), num_classes=10),
    "KMNIST": Sizes(60_000, (1, 28, 28), num_classes=10),
    "CIFAR10": Sizes(50_000, (3, 32, 32), num_classes=10),
    "CIFAR100": Sizes(50_000, (3, 32, 32), num_classes=100),
    "SVHN": Sizes(73_257, (3, 32, 32), num_classes=10),
}


def torchvision_dataset(
    dataset: Literal["MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100", "SVHN"], root: str
) -> Arrays:
    """The train and test splits of a torchvision dataset under `root`, downloaded where they are missing.

    If several processes miss a dataset, one downloads it and the others wait. No file is ever incomplete.

    Raises ValueError for files that are missing and cannot be downloaded, and for files that are damaged; the message
    names the folder and the files.
    """
    from torchvision import datasets  # seconds to import, and the bundled digits do not need it

    reader = getattr(datasets, dataset)
    folder, names = _layout(reader, Path(root))
    if _missing(folder, names):
        _download(reader, Path(root), folder, names)
    try:
        train, test = _split(reader, root, "train"), _split(reader, root, "test")
    except PermissionError as error:
        raise ValueError(f"no permission to read {error.filename}") from error
    except Exception as error:  # whatever a parser raises on bytes that it does not expect
        raise ValueError(
            f"{dataset} in {folder.resolve()} is damaged ({error}). "
            f"Remove {', '.join(names)} there, and they are downloaded again"
        ) from error
    classes = getattr(train, "classes", "0123456789")  # SVHN does not name its digits
    return Arrays(*_tensors(train), *_tensors(test), classes=tuple(classes))


def _layout(reader: Any, root: Path) -> tuple[Path, list[str]]:
    """The folder that `reader` reads, and the files that it needs there."""
    if hasattr(reader, "resources"):  # the MNIST family
        return root / reader.__name__ / "raw", [Path(archive).stem for archive, _ in reader.resources]
    if hasattr(reader, "base_folder"):  # the CIFAR family
        files = [name for name, _ in reader.train_list + reader.test_list]
        return root / reader.base_folder, [*files, reader.meta["filename"]]
    return root, [reader.split_list[split][1] for split in ("train", "test")]


def _missing(folder: Path, names: list[str]) -> list[str]:
    try:
        return [name for name in names if not (folder / name).is_file()]
    except PermissionError as error:
        raise ValueError(f"no permission to read {error.filename}") from error


def _split(reader: Any, root: str, split: str, *, download: bool = False) -> Any:
    which = {"split": split} if hasattr(reader, "split_list") else {"train": split == "train"}
    with warnings.catch_warnings():
        # The official CIFAR files were pickled in 2009, with integers where NumPy 2.4 wants booleans.
        warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
        return reader(root, download=download, **which)


def _download(reader: Any, root: Path, folder: Path, names: list[str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"{folder.resolve()} cannot be written, to download {reader.__name__}: {error}") from error
    with alone(folder / f".{reader.__name__}.lock", f"downloading {reader.__name__} to {folder}") as held:
        missing = _missing(folder, names)  # fewer, if another process has downloaded it meanwhile
        abandoned = list(folder.glob(f".{reader.__name__}.*.partial")) if held else []  # by a process that was killed
        partial = Path(tempfile.mkdtemp(prefix=f".{reader.__name__}.", suffix=".partial", dir=folder))
        try:
            if missing:
                _fetch(reader, root, partial, folder, missing, abandoned)
        finally:
            for leftover in (partial, *abandoned):
                shutil.rmtree(leftover, ignore_errors=True)


def _fetch(
    reader: Any, root: Path, partial: Path, folder: Path, missing: Sequence[str], abandoned: Sequence[Path]
) -> None:
    """Download to `partial`, and move what is missing to its place."""
    from initbench.console import terminal

    console = terminal(sys.stderr)  # one line of ours in place of torchvision's bars, one per file
    try:
        _reuse(reader, root, partial, abandoned)
        with console.status(f"downloading {reader.__name__} to {folder}"), redirect_stderr(io.StringIO()):
            for split in ("train", "test"):
                _split(reader, str(partial), split, download=True)
        source, _ = _layout(reader, partial)
        for name in missing:
            (source / name).replace(folder / name)
    except Exception as error:  # no network, a server that is gone, an archive cut short: the remedy is the same
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise ValueError(
            f"{reader.__name__} is missing and cannot be downloaded ({reason}). Put {', '.join(missing)} "
            f"into {folder.resolve()}, or choose data=mnist_mini, which needs no download"
        ) from error


def _reuse(reader: Any, root: Path, partial: Path, abandoned: Sequence[Path]) -> None:
    """Move to `partial` what has been downloaded: archives under `root`, and what an earlier process has left."""
    from torchvision.datasets.utils import check_integrity

    if hasattr(reader, "resources"):
        files = {f"{reader.__name__}/raw/{archive}": md5 for archive, md5 in reader.resources}
    elif hasattr(reader, "base_folder"):
        files = {reader.filename: reader.tgz_md5}
    else:
        files = {name: md5 for _, name, md5 in (reader.split_list[split] for split in ("train", "test"))}
    for name, md5 in files.items():
        target = partial / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if check_integrity(root / name, md5):
            target.symlink_to((root / name).resolve())
        elif left := [folder / name for folder in abandoned if check_integrity(folder / name, md5)]:
            left[0].replace(target)


def _tensors(dataset: Any) -> tuple[Tensor, Tensor]:
    """uint8 (N, C, H, W) and int64 (N,) from what the three families of classes keep."""
    images = torch.from_numpy(np.ascontiguousarray(_channels_first(dataset)))
    labels = dataset.labels if hasattr(dataset, "labels") else dataset.targets
    return images, torch.as_tensor(labels, dtype=torch.int64)


def _channels_first(dataset: Any) -> np.ndarray:
    data = np.asarray(dataset.data)
    if data.ndim == 3:  # MNIST: (N, H, W)
        return data[:, None]
    if hasattr(dataset, "labels"):  # SVHN: (N, C, H, W)
        return data
    return data.transpose(0, 3, 1, 2)  # CIFAR: (N, H, W, C)

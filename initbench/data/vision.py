"""The datasets that torchvision reads in their official on-disk formats."""

import io
import sys
import tempfile
import warnings
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from initbench.data.base import Arrays, Sizes

# As published: a dry run can tell what fits before anything is downloaded.
SIZES = {
    "MNIST": Sizes(60_000, 1, 28, 10),
    "FashionMNIST": Sizes(60_000, 1, 28, 10),
    "KMNIST": Sizes(60_000, 1, 28, 10),
    "CIFAR10": Sizes(50_000, 3, 32, 10),
    "CIFAR100": Sizes(50_000, 3, 32, 100),
    "SVHN": Sizes(73_257, 3, 32, 10),
}


def torchvision_dataset(
    dataset: Literal["MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100", "SVHN"], root: str
) -> Arrays:
    """The train and test splits of a torchvision dataset under `root`, downloaded where they are missing.

    Raises ValueError for files that are missing and cannot be downloaded, and for files that are damaged; the message
    names the folder and the files.
    """
    from torchvision import datasets  # seconds to import, and the bundled digits do not need it

    reader = getattr(datasets, dataset)
    folder, names = _layout(reader, Path(root))
    if missing := _missing(folder, names):
        _download(reader, root, folder, missing)
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


def _download(reader: Any, root: str, folder: Path, missing: list[str]) -> None:
    from rich.console import Console

    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"{folder.resolve()} cannot be written, to download {reader.__name__}: {error}") from error
    console = Console(file=sys.stderr)  # one line of ours in place of torchvision's bars, one per file
    try:
        with console.status(f"downloading {reader.__name__} to {folder}"), redirect_stderr(io.StringIO()):
            for split in ("train", "test"):
                _split(reader, root, split, download=True)
    except Exception as error:  # no network, a server that is gone, an archive cut short: the remedy is the same
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise ValueError(
            f"{reader.__name__} is missing and cannot be downloaded ({reason}). Put {', '.join(missing)} "
            f"into {folder.resolve()}, or choose data=mnist_mini, which needs no download"
        ) from error


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

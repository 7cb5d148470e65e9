"""Tiny fakes in the official on-disk formats. Nothing is downloaded: all addresses are closed ports."""

import hashlib
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from torchvision import datasets

from initbench.data import check_source, torchvision_dataset
from initbench.data.arrays import Arrays

GENERATOR = np.random.default_rng(0)
TRAIN, TEST = 30, 10
IDX_FAMILY = ["MNIST", "FashionMNIST", "KMNIST"]
CIFAR_FAMILY = ["CIFAR10", "CIFAR100"]
ALL = [*IDX_FAMILY, *CIFAR_FAMILY, "SVHN"]
UNREACHABLE = "http://127.0.0.1:1/"  # nothing listens there, so that connecting fails at once


def pixels(n: int, *shape: int) -> np.ndarray:
    return GENERATOR.integers(256, size=(n, *shape), dtype=np.uint8)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


class OldPickler(pickle.Pickler):
    """Writes arrays as NumPy did in 2009, with integers in a dtype's arguments."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, np.dtype):
            return NotImplemented
        kind, (code, *_), state = obj.__reduce__()
        return kind, (code, 0, 1), state


def dump(path: Path, content: dict[str, Any]) -> None:
    with path.open("wb") as file:
        OldPickler(file, protocol=2).dump(content)


class Fake:
    """One dataset on disk, and the tensors that reading it has to give."""

    def __init__(self, dataset: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reader, self.root, self.monkeypatch = getattr(datasets, dataset), root, monkeypatch
        self.dataset, self.num_classes = dataset, 100 if dataset == "CIFAR100" else 10
        size, channels = (28, 1) if dataset in IDX_FAMILY else (32, 3)
        self.images = {
            "train": pixels(TRAIN, channels, size, size),
            "test": pixels(TEST, channels, size, size),
        }
        self.labels = {
            split: GENERATOR.integers(self.num_classes, size=len(images)) for split, images in self.images.items()
        }
        write = {"SVHN": self._svhn}.get(dataset, self._idx if dataset in IDX_FAMILY else self._cifar)
        write()

    def _idx(self) -> None:
        self.folder = self.root / self.dataset / "raw"
        self.folder.mkdir(parents=True)
        for split, prefix in (("train", "train"), ("test", "t10k")):
            images, labels = self.images[split], self.labels[split]
            header = struct.pack(">IIII", 0x803, len(images), 28, 28)
            (self.folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + images.tobytes())
            header = struct.pack(">II", 0x801, len(labels))
            (self.folder / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.astype(np.uint8).tobytes())
        self.victim = self.folder / "t10k-images-idx3-ubyte"

    def _cifar(self) -> None:
        self.folder = self.root / self.reader.base_folder
        self.folder.mkdir(parents=True)
        key = "labels" if self.dataset == "CIFAR10" else "fine_labels"
        for split, attribute in (("train", "train_list"), ("test", "test_list")):
            names = [name for name, _ in getattr(self.reader, attribute)]
            images = np.array_split(self.images[split].reshape(-1, 3072), len(names))
            labels = np.array_split(self.labels[split], len(names))
            for name, data, numbers in zip(names, images, labels, strict=True):
                dump(self.folder / name, {"data": data, key: numbers.tolist()})
            sums = [[name, md5(self.folder / name)] for name in names]
            self.monkeypatch.setattr(self.reader, attribute, sums)
        meta = self.folder / self.reader.meta["filename"]
        dump(meta, {self.reader.meta["key"]: [f"class {i}" for i in range(self.num_classes)]})
        self.monkeypatch.setattr(self.reader, "meta", self.reader.meta | {"md5": md5(meta)})
        self.victim = self.folder / self.reader.test_list[0][0]

    def _svhn(self) -> None:
        self.folder = self.root
        sums = dict(self.reader.split_list)
        for split, images in self.images.items():
            path = self.root / f"{split}_32x32.mat"
            ones_to_ten = np.where(self.labels[split] == 0, 10, self.labels[split])  # its zero is called 10
            x = images.transpose(2, 3, 1, 0)  # (H, W, C, N)
            scipy.io.savemat(path, {"X": x, "y": ones_to_ten.astype(np.uint8)[:, None]})
            sums[split] = [sums[split][0], path.name, md5(path)]
        self.monkeypatch.setattr(self.reader, "split_list", sums)
        self.victim = self.root / "test_32x32.mat"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in IDX_FAMILY:
        monkeypatch.setattr(getattr(datasets, name), "mirrors", [UNREACHABLE])
    for name in CIFAR_FAMILY:
        monkeypatch.setattr(getattr(datasets, name), "url", UNREACHABLE)
    closed = {split: [UNREACHABLE, *rest] for split, (_, *rest) in datasets.SVHN.split_list.items()}
    monkeypatch.setattr(datasets.SVHN, "split_list", closed)


@pytest.mark.parametrize("dataset", ALL)
def test_the_official_format_is_read(dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(dataset, tmp_path, monkeypatch)
    arrays = torchvision_dataset(dataset, str(tmp_path))
    assert isinstance(arrays, Arrays)
    assert np.array_equal(arrays.train_images.numpy(), fake.images["train"])
    assert np.array_equal(arrays.test_images.numpy(), fake.images["test"])
    assert arrays.train_labels.tolist() == fake.labels["train"].tolist()
    assert arrays.test_labels.tolist() == fake.labels["test"].tolist()
    assert len(arrays.classes) == fake.num_classes
    assert arrays.train_images.is_contiguous()


@pytest.mark.parametrize("dataset", ALL)
def test_missing_files_are_named_with_their_folder(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake = Fake(dataset, tmp_path, monkeypatch)
    fake.victim.unlink()
    with pytest.raises(ValueError, match=f"{dataset} is missing and cannot be downloaded") as caught:
        torchvision_dataset(dataset, str(tmp_path))
    message = str(caught.value)
    assert f"Put {fake.victim.name} into {fake.folder.resolve()}" in message
    assert "data=mnist_mini" in message
    assert "\n" not in message
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.strip().splitlines()[1:] == [], "no chatter of torchvision's"


@pytest.mark.parametrize("dataset", ALL)
def test_a_damaged_file_is_reported(dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(dataset, tmp_path, monkeypatch)
    fake.victim.write_bytes(fake.victim.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"{dataset} in .* is damaged .*{re.escape(fake.victim.name)}"):
        torchvision_dataset(dataset, str(tmp_path))


def test_an_unknown_dataset_is_refused(tmp_path: Path) -> None:
    config = {"_target_": "initbench.data.torchvision_dataset", "dataset": "CIFAR11", "root": str(tmp_path)}
    with pytest.raises(ValueError, match=r"unknown data\.dataset 'CIFAR11'\. Did you mean 'CIFAR10"):
        check_source(config)


def test_a_folder_that_cannot_be_written_is_reported(locked_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be written, to download MNIST: .*Permission denied"):
        torchvision_dataset("MNIST", str(locked_folder))


def test_real_mnist(real_data: Path) -> None:
    arrays = torchvision_dataset("MNIST", str(real_data))
    assert arrays.train_images.shape == (60_000, 1, 28, 28)
    assert arrays.test_images.shape == (10_000, 1, 28, 28)
    # The counts of digits in the original training and test files.
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert torch.bincount(arrays.train_labels).tolist() == train
    assert torch.bincount(arrays.test_labels).tolist() == test

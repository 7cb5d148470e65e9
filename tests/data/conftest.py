import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from initbench.data.arrays import Arrays
from initbench.data.base import Settings
from initbench.data.images import ImageData

NOBODY = 65534


def random_arrays(
    train: int = 60, test: int = 20, *, channels: int = 1, size: int = 5, classes: int = 3, seed: int = 0
) -> Arrays:
    generator = torch.Generator().manual_seed(seed)

    def images(n: int) -> torch.Tensor:
        return torch.randint(256, (n, channels, size, size), generator=generator, dtype=torch.uint8)

    def labels(n: int) -> torch.Tensor:
        return torch.randint(classes, (n,), generator=generator)

    names = tuple(f"class {i}" for i in range(classes))
    return Arrays(images(train), labels(train), images(test), labels(test), names)


SETTINGS: dict[str, Any] = {
    "name": "random",
    "batch_size": 8,
    "val_size": 10,
    "flip": False,
    "crop_padding": 0,
    "cutout": 0,
    "stream": False,
    "max_resident_gb": 8,
    "num_workers": 2,
    "val_every_n_steps": 3,
    "targets": [0.5, 0.9],
}


@pytest.fixture
def settings() -> dict[str, Any]:
    return dict(SETTINGS)


@pytest.fixture
def make_arrays() -> Callable[..., Arrays]:
    return random_arrays


@pytest.fixture
def make_module() -> Callable[..., ImageData]:
    def make(arrays: Arrays | None = None, *, seed: int = 0, **settings: Any) -> ImageData:
        return ImageData(arrays or random_arrays(), Settings(**(SETTINGS | settings)), seed=seed)

    return make


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder that this process may read and not write, also where the tests run as root."""
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, whose parents only their owner may enter
        folder = Path(name)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real datasets, in torchvision's layout, that INITBENCH_DATA points at."""
    if "INITBENCH_DATA" not in os.environ:
        pytest.skip("INITBENCH_DATA is not set")
    return Path(os.environ["INITBENCH_DATA"])

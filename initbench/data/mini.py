"""6,000 real MNIST digits that come with the package, so that a first run needs no download."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from initbench.data.arrays import Arrays

FILE = Path(__file__).with_name("mnist_mini.npz")  # made by scripts/make_mnist_mini.py; see MNIST_LICENSE.txt


def mnist_mini() -> Arrays:
    """500 training and 100 test images of each digit (LeCun, Cortes and Burges, 1998), 1 x 28 x 28."""
    with np.load(FILE) as file:

        def images(split: str) -> Tensor:
            return torch.from_numpy(file[f"{split}_images"]).unsqueeze(1)

        def labels(split: str) -> Tensor:
            return torch.from_numpy(file[f"{split}_labels"]).to(torch.int64)

        return Arrays(
            train_images=images("train"),
            train_labels=labels("train"),
            test_images=images("test"),
            test_labels=labels("test"),
            classes=tuple("0123456789"),
        )

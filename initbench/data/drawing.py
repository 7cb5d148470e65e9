"""Toy data as they are drawn: the test points, the true function, and what a model's outputs say about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from initbench.data.base import val_count
from initbench.data.functions import curves, value_of
from initbench.data.vectors import statistics

_LINE_POINTS = 501  # of a true function of one variable


@dataclass(frozen=True)
class Drawing:
    """The test points of a toy function or of two classes.

    inputs: (N, 1) or (N, 2). targets: (N,), with noise; of classes, the labels. truth: (M,), without noise, at
    `truth_inputs` (M, ...). mean, std: those of the targets that are trained on, as models predict standardized ones.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    truth_inputs: NDArray[Any]
    truth: NDArray[Any]
    has_classes: bool
    mean: float = 0.0
    std: float = 1.0

    def learned(self, outputs: NDArray[Any]) -> NDArray[Any] | None:
        """The values (N,) that outputs (N, K) predict, or the probabilities of the second class.

        None for outputs of another shape, as of a task of the user's own.
        """
        if outputs.shape != (len(self.inputs), 2 if self.has_classes else 1):
            return None
        if self.has_classes:
            return np.asarray(expit(outputs[:, 1] - outputs[:, 0]))
        return outputs[:, 0] * self.std + self.mean


def drawing(data: Mapping[str, Any], split_seed: int | None = None) -> Drawing:
    """The drawing of the data of a config whose source is `curves`; split_seed: `seeds.split` of the run."""
    vectors = curves(data["function"], data["size"], data["noise"])
    inputs = vectors.test_inputs
    if vectors.classes:
        labels = vectors.test_targets.numpy()
        return Drawing(inputs.numpy(), labels, inputs.numpy(), labels, has_classes=True)
    mean, std = statistics(vectors.train_targets, (val_count(data["val_size"], vectors.sizes), split_seed))
    at = torch.linspace(-1, 1, _LINE_POINTS).unsqueeze(1) if inputs.shape[1] == 1 else inputs
    truth = value_of(data["function"], at)
    targets = vectors.test_targets[:, 0].numpy()
    return Drawing(inputs.numpy(), targets, at.numpy(), truth.numpy(), False, float(mean), float(std))

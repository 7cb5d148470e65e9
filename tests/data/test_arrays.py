import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from initbench.data.arrays import Arrays
from initbench.sizes import Sizes


def test_it_describes_its_images(make_arrays: Callable[..., Arrays]) -> None:
    arrays = make_arrays(train=7, test=2, channels=3, size=6, classes=4)
    assert arrays.sizes == Sizes(7, (3, 6, 6), num_classes=4)
    assert arrays.nbytes == 9 * 3 * 6 * 6
    assert arrays.is_current()


def test_it_is_its_own_key(make_arrays: Callable[..., Arrays]) -> None:
    first, second = make_arrays(), make_arrays()
    assert len({first, second, first}) == 2


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"train_images": torch.zeros(0, 1, 5, 5, dtype=torch.uint8)}, "the train set is empty"),
        ({"test_images": torch.zeros(0, 1, 5, 5, dtype=torch.uint8)}, "the test set is empty"),
        ({"train_images": torch.zeros(60, 1, 5, 5)}, "square uint8 of shape (N, C, S, S), got torch.float32"),
        ({"train_images": torch.zeros(60, 1, 5, 6, dtype=torch.uint8)}, "got torch.uint8 (60, 1, 5, 6)"),
        ({"train_images": torch.zeros(60, 5, 5, dtype=torch.uint8)}, "got torch.uint8 (60, 5, 5)"),
        ({"test_images": torch.zeros(20, 3, 5, 5, dtype=torch.uint8)}, "train images are (1, 5, 5) but test"),
        ({"train_labels": torch.zeros(59, dtype=torch.int64)}, "train labels must be int64 of shape (60,)"),
        ({"test_labels": torch.zeros(20, dtype=torch.int32)}, "got torch.int32 (20,)"),
        ({"train_labels": torch.full((60,), -1)}, "train labels must lie in [0, 2], got [-1, -1]"),
        ({"test_labels": torch.full((20,), 3)}, "test labels must lie in [0, 2], got [3, 3]"),
        ({"train_labels": torch.full((60,), 3)}, "train labels must lie in [0, 2], got [3, 3]"),
        ({"classes": 3}, "classes must be a list of the names of the classes, got 3"),
        ({"test_labels": torch.full((20,), -1)}, "test labels must lie in [0, 2], got [-1, -1]"),
    ],
)
def test_a_malformed_dataset_is_refused(
    make_arrays: Callable[..., Arrays], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(make_arrays(), **changes)

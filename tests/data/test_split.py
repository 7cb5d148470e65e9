from collections.abc import Callable

import pytest
import torch

from initbench.data import split as split_module
from initbench.data.arrays import Arrays
from initbench.data.split import split


def test_the_parts_are_disjoint_and_complete(make_arrays: Callable[..., Arrays]) -> None:
    parts = split(make_arrays(train=60), 13)
    assert (len(parts.train), len(parts.val)) == (47, 13)
    assert sorted(parts.train.tolist() + parts.val.tolist()) == list(range(60))


def test_it_is_the_same_for_every_dataset_of_that_size(make_arrays: Callable[..., Arrays]) -> None:
    """Pinned: results of different versions are compared with each other."""
    first, second = (split(make_arrays(train=60, seed=seed), 5).val.tolist() for seed in (1, 2))
    assert first == second == torch.randperm(60, generator=torch.Generator().manual_seed(0))[:5].tolist()


def test_statistics_are_those_of_the_training_part(make_arrays: Callable[..., Arrays]) -> None:
    arrays = make_arrays(train=2500, channels=3)
    parts = split(arrays, 400)
    trained = arrays.train_images[parts.train].double() / 255
    torch.testing.assert_close(parts.mean, trained.mean((0, 2, 3)).float())
    torch.testing.assert_close(parts.std, trained.std((0, 2, 3), correction=0).float())
    everything = arrays.train_images.double() / 255
    assert not torch.allclose(parts.mean, everything.mean((0, 2, 3)).float(), rtol=1e-6)


def test_statistics_of_a_large_dataset_are_sampled(
    make_arrays: Callable[..., Arrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_module, "_STATISTICS_BYTES", 30 * 25)
    arrays = make_arrays(train=200)
    parts = split(arrays, 20)
    sample = arrays.train_images[parts.train[:30]].double() / 255
    torch.testing.assert_close(parts.mean, sample.mean((0, 2, 3)).float())


def test_a_blank_channel_stays_finite() -> None:
    blank = torch.full((20, 1, 3, 3), 7, dtype=torch.uint8)
    labels = torch.zeros(20, dtype=torch.int64)
    parts = split(Arrays(blank, labels, blank, labels, ("only",)), 5)
    torch.testing.assert_close(parts.mean, torch.tensor([7 / 255]))
    torch.testing.assert_close(parts.std, torch.tensor([1 / 255]))

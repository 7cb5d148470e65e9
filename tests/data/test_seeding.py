"""The draws of a run, from NumPy's SeedSequence by hand: a change of any of them changes every result."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from initbench.data import augment, build
from initbench.data.batches import Batches
from initbench.data.images import ImageData
from initbench.data.split import held_out
from initbench.data.windows import TokenData

ORDER, AUGMENTATION, SPLIT = 0, 1, 2
IMAGES = torch.randint(256, (40, 1, 9, 9), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def generator(seed: int, *key: int) -> torch.Generator:
    return torch.Generator().manual_seed(number(seed, *key))


def number(seed: int, *key: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0])


@pytest.mark.parametrize("seed, epoch", [(0, 0), (0, 1), (7, 0), (7, 3)])
def test_the_order_of_an_epoch(seed: int, epoch: int) -> None:
    batches = Batches(torch.arange(100, 123), 5, seed=seed)
    batches.set_epoch(epoch)
    order = torch.randperm(23, generator=generator(seed, ORDER, epoch))[:20] + 100
    assert torch.equal(torch.cat(list(batches)), order)


@pytest.mark.parametrize("seed", [None, 0, 7])
def test_what_is_held_out(seed: int | None) -> None:
    """Without a seed, the same in every run and of every version."""
    train, val = held_out(30, 4, seed)
    own = torch.Generator().manual_seed(0) if seed is None else generator(seed, SPLIT)
    assert torch.equal(torch.cat([val, train]), torch.randperm(30, generator=own))
    assert len(val) == 4


@pytest.mark.parametrize("seed", [0, 7])
def test_which_windows_of_a_text_are_held_out(settings: dict[str, Any], seed: int) -> None:
    source = {"_target_": "initbench.data.text_mini", "size": 2000, "context_length": 10, "val_size": 9}
    found = build({**settings, **source}, seed=1, split=seed)
    assert isinstance(found, TokenData)
    windows = torch.arange(199).roll(number(seed, SPLIT) % 199)
    assert torch.equal(torch.cat([found.train, found.val]), windows)
    assert len(found.val) == 9


@pytest.mark.parametrize("seed, step, rank", [(0, 0, 0), (3, 0, 1), (3, 5, 0)])
def test_how_images_are_augmented(make_module: Callable[..., ImageData], seed: int, step: int, rank: int) -> None:
    module = make_module(seed=seed, flip=True, crop_padding=2, cutout=3)
    own = generator(seed, AUGMENTATION, step, rank)
    turned = augment.crop(augment.flip(IMAGES, own), 2, own)
    normal = (turned / 255 - module.mean) / module.std
    found = module.prepare(IMAGES, step=step, rank=rank)
    torch.testing.assert_close(found, augment.cutout(normal, 3, own))
    assert (found == 0).any(dim=(1, 2, 3)).all(), "each image has its square"

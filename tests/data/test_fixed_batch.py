"""The batch that data-dependent initializers and diagnostics look at: the first one that this run is trained on."""

from collections.abc import Callable

import pytest
import torch

from initbench.data.images import ImageData

CPU = torch.device("cpu")


@pytest.mark.parametrize("stream", [False, True])
def test_it_is_the_first_training_batch_of_the_runs_own_seed_not_augmented(
    make_module: Callable[..., ImageData], stream: bool
) -> None:
    of_each = {}
    for seed in (0, 1, 7):
        module = make_module(seed=seed, flip=True, crop_padding=2, cutout=3, stream=stream)
        images, labels = next(iter(module.loader("train", CPU)))
        fixed = of_each[seed] = module.fixed_batch(CPU)
        assert torch.equal(fixed[0], module.prepare(images))
        assert torch.equal(fixed[1], labels)
    assert not torch.equal(of_each[0][0], of_each[1][0])
    assert not torch.equal(of_each[1][0], of_each[7][0])


def test_it_stays_the_same_while_the_run_is_trained(make_module: Callable[..., ImageData]) -> None:
    module = make_module()
    before = module.fixed_batch(CPU)
    loader = module.loader("train", CPU)
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        list(loader)
    assert torch.equal(before[0], module.fixed_batch(CPU)[0])

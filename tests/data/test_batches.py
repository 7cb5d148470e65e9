import pytest
import torch

from initbench.data.batches import Batches, Loader
from initbench.data.seeding import derive_seed

INDICES = torch.randperm(53, generator=torch.Generator().manual_seed(0)) + 100


def lists(batches: Batches) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


def flat(batches: list[list[int]]) -> list[int]:
    return [index for batch in batches for index in batch]


def training(seed: int = 0, epoch: int = 0, rank: int = 0, world: int = 1) -> list[list[int]]:
    batches = Batches(INDICES, 8, seed=seed, rank=rank, world=world)
    batches.set_epoch(epoch)
    return lists(batches)


def test_training_batches_are_full_and_without_repetition() -> None:
    batches = training()
    assert [len(batch) for batch in batches] == [8] * 6
    assert len(Batches(INDICES, 8, seed=0)) == 6
    seen = flat(batches)
    assert len(set(seen)) == 48
    assert set(seen) <= set(INDICES.tolist())


def test_the_order_derives_from_seed_and_epoch() -> None:
    assert training(seed=1, epoch=2) == training(seed=1, epoch=2)
    orders = [training(seed, epoch) for seed in range(4) for epoch in range(4)]
    assert all(first != second for i, first in enumerate(orders) for second in orders[:i])


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_out_every_training_batch(world: int) -> None:
    shards = [training(epoch=3, rank=rank, world=world) for rank in range(world)]
    for whole, *parts in zip(training(epoch=3), *shards, strict=True):
        assert [len(part) for part in parts] == [8 // world] * world
        assert sorted(flat(parts)) == sorted(whole)


def test_evaluation_is_in_order_and_complete() -> None:
    batches = Batches(INDICES, 8)
    assert flat(lists(batches)) == INDICES.tolist()
    assert len(batches) == len(lists(batches)) == 7


@pytest.mark.parametrize("world", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [5, 8, 9, 16, 17, 53])
def test_ranks_share_out_the_evaluation(world: int, size: int) -> None:
    """Nothing twice, nothing left out, nothing empty, and as many steps on each rank."""
    shards = [lists(Batches(INDICES[:size], 8, rank=rank, world=world)) for rank in range(world)]
    if world <= 4:  # batches of nearly equal size hold at least half of a full one, 4
        assert all(batch for shard in shards for batch in shard)
    assert len({len(shard) for shard in shards}) == 1
    assert sorted(i for shard in shards for batch in shard for i in batch) == sorted(INDICES[:size].tolist())


def test_streams_of_different_keys_differ() -> None:
    seeds = {derive_seed(seed, *key) for seed in range(5) for key in [(0, 0), (0, 1), (1, 0), (1, 0, 0), (1, 0, 1)]}
    assert len(seeds) == 25
    assert derive_seed(3, 1, 4) == derive_seed(3, 1, 4)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_loader_fetches_its_batches(workers: int) -> None:
    images = torch.randint(256, (200, 2, 3, 3), dtype=torch.uint8)
    labels = torch.arange(200)
    loader = Loader(images, labels, Batches(INDICES, 8, seed=0), workers=workers)
    assert len(loader) == 6
    for (batch, numbers), expected in zip(loader, training(), strict=True):
        assert numbers.tolist() == expected
        assert torch.equal(batch, images[expected])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_resumes_in_the_middle_of_an_epoch(workers: int) -> None:
    def make() -> Loader:
        images = torch.zeros(200, 1, 2, 2, dtype=torch.uint8)
        return Loader(images, torch.arange(200), Batches(INDICES, 8, seed=0), workers=workers)

    loader = make()
    iterator = iter(loader)
    for _ in range(4):
        next(iterator)
    state = loader.state_dict()
    resumed = make()
    resumed.load_state_dict(state)
    iter(resumed)  # as Lightning does to see whether it can be iterated over
    assert [labels.tolist() for _, labels in resumed] == training()[4:]
    assert resumed.state_dict() == {"batch": 0}, "a finished epoch is followed by a whole one"
    assert [labels.tolist() for _, labels in resumed] == training()

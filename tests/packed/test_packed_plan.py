"""Packs are nearly equal, keep every slot busy, and put those next to each other that share batches."""

from pathlib import Path
from typing import Any

import pytest
from configs import compose_config

from initbench.packed.plan import arrange, kind


def runs(folder: Path, inits: int, seeds: int, rates: int = 1) -> list[dict[str, Any]]:
    base = compose_config("model=mlp", f"runs_dir={folder}")
    return [
        {**base, "init": {"name": init}, "seed": seed, "optimizer": {**base["optimizer"], "lr": rate}}
        for init in range(inits)
        for rate in range(rates)
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(
    "inits, seeds, most, slots, sizes",
    [
        (8, 8, 64, 1, [64]),
        (8, 8, 64, 2, [32, 32]),
        (8, 8, 20, 2, [16] * 4),
        (1, 7, 3, 1, [3, 2, 2]),
        (3, 1, 64, 8, [1, 1, 1]),
    ],
)
def test_sizes(inits: int, seeds: int, most: int, slots: int, sizes: list[int], tmp_path: Path) -> None:
    configs = runs(tmp_path, inits, seeds)
    packs = arrange(configs, most, slots)
    assert [len(pack) for pack in packs] == sizes
    key = [(config["init"]["name"], config["seed"]) for pack in packs for config in pack]
    assert sorted(key) == sorted((config["init"]["name"], config["seed"]) for config in configs)


def test_a_seed_is_not_torn_apart_where_there_are_enough(tmp_path: Path) -> None:
    first, second = arrange(runs(tmp_path, inits=3, seeds=4), most=64, slots=2)
    assert [config["seed"] for config in first] == [0, 0, 0, 1, 1, 1]
    assert [config["seed"] for config in second] == [2, 2, 2, 3, 3, 3]


def test_else_each_pack_has_its_share_of_every_seed(tmp_path: Path) -> None:
    for pack in arrange(runs(tmp_path, inits=4, seeds=3), most=64, slots=2):
        assert [config["seed"] for config in pack] == [0, 0, 1, 1, 2, 2]


def test_runs_of_one_rate_are_neighbours(tmp_path: Path) -> None:
    (pack,) = arrange(runs(tmp_path, inits=2, seeds=2, rates=2), most=64, slots=1)
    assert [(config["optimizer"]["lr"], config["seed"]) for config in pack] == [
        (rate, seed) for rate in (0, 1) for seed in (0, 1) for _ in range(2)
    ]
    assert len({kind(config) for config in pack}) == 1

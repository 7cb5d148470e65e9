"""Packs are nearly equal, keep every slot busy, and put those next to each other that share batches."""

from pathlib import Path
from typing import Any

import pytest
from configs import compose_config

from initbench.packed import files
from initbench.packed.plan import Alone, Together, Unmeasured, arrange, kind_of, plan
from initbench.packed.speed import Speed
from initbench.record.store import Store


def runs(folder: Path, inits: int, seeds: int, rates: int = 1) -> list[Store]:
    fixed = ["model=mlp", f"runs_dir={folder}"]
    return [
        Store(compose_config(*fixed, f"init.name=init{init}", f"seed={seed}", f"optimizer.lr={rate}"))
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
    key = [(run.config["init"]["name"], run.config["seed"]) for pack in packs for run in pack]
    assert sorted(key) == sorted((run.config["init"]["name"], run.config["seed"]) for run in configs)


def test_a_seed_is_not_torn_apart_where_there_are_enough(tmp_path: Path) -> None:
    first, second = arrange(runs(tmp_path, inits=3, seeds=4), most=64, slots=2)
    assert [run.config["seed"] for run in first] == [0, 0, 0, 1, 1, 1]
    assert [run.config["seed"] for run in second] == [2, 2, 2, 3, 3, 3]


def test_else_each_pack_has_its_share_of_every_seed(tmp_path: Path) -> None:
    for pack in arrange(runs(tmp_path, inits=4, seeds=3), most=64, slots=2):
        assert [run.config["seed"] for run in pack] == [0, 0, 1, 1, 2, 2]


def test_runs_of_one_rate_are_neighbours(tmp_path: Path) -> None:
    (pack,) = arrange(runs(tmp_path, inits=2, seeds=2, rates=2), most=64, slots=1)
    assert [(run.config["optimizer"]["lr"], run.config["seed"]) for run in pack] == [
        (rate, seed) for rate in (0, 1) for seed in (0, 1) for _ in range(2)
    ]
    assert len({kind_of(run.config) for run in pack}) == 1


def decisions(stores: list[Store], **options: Any) -> list[str]:
    return list(map(str, plan(stores, **{"slots": 2, "most": 64, **options})))


def test_what_can_be_packed_is_and_the_rest_has_its_reason(tmp_path: Path) -> None:
    fixed = ["model=mlp", f"runs_dir={tmp_path}"]
    compiled = [Store(compose_config(*fixed, "trainer.compile=true", f"seed={seed}")) for seed in range(2)]
    curved = Store(compose_config(*fixed, "diagnostics=init", "diagnostics.curvature=true"))
    other = Store(compose_config("model=lenet", f"runs_dir={tmp_path}", "optimizer._target_=my.Lion"))
    together = [Store(compose_config(*fixed, f"seed={seed}")) for seed in range(6)]
    assert decisions([*compiled, curved, other, *together]) == [
        "mlp on mnist_mini: 6 runs, in packs of 3+3",
        "2 runs by themselves: trainer.compile",
        "1 run by itself: diagnostics.curvature needs the optimizer of a single run",
        "1 run by itself: optimizer adam",
    ]


def test_where_speed_decides_it_is_asked_for_or_measured(tmp_path: Path) -> None:
    stores = runs(tmp_path, inits=2, seeds=2)
    (unmeasured,) = plan(stores, slots=2, most=64, known=lambda run: None)
    assert isinstance(unmeasured, Unmeasured)
    (together,) = plan(stores, slots=2, most=64, known=lambda run: Speed(8, "so"))
    assert isinstance(together, Together)
    assert [len(pack) for pack in together.packs] == [2, 2]
    (alone,) = plan(stores, slots=2, most=64, known=lambda run: Speed(0, "no faster"))
    assert isinstance(alone, Alone)
    assert str(alone) == "4 runs by themselves: no faster"
    assert decisions(stores, slots=4, known=lambda run: Speed(8)) == [
        "4 runs by themselves: no more than this machine runs at once"
    ]


def test_runs_are_of_one_kind_if_they_differ_in_initializer_seed_rate_and_command_alone(tmp_path: Path) -> None:
    """The source of one's own initializer is part of the initializer; that of one's own model is not."""
    config = compose_config("model=mlp", f"runs_dir={tmp_path}")
    kind = kind_of(config)
    for key, value in (("seed", 9), ("command", "x"), ("init", {"name": "mine"}), ("source", {"init": "3fa2c1d0e5"})):
        assert kind_of({**config, key: value}) == kind, key
    assert kind_of({**config, "optimizer": {**config["optimizer"], "lr": 9}}) == kind
    others = [kind_of({**config, "source": {"model": digest}}) for digest in ("00aa", "00ab")]
    others += [kind_of({**config, group: {**config[group], "more": 1}}) for group in ("model", "data", "optimizer")]
    others += [kind_of({**config, group: {**config[group], "more": 1}}) for group in ("scheduler", "trainer")]
    others += [kind_of({**config, "study": "another"}), kind_of({**config, "force": True})]
    assert len({kind, *others}) == 1 + len(others)


def test_blocks_of_unequal_sizes_are_dealt_out(tmp_path: Path) -> None:
    three, one = runs(tmp_path, inits=3, seeds=1), runs(tmp_path, inits=1, seeds=2)[1:]
    packs = arrange([*one, *three], most=64, slots=2)
    assert [[run.config["seed"] for run in pack] for pack in packs] == [[0, 0], [0, 1]]


def test_seeds_of_the_order_and_of_augmentation_are_what_neighbours_share(tmp_path: Path) -> None:
    """Whatever the seeds of the weights are."""
    stores = [
        Store(
            compose_config(
                "model=mlp",
                f"runs_dir={tmp_path}",
                f"seed={seed}",
                f"+seeds.order={order}",
                f"+seeds.augmentation={more}",
            )
        )
        for seed, order, more in ((0, 2, 1), (1, 1, 1), (2, 2, 0), (3, 1, 1), (4, 1, 0))
    ]
    (pack,) = arrange(stores, most=64, slots=1)
    assert [run.config["seed"] for run in pack] == [4, 1, 3, 2, 0]
    assert len({kind_of(run.config) for run in stores}) == 1
    split = compose_config("model=mlp", f"runs_dir={tmp_path}", "+seeds.split=3")
    other = compose_config("model=mlp", f"runs_dir={tmp_path}", "+seeds.split=4")
    assert len({kind_of(split), kind_of(other), kind_of(stores[0].config)}) == 3


@pytest.mark.parametrize("most, fastest, sizes", [(64, 2, [2, 2]), (2, 64, [2, 2]), (64, 4, [4]), (3, 3, [2, 2])])
def test_packs_are_no_larger_than_is_fastest_and_than_is_allowed(
    most: int, fastest: int, sizes: list[int], tmp_path: Path
) -> None:
    (together,) = plan(runs(tmp_path, 2, 2), slots=1, most=most, known=lambda run: Speed(fastest, "so fast"))
    assert isinstance(together, Together)
    assert [len(pack) for pack in together.packs] == sizes
    assert str(together) == f"mlp on mnist_mini: 4 runs, in packs of {'+'.join(map(str, sizes))} (so fast)"


def test_a_pack_that_is_under_way_goes_on_though_there_are_slots_for_each_of_its_runs(tmp_path: Path) -> None:
    stores = runs(tmp_path, 2, 1)
    folders = [run.folder for run in stores]
    files.write(folders, slots=2)
    (together,) = plan(stores, slots=2, most=64, known=lambda run: Speed(8, "so"))
    assert isinstance(together, Together)
    assert [[run.folder for run in pack] for pack in together.packs] == [folders]
    assert str(plan(stores, slots=2, most=64, known=lambda run: None)[0]) == (
        "mlp on mnist_mini: 2 runs, in packs if that is faster, which is measured first"
    )


def test_kinds_are_decided_apart(tmp_path: Path) -> None:
    stores = runs(tmp_path, 1, 3)
    others = [Store({**run.config, "study": "another"}) for run in stores]
    asked: list[str] = []

    def known(run: Store) -> Speed:
        asked.append(run.config["study"])
        return Speed(8) if run.config["study"] == "another" else Speed(0, "no faster")

    alone, together = plan([*stores, *others], slots=1, most=64, known=known)
    assert isinstance(alone, Alone)
    assert isinstance(together, Together)
    assert (alone.runs, together.packs) == (stores, [others])
    assert asked == [stores[0].config["study"], "another"]

"""Each source of randomness has a seed of its own: it changes what it is for, and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from configs import compose_config, typed

from initbench.config.check import check
from initbench.errors import UserMistake
from initbench.record.signature import run_name, setting, signature, workload
from initbench.record.store import Store
from initbench.training.build import build_run
from initbench.training.run import run

TEXT = ["task=language_model", "data=text_mini", "data.size=4000", "data.context_length=16", "model=gpt"]
WORKLOADS = {
    "images": ["data.flip=true", "data.crop_padding=2", "data.cutout=4", "model=lenet"],
    "dropout": ["model=mlp", "model.dropout=0.5"],
    "rows": ["task=regression", "data=curves", "data.batch_size=16"],
    "text": [*TEXT, "model.width=16", "data.batch_size=8"],
}


def results(small: Any, *overrides: str) -> tuple[str, pd.DataFrame, dict[str, Any]]:
    config = small(*overrides)
    record = run(config)
    assert record is not None
    history = pd.read_parquet(Store(config).folder / "history.parquet").drop(columns="seconds")
    return record["initial_weights"], history, record["results"]


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_seeds_that_are_all_those_of_a_run_give_its_bits(workload: list[str], small: Any) -> None:
    apart = [f"seeds.{name}=3" for name in ("weights", "order", "augmentation")]
    weights, history, numbers = results(small, *workload, "seed=3")
    of_all, same, found = results(small, *workload, "seed=8", *apart)
    assert of_all == weights
    pd.testing.assert_frame_equal(same, history)
    assert found == numbers


@pytest.mark.parametrize("name", ["weights", "order", "augmentation", "split"])
def test_a_seed_changes_what_it_is_for(name: str, small: Any) -> None:
    weights, _, numbers = results(small, *WORKLOADS["images"])
    found, _, others = results(small, *WORKLOADS["images"], f"seeds.{name}=5")
    assert (found != weights) is (name == "weights")
    assert others["test/loss"] != numbers["test/loss"]


def test_without_augmentation_its_seed_changes_nothing(small: Any) -> None:
    _, history, _ = results(small)
    _, same, _ = results(small, "seeds.augmentation=5")
    pd.testing.assert_frame_equal(same, history)


def test_dropout_is_of_the_order(small: Any) -> None:
    """A constant order of one batch, so that dropout is all that is left of it."""
    whole = [*WORKLOADS["rows"], "model.dropout=0.5", "data.size=100", "data.val_size=4", "data.batch_size=96"]
    (_, one, _), (_, other, _) = (results(small, *whole, f"seeds.order={seed}") for seed in (0, 1))
    assert one["train/loss"].dropna().iloc[0] != pytest.approx(other["train/loss"].dropna().iloc[0], rel=1e-5)
    plain = [override.replace("=0.5", "=0") for override in whole]
    (_, one, _), (_, other, _) = (results(small, *plain, f"seeds.order={seed}") for seed in (0, 1))
    assert one["train/loss"].dropna().iloc[0] == pytest.approx(other["train/loss"].dropna().iloc[0], rel=1e-5)


def test_dropout_is_not_of_the_weights(small: Any) -> None:
    """All weights are the same constant, so that what their seed draws is all that could differ."""
    constant = [*WORKLOADS["dropout"], "init=constant", "init.value=0.01", "init.bias=0"]
    (one, numbers, _), (other, found, _) = (results(small, *constant, f"seeds.weights={seed}") for seed in (0, 5))
    assert one == other
    pd.testing.assert_frame_equal(numbers, found)


def test_each_source_of_a_run_has_the_seed_of_its_name() -> None:
    drawn = typed(compose_config("seed=1", "seeds.weights=2", "seeds.order=3", "seeds.augmentation=4", "seeds.split=5"))
    assert drawn.drawn_from._asdict() == {"weights": 2, "order": 3, "augmentation": 4, "split": 5}
    assert typed(compose_config("seed=1", "seeds.order=0")).drawn_from == (1, 0, 1, None)


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_each_split_holds_out_other_samples_and_as_many(workload: list[str], small: Any) -> None:
    data = [build_run(typed(small(*workload, *split))).data for split in ([], ["seeds.split=1"], ["seeds.split=2"])]
    held = [set(one.val.tolist()) for one in data]
    assert {len(one) for one in held} == {len(held[0])}
    assert held[0] != held[1] != held[2] != held[0]
    for one in data:
        everything = torch.cat([one.train, one.val]).sort().values
        assert everything.tolist() == list(range(one.sizes.train_size))
    assert set(build_run(typed(small(*workload, "seed=4", "seeds.split=1"))).data.val.tolist()) == held[1]


@pytest.mark.slow
def test_two_processes_agree_with_one(small: Any) -> None:
    apart = ["seeds.weights=1", "seeds.order=2", "seeds.split=3", "optimizer=sgd", "optimizer.lr=0.01"]
    one, _, numbers = results(small, *apart, "trainer.threads=1")
    two, _, others = results(small, *apart, "trainer.threads=1", "trainer.devices=2")
    assert one == two
    assert others["test/loss"] == pytest.approx(numbers["test/loss"], rel=1e-3)


def test_names_and_signatures_of_other_runs_are_what_they_were(tmp_path: Path) -> None:
    config = compose_config("seed=3")
    before = {key: value for key, value in config.items() if key != "seeds"}
    for of in (signature, setting, run_name, workload):
        assert of(config) == of(before)
    apart = compose_config("seed=3", "seeds.order=1")
    assert signature(apart) != signature(config)
    assert run_name(apart) == "lenet-mnist_mini-kaiming_normal-seed3-order1"
    assert setting(apart) == setting(compose_config("seed=3", "seeds.order=2")) != setting(config)


@pytest.mark.parametrize("value", ["-1", "1.5", "true", "one"])
def test_what_is_no_seed_is_refused(value: str) -> None:
    with pytest.raises(UserMistake, match=r"seeds\.order"):
        check(compose_config(f"seeds.order={value}"))


def test_the_test_set_stays(small: Any) -> None:
    data = [build_run(typed(small(f"seeds.split={seed}"))).data for seed in (0, 1)]
    one, other = (of.tensors("test", torch.device("cpu"))[1] for of in data)
    assert np.array_equal(one, other)

"""Runs that were trained as one leave what each would have left by itself: the same numbers, in the same records."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from configs import compose_config, options
from packs import ALONE, LIBRARIES, compare, configs, exploding, train_packs, twins
from scipy import stats

from initbench.packed import train as packed_run
from initbench.packed.plan import OPTIMIZERS, kind_of
from initbench.record.store import Store
from initbench.training.run import run

SMALL = ("mlp", "lenet", "plain_cnn")
OTHER_TASKS = ("gpt", "autoencoder")
SMALLER = {"plain_cnn": ["model.depth=3", "model.width=4"]}


@pytest.mark.parametrize("model", SMALL)
def test_a_model_is_its_serial_twin(model: str, tmp_path: Path) -> None:
    """Records and all; the arithmetic of every model is in test_pack.py."""
    for record in twins(tmp_path, f"model={model}", *SMALLER.get(model, []), "optimizer=sgd"):
        assert record["replicas"] == 4


@pytest.mark.parametrize(
    "workload",
    [
        ["task=regression"],
        ["task=regression", "task.loss=huber", "data.function=peaks", "model.norm=layer"],
        ["model=mlp", "data=curves", "data.function=spirals", "data.targets=[0.7]"],
        ["task=autoencoder", "model.widths=[32]", "data.batch_size=16"],
        ["task=autoencoder", "model.kind=convolutional", "model.widths=[4,8]", "data.batch_size=16"],
        ["task=language_model", "model.width=16", "data.batch_size=4", "data.size=4000", "data.context_length=16"],
    ],
    ids=lambda workload: " ".join(workload[:2]),
)
def test_other_tasks_are_too(workload: list[str], tmp_path: Path) -> None:
    for record in twins(tmp_path, *workload):
        assert record["replicas"] == 4


ELEMENTWISE = [
    name for name in options("optimizer") if compose_config(f"optimizer={name}")["optimizer"]["_target_"] in OPTIMIZERS
]


@pytest.mark.parametrize("optimizer", ELEMENTWISE)
@pytest.mark.parametrize("scheduler", ["cosine", "onecycle"])
def test_every_optimizer_that_packs_is(optimizer: str, scheduler: str, tmp_path: Path) -> None:
    twins(tmp_path, "model=mlp", "model.norm=batch", f"optimizer={optimizer}", f"scheduler={scheduler}")


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("model", ["mlp", "lenet"])
def test_two_hundred_steps_are(model: str, optimizer: str, tmp_path: Path) -> None:
    long = ["trainer.max_steps=200", "trainer.log_every_n_steps=10", "data.val_every_n_steps=50"]
    twins(tmp_path, f"model={model}", f"optimizer={optimizer}", *long)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("model", [name for name in options("model") if name not in (*ALONE, *LIBRARIES, *OTHER_TASKS)])
def test_two_hundred_steps_of_every_model_are(model: str, optimizer: str, tmp_path: Path) -> None:
    """On images so small that it takes minutes, and at rates at which training does not amplify rounding."""
    rate = 0.001 if optimizer == "sgd" and model != "vgg16_bn" else 0.0001  # at 0.001 its rounding grows to 3e-9
    long = ["trainer.max_steps=200", "trainer.log_every_n_steps=10", "data.val_every_n_steps=100"]
    size = 12 if model.startswith("resnet") else 16
    images = ["data._target_=tiny.tiny", "data.name=tiny", f"+data.size={size}", "data.val_size=64"]
    small = [*images, "data.batch_size=8", f"optimizer.lr={rate}"]
    # Norms of gradients are of any size, so that only a relative difference says something of them.
    twins(tmp_path, f"model={model}", f"optimizer={optimizer}", *long, *small, seeds=1, relative=1e-10)


@pytest.mark.parametrize("init, optimizer", [("mup", "sgd"), ("orthogonal", "adam")])
def test_learning_rates_of_their_own_are(init: str, optimizer: str, tmp_path: Path) -> None:
    """Runs of one learning rate are neighbours, whose seeds come again with the next; muP multiplies each rate."""
    fixed = ["model=mlp", f"optimizer={optimizer}", "scheduler=onecycle"]
    records = twins(tmp_path, *fixed, inits=(init,), rates=(0.01, 0.003))
    assert [record["replicas"] for record in records] == [4] * 4


@pytest.mark.parametrize("rates", [(1e200,), (0.01, 1e200)], ids=["all", "some"])
@pytest.mark.parametrize(
    "steps, log, val",
    [(8, 3, 2), (8, 3, 4), (2, 3, 4), (2, 3, 2), (2, 2, 4)],
    ids=["found by a validation", "by a row", "by the last row", "by the last validation", "by a row that is the last"],
)
def test_replicas_that_diverge_at_any_moment_are(
    steps: int, log: int, val: int, rates: tuple[float, ...], tmp_path: Path
) -> None:
    """With the reason, the rows and the test results that they would have had by themselves: none."""
    at = [f"trainer.max_steps={steps}", f"trainer.log_every_n_steps={log}", f"data.val_every_n_steps={val}"]
    records = twins(tmp_path, "model=mlp", "optimizer=sgd", "scheduler=constant", *at, rates=rates)
    assert [record["status"] for record in records].count("diverged") == 4


def test_augmentation_clipping_and_data_dependent_initializers_are(tmp_path: Path) -> None:
    augmented = ["data.crop_padding=2", "data.cutout=5", "trainer.gradient_clip_val=0.5", "task.label_smoothing=0.1"]
    twins(tmp_path, "model=mlp", *augmented, inits=("lsuv", "orthogonal"))


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=mlp", "diagnostics=schedule"],
        ["model=mlp", "diagnostics.every=4", "model.norm=batch"],
        ["model=plain_cnn", *SMALLER["plain_cnn"], "diagnostics=init"],
    ],
    ids=str,
)
def test_diagnosed_ones_are(overrides: list[str], tmp_path: Path) -> None:
    twins(tmp_path, *overrides, "logger=csv")
    told = [pd.read_csv(path).groupby("step").first() for path in sorted(tmp_path.glob("*/*/*/csv/metrics.csv"))]
    assert len(told) == 8
    for packed, serial in zip(told[:4], told[4:], strict=True):
        pd.testing.assert_frame_equal(packed, serial[list(packed)], rtol=1e-3, atol=1e-6)
        assert {*packed} == {*serial}


def test_dropout_is(tmp_path: Path) -> None:
    """With the masks that a run of its seed draws."""
    for record in twins(tmp_path, "model=mlp", "model.norm=batch", "model.dropout=0.3"):
        assert record["replicas"] == 4


def test_learning_rates_that_an_initializer_scales_are(tmp_path: Path) -> None:
    """muP has its own groups of parameters, so it is another pack than the rest."""
    records = twins(tmp_path, "model=mlp", "optimizer=sgd", inits=("mup", "orthogonal"))
    assert [record["replicas"] for record in records] == [2, 2, 2, 2]


def test_eps_and_weight_decay_that_an_initializer_scales_are(tmp_path: Path) -> None:
    """Runs with other factors, here on eps, are another pack."""
    fixed = ["model=mlp", "optimizer=adamw", "optimizer.eps=0.001", "optimizer.weight_decay=0.5"]
    own = ["init._target_=scaling.scaling", "init.name=scaling"]
    records = twins(tmp_path, *fixed, *own, "+init.eps=20", inits=("default",))
    assert [record["replicas"] for record in records] == [2, 2]
    less, more = (configs(tmp_path / "b", *fixed, *own, f"+init.eps={eps}", inits=("default",)) for eps in (20, 30))
    assert [record["replicas"] for record in train_packs(less + more, most=64).values()] == [2] * 4


def test_branches_that_an_initializer_multiplies_are(tmp_path: Path) -> None:
    """Each replica has the constants of its own run: complete_p sets them, and normal leaves them at 1."""
    text = ["task=language_model", "data.batch_size=4", "data.size=4000", "data.context_length=16"]
    small = ["model.width=16", "model.depth=3", "model.tied=false", "model.branch_multiplier=true"]
    settings = ["optimizer=adamw", "optimizer.eps=0.001", "optimizer.weight_decay=0.5"]
    records = twins(tmp_path, *text, *small, *settings, inits=("complete_p", "normal"))
    assert [record["replicas"] for record in records] == [2, 2, 2, 2]


def test_a_replica_that_diverges_leaves_and_disturbs_none(tmp_path: Path) -> None:
    """Weights of 1e30 are no number after a step; the others go on as if alone."""
    wild = ["trainer.precision=32-true", "model=mlp", "optimizer=sgd"]
    both = train_packs([*configs(tmp_path / "a", *wild), *exploding(tmp_path / "a", *wild)], most=64)
    assert sorted(record["status"] for record in both.values()) == ["diverged"] + ["finished"] * 4
    (gone,) = (record for record in both.values() if record["status"] == "diverged")
    (exploded,) = exploding(tmp_path / "b", *wild)
    alone = run(exploded)
    assert alone is not None
    assert alone["reason"] == gone["reason"]
    without = train_packs(configs(tmp_path / "c", *wild), most=64)
    stayed = [record for record in both.values() if record is not gone]
    for one, other in zip(without.values(), stayed, strict=True):
        assert one["results"] == pytest.approx(other["results"], rel=1e-4)


def test_where_memory_runs_out_packs_are_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Small(packed_run.Pack):
        def backward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            if len(self) > 2:
                raise torch.OutOfMemoryError("more than two")
            return super().backward(images, labels)

    monkeypatch.setattr(packed_run, "Pack", Small)
    records = train_packs(configs(tmp_path, "model=mlp"), most=64)
    assert [record["replicas"] for record in records.values()] == [2, 2, 2, 2]
    assert "too large: 4" in capsys.readouterr().out


def test_a_logger_that_fails_costs_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = configs(tmp_path, "model=mlp", "logger=csv")
    store = Store(runs[0])
    store.folder.mkdir(parents=True)
    (store.folder / "csv").write_text("where its folder should be")
    records = train_packs(runs, most=64)
    assert [record["status"] for record in records.values()] == ["finished"] * 4
    assert capsys.readouterr().err.count("is not all in its logger: FileExistsError") == 1
    assert len(list(tmp_path.glob("*/*/csv/metrics.csv"))) == 3


@pytest.mark.parametrize("model", ["mlp", "lenet"])
def test_in_float32_the_first_step_agrees_but_for_rounding(model: str, tmp_path: Path) -> None:
    one = [
        "trainer.precision=32-true",
        "trainer.max_steps=1",
        "trainer.log_every_n_steps=1",
        "data.val_every_n_steps=1",
    ]
    overrides = [f"model={model}", "optimizer=sgd", *one]
    packed = train_packs(configs(tmp_path / "packed", *overrides), most=64)
    by_name = {folder.name: record for folder, record in packed.items()}
    for config in configs(tmp_path / "serial", *overrides):
        serial, record = run(config), by_name[Store(config).folder.name]
        assert serial is not None
        assert serial["initial_weights"] == record["initial_weights"]
        for name in ("train/loss", "val/loss", "test/loss"):
            assert record["results"][name] == pytest.approx(serial["results"][name], rel=1e-5)


@pytest.mark.slow
def test_in_float32_the_final_accuracies_agree_in_distribution(tmp_path: Path) -> None:
    """Rounding is amplified by training, as if it were another seed: single runs differ, twenty do not."""
    overrides = ["trainer.precision=32-true", "model=mlp", "model.norm=batch", "trainer.max_steps=60"]
    packed = train_packs(configs(tmp_path / "packed", *overrides, inits=("orthogonal",), seeds=20), most=64)
    serial = [run(config) for config in configs(tmp_path / "serial", *overrides, inits=("orthogonal",), seeds=20)]
    ours, theirs = ([record["results"]["test/accuracy"] for record in of if record] for of in (packed.values(), serial))
    assert stats.ks_2samp(ours, theirs).pvalue > 0.05
    assert abs(sum(ours) - sum(theirs)) / 20 < 0.01


@pytest.mark.parametrize("split", [[], ["seeds.split=3"]], ids=["the split of all", "another"])
def test_replicas_whose_seeds_are_apart_are(split: list[str], tmp_path: Path) -> None:
    """Weights crossed with orders and augmentations, dropout included."""
    overrides = ["model=mlp", "model.dropout=0.3", "data.flip=true", "data.crop_padding=2", *split]
    seeds = [(weights, order, flips) for weights in (0, 1) for order in (0, 1) for flips in (0, 2)]

    def crossed(folder: Path) -> list[dict[str, Any]]:
        names = ("weights", "order", "augmentation")
        apart = [[f"seeds.{name}={seed}" for name, seed in zip(names, of, strict=True)] for of in seeds]
        return [configs(folder, *overrides, *own, inits=("default",), seeds=1)[0] for own in apart]

    records = train_packs(crossed(tmp_path / "packed"), most=64)
    assert {record["replicas"] for record in records.values()} == {len(seeds)}
    for config in crossed(tmp_path / "serial"):
        folder = Store(config).folder
        serial = run(config)
        assert serial is not None
        twin = tmp_path / "packed" / folder.relative_to(tmp_path / "serial")
        compare(records[twin], serial, (twin, folder))


def test_replicas_that_hold_out_other_samples_are_in_other_packs(tmp_path: Path) -> None:
    runs = [configs(tmp_path, "model=mlp", f"seeds.split={split}", seeds=1) for split in (1, 2)]
    records = train_packs([config for pair in runs for config in pair], most=64)
    assert [record["replicas"] for record in records.values()] == [2] * 4
    assert len({kind_of(config) for pair in runs for config in pair}) == 2

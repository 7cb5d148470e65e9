"""Diagnostics within a run: what they leave behind, and that they leave the run alone."""

import csv
import json
from functools import partial
from typing import Any

import pandas as pd
import pytest
import torch
from configs import typed
from once_differentiable import Doubling
from torch import Tensor, nn

from initbench import curvature, diagnose, load_runs
from initbench.record.history import History
from initbench.record.signature import signature
from initbench.record.store import Store
from initbench.training.build import build_run
from initbench.training.callbacks.recorder import Recorder
from initbench.training.module import TaskModule
from initbench.training.run import run


@pytest.mark.parametrize("model", [["model=mlp", "model.dropout=0.5"], ["model=resnet20", "model.depth=8"]], ids=str)
def test_a_run_with_diagnostics_has_the_same_bits_as_one_without(small: Any, model: list[str]) -> None:
    """Dropout and augmentation draw numbers, batch norm has statistics: nothing of it is touched."""
    overrides = [*model, "data.flip=true", "data.crop_padding=2", "data.batch_size=32", "data.val_every_n_steps=3"]
    plain, watched = small(*overrides, "study=plain"), small(*overrides, "study=watched", "diagnostics=schedule")
    a, b = run(plain), run(watched)
    assert a["initial_weights"] == b["initial_weights"]
    assert {k: v for k, v in a["results"].items() if v is not None} == {
        k: v for k, v in b["results"].items() if v is not None
    }
    histories = [pd.read_parquet(Store(config).folder / "history.parquet") for config in (plain, watched)]
    pd.testing.assert_frame_equal(*(history.drop(columns="seconds") for history in histories))
    assert signature(plain) == signature(watched)
    assert not (Store(plain).folder / "layers.parquet").exists()
    assert b["diagnostics"] == {"steps": [0, 1, 2, 4, 8], "missing": {}}


def test_rows_of_step_zero_are_those_of_the_initialized_network(small: Any) -> None:
    config = small("diagnostics=init", "trainer.max_steps=2")
    record = run(config)
    rows = pd.read_parquet(Store(config).folder / "layers.parquet")
    assert list(rows) == ["step", "layer", "quantity", "index", "value"]
    assert set(rows["step"]) == {0}
    experiment = build_run(typed(config))
    experiment.recipe.initializer.apply(experiment.recipe.model, seed=config["seed"])
    batch = experiment.data.fixed_batch(torch.device("cpu"))
    layers = diagnose(experiment.recipe.model, batch, seed=config["seed"]).layers
    found = rows[(rows["quantity"] == "gradient_to_weight")].set_index("layer")["value"]
    assert found.index.tolist() == layers.index.tolist()
    assert found.tolist() == pytest.approx(layers["gradient_to_weight"].tolist(), rel=1e-5)
    assert record["seconds_diagnostics"] > 0
    parameters = pd.read_parquet(Store(config).folder / "parameters.parquet")
    assert parameters["parameter"].is_unique


def test_steps_of_ones_own(small: Any) -> None:
    config = small("diagnostics=schedule", "diagnostics.steps=[0,5]", "diagnostics.every=3", "trainer.max_steps=7")
    assert run(config)["diagnostics"]["steps"] == [0, 3, 5, 6]
    rows = pd.read_parquet(Store(config).folder / "layers.parquet")
    assert rows["step"].unique().tolist() == [0, 3, 5, 6]
    losses = rows[rows["quantity"] == "loss"]["value"]
    assert losses.iloc[-1] < losses.iloc[0]  # the same batch each time, and it is learned


def test_loggers_get_scalars(small: Any) -> None:
    config = small("diagnostics=init", "logger=csv", "trainer.max_steps=2")
    run(config)
    with (Store(config).folder / "csv" / "metrics.csv").open() as lines:
        first = next(row for row in csv.DictReader(lines) if row["diagnostics/loss"])
    assert first["step"] == "0"
    rows = pd.read_parquet(Store(config).folder / "layers.parquet").set_index(["layer", "quantity", "index"])["value"]
    for quantity in ("pre_second_moment", "dead", "gradient_to_weight"):
        logged = float(first[f"diagnostics/{quantity}/linear1"])
        assert logged == pytest.approx(rows["linear1", quantity, 0])


def test_an_attempt_without_them_leaves_none_of_an_earlier_one(small: Any) -> None:
    run(small("diagnostics=init", "trainer.max_steps=2"))
    layers = Store(small("trainer.max_steps=2")).folder / "layers.parquet"
    assert layers.exists()
    run(small("trainer.max_steps=2", "force=true"))
    assert not layers.exists()


def test_step_zero_is_printed_where_wanted(small: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(small("diagnostics=schedule", "diagnostics.print=false", "trainer.max_steps=2"))
    assert "Through depth" not in capsys.readouterr().out
    run(small("diagnostics=schedule", "trainer.max_steps=2", "seed=1"))
    assert capsys.readouterr().out.count("Through depth") == 1


def test_their_time_is_not_that_of_training(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that only diagnosing moves, training takes no time."""
    now = 0.0

    def slow(*args: Any, **kwargs: Any) -> Any:
        nonlocal now
        now += 100
        return diagnose(*args, **kwargs)

    monkeypatch.setattr("initbench.training.diagnoses.diagnose", slow)
    monkeypatch.setattr("time.perf_counter", lambda: now)
    record = run(small("diagnostics=schedule"))
    assert record["seconds_diagnostics"] == 500
    assert record["seconds_train"] == 0


def test_the_clock_stands_still_and_goes_on(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    classifier = TaskModule(build_run(typed(small())).recipe)
    recorder = Recorder(History(None), 10)
    with recorder.stopped(classifier):
        now += 5
    now += 1
    assert recorder.state_dict()["seconds"] == 0  # it was not running
    recorder.on_train_start(None, classifier)  # type: ignore[arg-type]  # it needs no trainer
    now += 2
    with recorder.stopped(classifier):
        now += 100
    now += 1
    assert recorder.state_dict()["seconds"] == 3


class Unusual(nn.Module):
    """Its output depends on a number that torch.func cannot take out of a tensor."""

    def __init__(self, in_channels: int, image_size: int, num_classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels * image_size**2, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.fc(images.flatten(1))
        return outputs * (2 if images.detach().numpy().mean() > 0 else 1)


class Scores(nn.Linear):
    """A layer whose output is no tensor."""

    def forward(self, input: Tensor) -> dict[str, Tensor]:  # type: ignore[override]  # that is what is odd
        return {"scores": super().forward(input)}


class Wrapped(nn.Module):
    def __init__(self, in_channels: int, image_size: int, num_classes: int) -> None:
        super().__init__()
        self.fc = Scores(in_channels * image_size**2, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.fc(images.flatten(1))["scores"]
        return outputs


@pytest.mark.parametrize("kind, missing, rows", [(Unusual, "singular_values", True), (Wrapped, "layers", False)])
def test_a_model_that_cannot_be_diagnosed_trains_nevertheless(
    small: Any, capsys: pytest.CaptureFixture[str], kind: type, missing: str, rows: bool
) -> None:
    config = small("diagnostics=schedule")
    config["model"] = {"_target_": f"{kind.__module__}.{kind.__name__}", "name": "odd"}
    assert run(config)["status"] == "finished"
    on_disk = json.loads((Store(config).folder / "record.json").read_text())
    assert list(on_disk["diagnostics"]["missing"]) == [missing]
    assert capsys.readouterr().err.count(f"diagnostics: no {missing}: ") == 1
    assert (Store(config).folder / "layers.parquet").exists() == rows


def test_weights_that_are_not_finite_are_diagnosed_too(small: Any) -> None:
    record = run(small("init=constant", "init.value=3e38", "diagnostics=init"))
    assert record["status"] == "diverged"
    assert record["diagnostics"]["steps"] == [0]


def test_two_processes_diagnose_once_and_see_the_weights_of_one(small: Any) -> None:
    overrides = ("diagnostics=init", "trainer.max_steps=2", "trainer.threads=1")
    frames = []
    for processes in (1, 2):
        config = small(*overrides, f"trainer.devices={processes}")
        assert run(config)["diagnostics"]["steps"] == [0]
        frames.append(pd.read_parquet(Store(config).folder / "layers.parquet"))
    pd.testing.assert_frame_equal(*frames)


def test_the_frame_of_runs_has_their_cost(small: Any, tmp_path: Any) -> None:
    run(small("diagnostics=init", "trainer.max_steps=2"))
    assert load_runs(tmp_path / "runs")["seconds_diagnostics"].iloc[0] > 0


CURVED = ("diagnostics.curvature=true", "data.batch_size=32")


def test_curvature_is_measured_on_the_schedule_and_leaves_the_run_alone(
    small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run has the same bits, and so have the rows of a second run."""
    plain = run(small("study=plain", "data.batch_size=32"))
    configs = [small("diagnostics=schedule", *CURVED, f"study={study}") for study in ("a", "b")]
    records = [run(config) for config in configs]
    assert records[0]["results"] == plain["results"]
    assert signature(configs[0]) == signature(small("data.batch_size=32"))
    assert records[0]["diagnostics"] == {"steps": [0, 1, 2, 4, 8], "missing": {}}
    first, second = (pd.read_parquet(Store(config).folder / "layers.parquet") for config in configs)
    pd.testing.assert_frame_equal(first, second)
    found = first[first["layer"] == ""].groupby("quantity")["step"].unique()
    for quantity in CURVATURE:
        assert found[quantity].tolist() == [0, 1, 2, 4, 8]
    assert capsys.readouterr().out.count("curvature took ") == 2


CURVATURE = (
    "hessian_largest",
    "critical_learning_rate",
    "preconditioned_hessian_largest",
    "preconditioned_critical_learning_rate",
    "gradient_noise_scale",
    "step_along_gradient",
    "loss_along_gradient",
)


def test_the_curvature_is_that_of_the_training_loss_under_the_optimizer_of_the_run(small: Any) -> None:
    """With label smoothing, which the diagnosis does not have; after a step, Adam has a state."""
    config = small("diagnostics=schedule", *CURVED, "task.label_smoothing=0.2", "trainer.max_steps=2", "logger=csv")
    run(config)
    rows = pd.read_parquet(Store(config).folder / "layers.parquet")
    parts = build_run(typed(config))
    recipe = parts.recipe
    recipe.initializer.apply(recipe.model, seed=config["seed"])
    batch, optimizer = parts.data.fixed_batch(torch.device("cpu")), recipe.make_optimizer()
    for step in range(2):
        found = curvature(
            recipe.model, batch, loss=partial(recipe.task.loss, training=True), optimizer=optimizer, seed=config["seed"]
        )
        own = rows[(rows["step"] == step) & rows["quantity"].isin(CURVATURE)]
        assert own["value"].tolist() == pytest.approx([row["value"] for row in found.rows()], rel=1e-3)
        recipe.task.loss(recipe.model(batch[0]), batch[1], training=True).backward()  # without augmentation
        optimizer.step()
    with (Store(config).folder / "csv" / "metrics.csv").open() as lines:
        logged = next(row for row in csv.DictReader(lines) if row["diagnostics/hessian_largest"])
    at_zero = rows[rows["step"] == 0].set_index(["quantity", "index"])["value"].sort_index()
    assert float(logged["diagnostics/hessian_largest"]) == pytest.approx(at_zero["hessian_largest", 0])
    assert float(logged["diagnostics/loss_along_gradient/2"]) == pytest.approx(at_zero["loss_along_gradient", 2])


def test_a_model_without_second_derivatives_trains_and_says_so_once(
    small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small("diagnostics=schedule", *CURVED, "optimizer=sgd")
    config["model"] = {"_target_": f"{DoubledOnce.__module__}.DoubledOnce", "name": "odd"}
    record = run(config)
    assert record["status"] == "finished"
    assert record["diagnostics"]["steps"] == [0, 1, 2, 4, 8]
    assert set(record["diagnostics"]["missing"]) == {"singular_values", "hessian_largest"}
    assert capsys.readouterr().err.count("diagnostics: no hessian_largest: ") == 1


class DoubledOnce(nn.Module):
    def __init__(self, in_channels: int, image_size: int, num_classes: int) -> None:
        super().__init__()
        self.fc, self.doubling = nn.Linear(in_channels * image_size**2, num_classes), Doubling()

    def forward(self, images: Tensor) -> Tensor:
        doubled: Tensor = self.doubling(self.fc(images.flatten(1)))
        return doubled

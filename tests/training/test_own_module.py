"""task=lightning: a LightningModule that knows nothing of initbench, from its config to its record."""

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import pandas as pd
import pytest
import torch
from configs import resolved
from lightning_modules import Regressor, Waves
from programs import command

import initbench
from initbench.errors import UserMistake
from initbench.generators import restore, seed_all
from initbench.record import stopping
from initbench.record.stopping import Stopped
from initbench.record.store import Store
from initbench.training.own_module import build_own_module
from initbench.training.run import run

# Lightning's advice about data; the module and its loaders are small on purpose.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
]
TASK = ("task=lightning", "task.module._target_=lightning_modules.Regressor", "task.score=val/loss")
DATA = "task.datamodule._target_=lightning_modules.Waves"


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """A function from overrides to the config of a run of four epochs of six steps."""

    def make(*overrides: str) -> dict[str, Any]:
        fixed = [f"runs_dir={tmp_path}/runs", "logger=none", "trainer.accelerator=cpu", "trainer.max_epochs=4"]
        return resolved(*TASK, DATA, *fixed, "trainer.log_every_n_steps=2", *overrides)

    return make


def test_a_run_leaves_its_whole_record(config: Any) -> None:
    record = run(config("init=orthogonal", "task.targets=[0.4,1e-9]"))
    assert record is not None
    folder = Store(config("init=orthogonal", "task.targets=[0.4,1e-9]")).folder
    history = pd.read_parquet(folder / "history.parquet")
    assert (record["status"], record["steps"], record["total_steps"]) == ("finished", 24, 24)
    assert history["step"].tolist() == [0, 6, 12, 18, 24]
    assert record["results"]["test/loss"] == history["val/loss"].iloc[-1]
    assert record["results"]["val/loss_at_start"] == history["val/loss"].iloc[0]
    assert (record["metric"]["label"], record["metric"]["higher_is_better"]) == ("val/loss", False)
    first = history[history["val/loss"] <= 0.4].iloc[0]
    assert record["targets"]["0.4"]["steps"] == first["step"]
    assert not record["targets"]["1e-09"]["reached"]
    assert pd.read_parquet(folder / "parameters.parquet")["scheme"].tolist()[0] == "orthogonal"
    assert 0 < record["seconds_train"] < 60
    assert record["config"]["source"].keys() == {"task"}  # an edit of the module makes another run
    assert record["config"]["model"] == {"name": "Regressor"}


def test_callback_task_and_compare_give_the_same_numbers(config: Any, tmp_path: Path) -> None:
    def trainer(*callbacks: L.Callback) -> L.Trainer:
        quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        quiet["enable_checkpointing"] = False
        return L.Trainer(max_epochs=4, accelerator="cpu", callbacks=list(callbacks), **quiet)

    def train(initialize: Any, seed: int) -> float:
        module = initialize(Regressor(dropout=0.2))
        fit = trainer()
        fit.fit(module, datamodule=Waves())
        return float(fit.callback_metrics["val/loss"])

    def of(study: str) -> dict[str, tuple[float, str]]:
        """The score and the digest of the initial weights by initializer."""
        records = [json.loads(path.read_text()) for path in tmp_path.glob(f"{study}/*/record.json")]
        return {one["init"]: (one["results"]["test/loss"], one["initial_weights"]) for one in records}

    inits = ["default", "orthogonal", "kaiming_normal", "xavier_normal", "normal"]
    for init in inits:
        run(config(f"init={init}", "seed=3", "+task.module.dropout=0.2", "study=task", f"runs_dir={tmp_path}"))
        seed_all(3)
        callbacks = (
            initbench.Initialize(init, seed=3),
            initbench.Record(score="val/loss", higher_is_better=False, study="callback", runs_dir=tmp_path),
        )
        trainer(*callbacks).fit(Regressor(dropout=0.2), datamodule=Waves())
    options: dict[str, Any] = {"score": "loss", "higher_is_better": False, "runs_dir": tmp_path, "processes": 1}
    initbench.compare(train, inits, [3], study="loop", **options)
    assert of("task") == of("callback") == of("loop")
    assert of("task").keys() == set(inits)
    assert len(set(of("task").values())) == len(inits)


class Stop(L.Callback):
    """Asks for the end after a step, as a signal does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            stopping._Request.signum = 15


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that trains a config up to a step, as if a signal had come, with a checkpoint at each epoch."""
    make = L.Trainer.__init__

    def until(config: dict[str, Any], step: int) -> None:
        def with_stop(self: L.Trainer, *args: Any, callbacks: list[L.Callback], **keys: Any) -> None:
            make(self, *args, callbacks=[Stop(step), *callbacks], **keys)

        with monkeypatch.context() as patch:
            patch.setattr(L.Trainer, "__init__", with_stop)
            with pytest.raises(Stopped):
                run(config)
        stopping._Request.signum = None

    return until


@pytest.mark.parametrize("why", ["force", "failed"])
def test_what_must_not_go_on_from_a_checkpoint_begins_anew(why: str, config: Any, stopped: Any, tmp_path: Path) -> None:
    """Because the user wants it so, or since what raised may have been mended."""
    module = ("task.module._target_=lightning_modules.Regressor", "checkpoint_seconds=0")
    whole = run(config(*module, f"runs_dir={tmp_path}/whole"))
    stopped(config_of_it := config(*module), 7)
    store = Store(config_of_it)
    assert (store.folder / "checkpoint.ckpt").exists()
    if why == "failed":
        store.write("failed", attempt=1, traceback="Traceback ...")
    anew = run({**config_of_it, "force": why == "force"})
    assert whole is not None
    assert anew is not None
    assert (anew["attempt"], anew["resumed_at"]) == (2, [])
    assert anew["results"] == whole["results"]
    assert not (store.folder / "checkpoint.ckpt").exists()


@pytest.mark.parametrize("step", [2, 6, 7, 17, 23])
@pytest.mark.parametrize("kind", ["Regressor", "Plateau", "ByHand"])
def test_a_stop_at_any_step_changes_no_bit(kind: str, step: int, config: Any, stopped: Any, tmp_path: Path) -> None:
    """Shuffling, jitter and dropout draw from the global generators; rates follow epochs, and the validation loss."""
    module = (f"task.module._target_=lightning_modules.{kind}", "+task.module.dropout=0.3", "checkpoint_seconds=0")
    whole = run(config(*module, f"runs_dir={tmp_path}/whole"))
    config_of_it = config(*module)
    at = step * 2 if kind == "ByHand" else step  # Lightning counts the steps of both optimizers
    stopped(config_of_it, at)
    folder = Store(config_of_it).folder
    assert json.loads((folder / "record.json").read_text())["status"] == "interrupted"
    assert (folder / "checkpoint.ckpt").exists() == (step >= 6)
    resumed = run(config_of_it)
    assert whole is not None
    assert resumed is not None
    assert len(resumed["resumed_at"]) == (step >= 6)
    assert resumed["results"] == whole["results"]
    assert resumed["initial_weights"] == whole["initial_weights"]
    histories = [
        pd.read_parquet(path).drop(columns="seconds")
        for path in (folder / "history.parquet", next((tmp_path / "whole").rglob("history.parquet")))
    ]
    pd.testing.assert_frame_equal(*histories)
    assert not (folder / "checkpoint.ckpt").exists()


def test_two_processes_start_from_the_weights_of_one(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an initializer that needs data, which differ from process to process."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    one, two = run(config("init=lsuv")), run(config("init=lsuv", "trainer.devices=2"))
    assert one is not None
    assert two is not None
    assert (two["status"], two["total_steps"]) == ("finished", 12)  # each process has half of the batches
    assert two["results"]["val/loss_at_start"] == pytest.approx(one["results"]["val/loss_at_start"], rel=1e-5)


def test_modules_are_swept_over_and_compared(tmp_path: Path) -> None:
    swept = ["init=default,orthogonal", "seed=range(6)", "trainer.max_epochs=2"]
    fixed = ["logger=none", "trainer.accelerator=cpu", "hydra.launcher.slots=1"]
    made = command(tmp_path, "-m", *TASK, DATA, *swept, *fixed, PYTHONPATH=str(Path(__file__).parents[1]))
    assert made.returncode == 0, made.stdout + made.stderr
    assert "12 runs by themselves: task=lightning trains a module of its own" in made.stdout
    assert "has the lowest mean val/loss" in made.stdout
    runs = initbench.load_runs(tmp_path / "runs")
    assert runs["score"].notna().sum() == 12
    assert runs["workload"].unique().tolist() == ["Regressor on Waves, 12 steps"]


def test_nested_targets_are_built_and_partial_ones_are_functions(config: Any) -> None:
    record = run(
        config(
            "task.module._target_=lightning_modules.Composed",
            "+task.module.net={_target_: torch.nn.Linear, in_features: 3, out_features: 1}",
            "+task.module.optimizer={_target_: torch.optim.SGD, _partial_: true, lr: 0.01}",
        )
    )
    assert record is not None
    assert record["status"] == "finished"


def test_an_argument_called_name_is_one(config: Any) -> None:
    assert run(config("+task.module.name=mine")) is not None
    with pytest.raises(UserMistake, match=r"task.module.name must be text, got 3"):
        run(config("+task.module.name=3"))


def test_a_run_that_diverges_is_stopped_and_says_so(config: Any) -> None:
    record = run(config("+task.module.lr=1e30", "trainer.max_epochs=50"))
    assert record is not None
    assert (record["status"], record["reason"]) == ("diverged", "validation loss nan at step 6")
    assert "test/loss" not in record["results"]


def test_weights_come_from_the_seed_alone_whatever_was_drawn_before(config: Any, tmp_path: Path) -> None:
    first = run(config(f"runs_dir={tmp_path}/a"))
    torch.rand(100)
    second = run(config(f"runs_dir={tmp_path}/b"))
    assert first is not None
    assert second is not None
    assert first["results"] == second["results"]


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            ["task.module._target_=lightning_modules.NoOptimizer"],
            "task.module: NoOptimizer has no configure_optimizers",
        ),
        (
            ["task.module._target_=lightning_modules.NoValidation"],
            "task.module: NoValidation has no validation_step, where it has to log val/loss",
        ),
        (["task.datamodule._target_=lightning_modules.TrainingOnly"], "TrainingOnly has no val_dataloader"),
        (["task.datamodule._target_=null"], "Regressor has no train_dataloader; set task.datamodule._target_"),
        (["task.module._target_=torch.nn.ReLU"], "made a ReLU, which is no lightning.pytorch.LightningModule"),
        (["task.datamodule._target_=torch.nn.ReLU"], "made a ReLU, which is no lightning.pytorch.LightningDataModule"),
        (["task.module._target_=lightning_modules.Regresor"], "Did you mean 'Regressor'"),
        (["task.module._target_=lightning_modules.raises"], "KeyError: 'no such thing'"),
        (["+task.module.widht=3"], "unknown key task.module.widht. Did you mean 'width'"),
        (["+task.module.width=wide"], "task.module.width must be a whole number, got 'wide'"),
        (["+task.datamodule.sice=3"], "unknown key task.datamodule.sice. Did you mean 'size'"),
        (
            ["task.score=val/los", "task.higher_is_better=false"],
            "has not logged score='val/los'. Did you mean 'val/loss'",
        ),
        (["task.score=val/acc"], "task.higher_is_better is missing: is a high val/acc good"),
        (["task.chance=high"], "task.chance must be a number or null, got 'high'"),
        (["task.targets=[low]"], r"task.targets must be a list of numbers, got \['low'\]"),
        (["task.loss=torch.nn.functional.mse_los"], "Did you mean 'mse_loss'"),
        (["task.module._target_=lightning_modules.TwoOptimizers"], "TwoOptimizers: Training with multiple optimizers"),
        (["init=gradinit"], "gradinit needs the loss of these targets"),
        (["init=mup"], "mup scales the learning rates of .* and Regressor.configure_optimizers gives all of them the"),
        (["init=irnn"], "irnn needs recurrent layers of type RNN, and Regressor has none"),
        (["+trainer.val_check_interval=99"], "must be less than or equal to the number of the training batches"),
        (["trainer.compile=true"], "trainer.compile=true is not for task=lightning"),
        (["seeds.split=3"], "seeds.split is not for task=lightning, which trains a module of its own"),
        (["seeds.augmentation=3"], "seeds.augmentation is not for task=lightning"),
        (["diagnostics=init"], "diagnostics=init is not for task=lightning"),
        (["model=mlp"], "model=mlp is not for task=lightning, whose module brings its own model"),
        (["data.batch_size=7"], r"data.batch_size is not for task=lightning.* its arguments are set by \+task.module"),
        (["+optimizer.lr=7"], "optimizer.lr is not for task=lightning, whose module brings its own optimizer"),
    ],
)
def test_mistakes_are_told_in_one_line(overrides: list[str], message: str, config: Any) -> None:
    with pytest.raises(UserMistake, match=message) as told:
        run(config(*overrides))
    assert "\n" not in str(told.value)


def test_a_loss_for_initializers_that_need_it(config: Any) -> None:
    record = run(config("init=gradinit", "task.loss=torch.nn.functional.mse_loss"))
    assert record is not None
    assert record["init_numbers"]["stepped_loss_end"] < record["init_numbers"]["stepped_loss_start"]


def test_a_dry_run_builds_the_module_and_refuses_what_does_not_suit_it(tmp_path: Path) -> None:
    made = command(
        tmp_path, "-m", *TASK, DATA, "init=orthogonal,irnn", "dry_run=true", PYTHONPATH=str(Path(__file__).parents[1])
    )
    assert made.returncode == 2
    assert "irnn needs recurrent layers" in made.stdout + made.stderr
    assert not (tmp_path / "runs").exists()


def test_weights_and_what_is_drawn_later_have_seeds_of_their_own(config: Any) -> None:
    dropped = ("init=orthogonal", "+task.module.dropout=0.2")
    one, same, order, weights = (
        run(config(*dropped, *seeds))
        for seeds in (["seed=3"], ["seed=3", "seeds.weights=3"], ["seed=3", "seeds.order=4"], ["seeds.weights=5"])
    )
    assert one is not None
    assert same is not None
    assert order is not None
    assert weights is not None
    assert same["results"] == one["results"]
    assert order["initial_weights"] == one["initial_weights"] != weights["initial_weights"]
    assert order["results"]["test/loss"] != one["results"]["test/loss"]


@pytest.mark.parametrize("seed", [0, 4])
def test_what_is_drawn_later_has_the_seed_of_the_order_even_if_that_is_0(seed: int, config: Any) -> None:
    restore(build_own_module(Store(config(f"seeds.order={seed}", "seed=3")).typed).generators)
    assert torch.rand(()) == torch.rand((), generator=torch.Generator().manual_seed(seed))

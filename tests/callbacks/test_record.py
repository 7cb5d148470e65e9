"""What the record of a fit says, whose module knows nothing of initbench."""

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import pytest
import torch
from modules import Regressor, loader, trainer
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

import initbench

# Lightning's advice about data; the loaders are the test's own.
pytestmark = pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
OF_LOSS: dict[str, Any] = {"score": "val_loss", "higher_is_better": False}


class Validated(Regressor):
    def __init__(self, width: int = 8, fails_at: int = -1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.fails_at = fails_at

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("val_loss", F.mse_loss(self(x), y))
        self.log("val_mean", self(x).mean())

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if self.global_step == self.fails_at:
            raise RuntimeError("out of luck")
        return super().training_step(batch, batch_idx)


def fit(folder: Path, init: str, seed: int, module: L.LightningModule | None = None, **keys: Any) -> L.LightningModule:
    torch.manual_seed(seed)
    module = Validated() if module is None else module
    callbacks = [initbench.Initialize(init, seed=seed), initbench.Record(**OF_LOSS, study="own", runs_dir=folder)]
    trainer(folder, *callbacks, **{"max_epochs": 2, **keys}).fit(module, loader(), loader(shuffle=False))
    return module


def record(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("own/*/record.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_fit_is_recorded_as_a_run_of_a_sweep_is(tmp_path: Path) -> None:
    fit(tmp_path, "orthogonal", 3)
    found = record(tmp_path)
    assert (found["status"], found["init"], found["seed"], found["total_steps"]) == ("finished", "orthogonal", 3, 8)
    assert found["metric"]["higher_is_better"] is False
    (run,) = initbench.load_runs(tmp_path / "own").to_dict("records")
    history = initbench.analysis.loading.frame.load_history(run["path"])
    assert list(history["step"]) == [4, 8]
    assert history["val/loss"].iloc[-1] == run["test/loss"] == -run["score"]
    assert 0 < run["seconds_train"] < 60
    assert found["initial_weights"]
    assert (Path(run["path"]) / "parameters.parquet").exists()


def test_the_records_of_several_fits_give_a_verdict(tmp_path: Path) -> None:
    for init in ("orthogonal", "zeros"):
        for seed in range(6):
            fit(tmp_path, init, seed)
    verdict = initbench.verdict(initbench.load_runs(tmp_path / "own"))
    assert "mean val_loss" in str(verdict)
    assert len(verdict.comparison.scored) == 12


def test_a_callback_and_compare_give_the_same_numbers(tmp_path: Path) -> None:
    """The same module under the same Trainer, once initialized by the callback and once in a loop of the user's own."""

    def train(initialize: Any, seed: int) -> float:
        module = initialize(Validated())
        trainer(tmp_path, max_epochs=2).fit(module, loader(), loader(shuffle=False))
        return float(module.trainer.callback_metrics["val_loss"])

    inits = ["default", "orthogonal", "kaiming_normal", "xavier_normal", "normal"]
    for init in inits:
        fit(tmp_path, init, 1)
    by_callback = initbench.load_runs(tmp_path / "own").set_index("init")["score"]
    verdict = initbench.compare(train, inits, [1], **OF_LOSS, runs_dir=tmp_path, processes=1)
    by_loop = verdict.comparison.runs.set_index("init")["score"]
    assert by_callback.to_dict() == pytest.approx(by_loop.to_dict(), rel=1e-6)


def test_a_fit_that_raises_has_a_record_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="out of luck"):
        fit(tmp_path, "orthogonal", 0, Validated(fails_at=5))
    found = record(tmp_path)
    assert (found["status"], found["reason"]) == ("failed", "RuntimeError: out of luck")
    assert "training_step" in found["traceback"]


def test_another_value_of_a_hyperparameter_is_another_workload_and_the_same_fit_the_same_run(tmp_path: Path) -> None:
    fit(tmp_path, "orthogonal", 0, Validated(width=4))
    fit(tmp_path, "orthogonal", 0, Validated(width=5))
    fit(tmp_path, "orthogonal", 0, Validated(width=5))
    runs = initbench.load_runs(tmp_path / "own")
    assert len(runs) == 2
    assert runs["workload"].nunique() == 2


def test_an_object_among_the_hyperparameters_does_not_make_each_fit_another_workload(tmp_path: Path) -> None:
    class Weighted(Validated):
        def __init__(self, loss: Any, betas: tuple[float, float]) -> None:
            super().__init__()
            self.save_hyperparameters()

    for seed in (0, 1):
        fit(tmp_path, "orthogonal", seed, Weighted(F.mse_loss, (0.9, 0.99)))
    assert initbench.load_runs(tmp_path / "own")["workload"].nunique() == 1


def test_a_loss_that_is_no_number_at_the_end_is_a_divergence(tmp_path: Path) -> None:
    class Diverging(Validated):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", torch.tensor(float("inf")))

    fit(tmp_path, "orthogonal", 0, Diverging())
    assert (record(tmp_path)["status"], record(tmp_path)["reason"]) == ("diverged", "validation loss inf at step 8")


def test_a_score_that_is_never_logged_is_told_before_the_first_step(tmp_path: Path) -> None:
    class Silent(Validated):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_los", torch.tensor(1.0))

    with pytest.raises(ValueError, match=r"has not logged score='val_loss'. Did you mean 'val_los'\? Logged: val_los"):
        fit(tmp_path, "orthogonal", 0, Silent())
    assert record(tmp_path)["status"] == "refused"


def test_of_two_values_of_a_name_that_of_the_validation_counts(tmp_path: Path) -> None:
    """`loss` of training and `val_loss` are both the loss, in whichever order they are logged."""

    class Both(Validated):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            loss = super().training_step(batch, batch_idx)
            self.log("loss", loss + 100)
            return loss

    module = fit(tmp_path, "orthogonal", 3, Both())
    found = record(tmp_path)
    assert found["results"]["val/loss"] == pytest.approx(float(module.trainer.callback_metrics["val_loss"]))
    assert found["results"]["val/loss"] < 100


def test_it_needs_to_know_the_initializer(tmp_path: Path) -> None:
    alone = initbench.Record(**OF_LOSS, runs_dir=tmp_path)
    with pytest.raises(ValueError, match=r"needs one initbench.Initialize among the callbacks, and there are 0"):
        trainer(tmp_path, alone).fit(Validated(), loader(), loader())


def test_a_second_fit_has_the_history_of_its_own(tmp_path: Path) -> None:
    ours = initbench.Record(**OF_LOSS, study="own", runs_dir=tmp_path)
    for epochs in (3, 1):
        trainer(tmp_path, initbench.Initialize("orthogonal", seed=0), ours, max_epochs=epochs).fit(
            Validated(), loader(), loader(shuffle=False)
        )
    found = record(tmp_path)
    assert (found["total_steps"], found["steps"]) == (4, 4)
    (run,) = initbench.load_runs(tmp_path / "own").to_dict("records")
    assert list(initbench.analysis.loading.frame.load_history(run["path"])["step"]) == [4]

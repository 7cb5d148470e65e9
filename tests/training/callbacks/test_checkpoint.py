"""A run that is stopped at any step and typed again ends with the same bits as one that was left alone."""

import os
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import pytest
import torch
from outcomes import outcome

import initbench.training.run
from initbench import diagnose
from initbench.record.stopping import Stopped, stoppable
from initbench.record.store import Store
from initbench.training import trainer
from initbench.training.build import RunParts
from initbench.training.run import run


class Signal(L.Callback):
    """Sends one to this process while step `step` is computed."""

    def __init__(self, step: int, signum: int) -> None:
        self.step, self.signum = step, signum

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *batch: Any) -> None:
        if trainer.global_step == self.step - 1:
            os.kill(os.getpid(), self.signum)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that starts a run and stops it by a signal in one of its steps."""
    build = trainer.build

    def start(config: dict[str, Any], step: int, signum: int = signal.SIGTERM) -> None:
        def with_signal(config: Any, *, callbacks: list[L.Callback], **options: Any) -> L.Trainer:
            return build(config, callbacks=[*callbacks, Signal(step, signum)] if callbacks else [], **options)

        with monkeypatch.context() as patched, pytest.raises(Stopped), stoppable():
            patched.setattr(trainer, "build", with_signal)
            run(config)

    return start


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Those that the latest run ended with."""
    kept: dict[str, torch.Tensor] = {}
    fit = initbench.training.run.fit

    def keep(lightning_trainer: L.Trainer, parts: RunParts, *rest: Any) -> dict[str, float]:
        test = fit(lightning_trainer, parts, *rest)
        kept.update({name: value.clone() for name, value in parts.recipe.model.state_dict().items()})
        return test

    monkeypatch.setattr(initbench.training.run, "fit", keep)
    return kept


def left(config: dict[str, Any], weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """All that a finished run leaves, but for times."""
    final = {name: value.tolist() for name, value in weights.items()}
    return {"weights": final, **outcome(Store(config).folder)}


VARIANTS = {
    "in the middle of an epoch and at its end": ["trainer.max_epochs=2", "data.val_every_n_steps=3"],
    "a validation at each step": ["trainer.max_steps=4", "data.val_every_n_steps=1", "trainer.log_every_n_steps=3"],
    "random numbers in use": [
        *("model.dropout=0.5", "data.flip=true", "data.crop_padding=2", "trainer.max_epochs=2", "scheduler=onecycle"),
        *("data.val_every_n_steps=2", "optimizer=sgd"),
    ],
    "two optimizers as one": [
        *("optimizer=muon", "trainer.max_epochs=1", "trainer.log_every_n_steps=3"),
        *("data.val_every_n_steps=2", "trainer.gradient_clip_val=0.5"),
    ],
    "diagnosed, initialized from data": [
        *("init=lsuv", "diagnostics=schedule", "diagnostics.print=false", "trainer.max_epochs=2"),
        *("trainer.log_every_n_steps=1",),
    ],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stop_at_any_step_changes_no_bit(
    small: Any, tmp_path: Path, stopped: Any, weights: dict[str, torch.Tensor], variant: str
) -> None:
    few = ("model.depth=2", "model.width=16", "data.batch_size=1000", "data.val_size=2000", "trainer.max_steps=-1")
    overrides = (*few, *VARIANTS[variant])
    run(small(*overrides, "study=whole"))
    whole = left(small(*overrides, "study=whole"), weights)
    for step in range(1, whole["steps"]):
        config = small(*overrides, f"study=stopped{step}")
        stopped(config, step)
        between = Store(config).read()
        assert between is not None
        assert between["status"] == "interrupted"
        assert Store(config).checkpoint.exists()
        record = run(config)
        assert record is not None
        assert left(config, weights) == whole
        assert (record["attempt"], len(record["resumed_at"])) == (1, 1)
        assert not Store(config).checkpoint.exists()  # a thousand runs would fill a disk


OTHER_TASKS = {
    "regression": ["task=regression", "data=curves", "data.size=200", "data.batch_size=40", "trainer.max_epochs=2"],
    "language_model": [
        *("task=language_model", "data=text_mini", "data.size=1500", "data.context_length=16", "data.batch_size=20"),
        *("model=gpt", "model.width=16", "model.depth=1", "model.dropout=0.2", "trainer.max_epochs=2"),
    ],
    "autoencoder": ["task=autoencoder", "model=autoencoder", "model.widths=[8]", "data.batch_size=1000"],
}


@pytest.mark.parametrize("name", OTHER_TASKS)
def test_a_stop_of_another_task_changes_no_bit(
    small: Any, stopped: Any, weights: dict[str, torch.Tensor], name: str
) -> None:
    overrides = (*OTHER_TASKS[name], "data.val_every_n_steps=2", "optimizer=sgd", "optimizer.lr=0.01")
    run(small(*overrides, "study=whole"))
    whole = left(small(*overrides, "study=whole"), weights)
    for step in (1, whole["steps"] // 2, whole["steps"] - 1):
        config = small(*overrides, f"study=stopped{step}")
        stopped(config, step)
        record = run(config)
        assert record is not None
        assert left(config, weights) == whole
        assert len(record["resumed_at"]) == 1


def test_stopped_twice(small: Any, stopped: Any, weights: dict[str, torch.Tensor]) -> None:
    run(small("study=whole"))
    whole = left(small("study=whole"), weights)
    config = small("study=stopped")
    stopped(config, 2, signal.SIGINT)
    stopped(config, 5)
    record = run(config)
    assert record is not None
    assert left(config, weights) == whole
    assert len(record["resumed_at"]) == 2


@pytest.mark.parametrize("every", [1, 3])
def test_a_run_that_is_stopped_in_the_step_in_which_it_diverges_has_diverged(
    small: Any, stopped: Any, every: int
) -> None:
    """It has nothing to continue."""
    overrides = ("optimizer=sgd", "optimizer.lr=1e20", f"trainer.log_every_n_steps={every}")
    whole = run(small(*overrides, "study=whole"))
    assert whole is not None
    assert whole["status"] == "diverged"
    config = small(*overrides, "study=stopped", "checkpoint_seconds=0")
    stopped(config, whole["steps"])
    store = Store(config)
    assert repr(outcome(store.folder)) == repr(outcome(Store(whole["config"]).folder))  # NaNs print alike
    assert not store.checkpoint.exists()


def test_what_diagnostics_found_missed_and_cost_before_a_stop_stays(
    small: Any, stopped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that only diagnosing moves; the first diagnosis of each run fails."""
    now = 0.0

    def slow(*args: Any, **kwargs: Any) -> Any:
        nonlocal now
        now += 100
        if now == 100:
            raise ValueError("too early")
        return diagnose(*args, **kwargs)

    monkeypatch.setattr("initbench.training.diagnoses.diagnose", slow)
    monkeypatch.setattr("time.perf_counter", lambda: now)
    overrides = ("diagnostics=schedule", "diagnostics.print=false", "diagnostics.every=2")
    whole = run(small(*overrides, "study=whole"))
    now = 0.0
    config = small(*overrides, "study=stopped")
    stopped(config, 5)
    record = run(config)
    assert whole is not None
    assert record is not None
    assert record["diagnostics"] == whole["diagnostics"]
    assert record["diagnostics"]["missing"]["layers"] == "ValueError: too early"
    assert record["seconds_diagnostics"] == whole["seconds_diagnostics"] == now
    assert record["seconds_train"] == whole["seconds_train"] == 0


def test_what_was_killed_without_warning_goes_on_from_the_last_checkpoint(
    small: Any, weights: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the checkpoint of an earlier step, and a record that says running: as kill -9 leaves them."""
    run(small("study=whole"))
    whole = left(small("study=whole"), weights)
    config = small("study=killed", "checkpoint_seconds=0")
    store = Store(config)
    kept: dict[str, bytes] = {}
    replace = Path.replace

    def copy(self: Path, target: Path) -> Path:
        moved = replace(self, target)
        if target == store.checkpoint:
            kept.setdefault("checkpoint", target.read_bytes())
        return moved

    monkeypatch.setattr(Path, "replace", copy)
    assert run(config) is not None
    history = store.folder / "history.parquet"
    assert history.exists()
    store.checkpoint.write_bytes(kept["checkpoint"])
    store.write("running", attempt=1, started_at="2026-01-01T00:00:00+00:00")
    record = run(config)
    assert record is not None
    assert record["started_at"] == "2026-01-01T00:00:00+00:00"
    assert left(config, weights) == whole


def test_with_a_checkpoint_that_cannot_be_read_the_run_begins_anew_at_once(
    small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small()
    store = Store(config)
    store.write("running", attempt=1, started_at="2026-01-01T00:00:00+00:00")
    store.checkpoint.write_bytes(b"torn")
    record = run(config)
    assert record is not None
    assert (record["status"], record["attempt"], record["resumed_at"]) == ("finished", 2, [])
    assert f"{store.checkpoint} cannot be read" in capsys.readouterr().err
    assert Path(f"{store.checkpoint}.damaged").read_bytes() == b"torn"


def test_force_starts_anew(small: Any, stopped: Any) -> None:
    config = small()
    stopped(config, 5)
    record = run({**config, "force": True})
    assert record is not None
    assert (record["attempt"], record["resumed_at"]) == (2, [])
    again = run({**config, "force": True})
    assert again is not None
    assert again["attempt"] == 3
    unforced = run(config)
    assert unforced is not None
    assert unforced["attempt"] == 3


def test_a_stop_in_the_last_step_lets_the_run_end(small: Any, stopped: Any, weights: dict[str, torch.Tensor]) -> None:
    """What is left is shorter than resuming; the sweep around it stops all the same."""
    run(small("study=whole"))
    whole = left(small("study=whole"), weights)
    config = small("study=stopped")
    stopped(config, 8)
    record = Store(config).read()
    assert record is not None
    assert (record["status"], record["attempt"], record["resumed_at"]) == ("finished", 1, [])
    assert left(config, weights) == whole
    assert not Store(config).checkpoint.exists()

"""A device that is out of memory for a whole batch, but not for half of one."""

from typing import Any

import pytest
import torch
from configs import typed
from torch import Tensor, nn

from initbench.data import DataModule
from initbench.metric import ACCURACY
from initbench.model import MLP
from initbench.record.life import claimed
from initbench.record.store import Store
from initbench.training import trainer
from initbench.training.build import build_run
from initbench.training.module import TaskModule
from initbench.training.run import _train_alone, run


@pytest.fixture
def room_for_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """The MLP, on a device that holds 500 images at most: evaluation takes 1,000 at a time."""
    forward = MLP.forward

    def limited(self: nn.Module, images: Tensor) -> Tensor:
        if len(images) > 500:
            raise torch.OutOfMemoryError("tried to allocate 1 GiB")
        return forward(self, images)

    monkeypatch.setattr(MLP, "forward", limited)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_parts_of_a_batch_come_to_the_whole(small: Any, precision: str) -> None:
    """Also of one that cannot be halved: each part counts by its images."""
    weights = []
    for micro_batches in (1, 2, 3):
        config = typed(small("optimizer=sgd", "data.batch_size=65", f"trainer.precision={precision}"))
        parts = build_run(config)
        parts.recipe.micro_batches = micro_batches
        module, data = TaskModule(parts.recipe), DataModule(parts.data)
        every = parts.data.val_every_n_steps
        built = trainer.build(config.trainer, val_every_n_steps=every, callbacks=[], loggers=[])
        built.fit(module, datamodule=data)
        weights.append(nn.utils.parameters_to_vector(parts.recipe.model.parameters()).detach())
    tolerance = 1e-5 if precision == "32-true" else 1e-2
    torch.testing.assert_close(weights[1], weights[0], rtol=0, atol=tolerance)
    torch.testing.assert_close(weights[2], weights[0], rtol=0, atol=tolerance)


def test_a_run_that_may_be_halved_is_and_agrees(
    small: Any, room_for_half: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    halved = run(small("trainer.on_oom=halve"))
    assert halved is not None
    assert (halved["status"], halved["micro_batches"]) == ("finished", 2)
    assert "out of memory" in (Store(halved["config"]).folder / "log.txt").read_text()
    monkeypatch.undo()
    whole = run(small("study=whole"))
    assert whole is not None
    assert whole["micro_batches"] == 1
    assert whole["signature"] == halved["signature"]
    assert halved["results"]["val/loss"] == pytest.approx(whole["results"]["val/loss"], rel=1e-4)


def test_one_that_may_not_fails_with_the_advice(small: Any, room_for_half: None) -> None:
    config = small()
    with pytest.raises(torch.OutOfMemoryError):
        run(config)
    record = Store(config).read()
    assert record is not None
    assert record["status"] == "failed"
    assert "trainer.on_oom=halve" in record["reason"]


def test_what_does_not_fit_in_halves_either_fails(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: nn.Module, images: Tensor) -> Tensor:
        if len(images) > 20:  # each model is tried on a few before anything starts
            raise torch.OutOfMemoryError("tried to allocate 1 GiB")
        return forward(self, images)

    forward = MLP.forward
    monkeypatch.setattr(MLP, "forward", never)
    config = small("trainer.on_oom=halve")
    with pytest.raises(torch.OutOfMemoryError):
        run(config)
    record = Store(config).read()
    assert record is not None
    assert record["status"] == "failed"


def test_a_halved_attempt_begins_at_step_0_though_the_one_before_was_resumed(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record does not say that it was resumed, and its loggers begin anew."""
    seen: list[tuple[int, list[str]]] = []

    def train(life: Any, parts: Any) -> Any:
        seen.append((parts.recipe.micro_batches, life.started["resumed_at"]))
        if parts.recipe.micro_batches == 1:
            raise torch.OutOfMemoryError("tried to allocate 1 GiB")
        return "the record"

    monkeypatch.setattr("initbench.training.run.train", train)
    config = small("trainer.on_oom=halve")
    with claimed(Store(config)) as life:
        assert life is not None
        life.begin(8, ACCURACY, resumes=True)
        assert _train_alone(life, build_run(typed(config))) == "the record"
    assert [micro_batches for micro_batches, _ in seen] == [1, 2]
    assert len(seen[0][1]) == 1
    assert seen[1][1] == []

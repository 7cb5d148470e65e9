"""What a run has measured survives its process."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from initbench.record.history import History
from initbench.record.store import Store


def test_rows_of_a_checkpoint_are_written_even_if_nothing_is_added(small: Any) -> None:
    """As where a process dies between its last checkpoint, after the last step, and the end of the run."""
    store = Store(small())
    before = History(store)
    before.add_validation(8, 1, {"loss": 0.5, "accuracy": 0.8})
    after = History(store)
    after.load_state_dict(before.state_dict())
    after.flush()
    assert pd.read_parquet(store.folder / "history.parquet")["val/loss"].tolist() == [0.5]


def test_a_state_has_all_that_was_measured() -> None:
    before, after = History(None), History(None)
    before.add_training(4, 0, {"loss": 1.0, "accuracy": 0.5}, 0.1, 3.0, scaled=False)
    before.add_validation(4, 0, {"loss": float("inf"), "accuracy": 0.6})
    before.seconds, before.seconds_evaluation, before.seconds_compile = 2.0, 3.0, 4.0
    after.load_state_dict(before.state_dict())
    assert list(after) == list(before)
    assert after.latest == before.latest
    assert after.diverged == "validation loss inf at step 4"
    assert (after.seconds, after.seconds_evaluation, after.seconds_compile) == (2.0, 3.0, 4.0)


def test_training_and_validation_share_the_row_of_a_step(small: Any) -> None:
    history = History(None)
    history.seconds = 2.0
    training = history.add_training(4, 0, {"loss": 1.0, "accuracy": 0.5}, 0.1, 3.0, scaled=False)
    validation = history.add_validation(4, 0, {"loss": 0.9, "accuracy": 0.6})
    assert list(history) == [{"step": 4, "epoch": 0, "seconds": 2.0, **training, **validation}]
    assert history.evaluated_at(4)
    assert history.latest["val/loss"] == 0.9


@pytest.mark.parametrize(
    "loss, grad_norm, scaled, diverged",
    [
        (1.0, 2.0, False, None),
        (float("inf"), 2.0, False, "training loss inf by step 4"),
        (1.0, float("nan"), False, "gradient norm nan at step 4"),
        (1.0, float("inf"), True, None),  # the scaler of 16-mixed probes for the largest finite scale
        (float("nan"), float("nan"), True, "training loss nan by step 4"),
    ],
)
def test_what_is_no_number_is_divergence(loss: float, grad_norm: float, scaled: bool, diverged: str | None) -> None:
    history = History(None)
    history.add_training(4, 0, {"loss": loss, "accuracy": 0.5}, 0.1, grad_norm, scaled=scaled)
    assert history.diverged == diverged


def test_a_validation_may_show_it_too(tmp_path: Path) -> None:
    history = History(None)
    history.add_validation(0, 0, {"loss": float("nan"), "accuracy": 0.1})
    assert history.diverged == "validation loss nan at step 0"


def test_rows_reach_the_disk_every_few_seconds_and_once(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    store = Store(small())
    written: list[list[int]] = []

    def write_table(name: str, rows: Any) -> None:
        written.append([row["step"] for row in rows])

    monkeypatch.setattr(store, "write_table", write_table)
    history = History(store)
    for step, now in enumerate((101.0, 104.0, 105.5, 106.0, 110.0, 111.0)):  # noqa: B007 - the clock reads it
        history.add_validation(step, 0, {"loss": 1.0, "accuracy": 0.5})
    assert written == [[0, 1, 2], [0, 1, 2, 3, 4, 5]]
    history.flush()
    assert len(written) == 2  # nothing was added since
    history.add_validation(6, 0, {"loss": 1.0, "accuracy": 0.5})
    history.flush()
    history.flush()
    assert len(written) == 3


def test_rows_are_written_only_by_the_process_that_has_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    history = History(None)
    history.add_validation(0, 0, {"loss": 1.0, "accuracy": 0.5})
    now = 200.0
    history.add_validation(1, 0, {"loss": 1.0, "accuracy": 0.5})
    history.flush()
    assert len(list(history)) == 2


def test_a_row_has_the_clock_of_its_first_measurement_and_the_training_values_by_their_names() -> None:
    history = History(None)
    history.seconds, history.seconds_evaluation = 2.0, 7.0
    added = history.add_training(4, 1, {"loss": 1.0, "accuracy": 0.5}, 0.0123456789, 0.0, scaled=False)
    assert added == {"train/loss": 1.0, "train/accuracy": 0.5, "lr": 0.0123456789, "train/grad_norm": 0.0}
    history.seconds = 3.0
    assert not history.evaluated_at(4)
    history.add_validation(4, 1, {"loss": 0.9, "accuracy": 0.6})
    without = history.add_training(6, 2, {"loss": 0.8, "accuracy": 0.7}, 0.1, None, scaled=False)
    assert "train/grad_norm" not in without
    assert [(row["step"], row["epoch"], row["seconds"]) for row in history] == [(4, 1, 2.0), (6, 2, 3.0)]
    assert history.evaluated_at(4)
    assert not history.evaluated_at(6)
    assert not history.evaluated_at(8)
    assert history.latest == {**added, "val/loss": 0.9, "val/accuracy": 0.6, **without}


@pytest.mark.parametrize("loss", [float("inf"), float("-inf"), float("nan")])
def test_any_validation_loss_that_is_no_number_is_divergence_and_no_loss_is_none(loss: float) -> None:
    history = History(None)
    history.add_validation(3, 0, {"accuracy": 0.1})
    assert history.diverged is None
    history.add_validation(7, 0, {"loss": loss, "accuracy": 0.1})
    assert history.diverged == f"validation loss {loss} at step 7"

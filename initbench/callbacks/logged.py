"""The history of a fit, from what a LightningModule logs."""

import math
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling

from initbench.callbacks.clock import Clock
from initbench.errors import UserMistake, nearest
from initbench.metric import Metric, logged_name
from initbench.record.history import History


class Logged(Clock):
    """Adds a row to `history` for each validation; the last one has the score that counts.

    Raises UserMistake after a validation in which the module has not logged the score. Lightning's check before the
    first step is such a validation, unless nothing is logged there; where it sees all batches it is the row of step 0.
    """

    def __init__(self, metric: Metric, history: History) -> None:
        super().__init__(history)
        self.metric = metric

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.end_evaluation(pl_module)
        if not trainer.sanity_checking:
            self.add_row(trainer)
        elif logged := trainer.callback_metrics:
            self._check(logged, ". If it does so after the first step only: Trainer(num_sanity_val_steps=0)")
            if trainer.num_sanity_val_steps == math.inf:
                self.history.add_validation(0, 0, _numbers(logged))
        self.go_on(trainer)

    def add_row(self, trainer: L.Trainer) -> None:
        """Add what is logged now."""
        self._check(trainer.callback_metrics)
        self.history.add_validation(trainer.global_step, trainer.current_epoch, _numbers(trainer.callback_metrics))

    def final(self, trainer: L.Trainer) -> float:
        """The score that counts, at the end of the fit: what was logged last. A fit without validations gets a row."""
        if not any(self.history.by_step):
            self.add_row(trainer)
        return _numbers(trainer.callback_metrics)[self.metric.name]

    def _check(self, logged: Mapping[str, Any], remedy: str = "") -> None:
        score = self.metric.label
        if self.metric.name not in _numbers(logged):
            there = ", ".join(logged) or "nothing"
            near = nearest(score, logged)
            raise UserMistake(f"the module has not logged score={score!r}.{near} Logged: {there}{remedy}")


def _numbers(logged: Mapping[str, Any]) -> dict[str, float]:
    """What is logged, as a history names it; what is logged of validation comes before others of the same name."""
    found = sorted(logged.items(), key=lambda item: logged_name(item[0]) != item[0])
    return {logged_name(name): float(value) for name, value in found if getattr(value, "numel", lambda: 1)() == 1}

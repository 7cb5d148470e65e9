"""What a run has measured so far: its rows, its clocks, and whether it diverged."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from initbench.record.plain import Row
from initbench.record.store import Store

FLUSH_SECONDS = 5.0  # a killed process loses at most so much of the history


class History:
    """Rows {step, epoch, seconds, lr, train/*, val/*} in the order of their steps, written to disk every few seconds.

    `seconds` counts training only, without evaluation and compilation. A loss or a gradient norm that is not finite
    sets `diverged` to the reason; whoever trains the run then stops it.
    """

    def __init__(self, store: Store | None) -> None:
        self.store = store  # None on all processes but the first
        self.by_step: dict[int, Row] = {}
        self.latest: dict[str, float] = {}  # of each quantity
        self.seconds = 0.0
        self.seconds_evaluation = 0.0
        self.seconds_compile = 0.0
        self.diverged: str | None = None
        self._flushed_at = time.monotonic()
        self._unwritten = False

    def add_training(
        self, step: int, epoch: int, means: Mapping[str, float], lr: float, grad_norm: float | None, *, scaled: bool
    ) -> dict[str, float]:
        """Add what was measured since the last training row: `means` of loss and metric. Returns the new values.

        `scaled`: the loss is scaled (16-mixed), where the scaler probes for the largest finite scale, so that an
        overflow of the gradient is no divergence.
        """
        values = {**{f"train/{name}": value for name, value in means.items()}, "lr": lr}
        if grad_norm is not None:
            values["train/grad_norm"] = grad_norm
        if not math.isfinite(means["loss"]):
            self.diverged = f"training loss {means['loss']} by step {step}"
        elif grad_norm is not None and not scaled and not math.isfinite(grad_norm):
            self.diverged = f"gradient norm {grad_norm} at step {step}"
        self._add(step, epoch, values)
        return values

    def add_validation(self, step: int, epoch: int, means: Mapping[str, float]) -> dict[str, float]:
        """Add an evaluation on the validation samples; training and validation share the row of a step."""
        values = {f"val/{name}": value for name, value in means.items()}
        if not math.isfinite(means.get("loss", 0.0)):
            self.diverged = f"validation loss {means['loss']} at step {step}"
        self._add(step, epoch, values)
        return values

    def flush(self) -> None:
        if self.store is not None and self._unwritten:
            self.store.write_table("history", list(self))
            self._unwritten = False
        self._flushed_at = time.monotonic()

    def evaluated_at(self, step: int) -> bool:
        return "val/loss" in self.by_step.get(step, {})

    def state_dict(self) -> dict[str, Any]:
        return {
            "by_step": self.by_step,
            "latest": self.latest,
            "seconds": self.seconds,
            "seconds_evaluation": self.seconds_evaluation,
            "seconds_compile": self.seconds_compile,
            "diverged": self.diverged,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._unwritten = True  # whoever made this state may have died before it wrote the rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self.by_step.values())

    def _add(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        self.by_step.setdefault(step, {"step": step, "epoch": epoch, "seconds": self.seconds}).update(values)
        self.latest.update(values)
        self._unwritten = True
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

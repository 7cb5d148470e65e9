"""How a run converged, from its history alone: pure functions over rows {step, seconds, val/accuracy, ...}."""

import math
from collections.abc import Sequence
from itertools import pairwise

from initbench.record.plain import Record, Row


def convergence(history: Sequence[Row], num_classes: int) -> dict[str, float | None]:
    """Best and final validation accuracy, area under its curve, and the loss at step 0 against ln(classes).

    A network that knows nothing and says so loses ln(classes); above it the outputs are confidently wrong.
    """
    rows = evaluations(history)
    if not rows:
        return {"ln_classes": math.log(num_classes)}
    accuracies = [row["val/accuracy"] for row in rows]
    start = rows[0]
    return {
        "val/best_accuracy": max(accuracies),
        "val/accuracy": accuracies[-1],
        "val/loss": rows[-1]["val/loss"],
        "val/accuracy_auc": area(rows),
        "val/loss_at_start": start["val/loss"] if start["step"] == 0 else None,
        "ln_classes": math.log(num_classes),
    }


def time_to_targets(
    history: Sequence[Row], targets: Sequence[float], *, seconds_init: float, reason: str
) -> dict[str, Record]:
    """For each target the first evaluation that reaches it, in steps and in seconds of training plus init.

    A target that was not reached is censored at the last evaluation: `reached` is False, steps and seconds
    say for how long it was not, and `reason` why no longer (the budget was spent, the run diverged).
    """
    rows = evaluations(history)
    times = {}
    for target in targets:
        hit = next((row for row in rows if row["val/accuracy"] >= target), None)
        at = hit or (rows[-1] if rows else {"step": 0, "seconds": 0.0})
        times[f"{target:g}"] = {
            "reached": hit is not None,
            "steps": at["step"],
            "seconds": at["seconds"] + seconds_init,
            "reason": None if hit else reason,
        }
    return times


def area(rows: Sequence[Row]) -> float:
    """Mean validation accuracy over the steps between first and last evaluation (trapezoid rule)."""
    if len(rows) == 1:
        return float(rows[0]["val/accuracy"])
    total = 0.0
    for left, right in pairwise(rows):
        total += (right["step"] - left["step"]) * (left["val/accuracy"] + right["val/accuracy"]) / 2
    return total / (rows[-1]["step"] - rows[0]["step"])


def evaluations(history: Sequence[Row]) -> list[Row]:
    """The rows with a finite validation."""
    return [row for row in history if _is_finite(row.get("val/accuracy")) and _is_finite(row.get("val/loss"))]


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)

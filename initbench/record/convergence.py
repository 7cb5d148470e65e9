"""How a run converged, from its history alone: pure functions over rows {step, seconds, val/loss, ...}."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from initbench.metric import Metric
from initbench.record.plain import Record, Row


def convergence(history: Sequence[Row], metric: Metric) -> dict[str, float | None]:
    """The best and the final value of the metric in validation, the area under its curve, and the loss at step 0."""
    rows = evaluations(history, metric)
    if not rows:
        return {}
    name, start = metric.name, rows[0]
    values = [row[f"val/{name}"] for row in rows]
    return {
        f"val/best_{name}": metric.best_of(values),
        f"val/{name}": values[-1],
        "val/loss": rows[-1].get("val/loss"),
        f"val/{name}_auc": area([row["step"] for row in rows], values),
        "val/loss_at_start": start.get("val/loss") if start["step"] == 0 else None,
    }


def time_to_targets(
    history: Sequence[Row], targets: Sequence[float], metric: Metric, *, seconds_init: float, reason: str
) -> dict[str, Record]:
    """For each target the first evaluation that reaches it, in steps and in seconds of training plus init.

    A target that was not reached is censored at the last evaluation: `reached` is False, steps and seconds
    say for how long it was not, and `reason` why no longer (the budget was spent, the run diverged).
    """
    rows = evaluations(history, metric)
    times = {}
    for target in targets:
        hit = next((row for row in rows if metric.is_reached(row[f"val/{metric.name}"], target)), None)
        at = hit or (rows[-1] if rows else {"step": 0, "seconds": 0.0})
        times[f"{target:g}"] = {
            "reached": hit is not None,
            "steps": at["step"],
            "seconds": at["seconds"] + seconds_init,
            "reason": None if hit else reason,
        }
    return times


def targets_in(config: Mapping[str, Any]) -> Sequence[float]:
    """The targets of a config: those of the task or, where it has none of its own, of the dataset."""
    own: Sequence[float] | None = config.get("task", {}).get("targets")
    return config["data"]["targets"] if own is None else own


def area(steps: Sequence[int], values: Sequence[float]) -> float:
    """The mean of the values over the steps between the first and the last evaluation (trapezoid rule)."""
    if len(steps) == 1:
        return float(values[0])
    total = 0.0
    for (left, one), (right, other) in pairwise(zip(steps, values, strict=True)):
        total += (right - left) * (one + other) / 2
    return total / (steps[-1] - steps[0])


def evaluations(history: Sequence[Row], metric: Metric) -> list[Row]:
    """The rows with a finite validation."""
    key = f"val/{metric.name}"  # a loop of the user's own may have no loss
    return [row for row in history if _is_finite(row.get(key)) and _is_finite(row.get("val/loss", 0.0))]


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)

"""The one number of a record that a sweeper may optimize, hydra/sweeper=optuna for instance."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initbench.errors import UserMistake, unknown
from initbench.metric import Metric
from initbench.record.convergence import convergence, targets_in, time_to_targets
from initbench.record.flat import numbers
from initbench.record.metric import metric_of
from initbench.record.store import COMPLETE
from initbench.schema import target

if TYPE_CHECKING:
    from initbench.schema.config import AnyConfig


def check_objective(config: "AnyConfig", direction: Any) -> None:
    """Raise UserMistake unless records will hold config.objective, and `direction` asks for good values of it.

    `direction`: "maximize" or "minimize", as text or as an enumeration's member; None for a sweeper without one.
    """
    if config.objective is None and direction is None:
        return  # a task costs the import of torch
    metric = getattr(target.load("task", config.task.target), "metric", None)
    if not isinstance(metric, Metric):  # a function that makes a task: only the task itself can tell
        return
    name = config.objective or _usual(metric)
    measures = dict.fromkeys(("loss", metric.name))
    results = [*convergence([{"step": 0, **{f"val/{measure}": 0.0 for measure in measures}}], metric)]
    results += [f"{stage}/{measure}" for stage in ("train", "test") for measure in measures]
    asked = targets_in({"task": config.task.node, "data": config.data.node})
    targets = time_to_targets([], asked, metric, seconds_init=0.0, reason="")
    allowed = list(numbers({"results": dict.fromkeys(results), "targets": targets}))
    if name not in allowed:
        raise UserMistake(str(unknown("objective", name, allowed)))
    wanted = "maximize" if _is_maximized(name, metric) else "minimize"
    if direction is not None and getattr(direction, "name", direction) != wanted:
        raise UserMistake(f"a good {name} is not what this sweep looks for: add hydra.sweeper.direction={wanted}")


def objective(record: Mapping[str, Any], asked: str | None) -> float | None:
    """The number that was `asked` for, or the best value of the metric in validation.

    The worst value for a run that diverged or never reached the target; None for one that did not end.
    """
    metric = metric_of(record)
    if record.get("status") not in COMPLETE or metric is None:
        return None
    name = asked or _usual(metric)
    value = numbers(record).get(name)
    if value is None or record["status"] == "diverged":
        return metric.worst if _is_of(name, metric) else math.inf
    return float(value)


def _usual(metric: Metric) -> str:
    return f"val/best_{metric.name}"


def _is_of(name: str, metric: Metric) -> bool:
    """Whether a number of the record is a value of the metric, and not a loss or a time."""
    return name.partition("/")[2].removeprefix("best_").removesuffix("_auc") == metric.name


def _is_maximized(name: str, metric: Metric) -> bool:
    return metric.higher_is_better and _is_of(name, metric)

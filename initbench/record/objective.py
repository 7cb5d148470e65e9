"""The one number of a record that a sweeper may optimize, hydra/sweeper=optuna for instance."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initbench.errors import UserMistake, unknown
from initbench.record.convergence import convergence, time_to_targets
from initbench.record.flat import numbers
from initbench.record.store import COMPLETE

if TYPE_CHECKING:
    from initbench.schema.config import Config


def check_objective(config: "Config", direction: Any) -> None:
    """Raise UserMistake unless records will hold config.objective, and `direction` asks for good values of it.

    `direction`: "maximize" or "minimize", as text or as an enumeration's member; None for a sweeper without one.
    """
    name = config.objective
    results = [*convergence([{"step": 0, "val/accuracy": 0.0, "val/loss": 0.0}], num_classes=2)]
    results += [f"{stage}/{metric}" for stage in ("train", "test") for metric in ("loss", "accuracy")]
    targets = time_to_targets([], config.data.targets, seconds_init=0.0, reason="")
    allowed = list(numbers({"results": dict.fromkeys(results), "targets": targets}))
    if name not in allowed:
        raise UserMistake(str(unknown("objective", name, allowed)))
    wanted = "maximize" if "accuracy" in name else "minimize"
    if direction is not None and getattr(direction, "name", direction) != wanted:
        raise UserMistake(f"a good {name} is not what this sweep looks for: add hydra.sweeper.direction={wanted}")


def objective(record: Mapping[str, Any], name: str) -> float | None:
    """The worst value for a run that diverged or never reached the target; None for one that did not end."""
    if record.get("status") not in COMPLETE:
        return None
    value = numbers(record).get(name)
    if value is None or record["status"] == "diverged":
        return 0.0 if "accuracy" in name else math.inf
    return float(value)

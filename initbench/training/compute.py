"""How long a run trains, and on what: its steps, its threads, its device. Imports no Lightning."""

from collections.abc import Mapping
from typing import Any

import torch

from initbench.errors import unknown

_ALL_THREADS = torch.get_num_threads()  # before any run has changed it
_PRECISIONS = ("highest", "high", "medium")


def total_steps(config: Mapping[str, Any], steps_per_epoch: int) -> int:
    """Optimizer steps of a whole run: all epochs, or max_steps if that comes first.

    Raises ValueError where neither is positive.
    """
    max_epochs = count("max_epochs", config["max_epochs"], none=-1)
    max_steps = count("max_steps", config["max_steps"], none=-1)
    bounds = [bound for bound in (max_epochs * steps_per_epoch, max_steps) if bound > 0]
    if not bounds or 0 in (max_epochs, max_steps):
        raise ValueError(f"trainer.max_epochs={max_epochs} and max_steps={max_steps}: nothing would be trained")
    return min(bounds)


def set_rounding(config: Mapping[str, Any]) -> None:
    """What decides how sums are rounded: the CPU's threads, one per core by default, and how float32 is multiplied.

    Raises ValueError for fewer than one thread, and for a precision that torch does not know.
    """
    threads = count("threads", config["threads"], none=_ALL_THREADS)
    if threads < 1:
        raise ValueError(f"trainer.threads must be at least 1, got {threads}")
    torch.set_num_threads(threads)
    precision = config["float32_matmul_precision"]
    if precision not in _PRECISIONS:
        raise unknown("trainer.float32_matmul_precision", precision, _PRECISIONS)
    torch.set_float32_matmul_precision(precision)


def count(key: str, value: Any, none: int | None = None) -> int:
    """The whole number that `value` must be; `none` where it is None and that is allowed."""
    if value is None and none is not None:
        return none
    if type(value) is not int:
        raise ValueError(f"trainer.{key} must be a whole number, got {value!r}")
    return value


def device(config: Mapping[str, Any]) -> torch.device:
    """What one process trains on. Raises ValueError where a GPU is asked for and there is none."""
    there = torch.accelerator.current_accelerator(check_available=True)
    if there is None and config["accelerator"] not in ("cpu", "auto"):
        raise ValueError(f"trainer.accelerator={config['accelerator']}, but this machine has none")
    return torch.device("cpu") if config["accelerator"] == "cpu" or there is None else there

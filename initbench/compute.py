"""How long a run trains, and on what: its steps, its threads, its device. Imports no Lightning."""

from collections.abc import Mapping
from typing import Any

import torch

_ALL_THREADS = torch.get_num_threads()  # before any run has changed it


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


def set_threads(threads: int | None) -> None:
    """Use so many CPU threads; None: torch's own choice, one per core. Raises ValueError below 1."""
    threads = count("threads", threads, none=_ALL_THREADS)
    if threads < 1:
        raise ValueError(f"trainer.threads must be at least 1, got {threads}")
    torch.set_num_threads(threads)


def count(key: str, value: Any, none: int | None = None) -> int:
    """The whole number that `value` must be; `none` where it is None and that is allowed."""
    if value is None and none is not None:
        return none
    if type(value) is not int:
        raise ValueError(f"trainer.{key} must be a whole number, got {value!r}")
    return value


def device(config: Mapping[str, Any]) -> torch.device:
    """What one process trains on."""
    there = torch.accelerator.current_accelerator(check_available=True)
    return torch.device("cpu") if config["accelerator"] == "cpu" or there is None else there

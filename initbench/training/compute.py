"""How long a run trains, and on what: its steps, its threads, its device. Imports no Lightning."""

import torch

from initbench.schema.config import Trainer

_ALL_THREADS = torch.get_num_threads()  # before any run has changed it


def total_steps(config: Trainer, steps_per_epoch: int) -> int:
    """Optimizer steps of a whole run: all epochs, or max_steps if that comes first.

    Raises ValueError where neither is positive.
    """
    max_epochs, max_steps = (-1 if most is None else most for most in (config.max_epochs, config.max_steps))
    bounds = [bound for bound in (max_epochs * steps_per_epoch, max_steps) if bound > 0]
    if not bounds or 0 in (max_epochs, max_steps):
        raise ValueError(f"trainer.max_epochs={max_epochs} and max_steps={max_steps}: nothing would be trained")
    return min(bounds)


def set_rounding(config: Trainer) -> None:
    """What decides how sums are rounded: the CPU's threads, one per core by default, and how float32 is multiplied."""
    torch.set_num_threads(config.threads or _ALL_THREADS)
    torch.set_float32_matmul_precision(config.float32_matmul_precision)


def device(config: Trainer) -> torch.device:
    """What one process trains on. Raises ValueError where a GPU is asked for and there is none."""
    there = torch.accelerator.current_accelerator(check_available=True)
    if there is None and config.accelerator not in ("cpu", "auto"):
        raise ValueError(f"trainer.accelerator={config.accelerator}, but this machine has none")
    return torch.device("cpu") if config.accelerator == "cpu" or there is None else there

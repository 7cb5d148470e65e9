"""How long a run trains, and on what: its steps, its threads, its device. Imports no Lightning."""

import os

import torch

from initbench.schema.config import Trainer
from initbench.workers.cores import cores

# Before any run has changed it. Torch does not know the quota of a container; what the user has set, it does.
_ALL_THREADS = torch.get_num_threads()
if not os.environ.get("OMP_NUM_THREADS"):
    _ALL_THREADS = min(_ALL_THREADS, cores())


def total_steps(config: Trainer, steps_per_epoch: int) -> int:
    """Optimizer steps of a whole run: all epochs, or max_steps if that comes first."""
    bounds = [(config.max_epochs or -1) * steps_per_epoch, config.max_steps or -1]
    return min(bound for bound in bounds if bound > 0)


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

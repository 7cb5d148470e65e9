"""Learning-rate schedules, each over the run's whole number of steps and stepped once per optimizer step."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR


def constant(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """The optimizer's lr throughout."""
    return LambdaLR(optimizer, lambda step: 1.0)


def cosine(optimizer: Optimizer, total_steps: int, *, warmup_fraction: float, final_fraction: float) -> LRScheduler:
    """A linear warm-up over `warmup_fraction` of the steps, then half a cosine down to `final_fraction` * lr."""
    warmup_steps = _warmup_steps(total_steps, warmup_fraction)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return final_fraction + (1 - final_fraction) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return LambdaLR(optimizer, factor)


def warmup(optimizer: Optimizer, total_steps: int, *, warmup_fraction: float) -> LRScheduler:
    """A linear warm-up over `warmup_fraction` of the steps, then the optimizer's lr."""
    warmup_steps = _warmup_steps(total_steps, warmup_fraction)
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(1, warmup_steps)))


def linear(
    optimizer: Optimizer, total_steps: int, *, warmup_fraction: float, initial_fraction: float, final_fraction: float
) -> LRScheduler:
    """From `initial_fraction` * lr up to lr over `warmup_fraction` of the steps, then down to `final_fraction` * lr.

    Both are straight lines: the triangle of Smith (2018) and of cifar10-airbench (Jordan 2024).
    """
    warmup_steps = _warmup_steps(total_steps, warmup_fraction)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return initial_fraction + (1 - initial_fraction) * step / warmup_steps
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return 1 - (1 - final_fraction) * min(1.0, progress)

    return LambdaLR(optimizer, factor)


def onecycle(
    optimizer: Optimizer, total_steps: int, *, pct_start: float, div_factor: float, final_div_factor: float
) -> LRScheduler:
    """torch's OneCycleLR with the optimizer's lr as the peak. Raises ValueError for pct_start outside (0, 1)."""
    if not 0 < pct_start < 1:
        raise ValueError(f"scheduler.pct_start must lie in (0, 1), got {pct_start}")
    peak = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(
        optimizer,
        peak,
        # One more than the steps taken: Lightning steps the schedule after the last optimizer step too.
        total_steps=total_steps + 1,
        pct_start=pct_start,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
    )


def _warmup_steps(total_steps: int, fraction: float) -> int:
    if not 0 <= fraction <= 1:
        raise ValueError(f"scheduler.warmup_fraction must lie in [0, 1], got {fraction}")
    return round(fraction * total_steps)

"""Learning-rate schedules, each over the run's whole number of steps and stepped once per optimizer step."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from initbench.ranges import Fraction, NonNegativeFloat, OpenFraction, PositiveFloat


def constant(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """The optimizer's lr throughout."""
    return LambdaLR(optimizer, lambda step: 1.0)


def cosine(
    optimizer: Optimizer, total_steps: int, *, warmup_fraction: Fraction, final_fraction: NonNegativeFloat
) -> LRScheduler:
    """A linear warm-up over `warmup_fraction` of the steps, then half a cosine down to `final_fraction` * lr."""
    warmup_steps = round(warmup_fraction * total_steps)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return final_fraction + (1 - final_fraction) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return LambdaLR(optimizer, factor)


def warmup(optimizer: Optimizer, total_steps: int, *, warmup_fraction: Fraction) -> LRScheduler:
    """A linear warm-up over `warmup_fraction` of the steps, then the optimizer's lr."""
    warmup_steps = round(warmup_fraction * total_steps)
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(1, warmup_steps)))


def linear(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup_fraction: Fraction,
    initial_fraction: NonNegativeFloat,
    final_fraction: NonNegativeFloat,
) -> LRScheduler:
    """From `initial_fraction` * lr up to lr over `warmup_fraction` of the steps, then down to `final_fraction` * lr.

    Both are straight lines: the triangle of Smith (2018) and of cifar10-airbench (Jordan 2024).
    """
    warmup_steps = round(warmup_fraction * total_steps)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return initial_fraction + (1 - initial_fraction) * step / warmup_steps
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return 1 - (1 - final_fraction) * min(1.0, progress)

    return LambdaLR(optimizer, factor)


def onecycle(
    optimizer: Optimizer,
    total_steps: int,
    *,
    pct_start: OpenFraction,
    div_factor: PositiveFloat,
    final_div_factor: PositiveFloat,
) -> LRScheduler:
    """torch's OneCycleLR with the optimizer's lr as the peak."""
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

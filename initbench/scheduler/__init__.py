"""Learning-rate schedules over all `total_steps` of a run, stepped once per optimizer step.

A schedule is a function of (optimizer, total_steps) and its own keys, here or anywhere importable, with a YAML in
conf/scheduler/ whose `_target_` names it. Fractions are of `total_steps` or of the optimizer's learning rate.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from initbench.schema.ranges import Fraction, NonNegativeFloat, OpenFraction, PositiveFloat


def constant(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """The optimizer's learning rate at every step."""
    return LambdaLR(optimizer, lambda step: 1.0)


def cosine(
    optimizer: Optimizer, total_steps: int, *, warmup_fraction: Fraction, final_fraction: NonNegativeFloat
) -> LRScheduler:
    """A linear warm-up over `warmup_fraction` of the steps, then half a cosine down to `final_fraction` * lr.

    Source: Loshchilov & Hutter 2017, SGDR, eq. 5, without restarts.
    """
    warmup_steps = round(warmup_fraction * total_steps)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return final_fraction + (1 - final_fraction) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return LambdaLR(optimizer, factor)


def warmup(optimizer: Optimizer, total_steps: int, *, warmup_fraction: Fraction) -> LRScheduler:
    """A linear warm-up over `warmup_fraction` of the steps, then the optimizer's learning rate."""
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
    """Linearly from `initial_fraction` * lr to lr over `warmup_fraction` of the steps, then to `final_fraction` * lr.

    This is the triangular schedule of cifar10-airbench (Jordan 2024).

    Source: Smith 2018.
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
    """torch's OneCycleLR with the optimizer's learning rate as the peak.

    `pct_start` is the fraction of the steps before the peak; the rate starts at lr / div_factor and ends at lr /
    (div_factor * final_div_factor).

    Source: Smith & Topin 2018; torch.optim.lr_scheduler.OneCycleLR.
    """
    peak = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(
        optimizer,
        peak,
        # One more than the optimizer steps, since Lightning steps the schedule after the last of them too.
        total_steps=total_steps + 1,
        pct_start=pct_start,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
    )

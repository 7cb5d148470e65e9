"""The verdict in words."""

import math

from initbench.transfer.drift import TOLERANCE, Drift
from initbench.wording import count

_AXIS = {"width": "width", "depth": "depth", "batch_size": "batch size"}


def sentence(drift: Drift, axis: str) -> str:
    """What is shown of one initializer."""
    along = _AXIS[axis]
    unknown = f"{drift.init}: it cannot be told whether the best learning rate transfers along {along}"
    change = f"{drift.slope:+.2f} octaves per doubling"
    if drift.edges:
        where, rates = ", ".join(f"{value:g}" for value in drift.edges), drift.scores.rates
        return (
            f"{unknown}: at {where} it is at the edge of the rates that were tried, {rates[0]:.3g} to {rates[-1]:.3g}."
        )
    if drift.cliffs:
        where = ", ".join(f"{value:g}" for value in drift.cliffs)
        return (
            f"{unknown}: at {where}, runs diverged at the rates next to the best. Finer rates between them would tell."
        )
    if math.isnan(drift.low):
        seeds, are = count(drift.scores.seeds, "complete seed"), "is" if drift.scores.seeds == 1 else "are"
        return f"{unknown}: an interval needs five seeds, and there {are} {seeds}. It changes by {change}."
    interval = f"{drift.low:+.2f} to {drift.high:+.2f}"
    if drift.finding == "transfers":
        return (
            f"{drift.init}: the best learning rate transfers along {along}: it changes by {change} ({interval}), which "
            f"is within ±{TOLERANCE:g}."
        )
    if drift.finding == "drifts":
        return (
            f"{drift.init}: the best learning rate drifts along {along}, by {change} ({interval}): at twice the "
            f"{along} it is {2**drift.slope:.2f} times as high."
        )
    return (
        f"{unknown}: it changes by {change}, but anything from {interval} would fit. More seeds, or more values, "
        "narrow this."
    )


def basis(drifts: list[Drift], level: float) -> str:
    """What the intervals are; nothing where there is none."""
    if all(math.isnan(drift.low) for drift in drifts):
        return ""
    seeds = " or ".join(map(str, sorted({drift.scores.seeds for drift in drifts})))
    left_out = sorted({seed for drift in drifts for seed in drift.scores.left_out})
    more = f" Seeds {', '.join(map(str, left_out))} are left out, as some of their runs have not ended." * bool(
        left_out
    )
    return (
        f"The intervals of drifts, from a bootstrap of {seeds} seeds, hold for all initializers at once with "
        f"{100 * (1 - level):.3g}% confidence; those of single rates in the table hold each by itself, with 95%.{more}"
    )

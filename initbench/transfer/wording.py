"""The verdict in words."""

from initbench.transfer.drift import TOLERANCE, Drift
from initbench.wording import count

_AXIS = {"width": "width", "depth": "depth", "batch_size": "batch size"}


def sentence(drift: Drift, axis: str) -> str:
    """What is shown of one initializer."""
    along, init = _AXIS[axis], drift.init
    change = f"{_signed(drift.slope)} octaves per doubling"
    interval = f"{_signed(drift.low)} to {_signed(drift.high)}"
    if drift.edges:
        where = ", ".join(f"{value:g}" for value in drift.edges)
        return (
            f"{init}: it cannot be told whether the best learning rate transfers along {along}: at {where} it is at the "
            f"edge of the rates that were tried, {drift.scores.rates[0]:.3g} to {drift.scores.rates[-1]:.3g}."
        )
    if drift.low != drift.low:  # NaN
        seeds = count(drift.scores.seeds, "complete seed")
        return (
            f"{init}: it cannot be told whether the best learning rate transfers along {along}: an interval needs five "
            f"seeds, and there {'is' if drift.scores.seeds == 1 else 'are'} {seeds}. It changes by {change}."
        )
    if drift.finding == "transfers":
        return (
            f"{init}: the best learning rate transfers along {along}: it changes by {change} ({interval}), which is "
            f"within ±{TOLERANCE:g}."
        )
    if drift.finding == "drifts":
        return (
            f"{init}: the best learning rate drifts along {along}, by {change} ({interval}): at twice the {along} it is "
            f"{2**drift.slope:.2f} times as high."
        )
    return (
        f"{init}: it cannot be told whether the best learning rate transfers along {along}: it changes by {change}, but "
        f"anything from {_signed(drift.low)} to {_signed(drift.high)} would fit. More seeds, or more values, narrow this."
    )


def basis(drifts: list[Drift]) -> str:
    """What the intervals are."""
    seeds = sorted({drift.scores.seeds for drift in drifts})
    left_out = sum(drift.scores.left_out for drift in drifts)
    more = f" {count(left_out, 'seed')} with runs that have not ended {'is' if left_out == 1 else 'are'} left out."
    return (
        f"In parentheses: bootstrap intervals over {' or '.join(map(str, seeds))} seeds, which hold for all initializers at "
        f"once with 95% confidence.{more if left_out else ''}"
    )


def _signed(number: float) -> str:
    return f"{number:+.2f}".replace("-", "−")

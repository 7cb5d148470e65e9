"""Colours, dashes and axes that all figures share."""

import math
from collections.abc import Iterable
from typing import Any

# Okabe & Ito (2008): colours that colour-blind people can tell apart, too; dashes help where lines are close.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def look(index: int) -> tuple[str, str]:
    """Colour and dash of a line by its position in the legend; different for the first 48."""
    turn, colour = divmod(index, len(COLOURS))
    return COLOURS[colour], DASHES[(colour + turn) % len(DASHES)]


def shortened(names: Iterable[str], most: int = 40) -> dict[str, str]:
    """Names that fit beside a plot: long ones keep their beginning and end, with a number if that is ambiguous."""
    found: dict[str, str] = {}
    for name in names:
        short = name if len(name) <= most else f"{name[: most // 2]}…{name[1 - most // 2 :]}"
        found[name] = short if short not in found.values() else f"{short[:-4]} ({len(found) + 1})"
    return found


def log_axis(values: Iterable[float | None]) -> dict[str, Any]:
    """plotly's settings for a logarithmic axis with these values; its default ticks overlap from one to ten decades."""
    logs = [math.log10(value) for value in values if value is not None and 0 < value < math.inf]
    decades = max(logs) - min(logs) if logs else 0.0
    ticks: dict[str, Any] = {}
    if decades > 2.5:
        ticks = {"dtick": math.ceil(decades / 8)}  # whole powers of ten, about eight of them
    elif decades > 0.5:
        ticks = {"dtick": "D2", "tickformat": "~g"}  # 1, 2, 5, which plotly would abbreviate to bare digits
    return {"type": "log", "exponentformat": "power", **ticks}

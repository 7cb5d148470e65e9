"""A number for each layer and quantity, of the tidy rows of a diagnosis. Imports no torch: loggers are told without."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BY_STEP = ("step_along_gradient", "loss_along_gradient")


def scalars(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The finite values of `<quantity>/<layer>`, means over pairs of samples, and those of the net.

    The latter are the loss, ln_classes, the mean correlation, the largest and smallest singular value, and the
    quantities of the curvature, where each step along the gradient has a scalar of its own.
    """
    lists: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        is_step = row["quantity"] in _BY_STEP  # their mean would say nothing
        layer = str(row["index"]) if is_step else row["layer"]
        lists[row["quantity"], layer].append(row["value"])
    spectrum = lists.pop(("singular_value", ""), [])
    found = {f"{quantity}/{layer}" if layer else quantity: known_mean(of) for (quantity, layer), of in lists.items()}
    if spectrum:
        found |= {"singular_value/largest": spectrum[0], "singular_value/smallest": spectrum[-1]}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def for_loggers(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The scalars under the names that they have beside those of training."""
    return {f"diagnostics/{name}": value for name, value in scalars(rows).items()}


def known_mean(values: Sequence[float]) -> float:
    """The mean of the values that are not NaN; NaN if there are none.

    A pair of samples one of which is zero has no correlation; it must not spoil the mean of the others.
    """
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan

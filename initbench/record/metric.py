"""By what a run is judged, as its record says."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from initbench.metric import ACCURACY, Metric

_TYPES = {"name": str, "label": str, "higher_is_better": bool, "is_share": bool, "unit": str}


def metric_of(record: Mapping[str, Any]) -> Metric | None:
    """The metric of a record that `damage.check_record` has passed; None for a run that was refused.

    Records from before there were tasks are of classifiers, and have the logarithm of the number of classes.
    """
    if "metric" in record:
        return Metric(**record["metric"])
    if (ln_classes := record.get("results", {}).get("ln_classes")) is not None:
        return ACCURACY.at_chance(math.exp(-ln_classes))
    return None


def check_metric(metric: Mapping[str, Any]) -> None:
    """Raise ValueError for what is no metric."""
    if metric.keys() != {field.name for field in fields(Metric)}:
        raise ValueError(f"metric has the keys {', '.join(map(str, metric))}")
    for key, value in metric.items():
        if key in _TYPES:
            is_right = isinstance(value, _TYPES[key])
        else:  # chance and the best possible value
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            is_right = value is None or (is_number and math.isfinite(value))
        if not is_right:
            raise ValueError(f"metric.{key} is {value!r}")

"""A score as the views of a plot: its value and, for a share, how far it is from perfect."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from initbench.metric import Metric


def view_keys(scores: pd.Series, metric: Metric, value: str, error: str) -> list[str]:
    """The keys of the views, that of the error first unless some score is perfect, which a log axis cannot show.

    scores: whose largest decides; value, error: the two keys. Only `value` for a metric without a perfect share.
    """
    if not (metric.is_share and metric.higher_is_better and metric.perfect is not None):
        return [value]
    return [error, value] if scores.max() < metric.perfect else [value, error]


def metric_views(
    middle: Any, low: Any, high: Any, metric: Metric, keys: Sequence[str]
) -> list[tuple[str, tuple[Any, Any, Any]]]:
    """For each key its three curves: values of the metric or, for an error, distances from the perfect value.

    middle, low, high: numbers or columns of scores.
    """
    found = []
    for key in keys:
        if key.endswith("error") and metric.perfect is not None:
            found.append((key, (metric.perfect - middle, metric.perfect - high, metric.perfect - low)))
        else:
            ends = (low, high) if metric.higher_is_better else (-high, -low)
            found.append((key, (metric.sign * middle, *ends)))
    return found

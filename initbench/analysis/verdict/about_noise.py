"""How much of the noise between runs is due to the finite test set, in sentences."""

import math
from collections.abc import Iterator

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.sentence import Sentence
from initbench.metric import Metric
from initbench.wording import percent


def about_noise(comparison: Comparison) -> Iterator[Sentence]:
    """For each compared workload, the share of the test set, and how sure the best mean is for new data."""
    compared = {workload for scope in comparison.scopes for workload in scope.workloads}
    for of in comparison.new_data:
        share, low, high = of.share
        if of.workload not in compared or math.isnan(share):
            continue
        about = "About" if len(compared) == 1 else f"On {comparison.short_names[of.workload]}, about"
        interval = "" if math.isnan(low) else f"; 95% interval {percent(low)} to {percent(high)}"
        text = (
            f"{about} {percent(share)} of the variance between the seeds of an initializer is due to the finite test "
            f"set ({of.samples:,} samples{interval})"
        )
        best = of.means.iloc[0]
        if not math.isnan(best["new_low"]):
            these, new = (_ends(best[f"{kind}low"], best[f"{kind}high"], comparison.metric) for kind in ("", "new_"))
            text += f". The mean of {of.means.index[0]} is {these} for these samples, and {new} for new ones"
        yield Sentence("noise", f"{text}.")


def _ends(low: float, high: float, metric: Metric) -> str:
    ends = (low, high)[:: metric.sign]
    if metric.is_share:
        return " to ".join(map(metric.text, ends))
    return f"{' to '.join(map(metric.cell, ends))} {metric.unit}".rstrip()

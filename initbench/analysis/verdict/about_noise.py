"""How much of the noise between runs is due to the finite test set, in sentences."""

import math
from collections.abc import Iterator

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.sentence import Sentence
from initbench.metric import Metric
from initbench.wording import count


def about_noise(comparison: Comparison) -> Iterator[Sentence]:
    """For each compared workload, the share of the test set, and how sure the best mean is for new data."""
    compared = {workload for scope in comparison.scopes for workload in scope.workloads}
    for of in comparison.new_data:
        share, low, high = of.share
        if of.workload not in compared or math.isnan(share):
            continue
        about = "About" if len(compared) == 1 else f"On {comparison.short_names[of.workload]}, about"
        text = (
            f"{about} {_percent(share)} of the variance between the seeds of an initializer is due to the finite test "
            f"set ({count(of.samples, 'sample')}; 95% interval {_percent(low)} to {_percent(high)})"
        )
        best = of.means.iloc[0]
        if not math.isnan(best["new_low"]):
            these, new = (_ends(best[f"{kind}low"], best[f"{kind}high"], comparison.metric) for kind in ("", "new_"))
            text += f". The mean of {of.means.index[0]} is {these} for these samples, and {new} for new ones"
        yield Sentence("noise", f"{text}.")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}"


def _ends(low: float, high: float, metric: Metric) -> str:
    return " to ".join(map(metric.text, (low, high)[:: metric.sign]))

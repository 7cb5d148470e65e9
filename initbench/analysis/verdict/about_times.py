"""Which initializer reaches a target first, in sentences."""

import math
from collections.abc import Iterator

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.sentence import Sentence, at_most, join
from initbench.analysis.workload.time_to_target import TimesToTarget
from initbench.wording import count

_MOST_WORKLOADS = 3  # for which it is said


def about_times(comparison: Comparison) -> Iterator[Sentence]:
    """Which initializer is the fastest to the hardest target of each compared workload."""
    hardest = {(ranking.workload, ranking.target) for ranking in comparison.rankings}
    shown = [of for of in comparison.times if (of.workload, of.target) in hardest and len(of.table) > 1]
    compared = {workload for scope in comparison.scopes for workload in scope.workloads}
    shown = [of for of in shown if of.workload in compared]
    if len(shown) <= _MOST_WORKLOADS:
        for of in shown:
            yield _fastest(of, comparison, f" ({comparison.short_names[of.workload]})" if len(compared) > 1 else "")


def _fastest(times: TimesToTarget, comparison: Comparison, where: str) -> Sentence:
    table = times.table
    first, rest = table.iloc[0], table.iloc[1:]
    ties = table.index[(table[["mean_steps", "median_steps"]] == first[["mean_steps", "median_steps"]]).all(axis=1)]
    goal = comparison.metric.goal(times.target)
    median, after = first["median_steps"], first["median_after"]
    if math.isinf(median):
        when = f"fewer than half of {'its' if len(ties) == 1 else 'their'} runs reached it"
    else:
        when = f"median {'' if math.isnan(after) else f'between {after:.0f} and '}{count(median, 'step')}"
    head = f"Fastest to {goal}{where}: {join(ties, most=4)} ({when})"
    if (rest["is_slower"] & (rest["p_first"] < comparison.level)).all():
        which = str(rest.index[0]) if len(rest) == 1 else "every other initializer"
        p = f"log-rank p {at_most(rest['p_first'].max())}{' for each' if len(rest) > 1 else ''}"
        return Sentence("fastest", f"{head}, faster than {which} ({p}, corrected for targets and workloads).")
    if len(beaten := rest.index[rest["is_slower"] & (rest["p"] < comparison.level)]):
        p = f"log-rank p {at_most(rest.loc[beaten, 'p'].max())}{' for each' if len(beaten) > 1 else ''}"
        corrected = "corrected for all pairs, targets and workloads"
        return Sentence("fastest", f"{head}, faster than {join(beaten)} ({p}, {corrected}).")
    others = [str(init) for init in table.index if init not in ties]
    than = others[0] if len(others) == 1 else "the others"
    unsure = f", but not significantly faster than {than}" if others else ""
    return Sentence("times", f"{head}{unsure}.")

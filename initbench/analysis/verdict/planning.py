"""What a plan can show, before it runs: the smallest difference that its seeds can detect."""

import math
import statistics
from itertools import combinations
from pathlib import Path

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.frame import judged_by, load_runs, to_frame
from initbench.analysis.statistics.power import detectable, spread
from initbench.analysis.statistics.sign_flips import seeds_for_flips
from initbench.metric import Metric
from initbench.wording import count

_POWER = "80% power against one rival"


def what_seeds_show(seeds: int, workloads: int, study: Path) -> str:
    """One sentence about this many seeds on each workload, based on the finished runs of the study if there are any."""
    each = count(seeds, "seed") + (f" on each of {workloads} workloads" if workloads > 1 else "")
    if seeds < seeds_for_flips():
        return f"{each} cannot show a significant difference; at least {seeds_for_flips()} are needed"
    seen, metric = _spread(study, workloads)
    if math.isnan(seen):
        deviations = f"{detectable(seeds, 1.0):.1f} standard deviations of the paired difference"
        return f"{each} can show a difference of {deviations} ({_POWER}); its size is unknown until runs finish"
    difference = metric.difference(detectable(seeds, seen))
    return f"{each} can show a difference of {difference} ({_POWER}), judging by the spread of the finished runs"


def _spread(study: Path, workloads: int) -> tuple[float, Metric]:
    """The typical standard deviation between seeds of the difference of two initializers; NaN if it is not known."""
    runs = load_runs(study) if any(study.glob("*/record.json")) else to_frame([])
    metric = judged_by(runs)
    main = Comparison(runs, metric).main
    if main is None or main.seeds[0] < 3:
        return math.nan, metric
    found = [spread(main.scores[a] - main.scores[b]) for a, b in combinations(main.scores, 2)]
    known = [value for value in found if value > 0]
    # It is that of a mean over workloads, which is smaller over more of them.
    typical = statistics.median(known) * math.sqrt(len(main.workloads) / workloads) if known else math.nan
    return typical, metric

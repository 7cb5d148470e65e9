"""Where the variance comes from if sources of randomness were crossed, in sentences."""

import math
from collections.abc import Iterator

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.statistics.components import deviation
from initbench.analysis.verdict.sentence import Sentence, join
from initbench.analysis.workload.crossed import Crossed
from initbench.wording import count, percent

_MOST_INITS = 3  # whose parts are told; the table has all
WORDS = {
    "weights": "the weights",
    "order": "the order of the samples",
    "augmentation": "augmentation",
    "split": "the validation split",
    "seed": "the rest of the seed",
    "interaction": "interactions",
    "test set": "the finite test set",
}


def about_crossed(comparison: Comparison) -> Iterator[Sentence]:
    """For each workload whose sources of randomness were crossed, the parts of the variance, and why nothing else."""
    for of in comparison.crossed:
        where = f" on {of.workload}" if len(comparison.rankings) > 1 else ""
        known = {init: parts for init, parts in of.parts.items() if not math.isnan(next(iter(parts.values())).share)}
        for init, parts in list(known.items())[:_MOST_INITS]:
            spread = comparison.metric.difference(deviation(parts))
            largest_first = sorted(parts.items(), key=lambda item: -item[1].share)
            each = [
                f"{WORDS[name]} ({percent(part.share)}{', 95% interval' if not place else ','} {percent(part.low)} to "
                f"{percent(part.high)})"
                for place, (name, part) in enumerate(largest_first)
            ]
            runs = f"the runs of {init}{where} (standard deviation {spread})"
            yield Sentence("components", f"The variance between {runs} comes from {join(each)}.")
        yield Sentence("crossed", _why(of, where))


def _why(of: Crossed, where: str) -> str:
    crossing = " x ".join(f"{count(number, 'seed')} of {WORDS[name]}" for name, number in of.levels.items())
    text = f"Initializers are not compared{where}: the runs share seeds ({crossing}), so they are not independent."
    if of.missing:
        each = [f"{init} ({number} of {of.cells} runs)" for init, number in of.missing.items()]
        text += f" The parts of the variance need all combinations, and are missing for {join(each)}."
    return text
